"""The assertions of the ready-made tests, with messages that say how far off a run is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from pytest_tinyml.shell.fixtures import SESSION
from pytest_tinyml.verdict.compare import describe_difference
from pytest_tinyml.verdict.stats import wilson

if TYPE_CHECKING:
    from pytest_tinyml.shell.handles import BoardHandle, RunHandle
    from pytest_tinyml.shell.options import Settings
    from pytest_tinyml.shell.session import Session
    from pytest_tinyml.shell.submitting import Submitter
    from pytest_tinyml.verdict.compare import Comparison

_WORSE_RATIO: Final = 0.001
"""By how much a board may be less often right, or further off, than the host."""


def _settings(config: pytest.Config) -> Settings:
    return cast("Session", config.pluginmanager.get_plugin(SESSION)).settings


def check_verifiable(board: BoardHandle) -> None:
    """Skip what can only be said of a board that can be asked."""
    if not board.verifiable:
        pytest.skip(f"board {board.name!r} cannot be asked what it runs")


def check_canaried(board: BoardHandle) -> None:
    """Skip what can only be asked of a board that takes single samples."""
    if not board.canaried:
        check_verifiable(board)


def check_shard(run: RunHandle, shard: range) -> None:
    """Compare one shard with the reference, within the tolerance of the session."""
    measured = run.measured(shard)
    comparison = run.compare(measured.tolist()) if len(measured) else None
    if comparison is not None and not run.tolerance.allows(comparison):
        difference = describe_difference(comparison, run.reference_name, labels_only=run.tolerance.labels_only)
        pytest.fail(f"{difference}; tolerated: {run.tolerance.describe(comparison)}", pytrace=False)
    if len(measured) < len(shard):
        pytest.skip(f"{len(measured):,} of {len(shard):,} samples were measured: {run.ended_early}")


def check_sequential(run: RunHandle) -> None:
    """Fail if the sequential test says that the board is worse, with its reason."""
    run.finish()
    found = run.results()["sequential"]
    if found["verdict"] != "no regression":
        pytest.fail(found["text"], pytrace=False)


def check_accuracy(run: RunHandle, config: pytest.Config) -> None:
    """Compare the board's top-1 accuracy with the host's and with ``--tinyml-min-top1``.

    Without labels the host's predictions stand in for them: for the comparison, not for the limit.
    """
    comparison = run.everything()
    if comparison.argmax_agreement is None:
        _check_fit(comparison, _settings(config).max_rmse)
        return
    floor, top1 = _settings(config).min_top1, comparison.top1_board
    if run.ended_early:
        _check_floor_of_a_part(comparison, floor, run.ended_early)
        return
    if floor is not None and top1 is not None and top1 < floor:
        pytest.fail(f"top-1 {top1:.4%} is below --tinyml-min-top1 {floor:.4%}", pytrace=False)
    correct_board, correct_host = comparison.correct_board, comparison.correct_reference
    right = "is right"
    if correct_board is None or correct_host is None:
        correct_board, correct_host = comparison.count - len(comparison.flips), comparison.count
        right = "predicts what the host does (there are no labels)"
    # The exact test is the shards'; here a loss that a tolerance would hide is caught.
    worse = correct_host - correct_board
    allowed = int(comparison.count * _WORSE_RATIO)
    if worse > allowed:
        pytest.fail(
            f"the board {right} {correct_board:,} times, the host {correct_host:,}: "
            f"{worse} fewer, at most {allowed} are tolerated",
            pytrace=False,
        )
    if floor is not None and top1 is None:
        pytest.skip("--tinyml-min-top1 was not applied: the data set has no labels")


def _check_floor_of_a_part(comparison: Comparison, floor: float | None, ended: str) -> None:
    """Compare what is known of the accuracy with ``--tinyml-min-top1``; the loss is the sequential test's matter."""
    if floor is None or comparison.correct_board is None:
        pytest.skip(f"the loss of accuracy is judged by the sequential test: {ended}")
    known = wilson(comparison.correct_board, comparison.count)
    if known.high < floor:
        pytest.fail(
            f"top-1 {known} of {comparison.count:,} samples is below --tinyml-min-top1 {floor:.4%}", pytrace=False
        )
    if known.low < floor:
        pytest.skip(f"--tinyml-min-top1 {floor:.4%} is not decided by a top-1 of {known}: {ended}")


