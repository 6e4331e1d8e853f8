"""Baselines and gates in sessions: what is saved, what is compared, what fails, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import numpy as np
import pytest

from pytest_tinyml.shell.regression import automatic_name
from pytest_tinyml.stores.models import load_model
from tests.projects import output, refusal, results_schema

if TYPE_CHECKING:
    from pathlib import Path

    from tests.projects import Project

MODEL: Final = ("--tinyml-model=m.tflite", "--tinyml-preprocess=scale:255")
RUN: Final = ("--board=tflm", *MODEL, "--tinyml-limit=200")
COMPARE: Final = (*RUN, "--tinyml-compare")
STORAGE: Final = ".tinyml/baselines"
NEW: Final = "save a new one with --tinyml-save NAME, without --tinyml-compare"


@pytest.fixture(autouse=True)
def _model(project: Project) -> None:
    """A model of the user's, which is S1."""
    put(project, "s1-ptq")


def put(project: Project, name: str, data: bytes | None = None) -> None:
    """Put a model of the zoo, or its bytes changed, in the place of the user's."""
    (project.path / "m.tflite").write_bytes(load_model(name).data if data is None else data)


def baselines(project: Project) -> list[Path]:
    """Return the files of the baselines."""
    return sorted((project.path / STORAGE).glob("*/*/*.json"))


def compared(project: Project) -> dict[str, Any]:
    """Return results.json, which is as its schema says."""
    results = project.results()
    jsonschema.validate(results, results_schema(), cls=jsonschema.Draft202012Validator)
    return results


def test_first_run(project: Project) -> None:
    """The first run has nothing to be compared with: it passes, says so, and is kept."""
    result = project.run(*COMPARE, "--tinyml-fail-on=top1:0.2pp", "--tinyml-save=main", "-rs")
    result.assert_outcomes(passed=7, skipped=1)
    assert result.ret == 0
    results = compared(project)
    assert (True, None) == (results["passed"], results["baseline"])
    (gate,) = results["gates"]
    text = "top-1 was not checked against 0.2pp: there is no baseline yet"
    assert ("skipped", text) == (gate["status"], gate["text"])
    said = output(result)
    assert "baseline: there was none yet to compare with, so no gate was applied" in said
    assert "there is no baseline of this run in .tinyml/baselines yet: --tinyml-save NAME" in said
    (path,) = baselines(project)
    assert "0001_main.json" == path.name
    assert f"baseline saved: {path.relative_to(project.path)}" in said


def test_nothing_asked(project: Project) -> None:
    """Without these options nothing is compared, and nothing is written."""
    project.run(*RUN).assert_outcomes(passed=7)
    results = compared(project)
    assert (None, None) == (results["baseline"], results["gates"])
    assert not (project.path / STORAGE).exists()


def test_the_same_again(project: Project) -> None:
    """A second run is compared with the first: the same labels, and every gate that can be applied passes."""
    project.run(*RUN, "--tinyml-save=main")
    gates = ("top1:0pp", "agreement:0pp", "bit_exact:0pp", "flips:0", "arena:0%", "latency_p50:5%", "instructions:1%")
    result = project.run(*COMPARE, *(f"--tinyml-fail-on={gate}" for gate in gates), "--tinyml-autosave")
    result.assert_outcomes(passed=8)
    results = compared(project)
    statuses = {gate["metric"]: gate["status"] for gate in results["gates"]}
    assert {"passed"} == {statuses[name] for name in ("top1", "agreement", "bit_exact", "flips", "arena")}
    assert {"skipped"} == {statuses[name] for name in ("latency_p50", "instructions")}
    baseline = results["baseline"]
    assert ("main", 1, 200, 200, []) == tuple(
        baseline[key] for key in ("name", "number", "samples", "compared", "flips_new")
    )
    assert {"better": 0, "worse": 0, "p": 1.0, "alpha": 0.05, "verdict": "noise"} == baseline["mcnemar"]
    assert 200 == sum(row["count"] for row in baseline["per_class"])
    assert ["main"] == [row["name"] for row in baseline["history"]]
    assert results["metrics"]["top1_board"] == baseline["history"][0]["top1"]
    said = output(result)
    assert "gate passed: top-1 is" in said
    assert ": the same label for each of 200 samples" in said
    assert "clock wall_us is that of this computer, not the part's" in said
    assert ["0001_main", "0002_auto"] == [path.stem[:9] for path in baselines(project)]


