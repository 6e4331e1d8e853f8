"""What a board is to the rest of the package: two small protocols and the records between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from pytest_tinyml.errors import BoardError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pytest_tinyml.engines.sources import KernelUse
    from pytest_tinyml.firmware import Firmware, MemoryUse
    from pytest_tinyml.links.http import ImageServer
    from pytest_tinyml.links.performance import Performance
    from pytest_tinyml.links.work import Work
    from pytest_tinyml.records import CanaryResult, Encoding, Identity, Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Something that a board needs and this computer lacks: what, and the command that installs it."""

    what: str
    install: str


def to_nobody(text: str) -> None:
    """Say nothing."""
    del text


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardRequest:
    """What a board is asked to be.

    Attributes:
        model: what it shall execute.
        work_dir: folder for console logs and build output; exists.
        index: 0-based number among boards of the same kind.
        link: how samples shall travel, one of the kind's `links`; None for its first.
        clock: what inferences shall be timed with, one of the kind's `clocks`; None for its first.
        timeout_s: longest silence while an answer is due.
        options: board-specific settings by name, e.g. ``fault`` (plant a failure, for tests).
        server: what boards with link ``http`` pull from, shared by all of a run; None makes such a board start its own.
        device: where real hardware is and what is flashed, by the names of pytest-embedded's options without dashes
            (``port``, ``baud``, ``app_path``, ``build_dir``, ...); only what was given.
        say: tells the user, who is looking at a screen, what the board waits for; may be called from any thread.
    """

    model: Model
    work_dir: Path
    index: int = 0
    link: str | None = None
    clock: str | None = None
    timeout_s: float = 10.0
    options: Mapping[str, str] = field(default_factory=dict)
    server: ImageServer | None = None
    device: Mapping[str, str] = field(default_factory=dict)
    say: Callable[[str], object] = to_nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFacts:
    """How a board's firmware was made; a board that builds one has it as its attribute ``facts``.

    Attributes:
        compiler: its first line on itself, e.g. ``arm-none-eabi-gcc 12.2.1``.
        kernels: the back end of the engine, e.g. ``cmsis-nn``.
        kernels_used: what computes each operator of the model.
        memories: the use of each memory of the part; empty for a process.
        stack_bytes: what is reserved for the stack; 0 for a process.
    """

    compiler: str
    kernels: str
    kernels_used: tuple[KernelUse, ...] = ()
    memories: tuple[MemoryUse, ...] = ()
    stack_bytes: int = 0


class Board(Protocol):
    """One board; created by a `BoardKind`. Not thread-safe: one thread uses it at a time.

    A board may have, known after `prepare`: ``facts`` (`BuildFacts`), ``engine`` where that is not its kind's, and
    ``emulated``: a stand-in for the part, whose latency is shown and never gated.
    """

    name: str
    """The kind's name, with ``#index`` if there are several."""

    def prepare(self) -> str:
        """Build (and later flash) what is needed and return the firmware's SHA-256 in hex.

        Raises:
            UsageError, BuildError: it cannot be built for this model.
        """
        ...

    def open(self) -> Identity:
        """Start the board and return what it says it is; opening an open board starts it anew.

        Raises:
            BoardError: it does not start or does not answer.
        """
        ...

    def canary(self, encoding: Encoding, sample: int, data: bytes) -> CanaryResult:
        """Run one sample and return its scores and the CRC-32 of the input tensor that the engine read."""
        ...

    def stream(self, work: Work) -> None:
        """Work until `work` is finished.

        Raises:
            BoardError: the board failed; what it had answered is with `work`.
        """
        ...

    def stats(self) -> dict[str, int]:
        """Return the board's counters by name (PROTOCOL.md, STATS_RESULT)."""
        ...

    def close(self) -> None:
        """Switch it off; harmless when repeated or never opened."""
        ...

    @property
    def console_tail(self) -> tuple[str, ...]:
        """The last lines that the board said."""
        ...


