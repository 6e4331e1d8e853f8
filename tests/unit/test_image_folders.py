"""Photographs by class: what is read, by which rule, and what is refused. All pictures are generated."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from pytest_tinyml.cli import main
from pytest_tinyml.errors import DatasetError, UsageError
from pytest_tinyml.stores.datasets import load_dataset
from pytest_tinyml.stores.pictures import read_picture

if TYPE_CHECKING:
    from pathlib import Path

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def _save(path: Path, pixels: Any, mode: str | None = None, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.asarray(pixels, dtype=np.uint8))
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


def _flat(height: int, width: int, value: Any) -> Any:
    return np.broadcast_to(np.asarray(value, dtype=np.uint8), (height, width, 3))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of 10 and 5 plain pictures whose grey says which they are; names out of the order of writing."""
    for k in reversed(range(10)):
        _save(tmp_path / "photos" / "cats" / f"c{k}.png", _flat(8, 8, k))
    for k in range(5):
        _save(tmp_path / "photos" / "dogs" / f"d{k}.PNG", _flat(8, 8, 100 + k))
    return tmp_path / "photos"


def test_splits(photos: Path) -> None:
    """A fifth of each class is held out by the documented permutation, nothing is in both splits or in neither."""
    held = [
        np.sort(np.random.Generator(np.random.PCG64([20170, k])).permutation(n)[: n // 5]) for k, n in ((0, 10), (1, 5))
    ]
    expected = np.concatenate([held[0], 100 + held[1]])[np.random.Generator(np.random.PCG64(20170)).permutation(3)]
    test = load_dataset(str(photos))
    assert expected.tolist() == test.images[:, 0, 0, 0].tolist()
    assert (expected >= 100).tolist() == np.asarray(test.labels).tolist()
    assert ("cats", "dogs") == test.class_names
    names = [f"cats/c{value}.png" if value < 100 else f"dogs/d{value - 100}.PNG" for value in expected]
    assert tuple(names) == test.sample_names
    train, whole = (load_dataset(f"{photos}#{split}") for split in ("train", "all"))
    assert set(whole.sample_names) == {*train.sample_names, *test.sample_names}
    assert (12, 3, 15) == (len(train), len(test), len(whole))
    assert test.sha256 == load_dataset(f"{photos}#validation").sha256


def test_samples_of_all_classes_come_first(photos: Path) -> None:
    """Samples are not in the order of classes, so that a limit takes of all of them."""
    assert {0, 1} == set(np.asarray(load_dataset(f"{photos}#all").labels)[:6].tolist())


@pytest.mark.parametrize("folders", [("Training", "Validation"), ("train", "test"), ("train", "val")])
def test_folders_of_splits(tmp_path: Path, folders: tuple[str, str]) -> None:
    """Kaggle's gender set has Training/female and Validation/female; then nothing is split by us."""
    for k, (part, count) in enumerate(zip(folders, (4, 2), strict=True)):
        for label, name in enumerate(("female", "male")):
            for index in range(count):
                _save(tmp_path / part / name / f"{index}.png", _flat(4, 4, 100 * k + 10 * label + index))
    train, test, whole = (load_dataset(f"{tmp_path}#{split}") for split in ("train", "validation", "all"))
    assert (8, 4, 12) == (len(train), len(test), len(whole))
    assert {100, 101, 110, 111} == set(test.images[:, 0, 0, 0].tolist())
    assert (("female", "male"), f"{folders[0]}/female") == (
        train.class_names,
        min(train.sample_names)[: len(folders[0]) + 7],
    )
    assert test.sha256 == load_dataset(str(tmp_path)).sha256


def test_crop_is_centred(tmp_path: Path) -> None:
    """Of a picture three times as wide as high, a square sample is the middle third."""
    wide = np.concatenate([_flat(6, 6, RED), _flat(6, 6, GREEN), _flat(6, 6, BLUE)], axis=1)
    expected = _flat(3, 3, GREEN).tolist()
    assert expected == read_picture(_save(tmp_path / "wide.png", wide), 3, 3, 3).tolist()
    high = wide.transpose(1, 0, 2)
    assert expected == read_picture(_save(tmp_path / "high.png", high), 3, 3, 3).tolist()


def test_nothing_is_cropped_of_the_same_proportions(tmp_path: Path) -> None:
    """Each quarter of a picture is a pixel of one half its size, averaged by the filter."""
    blocks = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    path = _save(tmp_path / "same.png", np.repeat(np.repeat(blocks, 8, axis=0), 8, axis=1))
    small = read_picture(path, 4, 6, 1)
    # The bilinear filter reaches half a pixel into the neighbours; the blocks differ by 10 and by 60.
    assert np.abs(small.astype(int) - blocks).max() <= 10
    assert blocks[1:3, 1:5].tolist() == small[1:3, 1:5].tolist()
    assert np.repeat(blocks, 8, axis=0).repeat(8, axis=1).tolist() == read_picture(path, 32, 48, 1).tolist()


def test_grey_is_luma(tmp_path: Path) -> None:
    """Grey is 0.299 R + 0.587 G + 0.114 B, and a grey picture read as RGB has three equal channels."""
    for colour, luma in ((RED, 76), (GREEN, 150), (BLUE, 29)):
        assert luma == read_picture(_save(tmp_path / "plain.png", _flat(2, 2, colour)), 1, 1, 1).item()
    grey = _save(tmp_path / "grey.png", np.full((2, 2), 99))
    assert [[[99, 99, 99]]] == read_picture(grey, 1, 1, 3).tolist()


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    """A half transparent black pixel is grey, and a palette's transparent colour is white."""
    clear = np.array([[[0, 0, 0, 0], [0, 0, 0, 255]]], dtype=np.uint8)
    assert [[255, 0]] == read_picture(_save(tmp_path / "clear.png", clear), 1, 2, 1).tolist()
    palette = Image.fromarray(_flat(1, 1, RED)).convert("P", palette=Image.Palette.ADAPTIVE)
    palette.save(tmp_path / "palette.png", transparency=palette.getpixel((0, 0)))
    assert [[255]] == read_picture(tmp_path / "palette.png", 1, 1, 1).tolist()


def test_turned_as_the_camera_was(tmp_path: Path) -> None:
    """EXIF orientation 6 turns a picture by a quarter clockwise: its left is then on top."""
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = np.concatenate([_flat(8, 8, 0), _flat(8, 8, 255)], axis=1)
    path = _save(tmp_path / "turned.jpg", wide, exif=exif, quality=95)
    small = read_picture(path, 2, 1, 1)
    assert (small < 64).tolist() == [[True], [False]] or (small > 192).tolist() == [[True], [False]]
    assert (2, 1) == small.shape
    assert small[0, 0] < small[1, 0]


def test_the_models_shape_is_taken(photos: Path) -> None:
    """Grey or RGB in the size that is asked for, by argument or behind the path; the path wins."""
    shapes = {(4, 4): (4, 4), (4, 6, 1): (4, 6), (5, 4, 3): (5, 4, 3)}
    for asked, expected in shapes.items():
        assert expected == load_dataset(str(photos), shape=asked).images.shape[1:]
    assert (2, 3) == load_dataset(f"{photos}#train,2x3x1", shape=(4, 4, 3)).images.shape[1:]
    assert (7, 7) == load_dataset(f"{photos}#7x7").images.shape[1:]


def test_as_they_are(photos: Path, tmp_path: Path) -> None:
    """Without a shape pictures of one size keep it; grey ones have no channels, unless some are in colour."""
    assert (8, 8, 3) == load_dataset(str(photos)).images.shape[1:]
    for name in ("a", "b"):
        for k in range(2):
            _save(tmp_path / "grey" / name / f"{k}.png", np.full((3, 5), k))
    assert (3, 5) == load_dataset(f"{tmp_path / 'grey'}#all").images.shape[1:]


def _corrupt(folder: Path) -> None:
    good = (folder / "cats" / "c3.png").read_bytes()
    (folder / "cats" / "c3.png").write_bytes(good[: len(good) // 2])


def _text(folder: Path) -> None:
    (folder / "dogs" / "d1.PNG").write_text("not a picture")


def _deep(folder: Path) -> None:
    Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save(folder / "dogs" / "d1.PNG")


def _mixed(folder: Path) -> None:
    _save(folder / "dogs" / "d4.PNG", _flat(6, 9, 1))


def _empty(folder: Path) -> None:
    (folder / "birds").mkdir()
    (folder / "birds" / "Thumbs.db").write_bytes(b"x")


def _single(folder: Path) -> None:
    _save(folder / "birds" / "b.png", _flat(8, 8, 1))


@pytest.mark.parametrize(
    ("spoil", "spec", "file", "message"),
    [
        (_corrupt, "#all", "cats/c3.png", "is not a picture that can be read: "),
        (_text, "#all", "dogs/d1.PNG", "is not a picture that can be read: cannot identify image file"),
        (_deep, "#all", "dogs/d1.PNG", "unsuitable pixels: expected at most 8 bits a channel, got mode I;16"),
        (_mixed, "#all", "", "expected one size, got"),
        (_empty, "", "birds", "class without pictures: expected at least one .bmp, .jpeg, .jpg, .png, got Thumbs.db"),
        (_single, "", "birds", "too few pictures to be split into training and validation: expected at least 2, got 1"),
    ],
)
def test_refused(photos: Path, spoil: Any, spec: str, file: str, message: str) -> None:
    """What is wrong is said with the file or the folder, and what was expected."""
    spoil(photos)
    with pytest.raises(DatasetError) as caught:
        load_dataset(f"{photos}{spec}")
    assert str(caught.value).startswith(str(photos / file))
    assert message in str(caught.value)


def test_mixed_sizes_can_be_asked_to_be_one(photos: Path) -> None:
    """The message of pictures of several sizes names two of them, and what to write; that works."""
    _mixed(photos)
    with pytest.raises(DatasetError, match=r"of 2 sizes: ask for one, as .*photos#HEIGHTxWIDTHxCHANNELS") as caught:
        load_dataset(f"{photos}#all")
    assert "dogs/d4.PNG 9 x 6" in str(caught.value)
    assert (15, 4, 4, 3) == load_dataset(f"{photos}#all,4x4x3").images.shape


def test_other_classes_in_validation(tmp_path: Path) -> None:
    """Classes that only one split has would shift the labels of the other."""
    for path in ("train/a", "train/b", "val/a", "val/c"):
        _save(tmp_path / path / "1.png", _flat(2, 2, 1))
    with pytest.raises(DatasetError, match="different classes: expected a, b, got a, c"):
        load_dataset(f"{tmp_path}#all")


def test_no_such_split(tmp_path: Path, photos: Path) -> None:
    """Splits that photographs do not have, and splits that only photographs have, are refused."""
    _save(tmp_path / "only" / "train" / "a" / "1.png", _flat(2, 2, 1))
    with pytest.raises(DatasetError, match="no folder for the split 'test'"):
        load_dataset(str(tmp_path / "only"))
    with pytest.raises(UsageError, match="no split of photographs named 'test-28k'"):
        load_dataset(f"{photos}#test-28k")
    np.savez(tmp_path / "x.npz", images=np.zeros((1, 2, 2), np.uint8))
    with pytest.raises(UsageError, match="only folders of photographs have the split 'validation'"):
        load_dataset(f"{tmp_path / 'x.npz'}#validation")


@pytest.mark.parametrize("shape", [(64,), (8, 8, 2), (1, 8, 8, 3), (0, 8, 1)])
def test_impossible_shapes(photos: Path, shape: tuple[int, ...]) -> None:
    """A model whose input is no picture is refused."""
    with pytest.raises(DatasetError, match=r"photographs cannot have this shape: expected \[H, W\]"):
        load_dataset(str(photos), shape=shape)


@pytest.mark.parametrize("ending", ["jpg", "png", "bmp"])
def test_damaged_files_are_only_ever_refused(tmp_path: Path, ending: str) -> None:
    """A picture that is cut short or has flipped bits is read or refused with its name, whatever Pillow raises."""
    noise = np.random.default_rng(5)
    whole = _save(tmp_path / f"whole.{ending}", noise.integers(0, 256, (12, 16, 3))).read_bytes()
    path = tmp_path / f"damaged.{ending}"
    refused: list[Path | str] = []
    for k in range(150):
        data = bytearray(whole[: len(whole) - k * len(whole) // 150] if k % 2 else whole)
        for at in noise.integers(0, len(data), k % 5 + (0 if k % 2 else 1)):
            data[at] ^= 1 << int(noise.integers(8))
        path.write_bytes(data)
        try:
            assert (4, 4, 3) == read_picture(path, 4, 4, 3).shape
        except DatasetError as error:
            refused.append(error.path)
    assert len(refused) > 30
    assert {path} == set(refused)


@pytest.mark.parametrize("filtered", ["error", "ignore"])
def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filtered: Any) -> None:
    """A file that claims more pixels than Pillow's limit is refused, where Pillow would only warn."""
    path = _save(tmp_path / "large.png", np.zeros((20, 20)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    with warnings.catch_warnings():
        warnings.simplefilter(filtered)
        with pytest.raises(DatasetError, match="decompression bomb"):
            read_picture(path, 4, 4, 1)


def test_reading_leaves_the_filters_of_warnings_alone(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are read in threads, and the filters are one list of the whole process: no thread may change them."""
    opened, before, seen = Image.open, list(warnings.filters), []

    def watched(path: Path) -> Any:
        seen.append(list(warnings.filters) == before)
        return opened(path)

    monkeypatch.setattr(Image, "open", watched)
    load_dataset(f"{photos}#all")
    assert {True} == set(seen)


def test_packed(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`tinyml data pack` keeps both splits at one size, with the same identities, and `info` tells the classes."""
    packed = tmp_path / "packed.npz"
    assert 0 == main(["data", "pack", f"{photos}#6x5x3", "--out", str(packed)])
    for split in ("train", "test"):
        made, kept = load_dataset(f"{photos}#{split},6x5x3"), load_dataset(f"{packed}#{split}")
        assert (made.sha256, made.class_names) == (kept.sha256, kept.class_names)
    assert 0 == main(["data", "info", str(packed)])
    assert "labels cats: 2, dogs: 1" in capsys.readouterr().out
    assert 2 == main(["data", "pack", str(photos), "--out", str(tmp_path / "packed.zip")])
    assert "another ending: expected .npz, got .zip" in capsys.readouterr().err