def _check_fit(comparison: Comparison, limit: float | None) -> None:
    """Compare the error of a regression on the board with that on the host, and with ``--tinyml-max-rmse``."""
    board, host = comparison.fit_board, comparison.fit_reference
    if board is None or host is None:
        pytest.skip("a regression's error was not measured: the data set has no targets")
    if limit is not None and not board.rmse <= limit:
        pytest.fail(f"RMSE {board.rmse:.6g} is above --tinyml-max-rmse {limit:.6g}", pytrace=False)
    # The exact test is the shards'; here a loss that a tolerance would hide is caught.
    if not board.rmse <= host.rmse * (1.0 + _WORSE_RATIO):
        pytest.fail(
            f"the board's RMSE is {board.rmse:.6g}, the host's {host.rmse:.6g}: at most {_WORSE_RATIO:.1%} more is "
            "tolerated",
            pytrace=False,
        )


def check_latency(run: RunHandle, config: pytest.Config) -> None:
    """Check that inferences were timed, and the median against ``--tinyml-max-latency`` where the clock counts."""
    latency: dict[str, Any] = run.results()["latency"]
    if latency["clock"] is None:
        pytest.skip("the board does not say how long inferences take: no limit was applied")
    if not latency["total"] > 0:
        pytest.fail("the board's clock did not move during any inference", pytrace=False)
    counted = _settings(config).max_instructions
    # With this limit, boards that count anything else were refused before the run.
    if counted is not None and latency["p50"] > counted:
        pytest.fail(
            f"median of {latency['p50']:,.0f} instructions is above --tinyml-max-instructions {counted:,}",
            pytrace=False,
        )
    limit = _settings(config).max_latency
    if limit is None:
        return
    if not latency["gated"] or latency["unit"] != "us":
        pytest.skip(
            f"--tinyml-max-latency was not applied: clock {latency['clock']} of this board is not the part's time"
        )
    if latency["p50"] > limit:
        pytest.fail(
            f"median latency {latency['p50']:,.1f} us is above --tinyml-max-latency {limit:,.1f} us", pytrace=False
        )


def check_gates(run: RunHandle, config: pytest.Config) -> None:
    """Compare the run with its baseline; skip if there is none yet, or if nothing could be checked."""
    results = run.results()
    gates: list[dict[str, Any]] = results["gates"]
    failed = [gate["text"] for gate in gates if gate["status"] == "failed"]
    if failed:
        pytest.fail("\n".join(failed), pytrace=False)
    if results["baseline"] is None:
        where = os.path.relpath(_settings(config).storage, config.invocation_params.dir)
        pytest.skip(
            f"there is no baseline of this run in {where} yet: --tinyml-save NAME (or --tinyml-autosave) keeps one"
        )
    if gates and all(gate["status"] == "skipped" for gate in gates):
        pytest.skip("; ".join(gate["text"] for gate in gates))


def check_submission(config: pytest.Config) -> dict[str, Any]:
    """Submit the predictions; returns ``submission`` of results.json."""
    (harness,) = cast("Session", config.pluginmanager.get_plugin(SESSION)).harnesses
    return cast("Submitter", harness.submitter).submit()


def check_arena(run: RunHandle, config: pytest.Config) -> None:
    """Check the arena against what the board has, and against ``--tinyml-max-arena``."""
    memory: dict[str, Any] = run.results()["memory"]
    used, capacity, limit = memory["arena_bytes"], memory["arena_capacity_bytes"], _settings(config).max_arena
    if not capacity:
        pytest.skip("the board does not say what its engine's working memory is: no limit was applied")
    if not 0 < used <= capacity:
        pytest.fail(f"the engine reports an arena use of {used:,} of {capacity:,} bytes", pytrace=False)
    if limit is not None and used > limit:
        pytest.fail(f"arena use {used:,} bytes is above --tinyml-max-arena {limit:,}", pytrace=False)
