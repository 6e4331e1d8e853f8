"""Baselines on disk: written whole, numbered without clashes, and refused where they cannot be trusted."""

from __future__ import annotations

import json
from dataclasses import replace
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from pytest_tinyml.campaign.baselines import RunFacts, choose, comparable
from pytest_tinyml.errors import BaselineError
from pytest_tinyml.shell.options import OPTIONS
from pytest_tinyml.stores import baselinefile
from pytest_tinyml.stores.baseline import Baseline, BaselineKey, delete, find_files, list_baselines, load, save_baseline
from pytest_tinyml.stores.baselinefile import LATEST, SCHEMA, check_name, migrated

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY: Final = BaselineKey(board="native", chip="x86_64", engine="aot", model="s1-ptq", dataset_sha256="ab" * 32)
CONTENT: Final[dict[str, Any]] = {
    "created": "2026-01-02T03:04:05Z",
    "commit": None,
    "passed": True,
    "board": {"clock": "wall_us", "firmware_sha256": "f"},
    "model": {"sha256": "0" * 64, "task": "classification"},
    "dataset": {"name": "mnist-28k", "samples": 5},
    "reference": {"name": "tflm"},
    "figures": {"top1": 0.8, "arena_bytes": 922, "latency_p50": None},
    "classes": {"0": "4 of 5"},
}
CLASSES: Final = np.array([3, 1, 4, 1, 5])
RUN: Final = RunFacts(
    model="s1-ptq",
    dataset="mnist-28k",
    dataset_sha256="ab" * 32,
    samples=5,
    clock="wall_us",
    chip="x86_64",
    engine="aot",
)


def save(root: Path, name: str = "main", key: BaselineKey = KEY, **changed: Any) -> Baseline:
    """Save a baseline of five samples."""
    return save_baseline(root, key, name, CONTENT | changed, CLASSES)


def found(root: Path) -> list[Baseline]:
    """List what there is of the model."""
    return list_baselines(root, board="native", model="s1-ptq")


def test_kept(tmp_path: Path) -> None:
    """What was saved is read as it was, from where its key says."""
    kept = save(tmp_path)
    assert kept.path == tmp_path / "native-x86_64-aot" / "s1_ptq-abababababab" / "0001_main.json"
    assert found(tmp_path) == [kept]
    assert (1, "main", "0001_main", KEY) == (kept.number, kept.name, kept.label, kept.key)
    assert (5, "wall_us", CONTENT["figures"]) == (kept.samples, kept.clock, kept.figures)
    assert CLASSES.tolist() == kept.predictions().tolist()  # type: ignore[union-attr]
    assert sorted(path.name for path in kept.path.parent.iterdir()) == ["0001.predictions", "0001_main.json"]


def test_small_and_diffable(tmp_path: Path) -> None:
    """28,000 predictions of ten classes take less than 15 kB, and the file has a figure a line."""
    many = np.random.default_rng(1).integers(0, 10, 28_000)
    kept = save_baseline(tmp_path, KEY, "main", CONTENT | {"dataset": {"name": "mnist", "samples": 28_000}}, many)
    assert kept.path.with_name("0001.predictions").stat().st_size < 15_000
    assert '  "top1": 0.8,\n  "arena_bytes": 922,\n' in kept.path.read_text(encoding="utf-8")
    assert many.tolist() == kept.predictions().tolist()  # type: ignore[union-attr]


def test_many_classes(tmp_path: Path) -> None:
    """Classes above 255 are kept, too."""
    kept = save_baseline(tmp_path, KEY, "main", CONTENT, np.array([0, 255, 256, 70_000, 2**31]))
    assert kept.predictions().tolist() == [0, 255, 256, 70_000, 2**31]  # type: ignore[union-attr]


def test_regression_has_no_predictions(tmp_path: Path) -> None:
    """A regression has no classes to keep; its number is taken all the same."""
    kept = save_baseline(tmp_path, KEY, "main", CONTENT, None)
    assert kept.predictions() is None
    assert save(tmp_path).number == 2


def test_odd_names(tmp_path: Path) -> None:
    """A model's name may be anything; two that share a folder do not see each other's baselines."""
    keys = [replace(KEY, model=model) for model in ("../../x y", "..-..-x-y")]
    kept = [save(tmp_path, key=key) for key in keys]
    assert len({each.path.parent for each in kept}) == 1
    for key, each in zip(keys, kept, strict=True):
        assert list_baselines(tmp_path, board="native", model=key.model) == [each]
    assert find_files(tmp_path) == [each.path for each in kept]


