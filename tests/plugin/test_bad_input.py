"""Every mistake of a user is one clear message, before work is spent, and nothing is lost."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as fb

from pytest_tinyml.boards.registry import Registry
from tests.projects import IMAGES, LABELS, OWN, S1, output, refusal
from tests.unit.tflite_models import FLOAT, Builder, dense, keras_mlp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.projects import Project

NATIVE = ("--board", "native")
BOARDS = ", ".join(sorted(Registry().names()))
UNKNOWN = [
    (("--board", "nativ"), f"no board named 'nativ'; did you mean 'native'? Known: {BOARDS}"),
    (("--board", "arduino"), f"no board named 'arduino'. Known: {BOARDS}"),
    ((*NATIVE, "--tinyml-model", "s1-ptk"), "no model named 's1-ptk'; did you mean 's1-ptq'? Known: s0-float, "),
    ((*NATIVE, "--tinyml-model", "gone.tflite"), "gone.tflite: no such model file"),
    ((*NATIVE, "--tinyml-model", "."), ".: is a folder; expected a .tflite file"),
    (
        (*OWN, "--tinyml-reference", "tfml"),
        "no reference named 'tfml'; did you mean 'tflm'? Known: espdl, litert, litert-ref, tflm",
    ),
    (
        (*OWN, "--tinyml-link", "serail"),
        "no link of board 'native' named 'serail'; did you mean 'serial'? Known: http, serial, socket",
    ),
    ((*S1, "--tinyml-dataset", "mnist-28"), "no data set (nor file) named 'mnist-28'; did you mean 'mnist-28k'?"),
    ((*S1, "--tinyml-dataset", "gone.npz"), "gone.npz: no such file or folder"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), UNKNOWN, ids=lambda value: value[-1] if isinstance(value, tuple) else ""
)
def test_unknown_name(project: Project, arguments: tuple[str, ...], message: str) -> None:
    """A name that nobody knows is refused with the closest one that is known."""
    assert refusal(project.run(*arguments)).startswith(message)


def _two_inputs() -> bytes:
    model = fb.ModelT.InitFromObj(fb.Model.GetRootAsModel(keras_mlp(), 0))
    model.subgraphs[0].inputs = np.asarray([0, 1], dtype=np.int32)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _dynamic() -> bytes:
    net = Builder()
    source = net.tensor([1, 4, 6], scale=1 / 255, zero=-128, signature=[-1, -1, 6])
    result = net.tensor([1, 24], scale=1 / 255, zero=-128)
    net.operator("RESHAPE", [source], [result])
    return net.finish(source, result)


def _foreign_operator() -> bytes:
    net = Builder()
    source = net.tensor([1, 24], scale=1 / 255, zero=-128)
    hidden = dense(net, source, 5, 1)
    result = net.tensor([1, 5], scale=0.11, zero=-4)
    net.operator("ABS", [hidden], [result])
    return net.finish(source, result)


def _float() -> bytes:
    net = Builder()
    source, result = net.tensor([1, 24], kind=FLOAT), net.tensor([1, 24], kind=FLOAT)
    net.operator("TANH", [source], [result])
    return net.finish(source, result)


MODELS: list[tuple[Callable[[], bytes], str]] = [
    (lambda: b"PK\3\4 a Keras file", "own.tflite: not a .tflite file: expected the identifier b'TFL3' at offset 4"),
    (lambda: b"", "own.tflite: not a .tflite file: expected the identifier b'TFL3' at offset 4"),
    (lambda: keras_mlp()[:900], "own.tflite: "),
    (_dynamic, "own.tflite: input tensor 't0' has the dynamic shape [-1, -1, 6]; convert with a fixed shape"),
    (_two_inputs, "own.tflite: has 2 input tensors; exactly 1 can be fed and compared"),
    (
        _foreign_operator,
        "own: operator 1 ABS is not supported by engine 'aot': the C generator has no such operator; engine 'tflm'",
    ),
    (_float, "own: operator 0 TANH is not supported by engine 'aot-float': the float kernels have no such operator"),
]


@pytest.mark.parametrize(
    ("make", "message"), MODELS, ids=lambda value: "" if isinstance(value, str) else value.__name__
)
def test_bad_model(project: Project, make: Callable[[], bytes], message: str) -> None:
    """A model that cannot be run is refused with its name and the reason."""
    (project.path / "own.tflite").write_bytes(make())
    assert refusal(project.run(*OWN)).startswith(message)
    assert not project.journal.exists()


def test_unknown_board_option(project: Project) -> None:
    """A setting that the board does not have is refused with those that it has."""
    message = refusal(project.run(*OWN, "--tinyml-option", "falt=crash@1"))
    assert message == "no option of board 'native' named 'falt'; did you mean 'fault'? Known: fault, fault-once"


def test_zoo_float_model_on_native(project: Project) -> None:
    """A float model of the zoo is executed by an engine of its own, within the tolerance that is stated for it."""
    arguments = ("--board", "native", "--tinyml-model", "s1-float", "--tinyml-limit", "3000")
    assert project.run(*arguments).ret == 0
    results = project.results()
    assert results["board"]["engine"] == "aot-float"
    assert results["metrics"]["argmax_agreement"] == 1.0
    assert 0.0 < results["metrics"]["max_abs"] < 1e-6
    assert project.run(*arguments, "--tinyml-max-abs", "0").ret == 1


@pytest.mark.parametrize("compiler", [None, "no-such-cc -O2"])
def test_no_compiler(project: Project, monkeypatch: pytest.MonkeyPatch, compiler: str | None) -> None:
    """Without a C compiler the message names it and the command that installs one."""
    monkeypatch.setenv("PATH", str(project.path))
    monkeypatch.delenv("CC", raising=False)
    what = "a C compiler (cc, gcc or clang)"
    if compiler is not None:
        monkeypatch.setenv("CC", compiler)
        what = f"the C compiler of CC={compiler!r}"
    message = refusal(project.run(*OWN))
    assert message == f"board 'native' cannot be used on this computer; it needs\n  {what}: sudo apt-get install gcc"


def test_broken_compiler(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that fails is one failure with the log's path; what needs the board skips."""
    monkeypatch.setenv("CC", "false")
    monkeypatch.setenv("TINYML_CACHE", str(project.path / "cache"))
    result = project.run(*OWN, "-p", "no:cacheprovider")
    result.assert_outcomes(errors=1, skipped=6)
    text = output(result)
    assert "BuildError: the firmware of board 'native' does not build: " in text
    assert "full output: " in text
    assert "Traceback" not in text


