"""Models by name and by path, their cards, and the table of the zoo."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.assets import assets_dir
from pytest_tinyml.errors import ModelError, UnknownNameError
from pytest_tinyml.records import PreprocessSpec
from pytest_tinyml.stores import models
from pytest_tinyml.stores.models import describe_preprocess, list_models, load_file, load_model, models_table

if TYPE_CHECKING:
    from pathlib import Path

S1 = assets_dir("models") / "s1" / "s1-ptq.tflite"
TABLE = 'schema = 1\n[preprocess]\nkind = "none"\n'


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A .tflite file of a user's own, without a card."""
    path = tmp_path / "own.tflite"
    shutil.copy(S1, path)
    return path


@pytest.mark.parametrize(
    ("spec", "name"), [("s1-ptq", "s1-ptq"), ("S1", "s1-ptq"), ("s0", "s0-ptq"), ("S2-QAT", "s2-qat")]
)
def test_zoo_names(spec: str, name: str) -> None:
    """A name of the zoo is found in any case; a bare system is its int8 PTQ model."""
    assert name == load_model(spec).name


def test_zoo_model() -> None:
    """A model of the zoo comes with what its card says."""
    model = load_model("s2-ptq")
    assert PreprocessSpec(kind="l2axis1") == model.preprocess
    assert hashlib.sha256(model.path.read_bytes()).hexdigest() == model.sha256
    assert ("RESHAPE", "FULLY_CONNECTED", "FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX") == model.operators
    assert (1, 28, 28) == model.input.shape
    assert model.card_top1 is not None
    assert model.card_top1 > 0.96


def test_own_file_without_card(own: Path) -> None:
    """Without a card pixel / 255 is assumed, and the record says that it is an assumption."""
    model = load_model(str(own))
    assert ("own", PreprocessSpec(assumed=True), None) == (model.name, model.preprocess, model.card_top1)


def test_own_card(own: Path) -> None:
    """A card STEM.card.toml beside the file is used, even if it names no file."""
    own.with_name("own.card.toml").write_text('schema = 1\n[preprocess]\nkind = "scale"\nscale = 1\noffset = -128.0\n')
    assert PreprocessSpec(scale=1.0, offset=-128.0) == load_model(str(own)).preprocess


@pytest.mark.parametrize(("file", "kind"), [("own.tflite", "none"), ("other.tflite", "scale")])
def test_shared_card(own: Path, file: str, kind: str) -> None:
    """A card.toml beside the file is used if it names the file."""
    own.with_name("card.toml").write_text(f'{TABLE}[[file]]\nname = "mine"\nfile = "{file}"\n')
    model = load_model(str(own))
    assert kind == model.preprocess.kind
    assert model.preprocess.assumed == (kind == "scale")


def test_own_card_names_the_model(own: Path) -> None:
    """Name and accuracy come from the card's entry of the file."""
    entry = '[[file]]\nname = "mine"\nfile = "own.tflite"\ncorrect = 3\ncount = 4\n'
    own.with_name("own.card.toml").write_text(TABLE + entry)
    assert ("mine", 0.75) == (load_model(str(own)).name, load_model(str(own)).card_top1)


def test_other_file_than_the_card_says(own: Path) -> None:
    """A file that is not the one of the card is refused, with both digests."""
    entry = f'[[file]]\nfile = "own.tflite"\nsha256 = "{"0" * 64}"\n'
    own.with_name("own.card.toml").write_text(TABLE + entry)
    got = hashlib.sha256(own.read_bytes()).hexdigest()
    with pytest.raises(
        ModelError, match=rf"own\.tflite: is not the file that .*own\.card\.toml.*{'0' * 64}, got {got}"
    ):
        load_model(str(own))