class BoardKind(Protocol):
    """A kind of board, registered under a name; `create` makes boards of it.

    A kind may have more attributes: ``memories``, bytes of each memory of the part by name; ``verifiable``, False for
    boards that cannot be asked what they run, so that their identity is not checked, nor canaries unless
    ``answers_canaries`` is True (`CanaryResult.input_crc` may be None then); ``labels_only``, a
    function that says whether boards with these options answer with labels, so that nothing else is compared; and
    ``missing_with``, which is `missing` for a run with this `BoardRequest.device`; ``engine_for``, ``check_with`` and
    ``resolution``, see the functions;
    ``kernels``, the back end of the engine where that is not ``portable``; and ``linked``, see `LinkedKind`.
    """

    name: str
    summary: str
    """One line for ``tinyml boards``."""
    engine: str
    hardware: bool
    """Whether its wall clock is that of the part; the latency of anything else is shown, and never gated."""
    links: tuple[str, ...]
    """Names that `BoardRequest.link` may have; the first is the default."""
    clocks: tuple[str, ...]
    """Names that `BoardRequest.clock` may have, of `records.Clock` in lower case; the first is the default."""
    options: Mapping[str, str]
    """Names that `BoardRequest.options` may have (``--tinyml-option NAME=VALUE``), each with its meaning."""

    def missing(self) -> list[Missing]:
        """Say what this computer lacks to use the board."""
        ...

    def check(self, model: Model) -> None:
        """Refuse a model that the engine cannot execute, before anything is built.

        Raises:
            ModelError: with the reason and, where there is one, the board that could.
        """
        ...

    def create(self, request: BoardRequest) -> Board:
        """Make a board; cheap, nothing is started."""
        ...


@runtime_checkable
class LinkedKind(Protocol):
    """A `BoardKind` whose firmware can be compiled and linked without a board, so that what it takes is known."""

    def linked(self, model: Model, work_dir: Path) -> Firmware:
        """Build the firmware for a model as a board would be given it by default.

        Args:
            model: it is for.
            work_dir: folder for logs; exists.

        Raises:
            UsageError: a tool is missing, or the engine refuses the model.
            DoesNotFitError: with the memory and the bytes.
            BuildError: it does not build.
        """
        ...


class TimedBoard(Protocol):
    """A `Board` with a performance mode."""

    def performance(self, inputs: Mapping[int, bytes]) -> tuple[Performance, dict[int, bytes]]:
        """Measure inferences per second.

        Args:
            inputs: encoded samples by id, one for each window.

        Returns:
            The measurement, and the output tensor behind each window, by sample.

        Raises:
            BoardError: it fails, or cannot tell the time.
        """
        ...


def timed_board(board: Board) -> TimedBoard:
    """Return a board as one with a performance mode.

    Raises:
        BoardError: it has none.
    """
    if not hasattr(board, "performance"):
        msg = "the board has no performance mode"
        raise BoardError(msg, board=board.name)
    return cast("TimedBoard", board)


def resolution_of(kind: BoardKind, options: Mapping[str, str]) -> float:
    """Return how far the outputs that boards of a kind give may be from those that they computed, in their unit.

    That is nothing where they give the bytes; a kind whose boards print numbers has the method ``resolution``.
    """
    resolution: Callable[[Mapping[str, str]], float] | None = getattr(kind, "resolution", None)
    return 0.0 if resolution is None else resolution(options)


def missing_for(kind: BoardKind, device: Mapping[str, str]) -> list[Missing]:
    """Say what this computer lacks to use a kind of board, for a run with this `BoardRequest.device`."""
    missing_with: Callable[[Mapping[str, str]], list[Missing]] | None = getattr(kind, "missing_with", None)
    return kind.missing() if missing_with is None else missing_with(device)


def check_model(kind: BoardKind, model: Model, options: Mapping[str, str]) -> None:
    """Refuse a model that boards of a kind with these options cannot execute; its method ``check_with``, or `check`.

    Raises:
        ModelError: see `BoardKind.check`.
        MissingToolError: what would translate it is not installed.
    """
    check: Callable[[Model, Mapping[str, str]], None] | None = getattr(kind, "check_with", None)
    if check is None:
        kind.check(model)
    else:
        check(model, options)


def engine_for(kind: BoardKind, model: Model, options: Mapping[str, str]) -> str:
    """Return what boards of a kind execute a model with; a kind that chooses has the method ``engine_for``."""
    choose: Callable[[Model, Mapping[str, str]], str] | None = getattr(kind, "engine_for", None)
    return kind.engine if choose is None else choose(model, options)


def has_device(kind: BoardKind) -> bool:
    """Whether `BoardRequest.device` means something to boards of a kind: there is a part, or what stands for one."""
    return kind.hardware or bool(getattr(kind, "embedded_services", ""))
