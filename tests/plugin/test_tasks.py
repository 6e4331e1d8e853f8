"""One schema for every type of output and every meaning: classes of any number, one sigmoid, values."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest

from pytest_tinyml.cli import main
from tests.projects import output, refusal, results_schema
from tests.unit.shaped_models import HEADS, SIDE, TYPES, Head, shaped_model

if TYPE_CHECKING:
    from pytest_tinyml.records import DType
    from tests.projects import Project

SAMPLES = 30
CLASSES = {"ten": 10, "two": 2, "sigmoid": 2}
RUN = ("--board", "tflm", "--tinyml-model", "shaped.tflite", "--tinyml-dataset", "shaped.npz")
REGRESSION = (*RUN, "--tinyml-task", "regression")
LSB_OF = {"int8": 0.02, "int16": 0.0001, "float32": 1e-6}
"""A step of the plain output of each type."""


def _exact(units: int, images: Any = None) -> Any:
    """Return what the float network computes of images, float64 [N, units], from its definition."""
    weights = np.random.default_rng(1).normal(0.0, 0.4, (units, SIDE * SIDE)).astype(np.float32)
    sums = (IMAGES if images is None else images).reshape(-1, SIDE * SIDE) / 255 @ weights.T.astype(np.float64)
    return sums + np.linspace(-0.3, 0.2, units, dtype=np.float32)


def _clear(images: Any) -> Any:
    """Return bool [N]: in no network two classes are so close that a quantised one could take the other."""
    best = [np.sort(_exact(units, images), axis=1) for units in (10, 2)]
    margins = [ranked[:, -1] - ranked[:, -2] for ranked in best]
    return np.min([*margins, np.abs(_exact(1, images)[:, 0])], axis=0) > 0.06


_MANY = np.random.default_rng(3).integers(0, 256, (400, SIDE, SIDE), dtype=np.uint8)
IMAGES = _MANY[_clear(_MANY)][:SAMPLES]


def _write(project: Project, dtype: DType, head: Head, **arrays: Any) -> None:
    (project.path / "shaped.tflite").write_bytes(shaped_model(dtype, head))
    np.savez(project.path / "shaped.npz", images=IMAGES, **arrays)


def _valid(project: Project) -> dict[str, Any]:
    results = project.results()
    schema = results_schema()
    jsonschema.validate(results, schema, cls=jsonschema.Draft202012Validator)
    return results


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("head", [head for head in HEADS if head in CLASSES])
def test_classes(project: Project, dtype: DType, head: Head) -> None:
    """Ten classes, two, or one sigmoid, in every type: the same keys, and accuracy as counted by hand."""
    expected = _exact(CLASSES[head] if head != "sigmoid" else 1)
    right = (expected[:, 0] >= 0).astype(int) if head == "sigmoid" else expected.argmax(axis=1)
    labels = right.copy()
    labels[:3] = (labels[:3] + 1) % CLASSES[head]
    _write(project, dtype, head, labels=labels)
    run = project.run(*RUN)
    run.assert_outcomes(passed=7)
    results = _valid(project)
    metrics = results["metrics"]
    assert ("classification", dtype) == (results["model"]["task"], results["model"]["output"]["dtype"])
    assert (SAMPLES - 3, 0, []) == (metrics["correct_board"], metrics["differing"], metrics["flips"])
    assert CLASSES[head] == len(metrics["confusion_board"])
    assert (0 if dtype != "float32" else None) == metrics["max_lsb"]
    assert metrics["regression"] is None
    assert "top-1 90.00% (27 correct), host 90.00% (27)" in output(run)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("head", ["value", "pair"])
def test_values(project: Project, dtype: DType, head: Head) -> None:
    """A regression has errors against its targets, and neither classes nor flips."""
    exact = _exact(1 if head == "value" else 2)
    off = np.where(np.arange(SAMPLES) % 2, 0.25, -0.25)
    targets = exact + off[:, None]
    _write(project, dtype, head, targets=targets[:, 0] if head == "value" else targets)
    run = project.run(*REGRESSION, "--tinyml-max-rmse", "0.27")
    run.assert_outcomes(passed=7)
    results = _valid(project)
    metrics = results["metrics"]
    assert ("regression", True) == (results["model"]["task"], results["dataset"]["labelled"])
    fit = metrics["regression"]["board"]
    # A quantised output is within two steps of the exact one: its own rounding, and that of weights and input.
    near = pytest.approx(0.25, abs=2 * LSB_OF[dtype] + 0.01)
    assert (near, near) == (fit["rmse"], fit["mae"])
    assert fit == metrics["regression"]["reference"]
    spread = np.square(targets - targets.mean(axis=0)).sum()
    assert pytest.approx(1 - SAMPLES * exact.shape[1] * 0.25**2 / spread, abs=0.03) == fit["r2"]
    classes = ("argmax_agreement", "top1_board", "correct_board", "confusion_board", "acc")
    assert dict.fromkeys(classes) == {key: metrics[key] for key in classes}
    assert [] == metrics["flips"]
    text = output(run)
    assert "error against the targets: RMSE 0.2" in text
    assert "top-1" not in text
    assert "flip" not in text


def test_a_worse_error_than_asked_for_fails(project: Project) -> None:
    """The limit of a regression is that of its root mean square error."""
    _write(project, "int16", "value", targets=_exact(1) + 1.0)
    run = project.run(*REGRESSION, "--tinyml-max-rmse", "0.5")
    run.assert_outcomes(passed=6, failed=1)
    assert "is above --tinyml-max-rmse 0.5" in output(run)
    assert not project.results()["passed"]


def test_labels_are_the_targets_of_one_output(project: Project) -> None:
    """Without targets a regression with one output is measured against the labels as numbers."""
    _write(project, "float32", "value", labels=np.full(SAMPLES, 7))
    project.run(*REGRESSION).assert_outcomes(passed=7)
    expected = np.sqrt(np.square(_exact(1) - 7).mean())
    fit = _valid(project)["metrics"]["regression"]["board"]
    assert (pytest.approx(expected, abs=1e-5), None) == (fit["rmse"], fit["r2"])


def test_without_targets(project: Project) -> None:
    """Nothing to measure the error against is a skip that says so, and the comparison with the host still counts."""
    _write(project, "int8", "pair")
    run = project.run(*REGRESSION, "-rs")
    run.assert_outcomes(passed=6, skipped=1)
    assert "the data set has no targets" in output(run)
    results = _valid(project)
    assert (True, None) == (results["passed"], results["metrics"]["regression"])


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_the_journal_keeps_every_type(project: Project, dtype: DType) -> None:
    """What one session has answered the next one takes from the journal, byte for byte."""
    _write(project, dtype, "two", labels=np.zeros(SAMPLES, np.int64))
    project.run(*RUN).assert_outcomes(passed=7)
    # As if the first session had been killed after ten samples.
    with closing(sqlite3.connect(project.journal)) as db, db:
        db.execute("DELETE FROM result WHERE sample >= 10")
        db.execute("UPDATE run SET finished = NULL")
    project.run(*RUN).assert_outcomes(passed=7)
    results = _valid(project)
    assert 10 == results["throughput"]["resumed_samples"]
    assert (SAMPLES, 1.0) == (results["metrics"]["count"], results["metrics"]["bit_exact_ratio"])


def test_the_card_says_what_outputs_mean(project: Project) -> None:
    """`task` in the card needs no option."""
    _write(project, "int8", "value", targets=_exact(1))
    card = 'schema = 1\ntask = "regression"\n\n[preprocess]\nkind = "scale"\n'
    (project.path / "shaped.card.toml").write_text(card)
    project.run(*RUN).assert_outcomes(passed=7)
    assert "regression" == _valid(project)["model"]["task"]


def test_types_side_by_side(project: Project) -> None:
    """Float, int16 and int8 of one network share a table; a regression's has its error and no label flips."""
    arguments: list[str] = []
    for dtype in TYPES:
        (project.path / f"{dtype}.tflite").write_bytes(shaped_model(dtype, "value"))
        arguments += ["--tinyml-model", f"{dtype}.tflite"]
    np.savez(project.path / "shaped.npz", images=IMAGES, targets=_exact(1))
    run = project.run("--board", "tflm", "--tinyml-dataset", "shaped.npz", "--tinyml-task", "regression", *arguments)
    run.assert_outcomes(passed=21)
    lines = [line.split() for line in output(run).splitlines()]
    errors = next(line[1:] for line in lines if line[:1] == ["RMSE"])
    floats, halves, bytes_ = (float(text) for text in (errors[2], errors[1], errors[0]))
    assert floats < halves < bytes_ < 0.05
    assert ["label", "flips", "-", "-", "-"] in lines


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tinyml-task", "regresion"), "no task named 'regresion'; did you mean 'regression'?"),
        (
            ("--tinyml-task", "regression", "--tinyml-min-top1", "0.9"),
            "--tinyml-min-top1 is not for model 'shaped', whose task is regression: use --tinyml-max-rmse",
        ),
        (
            ("--tinyml-max-rmse", "0.9"),
            "--tinyml-max-rmse is not for model 'shaped', whose task is classification: use --tinyml-min-top1",
        ),
        (("--tinyml-max-rmse=-1",), "--tinyml-max-rmse: '-1' must be a number that is not negative"),
        (("--tinyml-max-abs=far",), "--tinyml-max-abs: not a number: 'far'"),
    ],
)
def test_refused_options(project: Project, arguments: tuple[str, ...], message: str) -> None:
    """What does not belong together is refused before anything is run."""
    _write(project, "float32", "value", targets=np.zeros(SAMPLES))
    assert refusal(project.run(*RUN, *arguments)).startswith(message)


