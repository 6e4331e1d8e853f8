"""``--board a,b``: every test runs once per board, one board after the other, and nobody pays for another's failure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml.boards.registry import Registry
from tests.projects import OWN, S1, output, refusal
from tests.unit.tflite_models import FLOAT, Builder

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pytest_tinyml.records import Dataset, Model
    from pytest_tinyml.references.base import OnChunk
    from tests.projects import Project

BOTH = ("--board", "native,tflm", *OWN[2:])
TESTS_OF_ONE = 7

KINDS = """
import dataclasses
import json

import pytest
import pytest_tinyml.boards.native as native
from pytest_tinyml.errors import BuildError

events = []


class Board(native.NativeBoard):
    kind = ""

    def __init__(self, request):
        super().__init__(request)
        self.on = False

    def prepare(self):
        if self.kind == "broken":
            raise BuildError("it does not build")
        return super().prepare()

    def open(self):
        identity = super().open()
        self.on = True
        events.append(f"{self.kind} on")
        return identity

    def close(self):
        super().close()
        if self.on:
            events.append(f"{self.kind} off")
        self.on = False


class Kind(native.NativeKind):
    def __init__(self, name):
        self.name = name

    def create(self, request):
        board = Board(request)
        board.kind = self.name
        return board


def pytest_tinyml_boards(registry):
    for name in ("one", "two", "broken"):
        registry.register(Kind(name))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    (config.rootpath / "events.json").write_text(json.dumps(events), encoding="utf-8")
"""


def _passed(result: pytest.RunResult) -> list[str]:
    """Return the names of the tests that passed, in the order in which they ran."""
    return [line.rpartition("::")[2].split()[0] for line in result.outlines if " PASSED" in line]


def _events(project: Project) -> list[str]:
    events: list[str] = json.loads((project.path / "events.json").read_text(encoding="utf-8"))
    return events


def test_one_run_each(project: Project) -> None:
    """The ready-made tests run for the first board, then for the second; each has its results."""
    result = project.run(*BOTH, "--tinyml-shard-size=20", "-v")
    assert 0 == result.ret
    names = _passed(result)
    expected = ["test_identity[{}]", "test_canary[{}]", "test_samples[{}-00000-00019]", "test_samples[{}-00020-00039]"]
    expected += [f"test_{name}[{{}}]" for name in ("state", "accuracy", "latency", "memory")]
    assert [name.format(board) for board in ("native", "tflm") for name in expected] == names
    for board, engine in (("native", "aot"), ("tflm", "tflm")):
        results = project.results(f"tinyml-report/{board}")
        assert (board, engine, True) == (results["board"]["name"], results["board"]["engine"], results["passed"])
        assert [board] == [one["name"] for one in results["boards"]]
        assert (project.path / "tinyml-report" / board / "logs" / f"{board}.console.log").is_file()
    assert not (project.path / "tinyml-report" / "results.json").exists()


def test_side_by_side(project: Project) -> None:
    """The summary has a column per board, fits in 80 columns, and names both files."""
    result = project.run(*BOTH)
    start = next(k for k, line in enumerate(result.outlines) if line.startswith("own, 40 of own, against tflm "))
    rows = {line[:13].strip(): line[15:].split() for line in result.outlines[start + 1 : start + 17]}
    assert ["native", "tflm"] == rows[""]
    assert ["passed", "passed"] == rows["verdict"]
    assert ["aot", "tflm"] == rows["engine"]
    assert ["100.00%", "100.00%"] == rows["agreement"] == rows["bit-exact"]
    assert ["0", "0"] == rows["label flips"]
    assert rows["top-1"] == rows["top-1, host"]
    assert ["wall_us", "wall_us"] == rows["clock"]
    assert ["us*", "us*"] == rows["latency p50"][1::2]
    assert "  * wall clock of this computer: shown, never gated" in result.outlines
    for board in ("native", "tflm"):
        assert f"  results: tinyml-report/{board}/results.json" in result.outlines
    assert max(len(line) for line in result.outlines[start:]) <= 80


def test_boards_of_the_ini_file(project: Project) -> None:
    """The ini key takes several boards, on one line or on several."""
    for value in ("native,tflm", "\n  native\n  tflm"):
        project.pytester.makeini(f"[pytest]\ntinyml_board = {value}")
        project.run(*OWN[2:]).assert_outcomes(passed=2 * TESTS_OF_ONE)


BAD = [
    ("native,native", "--board: 'native' is named twice; several boards of one kind share the work with "),
    ("native,", "--board: 'native,' has an empty name; expected NAME or NAME,NAME, e.g. native,tflm"),
    (",", "--board: ',' has an empty name"),
    ("native,,tflm", "--board: 'native,,tflm' has an empty name"),
    ("native,tlfm", f"no board named 'tlfm'; did you mean 'tflm'? Known: {', '.join(sorted(Registry().names()))}"),
]


@pytest.mark.parametrize(("boards", "message"), BAD)
def test_bad_names(project: Project, boards: str, message: str) -> None:
    """A list that cannot be meant is refused."""
    assert refusal(project.run("--board", boards, *OWN[2:])).startswith(message)


NARROW = """
import pytest_tinyml.boards.native as native