def test_changed_zoo_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the zoo that was changed is refused."""
    shutil.copytree(S1.parent, tmp_path / "s1")
    path = tmp_path / "s1" / "s1-ptq.tflite"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    monkeypatch.setattr(models, "assets_dir", lambda _: tmp_path)
    with pytest.raises(ModelError, match=r"s1-ptq\.tflite: is not the file that .*card\.toml describes"):
        load_model("s1-ptq")


def test_load_file_ignores_cards(own: Path) -> None:
    """A file can be loaded without its card."""
    own.with_name("own.card.toml").write_text("not a card")
    assert PreprocessSpec(kind="l2axis1") == load_file(own, "x", PreprocessSpec(kind="l2axis1")).preprocess


def test_unknown_name() -> None:
    """A misspelt name is answered with the closest one and the known ones."""
    with pytest.raises(UnknownNameError, match=r"no model named 's1-ptk'; did you mean 's1-ptq'\? Known: s0-float, "):
        load_model("s1-ptk")


def test_no_such_file(tmp_path: Path) -> None:
    """A path that is not there, or is a folder, is named."""
    with pytest.raises(ModelError, match=r"gone\.tflite: no such model file"):
        load_model(str(tmp_path / "gone.tflite"))
    with pytest.raises(ModelError, match=r"is a folder; expected a \.tflite file"):
        load_model(f"{tmp_path}/")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema = ", "cannot be read as a model card"),
        ("", "schema is missing"),
        ("schema = 2\n", "model card of schema 2; this version reads schema 1"),
        ('schema = "1"\n', "schema: expected int, got '1'"),
        ("schema = true\n", "schema: expected int, got True"),
        ("schema = 1\n", "preprocess is missing"),
        ("schema = 1\npreprocess = 3\n", "preprocess: expected dict, got 3"),
        ("schema = 1\n[preprocess]\n", "preprocess.kind is missing"),
        (
            'schema = 1\n[preprocess]\nkind = "l2"\n',
            "preprocess.kind: expected one of scale, l2axis1, none, got 'l2'",
        ),
        (
            'schema = 1\n[preprocess]\nkind = "scale"\nscale = "1/255"\n',
            "preprocess.scale: expected a number, got '1/255'",
        ),
        ('schema = 1\n[preprocess]\nkind = "scale"\nscale = 0\n', "expected a finite scale other than 0.*got 0.0"),
        ('schema = 1\n[preprocess]\nkind = "scale"\nscale = nan\n', "expected a finite scale"),
        (
            'schema = 1\n[preprocess]\nkind = "scale"\noffset = inf\n',
            "expected a finite scale other than 0 and a finite",
        ),
        (f"{TABLE}[file]\n", "file: expected list, got"),
        ("schema = 1\nfile = [3]\n[preprocess]\nkind = 'none'\n", r"file\[0\]: expected a table \[\[file\]\], got 3"),
        (f"{TABLE}[[file]]\n", r"file\[0\]\.file is missing"),
        (f'{TABLE}[[file]]\nfile = "../x.tflite"\n', r"file\[0\]\.file: expected a file name in the card's folder"),
        (f'{TABLE}[[file]]\nfile = "x"\ncorrect = "9"\n', r"file\[0\]\.correct: expected int, got '9'"),
    ],
)
def test_malformed_card(own: Path, text: str, message: str) -> None:
    """A malformed card is named, with the key, expected and got."""
    own.with_name("own.card.toml").write_text(text)
    with pytest.raises(ModelError, match=rf"own\.card\.toml: .*{message}"):
        load_model(str(own))


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (PreprocessSpec(), "pixel / 255"),
        (PreprocessSpec(assumed=True), "pixel / 255 (assumed)"),
        (PreprocessSpec(scale=1.0), "pixel"),
        (PreprocessSpec(scale=1.0, offset=-128.0), "pixel - 128"),
        (PreprocessSpec(scale=1.0 / 127.5, offset=-1.0), "pixel * 0.00784314 - 1"),
        (PreprocessSpec(kind="l2axis1"), "L2 norm, axis 1"),
        (PreprocessSpec(kind="none"), "none"),
    ],
)
def test_describe_preprocess(spec: PreprocessSpec, text: str) -> None:
    """Preprocessing is said in a few words."""
    assert text == describe_preprocess(spec)


def test_table() -> None:
    """The table has one line per file of the zoo, with its figures."""
    rows = list_models()
    lines = models_table(rows).splitlines()
    assert len(rows) + 2 == len(lines)
    assert ["name", "kind", "params"] == lines[0].split()[:3]
    line = next(line for line in lines if line.startswith("s1-ptq "))
    size = f"{S1.stat().st_size:,}"
    assert ["s1-ptq", "ptq", "55,050", "54,912", size] == line.split()[:5]
    assert "pixel / 255" in line
    assert "0.00392157  -128" in line


def test_table_of_an_unevaluated_model() -> None:
    """What is not known is a dash."""
    row = models.ModelRow(
        name="x", system="y", kind="float", parameters=1, macs=2, nbytes=3, top1_ratio=None, preprocess="none",
        input_scale=0.0, input_zero_point=0,
    )  # fmt: skip
    assert ["x", "float", "1", "2", "3", "-", "none", "-", "-", "y"] == models_table([row]).splitlines()[-1].split()


def test_a_keras_file_is_told_what_to_do() -> None:
    """It is no .tflite, and the message has the command that makes one of it."""
    path = assets_dir("models") / "s2" / "s2.h5"
    message = r"not a \.tflite file.*; a Keras file becomes one by: tinyml convert .*s2\.h5"
    with pytest.raises(ModelError, match=message):
        load_model(str(path))
