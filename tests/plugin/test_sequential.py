"""``--tinyml-sequential``: the run ends when the verdict is certain, and says on how many samples it rests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import numpy as np
import pytest

from pytest_tinyml.errors import UsageError
from pytest_tinyml.shell.early import check_sequential
from pytest_tinyml.verdict.sequentialspec import SequentialSpec
from tests.plugin.test_results_schema import schema
from tests.projects import OWN, output, refusal
from tests.unit.tflite_models import Builder, dense, keras_flatten

if TYPE_CHECKING:
    from tests.projects import Project

SAMPLES: Final = 3000
IMAGES: Final = np.random.default_rng(5).integers(0, 256, (SAMPLES, 4, 6), dtype=np.uint8)
MANY: Final = (*OWN[:-1], "many.npz")
SLOW: Final = "--tinyml-option=fault=slow=1500"
"""So that the board is not done before anybody has looked."""

__all__ = ["schema"]


def other_model() -> bytes:
    """Return a model like own.tflite, with other weights."""
    net = Builder()
    source = net.tensor([1, 4, 6], scale=1 / 255, zero=-128, signature=[-1, 4, 6])
    hidden = dense(net, keras_flatten(net, source), 16, 3)
    return net.finish(source, dense(net, hidden, 5, 4))


def sequential(project: Project) -> dict[str, Any]:
    """Return that part of the results."""
    found: dict[str, Any] = project.results()["sequential"]
    return found


OWN_TEST: Final = """
def test_everything(tinyml_run):
    comparison = tinyml_run.everything()
    assert 100 < comparison.count < 3000
    assert tinyml_run.ended_early.startswith("no regression")
    assert len(tinyml_run.measured(range(3000))) == comparison.count

def test_some(tinyml_run):
    tinyml_run.compare(range(3000))

def test_scores(tinyml_run):
    tinyml_run.scores(range(3000))
"""


def test_equal_to_the_host(project: Project, schema: dict[str, Any]) -> None:
    """A board like the host passes after a part of the samples, and nothing is called incomplete."""
    project.data("many.npz", labels=np.arange(SAMPLES) % 5, images=IMAGES)
    project.pytester.makepyfile(OWN_TEST)
    done = project.run(*MANY, SLOW, "--tinyml-sequential=delta=3pp,seed=4", "--tinyml-autosave", "-rs")
    results, found = project.results(), sequential(project)
    jsonschema.validate(results, schema, cls=jsonschema.Draft202012Validator)
    assert (True, []) == (results["passed"], results["problems"])
    assert ("no regression", True, "host") == (found["verdict"], found["stopped"], found["partner"]["kind"])
    assert (0.03, 4, SAMPLES) == (found["delta"], found["seed"], found["total"])
    assert found["samples"] <= results["metrics"]["count"] < SAMPLES
    # Three shards, the accuracy, and two tests that want what was not measured.
    done.assert_outcomes(passed=7, skipped=6)
    text = output(done)
    assert f"samples were measured: {found['text']}" in text
    assert f"the loss of accuracy is judged by the sequential test: {found['text']}" in text
    assert f"  sequential test: {found['text']}" in text
    assert "goes on from there" not in text
    # What would be saved by itself is not.
    assert "no baseline was saved: the run ended before its last sample" in text
    assert not (project.path / ".tinyml" / "baselines").exists()


def test_worse_than_the_baseline(project: Project) -> None:
    """Other weights are found out after some dozens of samples, and fail the session, whichever tests are selected."""
    project.data("many.npz", labels=None, images=IMAGES)
    # Which has nothing to be compiled.
    tflm = ("--board", "tflm", *MANY[2:], "--tinyml-limit=600")
    project.run(*tflm, "--tinyml-save=main")
    (project.path / "own.tflite").write_bytes(other_model())
    arguments = (*tflm, "--tinyml-compare", "--tinyml-sequential=alpha=0.01,delta=1pp")
    done = project.run(*arguments)
    found = sequential(project)
    assert "regression" == found["verdict"]
    assert {"kind": "baseline", "name": "0001_main"} == found["partner"]
    assert found["samples"] < 300
    assert 1 == done.ret
    done.stdout.fnmatch_lines(["*sequential.py::test_sequential*regression against baseline 0001_main after *"])
    assert found["text"] in project.results()["problems"]
    assert not project.results()["passed"]
    assert 1 == project.run(*arguments, "-k", "test_state").ret


def test_gates_of_a_part(project: Project) -> None:
    """Limits of what the sequential test decides are not applied to its few samples, and that is said."""
    project.data("many.npz", labels=np.arange(SAMPLES) % 5, images=IMAGES)
    project.run(*MANY, "--tinyml-save=main")
    gates = ("--tinyml-fail-on=top1:0.2pp", "--tinyml-fail-on=flips:10", "--tinyml-fail-on=arena:1%")
    project.run(*MANY, SLOW, "--tinyml-compare", *gates, "--tinyml-sequential=delta=3pp")
    assert ("no regression", True) == (sequential(project)["verdict"], sequential(project)["stopped"])
    found = project.results()["gates"]
    assert ["skipped", "skipped", "passed"] == [gate["status"] for gate in found]
    assert "was not checked against 0.2pp: the run ended early, and its sequential test decides" in found[0]["text"]


def test_undecided_at_the_end_is_decided(project: Project) -> None:
    """With few samples all of them are run, and the verdict is that of the whole set."""
    project.run(*OWN, "--tinyml-sequential=delta=1pp").assert_outcomes(passed=8)
    found = sequential(project)
    assert ("no regression", False, 40) == (found["verdict"], found["stopped"], project.results()["metrics"]["count"])


REFUSED: Final = {
    "submit": ("--tinyml-submit=digit-recognizer", "--tinyml-submit does not go with --tinyml-sequential: it needs "),
    "save": ("--tinyml-save=main", "--tinyml-save does not go with --tinyml-sequential: it needs every sample"),
    "regression": ("--tinyml-task=regression", "--tinyml-sequential is not for model 'own', whose task is regression"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_every_sample(project: Project, name: str) -> None:
    """What would be wrong with a part of the samples is refused before anything is run."""
    argument, message = REFUSED[name]
    assert refusal(project.run(*OWN, "--tinyml-sequential=delta=1pp", argument)).startswith(message)


def test_performance_needs_every_sample() -> None:
    """Performance mode compares its outputs with the run's, so it is refused as well."""
    plan: Any = SimpleNamespace(model=SimpleNamespace(task="classification"))
    settings: Any = SimpleNamespace(sequential=SequentialSpec(), submit=None, save=None, option={"performance": "10"})
    with pytest.raises(UsageError, match="--tinyml-option performance does not go with --tinyml-sequential"):
        check_sequential(plan, settings)