class Narrow(native.NativeKind):
    name = "narrow"
    links = ("serial",)
    options = {"speed": "slow or fast"}

def pytest_tinyml_boards(registry):
    registry.register(Narrow())
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tinyml-link=socket"], "no link of board 'narrow' named 'socket'. Known: serial"),
        (["--tinyml-option=fault=state"], "no option of board 'narrow' named 'fault'. Known: speed"),
        (["--tinyml-clock=cycles"], "no clock of board 'native' named 'cycles'. Known: wall"),
    ],
)
def test_what_does_not_fit_one_of_the_boards(project: Project, arguments: Sequence[str], message: str) -> None:
    """An option has to fit every board; the message names the one that it does not fit, and nothing was run."""
    project.pytester.makeconftest(NARROW)
    assert message == refusal(project.run("--board", "native,narrow", *OWN[2:], *arguments))
    assert not project.journal.exists()


def test_a_model_that_one_board_cannot_run(project: Project) -> None:
    """The model is checked for all boards before the first of them is used."""
    net = Builder()
    source, result = net.tensor([1, 784], kind=FLOAT), net.tensor([1, 784], kind=FLOAT)
    net.operator("TANH", [source], [result])
    (project.path / "odd.tflite").write_bytes(net.finish(source, result))
    message = refusal(project.run("--board", "tflm,native", "--tinyml-model", "odd.tflite"))
    assert message.startswith("odd: operator 0 TANH is not supported by engine 'aot-float'")
    assert not project.journal.exists()
    assert not (project.path / "tinyml-report").exists()


def test_a_broken_board_is_its_own_affair(project: Project) -> None:
    """The tests of a board that fails skip, those of the other run, and the exit status is that of a failure."""
    project.pytester.makeconftest(KINDS)
    result = project.run("--board", "broken,one", *OWN[2:], "-rs")
    result.assert_outcomes(errors=1, skipped=TESTS_OF_ONE - 1, passed=TESTS_OF_ONE)
    assert pytest.ExitCode.TESTS_FAILED == result.ret
    assert "  verdict      FAILED  passed" in result.outlines
    assert "  broken: test_identity[broken]: BuildError: it does not build" in result.outlines
    assert project.results("tinyml-report/one")["passed"]
    assert not project.results("tinyml-report/broken")["passed"]
    assert ["one on", "one off"] == _events(project)


OTHER_TESTS = """
import pytest


@pytest.fixture(scope="session")
def lamp(tinyml_board, tinyml_dataset):
    yield tinyml_board.name
    # The board is still there when what rests on it is torn down.
    assert tinyml_board.infer(tinyml_dataset.images[:1]).shape == (1, 5)


@pytest.mark.parametrize("n", [1, 2])
def test_lamp(lamp, tinyml_board, n):
    assert lamp == tinyml_board.name


def test_unrelated():
    pass


def test_fails_on_two(tinyml_run):
    assert tinyml_run.everything().differing == 0
    assert tinyml_run.results()["board"]["name"] != "two", "not on this one"
"""


