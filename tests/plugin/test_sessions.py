"""What runs and what skips, whatever else pytest is asked to do."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_tinyml.assets import assets_dir
from tests.projects import OWN, SAMPLES, output

if TYPE_CHECKING:
    from tests.projects import Project

HINT = "needs a board: pytest --board native (tinyml boards lists them)"
EVERYTHING = """
import numpy as np
import pytest


def test_all_fixtures(tinyml_board, tinyml_model, tinyml_dataset, tinyml_reference, tinyml_run):
    assert (tinyml_board.name, tinyml_board.identity.engine) == ("native", "aot")
    assert tinyml_board.identity.model_sha256 == tinyml_model.sha256
    assert (tinyml_model.name, len(tinyml_dataset)) == ("own", 40)
    ids = [3, 17, 39]
    assert tinyml_run.scores(ids).tolist() == tinyml_reference.scores(ids).tolist()
    assert (tinyml_reference.name, tinyml_reference.exact) == ("tflm", True)
    comparison = tinyml_run.everything()
    assert (comparison.count, comparison.differing) == (40, 0)
    assert tinyml_run.results()["schema"] == "tinyml-results/1"
    assert tinyml_board.infer(tinyml_dataset.images[ids]).tolist() == tinyml_run.scores(ids).tolist()
    assert any("engine aot" in line for line in tinyml_board.console_tail)


def test_one_shard(tinyml_run, tinyml_shard):
    assert tinyml_run.compare(tinyml_shard).count == len(tinyml_shard)


@pytest.mark.tinyml
def test_marked():
    pass


def test_unrelated():
    raise AssertionError("must not run with --board and no paths")
"""


def test_suite_and_own_tests(project: Project) -> None:
    """--board without paths runs the ready-made suite, the user's own tests on the board, and nothing else."""
    project.pytester.makepyfile(test_mine=EVERYTHING)
    result = project.run(*OWN, "--tinyml-shard-size=15", "--strict-markers")
    # Six of the suite and its three shards; all fixtures, the marked one and three shards of the user's.
    result.assert_outcomes(passed=14, deselected=1)


def test_paths_run_what_they_name(project: Project) -> None:
    """With a path, what it names runs, other tests included, and the suite does not."""
    path = project.pytester.makepyfile(test_mine="def test_board(tinyml_board): pass\n\ndef test_other(): pass\n")
    project.run(*OWN, str(path)).assert_outcomes(passed=2)


def test_without_board(project: Project) -> None:
    """Without --board the tests that need one skip and say how to run them; others run."""
    project.pytester.makepyfile(test_mine=EVERYTHING.replace("must not run with --board and no paths", "it ran"))
    result = project.run("-rs")
    result.assert_outcomes(skipped=3, failed=1)
    assert HINT in output(result)
    assert not (project.path / "tinyml-report").exists()


def test_suite_without_board(project: Project) -> None:
    """The ready-made suite alone skips, too."""
    result = project.run("-rs", "--pyargs", "pytest_tinyml.suite")
    result.assert_outcomes(skipped=7)
    assert HINT in output(result)


def test_dynamic_fixture_without_board(project: Project) -> None:
    """A fixture that is asked for in the middle of a test skips that test."""
    project.pytester.makepyfile("def test_late(request): request.getfixturevalue('tinyml_run')")
    result = project.run("-rs")
    result.assert_outcomes(skipped=1)
    assert HINT in output(result)


@pytest.mark.parametrize("labelled", [True, False], ids=["labelled", "unlabelled"])
@pytest.mark.parametrize("card", [True, False], ids=["card", "no card"])
def test_own_model_and_data(project: Project, *, labelled: bool, card: bool) -> None:
    """A user's model and data run without Python being written, with and without a card."""
    shutil.copyfile(assets_dir("models") / "s1" / "s1-ptq.tflite", project.path / "my.tflite")
    if card:
        text = 'schema = 1\nname = "mine"\n[preprocess]\nkind = "scale"\nscale = 0.00392156862745098\n'
        (project.path / "my.card.toml").write_text(text, encoding="utf-8")
    with np.load(assets_dir("models") / "data" / "mnist-28k.npz") as mnist:
        images, labels = mnist["images"][100:150], mnist["labels"][100:150].astype(np.int64)
    project.data("my.npz", images=images, labels=labels if labelled else None)
    own = ["--tinyml-model", "my.tflite", "--tinyml-dataset", "my.npz"]
    result = project.run("--pyargs", "pytest_tinyml.suite", "--board", "native", *own)
    result.assert_outcomes(passed=7)
    results = project.results()
    assert results["passed"] is True
    assert (results["model"]["name"], results["model"]["preprocess_assumed"]) == ("my", not card)
    assert (results["dataset"]["name"], results["dataset"]["labelled"]) == ("my", labelled)
    assert ("preprocessing 'scale' was assumed" in output(result)) is not card
    assert (results["metrics"]["top1_board"] is None) is not labelled


def test_hooks(project: Project) -> None:
    """conftest.py registers a board and adds to the results; a nonsense addition is one message."""
    project.pytester.makeconftest(
        """
        import pytest_tinyml.boards.native as native

        class Mine(native.NativeKind):
            name = "mine"

        def pytest_tinyml_boards(registry):
            registry.register(Mine())

        def pytest_tinyml_results(config, results):
            results["extra"]["room_c"] = 21.5
        """
    )
    own = [*OWN[2:], "--board", "mine"]
    project.run(*own).assert_outcomes(passed=7)
    results = project.results()
    assert (results["board"]["name"], results["extra"]) == ("mine", {"room_c": 21.5})