def test_a_board_with_labels_only(project: Project) -> None:
    """A board that answers with labels cannot be compared in values: nothing would be, and everything would pass."""
    _write(project, "float32", "value", targets=np.zeros(SAMPLES))
    board = ("--board", "http-client", "--tinyml-option", "answers=labels")
    message = refusal(project.run(*board, *REGRESSION[2:]))
    assert "board 'http-client' answers with labels, but model 'shaped' is a regression" == message


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.zeros((SAMPLES, 2)), "targets do not fit the output of model 'shaped': expected 1 per sample, got 2"),
        (np.zeros(SAMPLES - 1), "images and targets differ in number: expected 30 targets, got 29"),
        (np.full(SAMPLES, np.inf), "target 0 of sample 0 is not finite: expected finite numbers, got inf"),
        (np.zeros((SAMPLES, 1, 1)), "targets are not numbers: expected numbers [N] or [N, outputs], got float64"),
        (np.full(SAMPLES, "x"), "targets are not numbers: expected numbers [N] or [N, outputs], got str"),
    ],
)
def test_refused_targets(project: Project, targets: Any, message: str) -> None:
    """Targets that cannot be are refused with what was expected."""
    _write(project, "float32", "value", targets=targets)
    assert message in refusal(project.run(*REGRESSION))