@pytest.mark.parametrize("order", [[], ["--ff"], ["--nf"]], ids=["as collected", "failed first", "new first"])
def test_one_after_the_other(project: Project, order: list[str]) -> None:
    """A board is switched off before the next one is switched on, in whatever order the tests were asked for."""
    project.pytester.makeconftest(KINDS)
    project.pytester.makepyfile(test_other=OTHER_TESTS)
    arguments = ["--board", "one,two", *OWN[2:], "-v", "test_other.py", "--pyargs", "pytest_tinyml.suite"]
    for _ in range(2):
        result = project.run(*arguments, *order)
        result.assert_outcomes(passed=2 * TESTS_OF_ONE + 6, failed=1)
        assert ["one on", "one off", "two on", "two off"] == _events(project)
        boards = [name for line in result.outlines for name in re.findall(r"\[(one|two)\b.*(?:PASSED|FAILED)", line)]
        assert sorted(boards) == boards
    assert project.results("tinyml-report/one")["passed"]
    problems = project.results("tinyml-report/two")["problems"]
    assert 1 == len(problems)
    assert problems[0].startswith("test_fails_on_two[two]: AssertionError: not on this one")


def test_only_one_of_them(project: Project) -> None:
    """-k picks a board by its name; the other one is not touched, and the summary says so."""
    project.pytester.makeconftest(KINDS)
    result = project.run("--board", "one,two", *OWN[2:], "-k", "one")
    result.assert_outcomes(passed=TESTS_OF_ONE, deselected=TESTS_OF_ONE)
    assert ["one on", "one off"] == _events(project)
    assert "  two: no test of this board was run" in result.outlines
    assert not (project.path / "tinyml-report" / "two" / "results.json").exists()


def test_fixture_asked_for_in_the_middle(project: Project) -> None:
    """A test that hides its fixture cannot be run per board, and is told what to do."""
    project.pytester.makepyfile(
        "import pytest\n"
        "def test_late(request): request.getfixturevalue('tinyml_run')\n"
        "@pytest.mark.usefixtures('tinyml_run')\n"
        "def test_early(request): assert request.getfixturevalue('tinyml_run').everything().differing == 0\n"
        "@pytest.mark.tinyml\n"
        "def test_marked(): raise AssertionError('for all')\n"
    )
    result = project.run(*BOTH, "test_fixture_asked_for_in_the_middle.py")
    result.assert_outcomes(passed=2, failed=2)
    assert "take the fixture as an argument (or with pytest.mark.usefixtures)" in output(result)
    for board in ("native", "tflm"):
        assert ["test_marked: AssertionError: for all"] == project.results(f"tinyml-report/{board}")["problems"]


def test_results_hook(project: Project) -> None:
    """The hook is called for each board; an exception in it does not keep the other board from being reported."""
    hook = """
        def pytest_tinyml_results(results):
            results["extra"]["who"] = results["board"]["name"]
            if results["board"]["name"] in {0}:
                raise LookupError("no thermometer")
    """
    project.pytester.makeconftest(hook.format("[]"))
    project.run(*BOTH).assert_outcomes(passed=2 * TESTS_OF_ONE)
    for board in ("native", "tflm"):
        assert {"who": board} == project.results(f"tinyml-report/{board}")["extra"]
    project.pytester.makeconftest(hook.format("['native']"))
    result = project.run(*BOTH)
    assert pytest.ExitCode.INTERNAL_ERROR == result.ret
    assert "no thermometer" in output(result)
    assert {"who": "tflm"} == project.results("tinyml-report/tflm")["extra"]


def test_journal_is_shared(project: Project) -> None:
    """What both boards answered is in one journal, and each run resumes where it stopped."""
    project.pytester.makeconftest(KINDS)
    arguments = ["--board", "one,two", *OWN[2:], "--tinyml-shard-size=5"]
    slow = project.run(*arguments, "--tinyml-option=fault=slow=100000", "-k", "00000-00004")
    slow.assert_outcomes(passed=2, deselected=26)
    answered = [project.results(f"tinyml-report/{name}")["metrics"]["count"] for name in ("one", "two")]
    assert sum(answered) == project.answers()
    for name, count in zip(("one", "two"), answered, strict=True):
        assert 5 <= count < 40
        assert f"  {name}: the journal keeps the {count} answers: the same command goes on from there" in slow.outlines
    result = project.run(*arguments)
    assert 0 == result.ret
    for name, count in zip(("one", "two"), answered, strict=True):
        assert f"tinyml: {name}: resuming: {count} of 40 samples are in .tinyml/journal.sqlite" in output(result)
        assert f"  {name}: {count} samples are from an earlier session" in result.outlines
        assert count == project.results(f"tinyml-report/{name}")["throughput"]["resumed_samples"]