def test_unwritable_cache(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder that cannot be written is refused, with the variable that moves it."""
    (project.path / "file").touch()
    monkeypatch.setenv("TINYML_CACHE", str(project.path / "file" / "cache"))
    assert refusal(project.run(*OWN)).endswith("set TINYML_CACHE to one that can be written")


DATA = [
    (
        {"images": IMAGES[:, :3]},
        "samples do not fit the input of model 'own': expected [4, 6] (24 values), got [3, 6] (18 values)",
    ),
    ({"images": IMAGES, "labels": LABELS[:-1]}, "images and labels differ in number: expected 40 labels, got 39"),
    ({"images": IMAGES, "labels": LABELS + 1}, "labels exceed the classes of model 'own': expected 0..4, got 5"),
    ({"images": IMAGES, "labels": LABELS - 1}, "label of sample 0 is out of range: expected 0 or more, got -1"),
    (
        {"images": IMAGES, "labels": np.eye(5)[LABELS]},
        "labels are not one class index per image: expected integers [N], got float64 [40, 5]",
    ),
    ({"pictures": IMAGES}, "array is missing: expected images_test or x_test, got pictures"),
    ({"images": IMAGES[:0]}, "no samples: expected at least 1 image, got shape (0, 4, 6)"),
]


@pytest.mark.parametrize(("arrays", "message"), DATA, ids=[message.split(": ")[0] for _, message in DATA])
def test_bad_data(project: Project, arrays: dict[str, Any], message: str) -> None:
    """Data that do not fit are refused with the file, what was expected, and what was found."""
    np.savez(project.path / "own.npz", **arrays)
    assert refusal(project.run(*OWN)) == f"own.npz: {message}"


def test_truncated_data(project: Project) -> None:
    """A file that ends too early is refused as damaged."""
    path = project.path / "own.npz"
    path.write_bytes(path.read_bytes()[:500])
    assert refusal(project.run(*OWN)).startswith("own.npz: damaged .npz file: ")


def test_labels_missing(project: Project) -> None:
    """Without labels the host's predictions stand in for them, and the verdict says so."""
    project.data("own.npz", labels=None)
    result = project.run(*OWN)
    result.assert_outcomes(passed=7)
    stand_in = "the data set has no labels; with the host's predictions in their place 100.00% (40 of 40)"
    assert f"top-1 not measured: {stand_in}" in output(result)
    metrics = project.results()["metrics"]
    assert (None, None, 1.0) == (metrics["top1_board"], metrics["top1_reference"], metrics["acc"])
    assert project.results()["passed"] is True


def test_limit_without_labels(project: Project) -> None:
    """A lowest accuracy says nothing about predictions of the host: that test skips and says so."""
    project.data("own.npz", labels=None)
    result = project.run(*OWN, "--tinyml-min-top1=0.9", "-rs")
    result.assert_outcomes(passed=6, skipped=1)
    assert "--tinyml-min-top1 was not applied: the data set has no labels" in output(result)


@pytest.mark.parametrize("folder", ["file", "file/below", "/proc/tinyml-report"])
def test_unwritable_report(project: Project, folder: str) -> None:
    """A report folder that cannot be written is refused before anything is run."""
    (project.path / "file").write_text("mine")
    message = refusal(project.run(*OWN, "--tinyml-report", folder))
    assert message.startswith(f"cannot write to the report folder {project.path / folder}: ")
    assert message.endswith("; choose another with --tinyml-report")
    assert (project.path / "file").read_text() == "mine"


def _other_version(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE run (id INTEGER)")
        db.execute("PRAGMA user_version=99")
    db.close()


JOURNALS: list[tuple[Callable[[Path], object], str]] = [
    (
        _other_version,
        (
            "the journal {} has schema version 99, this pytest-tinyml writes 3: "
            "move it away, or choose another with --tinyml-journal"
        ),
    ),
    (
        lambda path: path.write_text("dear diary\n" * 200),
        "cannot use the journal {}: file is not a database; choose another with --tinyml-journal",
    ),
    (
        lambda path: path.mkdir(),
        "cannot use the journal {}: unable to open database file; choose another with --tinyml-journal",
    ),
]


@pytest.mark.parametrize(("make", "message"), JOURNALS, ids=["other version", "text", "folder"])
def test_bad_journal(project: Project, make: Callable[[Path], object], message: str) -> None:
    """A journal that cannot be used is refused, and left as it is."""
    path = project.path / "mine.sqlite"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    assert refusal(project.run(*OWN, "--tinyml-journal", "mine.sqlite")) == message.format(path)
    assert before == (path.read_bytes() if path.is_file() else b"")


def test_journal_below_a_file(project: Project) -> None:
    """A journal whose folder cannot be made is refused."""
    message = refusal(project.run(*OWN, "--tinyml-journal", "own.npz/journal.sqlite"))
    assert message.startswith(f"cannot use the journal {project.path}/own.npz/journal.sqlite: ")
