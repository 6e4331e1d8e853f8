"""Before the first sample: is it the board, firmware and model that were asked for, and does it compute the same?

Three causes of wrong results have three different messages: the input tensor differs (preprocessing), the scores of the
same input tensor differ (engine), and the scores of the same sample change from one time to the next (state).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tinyml.errors import CanaryError, IdentityError
from pytest_tinyml.verdict.compare import Tolerance, compare, describe_difference, differing_samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pytest_tinyml.boards.base import Board
    from pytest_tinyml.campaign.samples import SampleEncoder
    from pytest_tinyml.records import CanaryResult, Encoding, Identity, Model

CANARIES = 8
"""Canary samples per board: enough for every digit class to be likely among them, and a fraction of a second's work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryReport:
    """What the canary samples gave.

    Attributes:
        ids: the samples.
        scores: the output dtype, [n, C], as the board gave them both times.
    """

    ids: tuple[int, ...]
    scores: npt.NDArray[Any]


def canary_ids(count: int) -> list[int]:
    """Choose canary samples: at most `CANARIES` ids, evenly spread over `count` samples."""
    return sorted({int(k) for k in np.linspace(0, count - 1, min(CANARIES, count)).round()})


def check_identity(
    identity: Identity, model: Model, firmware_sha256: str, *, board: str, engine: str, clock: str | None = None
) -> None:
    """Compare what a board says it is with what was asked for.

    Args:
        identity: from the board.
        model: what was asked for.
        firmware_sha256: digest of the firmware that was built (and flashed) for this run.
        board: its name, for the message.
        engine: the engine that this kind of board has.
        clock: the clock that was asked for, of `records.Clock` in lower case; None if any will do.

    Raises:
        IdentityError: with one line per difference.
    """
    problems: list[str] = []
    if identity.model_sha256 != model.sha256:
        problems.append(
            f"wrong model on the board: it runs {identity.model!r} ({identity.model_sha256[:12]}), "
            f"asked for {model.name!r} ({model.sha256[:12]})"
        )
    elif identity.firmware_sha256 != firmware_sha256:
        problems.append(
            f"stale firmware on the board: it runs build {identity.firmware_sha256[:12]}, "
            f"the sources give {firmware_sha256[:12]}; flash it again"
        )
    if identity.engine != engine:
        problems.append(f"wrong engine: the board runs {identity.engine!r}, expected {engine!r}")
    counts = identity.clock.name.lower()
    if clock not in {None, counts}:
        problems.append(f"wrong clock: the board counts {counts}, asked for {clock}")
    if not problems:
        for what, got, expected in (
            ("input", identity.input, model.input),
            ("output", identity.output, model.output),
        ):
            # The scale travels as binary32.
            same_scale = np.float32(got.scale) == np.float32(expected.scale)
            if (got.dtype, got.shape, got.zero_point) != (
                expected.dtype,
                expected.shape,
                expected.zero_point,
            ) or not same_scale:
                problems.append(f"{what} tensor differs: the board has {got}, the model file has {expected}")
    if problems:
        raise IdentityError("\n".join(problems), board=board)


def run_canaries(board: Board, encoder: SampleEncoder, encoding: Encoding, ids: Sequence[int]) -> list[CanaryResult]:
    """Send the canary samples once, in order."""
    return [board.canary(encoding, sample, encoder.data(encoding, sample)) for sample in ids]


def check_canaries(
    rounds: Sequence[Sequence[CanaryResult]],
    encoder: SampleEncoder,
    model: Model,
    expected: npt.NDArray[Any] | None,
    *,
    before: CanaryReport | None = None,
    board: str,
    reference: str,
    tolerance: Tolerance,
) -> CanaryReport:
    """Judge rounds of the same canary samples.

    Args:
        rounds: what `run_canaries` gave, one or more times.
        encoder: makes the tensors that the engine should have seen.
        model: for its output tensor.
        expected: the reference's scores of these samples, [n, C]; None leaves the engine unjudged.
        before: what an earlier check gave; the scores have to be the same.
        board: its name, for messages.
        reference: the reference's name, for messages.
        tolerance: how far the scores may be from the reference's.

    Raises:
        CanaryError: the first of: input tensors differ (unless the board cannot tell them), the board carries state,
            the engine differs.
    """
    first = rounds[0]
    ids = [result.id for result in first]
    wanted = [zlib.crc32(tensor.tobytes()) for tensor in encoder.tensors(ids)]
    told = first[0].input_crc is not None
    wrong = [result.id for result, crc in zip(first, wanted, strict=True) if result.input_crc not in {crc, None}]
    if wrong:
        first_wrong = ids.index(wrong[0])
        msg = (
            f"board {board!r}: preprocessing differs: for {len(wrong)} of {len(ids)} canary samples the input tensor "
            f"on the board is not the one that model {model.name!r} was trained with (preprocessing "
            f"{model.preprocess.kind!r}); first: sample {wrong[0]}, CRC-32 {first[first_wrong].input_crc:08x}, "
            f"expected {wanted[first_wrong]:08x}"
        )
        raise CanaryError(msg)
    dtype = np.dtype(model.output.dtype)
    scores = [
        np.frombuffer(b"".join(r.scores for r in results), dtype=dtype).reshape(len(ids), -1) for results in rounds
    ]
    earlier = scores[0] if before is None else before.scores
    for again in scores if before is not None else scores[1:]:
        unequal = differing_samples(again, earlier)
        if unequal.any():
            when = "the second time" if before is None else "after the run than before it"
            inputs = ", with identical input tensors" if told else ""
            msg = (
                f"board {board!r}: it carries state from one inference to the next: {int(unequal.sum())} of {len(ids)} "
                f"canary samples gave other scores {when}{inputs}; first: sample {ids[int(np.argmax(unequal))]}"
            )
            raise CanaryError(msg)
    if expected is not None:
        every = np.asarray(ids, dtype=np.int64)
        comparison = compare(scores[0], expected, None, every, model.output, model.task)
        if not tolerance.allows(comparison):
            difference = describe_difference(comparison, reference, labels_only=tolerance.labels_only)
            cause = "engine differs: the input tensors are identical, but"
            if not told:
                cause = "model, preprocessing or engine differ (the board cannot say what it fed to its engine):"
            msg = f"board {board!r}: {cause} {difference} among the canary samples"
            raise CanaryError(msg)
    return CanaryReport(ids=tuple(ids), scores=scores[0])
