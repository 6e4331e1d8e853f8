"""Whether a model fits boards, before anything is flashed: by linking where that is possible, else by what it needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from pytest_tinyml.boards.base import LinkedKind, engine_for, has_device
from pytest_tinyml.engines.aot import PORTABLE
from pytest_tinyml.engines.select import sources_for
from pytest_tinyml.engines.tflm import arena_with_margin
from pytest_tinyml.errors import BuildError, DoesNotFitError, MissingToolError, ModelError, UsageError
from pytest_tinyml.firmware import MemoryUse
from pytest_tinyml.references.arena import probe_arena

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.boards.base import BoardKind
    from pytest_tinyml.records import Model

Verdict: TypeAlias = Literal["fits", "has room", "too large", "cannot run it", "no limit", "not known"]
FLASH: Final = "flash"
RAM: Final = "RAM"
"""Names in a kind's ``memories``."""
REFUSALS: Final[frozenset[Verdict]] = frozenset({"too large", "cannot run it"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a model takes of a board's memories; the firmware's own code and buffers are not in it.

    Attributes:
        flash_bytes: constants: the model's file, or the weights that were generated from it.
        ram_bytes: the arena.
        basis: where both figures come from.
    """

    flash_bytes: int
    ram_bytes: int
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The answer for one kind of board.

    Attributes:
        board: its name.
        engine: what would execute the model.
        verdict: ``fits``: it was linked; ``has room``: what the model needs is there, and what is left of the memories
            is for the firmware, which was not linked; ``too large``; ``cannot run it``: the engine lacks something;
            ``no limit``: a process; ``not known``.
        memories: linked: the use of each; ``has room``: what the model alone takes; ``too large``: of those that are
            exceeded, what it would take.
        need: of the model alone, where it was found out.
        reason: why it cannot run, or is not known.
    """

    board: str
    engine: str
    verdict: Verdict
    memories: tuple[MemoryUse, ...] = ()
    need: Need | None = None
    reason: str = ""


def need_of(model: Model, engine: str, kernels: str = PORTABLE) -> Need:
    """Return what a model takes with an engine.

    Args:
        model: it is about.
        engine: that executes it.
        kernels: back end of engine ``aot``.

    Raises:
        ModelError: the engine cannot execute it.
        UsageError: the package that measures it is not installed; or nothing is known of the engine's memory.
    """
    if engine == "tflm":
        used = probe_arena(model).used_bytes
        return Need(
            flash_bytes=len(model.data),
            ram_bytes=arena_with_margin(used),
            basis=f"the file, and the arena: {used:,} B in TensorFlow Lite Micro on this computer, with a margin",
        )
    if engine in {"aot", "aot-float", "espdl-c"}:
        generated = sources_for(model, kernels)
        return Need(
            flash_bytes=generated.weights_bytes,
            ram_bytes=generated.arena_bytes,
            basis=f"the generated C ({generated.kernels})",
        )
    if engine == "espdl":
        planned = sources_for(model)
        return Need(
            flash_bytes=len(model.data),
            ram_bytes=planned.arena_bytes,
            basis="the file, and the activations as engine espdl-c plans them; ESP-DL plans them at start-up",
        )
    msg = f"what a model needs with engine {engine!r} is not known before its firmware is built"
    raise UsageError(msg)


def fit(kind: BoardKind, model: Model, folder: Path) -> Fit:
    """Say whether a model fits a kind of board; what stands in the way is in the answer.

    Args:
        kind: of board.
        model: to be executed.
        folder: for logs; exists.
    """
    engine = engine_for(kind, model, {})
    answer = Fit(board=kind.name, engine=engine, verdict="not known")
    if not getattr(kind, "verifiable", True):
        return replace(answer, reason="its firmware is somebody else's")
    try:
        kind.check(model)
        return _linked(kind, model, folder, answer) or _needed(kind, model, answer)
    except DoesNotFitError as error:
        over = [MemoryUse(name=name, used=used, size=error.sizes.get(name, 0)) for name, used in error.needed.items()]
        return replace(answer, verdict="too large", memories=tuple(over))
    except ModelError as error:
        return replace(answer, verdict="cannot run it", reason=str(error))
    except (UsageError, BuildError) as error:
        return replace(answer, reason=str(error))


def _linked(kind: BoardKind, model: Model, folder: Path, answer: Fit) -> Fit | None:
    """Answer by linking; None if that cannot be done here.

    Raises:
        ModelError, BuildError: see `LinkedKind`.
    """
    if not isinstance(kind, LinkedKind):
        return None
    try:
        return replace(answer, verdict="fits", memories=kind.linked(model, folder).memories)
    except MissingToolError:
        return None  # what the model needs is known all the same


def _needed(kind: BoardKind, model: Model, answer: Fit) -> Fit:
    """Answer by what the model needs.

    Raises:
        ModelError, UsageError: see `need_of`.
    """
    need = need_of(model, answer.engine, getattr(kind, "kernels", PORTABLE))
    sizes: dict[str, int] = dict(getattr(kind, "memories", {}))
    if not sizes:
        return replace(answer, verdict="not known" if has_device(kind) else "no limit", need=need)
    taken = {FLASH: need.flash_bytes, RAM: need.ram_bytes}
    memories = tuple(MemoryUse(name=name, used=taken.get(name, 0), size=size) for name, size in sizes.items())
    over = tuple(memory for memory in memories if memory.used > memory.size)
    return replace(answer, verdict="too large" if over else "has room", memories=over or memories, need=need)