def broken_weights() -> bytes:
    """Return S1 with a part of its weights lost."""
    data = bytearray(load_model("s1-ptq").data)
    data[20_000:30_000] = bytes(10_000)
    return bytes(data)


def padded() -> bytes:
    """Return S1 in a larger file."""
    return load_model("s1-ptq").data + bytes(2_000)


WORSE: dict[str, tuple[str, bytes | None, str, str]] = {
    "weights": ("s1-ptq", broken_weights(), "top1:0.2pp", "regression at an error rate of 0.05"),
    "another training": ("s1-qat", None, "flips:0", "label flips against the baseline, more than 0"),
    "larger file": ("s1-ptq", padded(), "model:2%", "model file grew by 3.27 % (61,120 B to 63,120 B), more than 2%"),
}


def test_worse(project: Project) -> None:
    """A run that is worse than its baseline fails with what got worse, by how much and how sure, and is not kept."""
    project.run(*RUN, "--tinyml-save=main")
    for model, data, gate, text in WORSE.values():
        put(project, model, data)
        result = project.run(*COMPARE, f"--tinyml-fail-on={gate}", "--tinyml-save=worse")
        result.assert_outcomes(passed=7, failed=1)
        results = compared(project)
        (outcome,) = results["gates"]
        assert ("failed", False) == (outcome["status"], results["passed"])
        assert text in outcome["text"]
        assert [f"test_regression: {outcome['text']}", outcome["text"]] == results["problems"]
        said = output(result)
        assert f"gate failed: {outcome['text']}" in said
        assert "no baseline was saved: the run did not pass" in said
        assert ["0001_main.json"] == [path.name for path in baselines(project)]
    # A gate that fails is a problem of the run, and fails the session, whichever tests were selected.
    result = project.run(*COMPARE, "--tinyml-fail-on=model:0", "-k", "not regression")
    assert {"passed": 7, "deselected": 1} == result.parseoutcomes()
    assert result.ret == 1
    results = compared(project)
    assert (False, [results["gates"][0]["text"]]) == (results["passed"], results["problems"])


# A simulator that counts, and is slower or noisier by a file in the folder of the project.
PLANTED = """
from dataclasses import replace
from pathlib import Path

import numpy as np

import pytest_tinyml.boards.native as native
from pytest_tinyml.records import Clock


class Work:
    def __init__(self, work):
        self.work = work

    def __getattr__(self, name):
        return getattr(self.work, name)

    def answer(self, ids, ticks, scores):
        if Path("noisy").exists():
            noise = np.random.default_rng(int(ids[0])).integers(-1, 2, scores.shape)
            scores = np.clip(scores.view(np.int8) + noise, -128, 127).astype(np.int8).view(np.uint8)
        self.work.answer(ids, np.full_like(ticks, 110_600 if Path("slower").exists() else 110_000), scores)


class Board(native.NativeBoard):
    def open(self):
        return replace(super().open(), clock=Clock.INSTRUCTIONS, tick_hz=0)

    def stream(self, work):
        super().stream(Work(work))


class Kind(native.NativeKind):
    name, clocks = "planted", ("instructions",)

    def create(self, request):
        return Board(request)


def pytest_tinyml_boards(registry):
    registry.register(Kind())
"""
GATES: Final = tuple(f"--tinyml-fail-on={gate}" for gate in ("top1:0.2pp", "instructions:0.5%", "arena:1%", "flash:2%"))


def test_planted(project: Project) -> None:
    """A kernel that takes 0.55 % more instructions fails its gate; a noise of one step in every output does not."""
    project.pytester.makeconftest(PLANTED)
    run = ("--board=planted", "--tinyml-model=s1-ptq", "--tinyml-limit=1000", "--tinyml-max-lsb=1")
    project.run(*run, "--tinyml-save=main").assert_outcomes(passed=7)
    for planted, failing in (("noisy", []), ("slower", ["instructions"])):
        (project.path / planted).touch()
        result = project.run(*run, "--tinyml-compare=main", *GATES)
        gates = compared(project)["gates"]
        assert failing == [gate["metric"] for gate in gates if gate["status"] == "failed"]
        assert [] == [gate["metric"] for gate in gates if gate["status"] == "skipped"]
        assert int(bool(failing)) == result.ret
    line = "gate failed: instructions per inference grew by 0.545 % (110,000 to 110,600), more than 0.5%"
    assert line in output(result)