@pytest.mark.parametrize(
    ("head", "options", "pattern"),
    [
        ("sigmoid", (), r"^ +0 +(\d+\.\d)%.*\n +1 +(\d+\.\d)%"),
        ("value", ("--task", "regression"), r"^ +0 (-?[\d.e-]+), target 0\.5$"),
    ],
)
def test_predict(
    project: Project, capsys: pytest.CaptureFixture[str], head: Head, options: tuple[str, ...], pattern: str
) -> None:
    """One sample of a network with one output: two classes that add up to one, or a value and its target."""
    labels = {"targets": np.full(SAMPLES, 0.5)} if options else {"labels": np.zeros(SAMPLES, np.int64)}
    _write(project, "int16", head, **labels)
    files = ["--model", "shaped.tflite", "--dataset", "shaped.npz"]
    assert 0 == main(["predict", "--board", "tflm", *files, *options])
    text = capsys.readouterr().out
    found = re.search(pattern, text, re.MULTILINE)
    assert found, text
    exact = _exact(1)[0, 0]
    if options:
        assert pytest.approx(exact, abs=0.01) == float(found[1])
    else:
        sure = 100 / (1 + np.exp(-exact))
        assert [pytest.approx(100 - sure, abs=0.3), pytest.approx(sure, abs=0.3)] == [float(found[1]), float(found[2])]
    assert "the same bytes as tflm on the host" in text
