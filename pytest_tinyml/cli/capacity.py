"""``tinyml capacity``: the largest network of a family that a board's memories hold."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.boards.base import has_device
from pytest_tinyml.cli.device import add_options, given
from pytest_tinyml.cli.planning import scratch
from pytest_tinyml.errors import UsageError

if TYPE_CHECKING:
    from pytest_tinyml.campaign.capacity import Capacity, Probe
    from pytest_tinyml.engines.sources import EngineSources

_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20}
_SHAPE: Final = re.compile(r"([1-9]\d{0,3})x([1-9]\d{0,3})(?:x([1-9]\d{0,2}))?")


def add(commands: Any) -> None:  # noqa: ANN401 - argparse's own type is private
    """Declare the command."""
    command = commands.add_parser("capacity", help="find the largest network of a family that a board's memories hold")
    command.add_argument("--board", required=True, help="one whose firmware is linked here: qemu-stm32f405, ...")
    command.add_argument(
        "--family",
        choices=("mlp", "cnn"),
        default="mlp",
        help="mlp: W - W - 10 neurons; cnn: conv W, pool, conv 2W, pool, 64 and 10 neurons (default: mlp)",
    )
    command.add_argument("--bits", type=int, choices=(8, 16), default=8, help="of weights and activations (default: 8)")
    command.add_argument(
        "--grow",
        choices=("width", "input"),
        default="width",
        help="what is made larger: W, or the input's side (default: width)",
    )
    command.add_argument(
        "--input", metavar="HxWxC", type=_shape, default=(28, 28, 1), help="height, width, channels (default: 28x28x1)"
    )
    command.add_argument("--width", metavar="W", type=_width, default=16, help="with --grow input (default: 16)")
    command.add_argument(
        "--limit",
        metavar="MEMORY=BYTES",
        type=_limit,
        action="append",
        default=[],
        help="take a memory for smaller than it is, e.g. flash=1M; its name is the linker's; may be repeated",
    )
    command.add_argument("--no-run", action="store_true", help="do not run the largest network")
    add_options(command)
    command.set_defaults(action=run)


def _shape(text: str) -> tuple[int, int, int]:
    found = _SHAPE.fullmatch(text)
    if found is None:
        msg = f"{text!r} is not HEIGHTxWIDTHxCHANNELS, e.g. 64x64x3"
        raise argparse.ArgumentTypeError(msg)
    return int(found[1]), int(found[2]), int(found[3] or 1)


def _width(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1 << 16:
        msg = f"{text!r} is not a number of channels or neurons"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _limit(text: str) -> tuple[str, int]:
    found = re.fullmatch(r"(\w+)=([1-9]\d{0,9})([KM]?)", text)
    if found is None:
        msg = f"{text!r} is not MEMORY=BYTES, e.g. flash=1M or dram=160K"
        raise argparse.ArgumentTypeError(msg)
    return found[1], int(found[2]) * _UNITS[found[3]]


def run(options: argparse.Namespace) -> None:
    """Search, saying what happens, run the largest network and print what is the limit."""
    from pytest_tinyml.boards.registry import Registry, registered  # noqa: PLC0415 - not needed for a help text
    from pytest_tinyml.campaign.capacity import Search, try_largest  # noqa: PLC0415
    from pytest_tinyml.campaign.families import Family  # noqa: PLC0415
    from pytest_tinyml.engines.aot import PORTABLE  # noqa: PLC0415
    from pytest_tinyml.engines.select import sources_for  # noqa: PLC0415

    height, width, channels = options.input
    if options.grow == "input" and height != width:
        raise UsageError("--grow input makes square inputs: only the channels of --input count, e.g. 64x64x3")
    family = Family(
        name=options.family,
        bits=options.bits,
        grow=options.grow,
        height=height,
        width=width,
        channels=channels,
        units=options.width,
    )
    kind = registered(Registry()).get(options.board)
    device = given(options, [kind]) if has_device(kind) else {}
    print(f"board {kind.name}, family {family.name}, {family.bits} bits; the {family.grow} grows")
    with scratch() as folder:
        search = Search(kind=kind, family=family, folder=folder, limits=dict(options.limit), report=_tell)
        found = search.run()
        model = family.make(found.best.size, folder)
        generated = sources_for(model, getattr(kind, "kernels", PORTABLE))
        print("\n".join(_summary(found, generated)))
        if options.no_run or (kind.hardware and not device):
            print("not run" if options.no_run else "not run: name the board's port with --port")
            return
        print(try_largest(found, kind, folder, device))


def _tell(probe: Probe) -> None:
    need = ", ".join(f"{name} {used:,}" for name, used in probe.used.items())
    excess = " and ".join(f"{name} by {over:,} B" for name, over in probe.over.items())
    print(f"{probe.size:>6} {probe.parameters:>11,} parameters  {f'exceeds {excess}' if excess else need}", flush=True)


def _summary(found: Capacity, generated: EngineSources) -> list[str]:
    """Return the largest network, what it takes, and what the limit is."""
    best = found.best
    assert best.firmware is not None  # noqa: S101 - it fits
    lines = [f"largest: {found.family.describe(best.size)}: {best.parameters:,} parameters"]
    width = max(map(len, found.memories))
    for name, size in found.memories.items():
        sections = ", ".join(f"{section} {nbytes:,}" for section, nbytes in best.firmware.sections[name])
        lines.append(f"  {name:<{width}} {best.used[name]:>10,} of {size:>10,} B  {sections}")
    lines.append(
        f"  of that the network's constants are {generated.weights_bytes:,} B and its arena is "
        f"{generated.arena_bytes:,} B (engine {generated.engine}, {generated.kernels})"
    )
    for name, over in found.beyond.over.items():
        section = best.firmware.sections[name][0][0]
        what = f"{found.family.grow} {found.beyond.size}"
        lines.append(f"limit: {section} in {name}: with {what} the memory is exceeded by {over:,} B")
    return lines