def test_part_of_a_run(project: Project) -> None:
    """A run that did not come to its end is compared over the samples that were answered, and is no baseline."""
    run = ("--board=native", *RUN[1:], "--tinyml-shard-size=20")
    project.run(*run, "--tinyml-save=main")
    part = ("--tinyml-option=fault=slow=20000", "-k", "00000-00019", "--tinyml-save=part")
    result = project.run(*run, "--tinyml-compare", "--tinyml-fail-on=agreement:0pp", "--tinyml-fail-on=flips:0", *part)
    assert result.ret == 0
    results = compared(project)
    assert 20 <= results["baseline"]["compared"] < 200
    agreement, flips = results["gates"]
    assert f"only {results['baseline']['compared']} of 200 samples were compared" in agreement["text"]
    assert ("skipped", "passed") == (agreement["status"], flips["status"])
    assert "no baseline was saved: the run did not pass" in output(result)


def test_unlabelled(project: Project) -> None:
    """Without labels there are flips, and top-1 is skipped; if no gate could be applied, so is the test."""
    project.data("unlabelled.npz", labels=None)
    run = ("--board=tflm", "--tinyml-model=own.tflite", "--tinyml-dataset=unlabelled.npz")
    project.run(*run, "--tinyml-save=main")
    project.run(*run, "--tinyml-compare", "--tinyml-fail-on=top1:0pp", "--tinyml-fail-on=flips:0").assert_outcomes(
        passed=8
    )
    results = compared(project)
    assert ["skipped", "passed"] == [gate["status"] for gate in results["gates"]]
    assert "top-1 was not checked against 0pp: the data set has no labels" == results["gates"][0]["text"]
    assert (None, None, []) == tuple(results["baseline"][key] for key in ("mcnemar", "per_class", "flips_new"))
    project.run(*run, "--tinyml-compare", "--tinyml-fail-on=top1:0pp").assert_outcomes(passed=7, skipped=1)


def test_several_models(project: Project) -> None:
    """Every run of a session has a baseline of its own."""
    models = ("--tinyml-model=s1-ptq", "--tinyml-model=s1-qat")
    run = ("--board=tflm", *models, "--tinyml-limit=50")
    project.run(*run, "--tinyml-save=main").assert_outcomes(passed=14)
    assert ["s1_ptq", "s1_qat"] == [path.parent.name.partition("-")[0] for path in baselines(project)]
    project.run(*run, "--tinyml-compare", "--tinyml-fail-on=flips:0").assert_outcomes(passed=16)
    for name in ("s1-ptq", "s1-qat"):
        results = project.results(f"tinyml-report/{name}")
        assert load_model(name).sha256 == results["baseline"]["model_sha256"]


def test_ini(project: Project) -> None:
    """Gates may stand in the ini file, where they wait for a run that is compared; and so may all the rest."""
    project.pytester.makeini(
        "[pytest]\ntinyml_fail_on =\n    flips:0\n    top1:0.2pp\ntinyml_storage = kept\ntinyml_autosave = true\n"
    )
    project.run(*RUN).assert_outcomes(passed=7)
    assert compared(project)["gates"] is None
    assert 1 == len(list((project.path / "kept").glob("*/*/0001_auto-*.json")))
    project.pytester.makeini(
        "[pytest]\ntinyml_fail_on = flips:0\ntinyml_storage = kept\ntinyml_compare = latest\ntinyml_save = x\n"
    )
    project.run(*RUN).assert_outcomes(passed=8)
    assert "passed" == compared(project)["gates"][0]["status"]
    assert 1 == len(list((project.path / "kept").glob("*/*/0002_x.json")))


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "metric": (("--tinyml-compare", "--tinyml-fail-on=top2:1pp"),
               "--tinyml-fail-on: 'top2:1pp' is not a gate: no metric named 'top2'; did you mean 'top1'? Known: "),
    "unit": (("--tinyml-compare", "--tinyml-fail-on=top1:1%"),
             "--tinyml-fail-on: 'top1:1%' is not a gate: top1 has no unit '%'; known: top1:1pp"),
    "form": (("--tinyml-compare", "--tinyml-fail-on=top1:x"),
             "--tinyml-fail-on: 'top1:x' is not METRIC:LIMIT, e.g. top1:0.5pp or latency_p50:5%"),
    "no comparison": (("--tinyml-fail-on=top1:1pp",),
                      "--tinyml-fail-on says how much worse than a baseline a run may be: add --tinyml-compare"),
    "name to save": (("--tinyml-save=a/b",), "--tinyml-save: 'a/b' is not a name for a baseline: letters, digits, "),
    "path": (("--tinyml-compare", "test_mine.py"), ("--tinyml-compare: 'test_mine.py' is not the name or number of a "
             "baseline; before a path, write --tinyml-compare=latest")),
    "unknown": (("--tinyml-compare=other",),
                "there is no baseline 'other' of m to compare with; known: 0001_main"),
    "number": (("--tinyml-compare=7",), "there is no baseline '7' of m to compare with; known: 0001_main"),
    "samples": (("--tinyml-compare", "--tinyml-limit=100"),
                f"baseline 0001_main of m has 200 samples, this run 100: run with --tinyml-limit 200, or {NEW}"),
}  # fmt: skip