def test_slow_things_happen_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set is read once, and the reference computes it once."""
    from pytest_tinyml.references.tflm import TflmReference
    from pytest_tinyml.stores.datasets import load_dataset

    loaded: list[str] = []
    computed: list[int] = []
    scores = TflmReference.scores

    def load(name: str, **how: Any) -> Dataset:
        loaded.append(name)
        return load_dataset(name, **how)

    def count(
        self: TflmReference, model: Model, tensors: npt.NDArray[Any], *, on_chunk: OnChunk | None = None
    ) -> npt.NDArray[Any]:
        computed.append(len(tensors))
        return scores(self, model, tensors, on_chunk=on_chunk)

    monkeypatch.setattr("pytest_tinyml.campaign.plan.load_dataset", load)
    monkeypatch.setattr(TflmReference, "scores", count)
    images = np.random.default_rng().integers(0, 256, (50, 4, 6), dtype=np.uint8)  # not in the cache
    project.data("new.npz", images=images, labels=None)
    result = project.run(*BOTH[:-1], "new.npz")
    result.assert_outcomes(passed=2 * TESTS_OF_ONE)
    assert "new has no labels: the host's predictions stand in for them" in output(result)
    assert ["new.npz"] == loaded
    # The canaries, before and after the run of each board, and everything.
    assert [8, 8, 8, 8, 50] == sorted(computed)


def test_exit_first(project: Project) -> None:
    """With -x the failure of the first board ends the session; the second was never touched."""
    project.pytester.makeconftest(KINDS)
    result = project.run("--board", "broken,one", *OWN[2:], "-x")
    result.assert_outcomes(errors=1)
    assert [] == _events(project)
    assert "  one: no test of this board was run" in result.outlines


def test_boards_of_one_kind(project: Project) -> None:
    """--tinyml-count boards share each run; the results and the summary say what each has answered."""
    result = project.run(*S1, "--tinyml-limit=4000", "--tinyml-count=2")
    assert 0 == result.ret
    results = project.results()
    assert ["native", "native#1"] == [board["name"] for board in results["boards"]]
    assert ["native", "native#1"] == sorted(results["canary"])
    samples = [board["samples"] for board in results["boards"]]
    assert (4000, True, 2) == (sum(samples), min(samples) > 0, results["board"]["count"])
    rates = [board["samples_per_s"] for board in results["boards"]]
    assert sum(rates) == pytest.approx(results["throughput"]["samples_per_s"])
    assert f"  samples by board: native {samples[0]:,}, native#1 {samples[1]:,}" in result.outlines


def test_counts_of_several_kinds(project: Project) -> None:
    """--tinyml-count holds for each kind."""
    result = project.run(*BOTH, "--tinyml-count=2")
    result.assert_outcomes(passed=2 * TESTS_OF_ONE)
    for board in ("native", "tflm"):
        results = project.results(f"tinyml-report/{board}")
        assert [board, f"{board}#1"] == [one["name"] for one in results["boards"]]
        first, second = (one["samples"] for one in results["boards"])
        assert 40 == first + second
        assert f"  {board}: samples by board: {board} {first}, {board}#1 {second}" in result.outlines


def test_boards_of_an_earlier_session(project: Project) -> None:
    """A run that is resumed with fewer boards still says who answered what."""
    own = [*S1, "--tinyml-limit=3000", "--tinyml-shard-size=100"]
    project.run(*own, "--tinyml-count=2", "--tinyml-option=fault=slow=10000", "-k", "00000-00099")
    before = {board["name"]: board["samples"] for board in project.results()["boards"]}
    assert all(before.values())
    assert sum(before.values()) < 3000
    assert 0 == project.run(*own).ret
    after = {board["name"]: board for board in project.results()["boards"]}
    assert 3000 == sum(board["samples"] for board in after.values())
    assert before["native#1"] == after["native#1"]["samples"]
    assert after["native#1"]["samples_per_s"] is None
