"""Before the first sample: whose board, and three causes of wrong results with three messages."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
import pytest

from pytest_tinyml.campaign.handshake import CANARIES, CanaryReport, canary_ids, check_canaries, check_identity
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.errors import CanaryError, IdentityError
from pytest_tinyml.records import CanaryResult, Identity, TensorSpec
from pytest_tinyml.verdict.compare import Tolerance
from tests.unit.simulated import FIRMWARE_SHA256, IDENTITY, MODEL, make_dataset, scores_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

DATA = make_dataset(20)
ENCODER = SampleEncoder(MODEL, DATA)
IDS = [0, 5, 9]


def canaries(change: int | None = None, *, input_crc: int | None = None) -> list[CanaryResult]:
    """Return right results, but for the scores (first byte changed) or the CRC of one sample."""
    results = []
    for k in IDS:
        scores = scores_of(DATA.images[k].tobytes())
        if k == change and input_crc is None:
            scores = bytes((scores[0] ^ 3,)) + scores[1:]
        crc = crc32(ENCODER.tensors([k])[0].tobytes())
        results.append(
            CanaryResult(id=k, ticks=1, input_crc=crc if k != change or input_crc is None else input_crc, scores=scores)
        )
    return results


def reference_scores() -> npt.NDArray[np.int8]:
    """Return what the host computes."""
    rows = b"".join(scores_of(DATA.images[k].tobytes()) for k in IDS)
    return np.frombuffer(rows, dtype=np.int8).reshape(len(IDS), -1)


def judge(
    rounds: Sequence[Sequence[CanaryResult]], *, before: CanaryReport | None = None, lsb: int = 0
) -> CanaryReport:
    """Check rounds of canaries."""
    return check_canaries(
        rounds,
        ENCODER,
        MODEL,
        reference_scores(),
        before=before,
        board="b",
        reference="tflm",
        tolerance=Tolerance(lsb=lsb),
    )


def test_right_canaries_pass() -> None:
    """Two equal rounds with the host's tensors and scores are reported as they came."""
    report = judge([canaries(), canaries()])
    assert report.ids == tuple(IDS)
    assert np.array_equal(report.scores, reference_scores())


def test_another_input_tensor_is_the_preprocessing() -> None:
    """A CRC that differs names preprocessing, the sample and both sums, even if the scores differ as well."""
    crc = crc32(ENCODER.tensors([5])[0].tobytes())
    message = rf"preprocessing differs: for 1 of 3 .* first: sample 5, CRC-32 0000002a, expected {crc:08x}"
    with pytest.raises(CanaryError, match=message):
        judge([canaries(5, input_crc=42), canaries(9)])


def test_other_scores_the_second_time_are_state() -> None:
    """Equal tensors and changing scores name state, not the engine."""
    with pytest.raises(CanaryError, match=r"carries state .* 1 of 3 .* the second time.*sample 9"):
        judge([canaries(), canaries(9)])


def test_other_scores_after_the_run_are_state() -> None:
    """The check after the run compares with the one before it."""
    with pytest.raises(CanaryError, match=r"carries state .* after the run than before it"):
        judge([canaries(0)], before=judge([canaries(), canaries()]))


def test_equally_wrong_scores_are_the_engine() -> None:
    """Equal tensors and stable scores that are not the host's name the engine, unless within the tolerance."""
    with pytest.raises(CanaryError, match=r"engine differs: the input tensors are identical, but 1 of 3 .* tflm"):
        judge([canaries(0), canaries(0)])
    assert judge([canaries(0), canaries(0)], lsb=3).ids == tuple(IDS)


def test_without_a_reference_the_engine_is_not_judged() -> None:
    """No host scores, no opinion; preprocessing and state are still judged."""
    rounds = [canaries(0), canaries(0)]
    report = check_canaries(rounds, ENCODER, MODEL, None, board="b", reference="none", tolerance=Tolerance())
    assert report.scores.shape == (3, 4)


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 28_000])
def test_canaries_are_spread_over_the_samples(count: int) -> None:
    """At most eight, no one twice, the first and the last among them."""
    ids = canary_ids(count)
    assert (ids[0], ids[-1], len(ids)) == (0, count - 1, min(count, CANARIES))
    assert sorted(set(ids)) == ids


def identity_check(identity: Identity, firmware: str = FIRMWARE_SHA256) -> None:
    """Check an identity against the simulated model."""
    check_identity(identity, MODEL, firmware, board="b", engine="crc")


def test_the_right_board_passes() -> None:
    """What was asked for is accepted; the scale travels as binary32."""
    identity_check(IDENTITY)
    assert MODEL.output.scale == IDENTITY.output.scale
    rounded = replace(IDENTITY.output, scale=float(np.float32(1 / 255)))
    model = replace(MODEL, output=replace(MODEL.output, scale=1 / 255))
    check_identity(replace(IDENTITY, output=rounded), model, FIRMWARE_SHA256, board="b", engine="crc")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_sha256": "0" * 64, "model": "other"}, "wrong model on the board: it runs 'other'"),
        ({"firmware_sha256": "0" * 64}, "stale firmware on the board: it runs build 000000000000"),
        ({"engine": "tflm"}, "wrong engine: the board runs 'tflm', expected 'crc'"),
        ({"input": replace(MODEL.input, shape=(1, 7))}, "input tensor differs"),
        ({"input": replace(MODEL.input, zero_point=0)}, "input tensor differs"),
        ({"output": replace(MODEL.output, scale=0.5)}, "output tensor differs"),
        ({"output": TensorSpec(dtype="float32", shape=(1, 4))}, "output tensor differs"),
    ],
)
def test_another_board_is_refused(changes: dict[str, object], message: str) -> None:
    """Each difference has its message, and names the board."""
    with pytest.raises(IdentityError, match=message) as caught:
        identity_check(replace(IDENTITY, **changes))  # type: ignore[arg-type]
    assert caught.value.board == "b"


def test_another_clock_is_refused() -> None:
    """A board has to count what was asked for, if anything was."""
    for clock in (None, "cycles"):
        check_identity(IDENTITY, MODEL, FIRMWARE_SHA256, board="b", engine="crc", clock=clock)
    message = "wrong clock: the board counts cycles, asked for instructions"
    with pytest.raises(IdentityError, match=message):
        check_identity(IDENTITY, MODEL, FIRMWARE_SHA256, board="b", engine="crc", clock="instructions")


def test_a_swapped_model_is_not_called_stale() -> None:
    """Another model implies another build: only the cause is named, and the engine beside it."""
    with pytest.raises(IdentityError) as caught:
        identity_check(replace(IDENTITY, model_sha256="0" * 64, firmware_sha256="1" * 64, engine="x"))
    assert "stale" not in str(caught.value)
    assert caught.value.message.count("\n") == 1
