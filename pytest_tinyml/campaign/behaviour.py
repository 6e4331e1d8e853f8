"""Experiments with the whole model: does the board get the right input, and does it answer the same way every time?"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.preprocess import input_tensors
from pytest_tinyml.records import PreprocessSpec
from pytest_tinyml.verdict.compare import differing_samples

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from pytest_tinyml.campaign.causes import Cause
    from pytest_tinyml.campaign.plan import Plan
    from pytest_tinyml.campaign.probe import Answers, Probe

    Scores = npt.NDArray[Any]

BEFORE: Final = 64
"""How many samples before one are run again to see whether they are what makes it wrong."""
_USUAL: Final[Mapping[str, PreprocessSpec]] = {
    "pixel / 255": PreprocessSpec(),
    "pixel": PreprocessSpec(scale=1.0),
    "pixel / 127.5 - 1": PreprocessSpec(scale=1 / 127.5, offset=-1.0),
    "1 - pixel / 255": PreprocessSpec(scale=-1 / 255, offset=1.0),
    "L2 norm, axis 1": PreprocessSpec(kind="l2axis1"),
}
"""What people do to pixels, so that a wrong one can be named."""


def check_input(plan: Plan, ids: Sequence[int], first: Answers, crcs: Mapping[int, int | None]) -> str:
    """Say what is wrong with the input tensors on the board; empty if nothing is.

    Args:
        plan: of the run.
        ids: samples.
        first: what the board gave for them.
        crcs: CRC-32 of the input tensors on the board, by sample.
    """
    if first.inputs_right.all():
        return ""
    wrong = [k for k, right in zip(ids, first.inputs_right, strict=True) if not right]
    text = (
        f"the input tensor on the board is not what model {plan.model.name!r} takes (preprocessing "
        f"{plan.model.preprocess.kind!r}) for {len(wrong)} of {len(ids)} samples"
    )
    made = _recognised(plan, wrong, crcs)
    return f"{text}; it is what {made!r} gives" if made else text


def _recognised(plan: Plan, ids: Sequence[int], crcs: Mapping[int, int | None]) -> str:
    """Return the usual preprocessing that gives the board's tensors; empty if none does."""
    images = plan.dataset.images[list(ids)]
    if images.dtype != np.uint8:
        return ""
    for name, spec in _USUAL.items():
        try:
            tensors = input_tensors(images, spec, plan.model.input)
        except (TypeError, ValueError):
            continue  # not for images of this shape
        if all(zlib.crc32(tensor.tobytes()) == crcs[k] for k, tensor in zip(ids, tensors, strict=True)):
            return name
    return ""


def check_repeats(
    probe: Probe,
    ids: Sequence[int],
    rounds: Sequence[Scores],
    expected: Scores,
    seen: Scores | None,
    note: Callable[[str], None],
) -> tuple[Cause, str] | None:
    """Say what is wrong if a board does not give the same answers again.

    Args:
        probe: starts the board anew.
        ids: samples.
        rounds: what a board gave just after its start: for the samples in order, in order again, and backwards, each
            [n, C] in the order of `ids`.
        expected: what the host gives.
        seen: what the board gave in the run, or None.
        note: told of every step.

    Returns:
        Cause and text; None if the answers are steady.
    """
    changing = np.any([differing_samples(again, rounds[0]) for again in rounds[1:]], axis=0)
    note(f"the same samples three times, the third time backwards: {int(changing.sum())} of {len(ids)} change")
    if changing.any():
        with probe.started(probe.plan.model) as asked:
            repeat = [asked.answers(ids).scores, asked.answers(ids).scores, asked.answers(ids[::-1]).scores[::-1]]
        same = all(not differing_samples(new, old).any() for new, old in zip(repeat, rounds, strict=True))
        note(f"the same after a new start: {'the same answers' if same else 'other answers'}")
        changed = f"{int(changing.sum())} of {len(ids)} samples give other outputs the second time"
        if same:
            return (
                "state",
                f"the board carries state from one inference to the next: {changed}, and so again after a start",
            )
        return "nondeterminism", f"the board is not deterministic: {changed}, and others again after a start"
    if seen is None or not differing_samples(rounds[0], seen).any():
        return None
    moved = differing_samples(rounds[0], seen)
    note(f"against the run: {int(moved.sum())} of {len(ids)} samples give something else now")
    if differing_samples(rounds[0], expected).any():
        # Some of the difference stays: that is what is looked for.
        return None
    return _after_others(probe, ids[int(np.argmax(moved))], seen[int(np.argmax(moved))], note)


def _after_others(probe: Probe, sample: int, seen: Scores, note: Callable[[str], None]) -> tuple[Cause, str]:
    """Run a sample behind those that were before it, twice from a new start: state repeats itself."""
    before = range(max(0, sample - BEFORE), sample + 1)
    again = []
    for _ in range(2):
        with probe.started(probe.plan.model) as asked:
            again.append(asked.answers(before).scores[-1:])
    repeats = not differing_samples(again[0], again[1]).any()
    same = not differing_samples(again[0], seen[None]).any()
    note(f"sample {sample} behind the {len(before) - 1} before it: {'as in the run' if same else 'not as in the run'}")
    if repeats and same:
        text = f"sample {sample} is right alone, and wrong behind the {len(before) - 1} samples before it"
        return "state", f"the board carries state from one inference to the next: {text}"
    return "nondeterminism", f"the differences do not come again: sample {sample} is right now, and was not in the run"