def test_refused(project: Project) -> None:
    """What cannot be compared is refused before anything is run, with one message."""
    project.run(*RUN, "--tinyml-save=main")
    for arguments, message in REFUSED.values():
        assert refusal(project.run(*RUN, *arguments)).startswith(message)


def changed(project: Project, **values: Any) -> None:
    """Edit the only baseline."""
    (path,) = baselines(project)
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def test_refused_baseline(project: Project) -> None:
    """A baseline of a failed run, another clock or version, or that is damaged, is refused before anything is run."""
    project.run(*RUN, "--tinyml-save=main")
    text = baselines(project)[0].read_text(encoding="utf-8")
    board = json.loads(text)["board"]
    table: tuple[tuple[dict[str, Any], str], ...] = (
        ({"passed": False}, "is of a run that failed: compare with another, or save a new one"),
        ({"board": board | {"clock": "cycles"}}, "was timed with clock cycles, this run with wall_us"),
        ({"schema": "tinyml-baseline/2"}, "was written by a newer pytest-tinyml (schema 2, this one reads 1)"),
        ({"schema": "tinyml-baseline/0"}, "has schema 0, this pytest-tinyml reads 1"),
        ({"figures": None}, "is damaged: figures is None"),
    )
    for values, message in table:
        baselines(project)[0].write_text(text, encoding="utf-8")
        changed(project, **values)
        assert message in refusal(project.run(*COMPARE))
    baselines(project)[0].write_text(text, encoding="utf-8")
    baselines(project)[0].with_name("0001.predictions").unlink()
    assert refusal(project.run(*COMPARE)).startswith("cannot read the predictions of baseline 0001_main, ")


def test_stale_baseline(project: Project) -> None:
    """A baseline of a data set of the same name that held something else is refused."""
    run = ("--board=tflm", "--tinyml-model=own.tflite", "--tinyml-dataset=own.npz")
    project.run(*run, "--tinyml-save=main")
    project.data("own.npz", labels=np.arange(40) % 4)
    message = refusal(project.run(*run, "--tinyml-compare"))
    assert message.startswith("baseline 0001_main of own is of data set own (SHA-256 ")
    assert message.endswith(NEW)


def test_storage_cannot_be_written(project: Project) -> None:
    """A baseline that cannot be saved fails the session; the results and the reports are there."""
    (project.path / "storage").touch()
    result = project.run(*RUN, "--tinyml-save=main", "--tinyml-storage=storage", "--tinyml-formats=markdown")
    assert result.ret == 1
    assert list((project.path / "tinyml-report").glob("*.md"))
    assert "ERROR: cannot save the baseline in" in output(result)
    assert compared(project)["passed"] is True


def test_automatic_name() -> None:
    """A baseline that is saved without a name has the commit's, and says if files differed from it."""
    commit = "0123456789abcdef" * 2
    assert "commit-0123456789ab" == automatic_name({"commit": commit, "dirty": False})
    assert "commit-0123456789ab" == automatic_name({"commit": commit, "dirty": None})
    assert "commit-0123456789ab-dirty" == automatic_name({"commit": commit, "dirty": True})