@pytest.mark.parametrize("name", ["", "12", "a/b", ".x", "a b", "latest", "x" * 101, "-x", "é"])
def test_bad_name(name: str) -> None:
    """A name that is no file's, or would be taken for something else, is refused."""
    with pytest.raises(ValueError, match="is not a name for a baseline"):
        check_name(name)


def test_bare_compare_is_the_latest() -> None:
    """The option without a value means what the storage calls the newest."""
    assert [LATEST] == [option.bare for option in OPTIONS if option.name == "compare"]


def _save_ten(root: Path, who: str) -> None:
    for index in range(10):
        save(root, f"{who}-{index}")


def test_jobs_at_once(tmp_path: Path) -> None:
    """Four processes that save at once get forty numbers, and none loses a baseline."""
    context = get_context("spawn")
    jobs = [context.Process(target=_save_ten, args=(tmp_path, f"job{k}")) for k in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
    assert [0] * 4 == [job.exitcode for job in jobs]
    kept = found(tmp_path)
    assert list(range(1, 41)) == sorted(each.number for each in kept)
    assert {f"job{k}-{index}" for k in range(4) for index in range(10)} == {each.name for each in kept}
    assert all(each.predictions() is not None for each in kept)


def test_number_of_a_dead_job(tmp_path: Path) -> None:
    """A number that was taken by a job which did not live to use it is not given again."""
    folder = save(tmp_path).path.parent
    (folder / "0002.predictions").touch()
    assert save(tmp_path).number == 3
    assert [1, 3] == [each.number for each in found(tmp_path)]


def test_storage_cannot_be_written(tmp_path: Path) -> None:
    """A storage that is a file is one message."""
    (tmp_path / "storage").touch()
    with pytest.raises(BaselineError, match="choose another place with --tinyml-storage"):
        save(tmp_path / "storage")


def edited(edit: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    """Return what changes the JSON of a file."""

    def apply(text: str) -> str:
        content: dict[str, Any] = json.loads(text)
        edit(content)
        return json.dumps(content)

    return apply


DAMAGED: dict[str, tuple[Callable[[str], str], str]] = {
    "empty": (lambda _: "", "is damaged: Expecting value"),
    "cut": (lambda text: text[: len(text) // 2], "is damaged: "),
    "merge conflict": (lambda text: f"<<<<<<< HEAD\n{text}", "is damaged: Expecting value"),
    "a list": (lambda _: "[]", "no schema tinyml-baseline/1"),
    "deep": (lambda _: "[" * 100_000, "is damaged: "),
    "no schema": (edited(lambda content: content.pop("schema")), "no schema tinyml-baseline/1"),
    "no figures": (edited(lambda content: content.pop("figures")), "no figures"),
    "a word for a figure": (edited(lambda content: content["figures"].update(top1="high")), "figures.top1 is 'high'"),
    "too large a figure": (edited(lambda content: content["figures"].update(top1=10**400)), "figures.top1 is 1000"),
    "a word for operators": (edited(lambda content: content.update(operators="fast")), "operators is 'fast'"),
    "a word for an operator": (
        edited(lambda content: content.update(operators={"0 CONV_2D": "fast"})),
        "operators.0 CONV_2D is 'fast'",
    ),
    "a list for a class": (edited(lambda content: content["classes"].update({"0": [1]})), "classes.0 is [1]"),
    "infinite": (edited(lambda content: content["figures"].update(top1=float("inf"))), "figures.top1 is inf"),
    "no chip": (edited(lambda content: content["key"].pop("chip")), "no key.chip"),
    "true for a number": (edited(lambda content: content["dataset"].update(samples=True)), "dataset.samples is True"),
    "no samples": (edited(lambda content: content["dataset"].update(samples=0)), "dataset.samples is 0"),
    "renumbered": (edited(lambda content: content.update(number=2)), "number is 2"),
    "elsewhere": (edited(lambda content: content["predictions"].update(file="../0001.predictions")), "predictions is"),
    "newer": (
        edited(lambda content: content.update(schema="tinyml-baseline/2")),
        "was written by a newer pytest-tinyml (schema 2, this one reads 1): upgrade, or choose other baselines",
    ),
    "older": (
        edited(lambda content: content.update(schema="tinyml-baseline/0")),
        "has schema 0, this pytest-tinyml reads 1: it cannot be migrated: save a new one",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_refused_file(tmp_path: Path, name: str) -> None:
    """A damaged file, or one of another schema, is refused by its name, with what to do."""
    path = save(tmp_path).path
    damage, message = DAMAGED[name]
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(BaselineError) as caught:
        found(tmp_path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("damage", ["gone", "empty", "other", "long", "no deflate"])
def test_refused_predictions(tmp_path: Path, damage: str) -> None:
    """Predictions that are not those that were saved are refused."""
    kept = save(tmp_path)
    path = kept.path.with_name("0001.predictions")
    other = save_baseline(tmp_path / "other", KEY, "main", CONTENT, CLASSES[::-1]).path.with_name("0001.predictions")
    many = save_baseline(tmp_path / "many", KEY, "main", CONTENT, np.tile(CLASSES, 1000))
    long = many.path.with_name("0001.predictions")
    data = {"empty": b"", "other": other.read_bytes(), "long": long.read_bytes(), "no deflate": b"12345"}
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(data[damage])
    with pytest.raises(BaselineError, match="delete the baseline: tinyml baselines delete FILE"):
        kept.predictions()


def _from_version_0(content: dict[str, Any]) -> dict[str, Any]:
    """Bring a version that never was to version 1: it had its figures in one table with the key."""
    figures = content.pop("measured")
    return content | {"figures": {"top1": figures["accuracy"]}}


def _as_version_0(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    figures = content.pop("figures")
    content |= {"schema": "tinyml-baseline/0", "measured": {"accuracy": figures["top1"]}}
    path.write_text(json.dumps(content), encoding="utf-8")


def test_older_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older file is refused with the command that migrates it, and migrated it is as good as a new one."""
    path = save(tmp_path).path
    monkeypatch.setitem(baselinefile.MIGRATIONS, 0, _from_version_0)
    assert migrated(path) is None
    _as_version_0(path)
    with pytest.raises(BaselineError, match="tinyml baselines migrate brings it up to date"):
        load(path)
    content = migrated(path)
    assert content is not None
    assert (SCHEMA, {"top1": 0.8}) == (content["schema"], content["figures"])


def test_damaged_older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not what its old schema has is called damaged."""
    path = save(tmp_path).path
    monkeypatch.setitem(baselinefile.MIGRATIONS, 0, _from_version_0)
    path.write_text('{"schema": "tinyml-baseline/0"}', encoding="utf-8")
    with pytest.raises(BaselineError, match="is damaged: not what schema 0 has: KeyError"):
        migrated(path)


def test_deleted(tmp_path: Path) -> None:
    """Both files of a baseline go, also where it cannot be read; and nothing else does."""
    kept, other = save(tmp_path), save(tmp_path)
    kept.path.write_text("", encoding="utf-8")
    delete(kept.path)
    assert [other] == found(tmp_path)
    assert sorted(path.name for path in other.path.parent.iterdir()) == ["0002.predictions", "0002_main.json"]
    with pytest.raises(BaselineError, match="is not the file of a baseline"):
        delete(other.path.with_name("0002.predictions"))


def test_deleted_one_of_two(tmp_path: Path) -> None:
    """Two branches may each have saved a number 1: when one is deleted, the other keeps the predictions."""
    kept = save(tmp_path)
    twin = kept.path.with_name("0001_branch.json")
    twin.write_text(kept.path.read_text(encoding="utf-8").replace('"main"', '"branch"'), encoding="utf-8")
    delete(twin)
    assert CLASSES.tolist() == kept.predictions().tolist()  # type: ignore[union-attr]
    delete(kept.path)
    assert [] == list(kept.path.parent.iterdir())


def test_more_than_is_known(tmp_path: Path) -> None:
    """What a later version or a person has added is not looked at."""
    kept = save(tmp_path)
    content = json.loads(kept.path.read_text(encoding="utf-8"))
    content["key"]["host"] = content["more"] = "x"
    kept.path.write_text(json.dumps(content), encoding="utf-8")
    assert [KEY] == [each.key for each in found(tmp_path)]


OTHER_DATA: Final = replace(KEY, dataset_sha256="cd" * 32)
OTHER_CHIP: Final = replace(KEY, chip="aarch64")
FAILED: Final = {"passed": False}
CYCLES: Final = {"board": {"clock": "cycles", "firmware_sha256": ""}}
UNTIMED: Final = {"board": {"clock": None, "firmware_sha256": ""}}
SIX: Final = {"dataset": {"name": "mnist-28k", "samples": 6}}
ELSE: Final = {"dataset": {"name": "fashion", "samples": 5}}
NEW: Final = "save a new one with --tinyml-save NAME, without --tinyml-compare"
# What is in the storage, in the order in which it was saved; what is asked for; what is chosen.
CHOSEN: dict[str, tuple[list[tuple[str, BaselineKey, dict[str, Any]]], str, str | None]] = {
    "nothing there": ([], LATEST, None),
    "nothing there of that name": ([], "main", None),
    "the newest": ([("a", KEY, {}), ("b", KEY, {})], LATEST, "0002_b"),
    "by name": ([("a", KEY, {}), ("b", KEY, {})], "a", "0001_a"),
    "by name, the newest": ([("a", KEY, {}), ("a", KEY, {}), ("b", KEY, {})], "a", "0002_a"),
    "by number": ([("a", KEY, {}), ("b", KEY, {})], "1", "0001_a"),
    "by a padded number": ([("a", KEY, {}), ("b", KEY, {})], "0001", "0001_a"),
    "by label": ([("a", KEY, {}), ("a", KEY, {})], "0001_a", "0001_a"),
    "the newest that fits": ([("a", KEY, {}), ("b", KEY, SIX), ("c", KEY, FAILED)], LATEST, "0001_a"),
    "no clock": ([("a", KEY, UNTIMED)], LATEST, "0001_a"),
    "first with other data": ([("a", OTHER_DATA, ELSE)], LATEST, None),
    "first on another chip": ([("a", OTHER_CHIP, {})], LATEST, None),
}
REFUSED: dict[str, tuple[list[tuple[str, BaselineKey, dict[str, Any]]], str, str]] = {
    "unknown name": ([("a", KEY, {})], "b", "there is no baseline 'b' of s1-ptq to compare with; known: 0001_a"),
    "unknown number": ([], "3", "there is no baseline '3' of s1-ptq to compare with; known: none"),
    "failed": ([("a", KEY, FAILED)], LATEST,
               f"baseline 0001_a of s1-ptq is of a run that failed: compare with another, or {NEW}"),
    "samples": ([("a", KEY, SIX)], LATEST,
                f"baseline 0001_a of s1-ptq has 6 samples, this run 5: run with --tinyml-limit 6, or {NEW}"),
    "clock": ([("a", KEY, CYCLES)], "a",
              f"baseline 0001_a of s1-ptq was timed with clock cycles, this run with wall_us: ask for that, or {NEW}"),
    "data of that name changed": (
        [("a", OTHER_DATA, {})], LATEST, ("baseline 0001_a of s1-ptq is of data set mnist-28k (SHA-256 cdcdcdcdcdcd), "
        f"this run of mnist-28k (abababababab): {NEW}")),
    "other data by name": (
        [("a", OTHER_DATA, ELSE), ("b", KEY, {})], "a",
        ("baseline 0001_a of s1-ptq is of data set fashion (SHA-256 cdcdcdcdcdcd), this run of mnist-28k "
        f"(abababababab): {NEW}")),
    "other chip by name": (
        [("a", OTHER_CHIP, {})], "a", ("baseline 0001_a of s1-ptq is of chip 'aarch64' with engine 'aot', this run of "
        f"'x86_64' with 'aot': {NEW}")),
}  # fmt: skip


@pytest.mark.parametrize("name", CHOSEN)
def test_chosen(tmp_path: Path, name: str) -> None:
    """The newest baseline that can be compared with is taken; without any it is the first run."""
    there, which, expected = CHOSEN[name]
    for each, key, changed in there:
        save(tmp_path, each, key, **changed)
    chosen = choose(found(tmp_path), which, RUN)
    assert expected == (None if chosen is None else chosen.label)


@pytest.mark.parametrize("name", REFUSED)
def test_not_comparable(tmp_path: Path, name: str) -> None:
    """A baseline of something else, or of a failed run, is refused with what differs."""
    there, which, expected = REFUSED[name]
    for each, key, changed in there:
        save(tmp_path, each, key, **changed)
    with pytest.raises(BaselineError) as caught:
        choose(found(tmp_path), which, RUN)
    assert expected == str(caught.value)


def test_history(tmp_path: Path) -> None:
    """The history of a run are the baselines that it could be compared with, oldest first."""
    for name, key, changed in (("a", KEY, {}), ("b", KEY, FAILED), ("c", OTHER_CHIP, {}), ("d", KEY, {})):
        save(tmp_path, name, key, **changed)
    assert ["0001_a", "0003_d"] == [each.label for each in comparable(found(tmp_path), RUN)]