def test_hook_that_adds_what_json_has_not(project: Project) -> None:
    """A hook that adds something else than JSON is named, and the exit code says that there is no report."""
    project.pytester.makeconftest("def pytest_tinyml_results(results): results['extra']['x'] = {1, 2}")
    result = project.run(*OWN)
    result.assert_outcomes(passed=7)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    text = output(result)
    assert "Object of type set is not JSON serializable; what the hook pytest_tinyml_results adds must be JSON" in text
    assert "Traceback" not in text


def test_registering_twice(project: Project) -> None:
    """A board under a name that is taken is a usage error."""
    project.pytester.makeconftest(
        "import pytest_tinyml.boards.native as native\n"
        "def pytest_tinyml_boards(registry): registry.register(native.NativeKind())\n"
    )
    result = project.run(*OWN)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "a board named 'native' is already registered" in output(result)


def test_collect_only(project: Project) -> None:
    """--collect-only lists the shards, opens no board, and leaves no results."""
    result = project.run(*OWN, "--collect-only", "-q", "--tinyml-shard-size=20")
    assert result.ret == pytest.ExitCode.OK
    assert "test_samples[00000-00019]" in output(result)
    assert "test_samples[00020-00039]" in output(result)
    assert not (project.path / "tinyml-report" / "results.json").exists()


def test_no_terminal(project: Project) -> None:
    """Without a terminal plugin the results are written all the same."""
    with project.spawn(*OWN, "-p", "no:terminal") as process:
        text, _ = process.communicate(timeout=60)
    assert (process.returncode, text) == (0, "")
    assert project.results()["passed"] is True


def test_no_terminal_and_no_report(project: Project) -> None:
    """Without a terminal plugin a report that cannot be written is still said."""
    project.pytester.makeconftest("def pytest_tinyml_results(results): results['extra']['x'] = {1, 2}")
    with project.spawn(*OWN, "-p", "no:terminal") as process:
        text, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert text.startswith("ERROR: cannot write ")
    assert len(text.splitlines()) == 1


def test_quiet(project: Project) -> None:
    """-q keeps the verdict and drops the header."""
    text = output(project.run(*OWN, "-q"))
    assert "passed: own on native" in text
    assert "tinyml: model" not in text


@pytest.mark.parametrize("model", ["s1-float", "s1-ptq"])
def test_inexact_reference(project: Project, model: str) -> None:
    """Against LiteRT a board passes within a tolerance of its output's own unit, and fails without one."""
    arguments = ["--board", "tflm", "--tinyml-model", model, "--tinyml-reference", "litert", "--tinyml-limit", "500"]
    assert 0 == project.run(*arguments).ret
    results = project.results()
    assert results["passed"]
    assert not results["reference"]["exact"]
    assert 0 < results["reference"]["max_abs_tolerated"]


def test_one_shard_only(project: Project) -> None:
    """A run of which one shard was selected is not passed unless all of its samples were answered and compared."""
    arguments = [*OWN, "--tinyml-shard-size=5", "--tinyml-option", "fault=slow=100000", "-k", "00000-00004"]
    result = project.run(*arguments)
    result.assert_outcomes(passed=1, deselected=13)
    results, text = project.results(), output(result)
    answered = results["metrics"]["count"]
    assert 5 <= answered < SAMPLES
    assert results["passed"] is False
    assert results["problems"] == [f"incomplete: {answered} of 40 samples were answered"]
    assert "INCOMPLETE: own on native" in text
    assert f"the journal keeps the {answered} answers: the same command goes on from there" in text
    result = project.run(*OWN)
    result.assert_outcomes(passed=7)
    assert f"tinyml: resuming: {answered} of 40 samples are in .tinyml/journal.sqlite" in output(result)
    assert project.results()["throughput"]["resumed_samples"] == answered


def test_complete_run_is_measured_again(project: Project) -> None:
    """A run whose samples were all answered is not resumed, even if the last tests were not selected."""
    for _ in range(2):
        project.run(*OWN, "-k", "accuracy").assert_outcomes(passed=1, deselected=6)
        assert project.results()["throughput"]["resumed_samples"] == 0
        assert project.results()["passed"] is True


def test_last_failed(project: Project) -> None:
    """--lf runs the test of the suite that failed, alone."""
    bad = [*OWN, "--tinyml-min-top1=0.99"]
    project.run(*bad).assert_outcomes(failed=1, passed=6)
    assert project.results()["problems"] == ["test_accuracy: top-1 25.0000% is below --tinyml-min-top1 99.0000%"]
    assert project.results()["passed"] is False
    project.run(*bad, "--lf").assert_outcomes(failed=1)
    project.run(*OWN, "--lf").assert_outcomes(passed=1)


def test_own_failure_counts(project: Project) -> None:
    """A failing test of the user's own that uses the board makes the verdict fail; one that does not, does not."""
    project.pytester.makepyfile(
        test_mine="def test_room(tinyml_board): assert 31 < 30, 'too warm'\n\ndef test_other(): assert 1 == 2\n"
    )
    project.run(*OWN, "test_mine.py", "--pyargs", "pytest_tinyml.suite").assert_outcomes(failed=2, passed=7)
    results = project.results()
    assert results["passed"] is False
    assert len(results["problems"]) == 1
    assert results["problems"][0].startswith("test_room: AssertionError: too warm")
