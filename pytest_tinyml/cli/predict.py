"""``tinyml predict``: one sample on a board as a person looks at it: the picture, and each class's probability."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_tinyml.cli.planning import add_options, make_plan, read_desk, scratch
from pytest_tinyml.cli.screen import tell
from pytest_tinyml.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

_SHADES = " .:-=+*#%@"
_BAR = 40


def add(commands: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the command."""
    command = commands.add_parser("predict", help="run one sample on a board and show it")
    command.add_argument("--model", default="s0-ptq", help="name of the zoo or a .tflite file (default: s0-ptq)")
    command.add_argument("--index", type=int, default=0, metavar="N", help="0-based id of the sample (default: 0)")
    add_options(command)
    command.set_defaults(action=run)


def run(options: argparse.Namespace) -> None:
    """Run the sample on the board and on the host, and print both."""
    import numpy as np  # noqa: PLC0415 - not needed to print a help text

    from pytest_tinyml.boards.registry import Registry, registered  # noqa: PLC0415
    from pytest_tinyml.campaign.plan import make_campaign  # noqa: PLC0415
    from pytest_tinyml.campaign.samples import truth_of  # noqa: PLC0415
    from pytest_tinyml.verdict.metrics import dequantize  # noqa: PLC0415

    registry = registered(Registry())
    plan = make_plan(options, registry, read_desk(options, registry))
    if not 0 <= options.index < len(plan.dataset):
        msg = f"--index {options.index}: {plan.dataset.name} has samples 0 to {len(plan.dataset) - 1}"
        raise UsageError(msg)
    with scratch() as folder:
        campaign = make_campaign(
            replace(plan, say=tell), journal=folder / "journal.sqlite", work_dir=folder, timeout_s=10.0, fresh=True
        )
        try:
            scores = campaign.infer(plan.dataset.images[options.index : options.index + 1])
        finally:
            campaign.close()
            campaign.close_journal()
    identity, reference = campaign.bench.identity, campaign.reference
    expected = reference.canary_scores(campaign.bench.encoder.tensors([options.index]))
    image = plan.dataset.images[options.index]
    if image.dtype == np.uint8:
        print(picture(image))
    label = "" if plan.dataset.labels is None else f", label {plan.dataset.labels[options.index]}"
    file = f" {plan.dataset.sample_names[options.index]}" if plan.dataset.sample_names else ""
    print(f"{plan.dataset.name} #{options.index}{file}{label}")
    print(f"{plan.model.name} on {identity.board} (engine {identity.engine}, {identity.chip})")
    host, board = dequantize(expected, plan.model.output)[0], dequantize(scores, plan.model.output)[0]
    truth = truth_of(plan.model, plan.dataset)
    regression = plan.model.task == "regression"
    lines = (
        values(board, host, None if truth is None else truth[options.index].tolist())
        if regression
        else bars(both_classes(board), both_classes(host), plan.dataset.class_names)
    )
    for line in lines:
        print(line)
    same = np.array_equal(scores.view(np.uint8), expected.view(np.uint8))
    print(f"{'the same bytes as' if same else 'differs from'} {reference.name} on the host")


def picture(image: npt.NDArray[np.uint8]) -> str:
    """Draw an image with characters, two per pixel because they are twice as high as wide.

    Args:
        image: uint8 [H, W] or [H, W, C]; colours are averaged.
    """
    grey = image if image.ndim == 2 else image.mean(axis=2)  # noqa: PLR2004 - with or without channels
    levels = (grey.astype(int) * (len(_SHADES) - 1) + 127) // 255
    rows = ["".join(_SHADES[level] * 2 for level in row).rstrip() for row in levels]
    first = next((k for k, row in enumerate(rows) if row), 0)
    last = next((len(rows) - k for k, row in enumerate(reversed(rows)) if row), len(rows))
    return "\n".join(rows[first:last])


def both_classes(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the values of all classes: a single output is the probability of class 1."""
    import numpy as np  # noqa: PLC0415 - not needed to print a help text

    return np.array([1.0 - scores[0], scores[0]]) if len(scores) == 1 else scores


def values(
    scores: npt.NDArray[np.float64], host: npt.NDArray[np.float64], targets: Sequence[float] | None
) -> list[str]:
    """Return a line per output of a regression: the board's value, the host's if it differs, and the target."""
    lines = []
    for k, (score, expected) in enumerate(zip(scores, host, strict=True)):
        other = "" if score == expected else f"  (host {expected:.6g})"
        target = "" if targets is None else f", target {targets[k]:.6g}"
        lines.append(f"  {k:>3} {score:.6g}{other}{target}")
    return lines


def bars(scores: npt.NDArray[np.float64], host: npt.NDArray[np.float64], names: tuple[str, ...]) -> list[str]:
    """Return a line per class: name, probability in percent, a bar, a mark at the highest, the host's if it differs."""
    best = int(scores.argmax())
    lines = []
    for k, (score, expected) in enumerate(zip(scores, host, strict=True)):
        name = names[k] if k < len(names) else str(k)
        bar = "#" * round(min(max(score, 0.0), 1.0) * _BAR)
        other = "" if score == expected else f"  (host {expected:.1%})"
        lines.append(f"  {name:>3} {score:7.1%}  {bar}{'  <-' if k == best else ''}{other}".rstrip())
    return lines
