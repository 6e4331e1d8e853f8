"""What every reference is, and the part of its work that it can report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from pytest_tinyml.records import Model

CHUNK: Final = 1000
"""Samples per piece of work: what is reported, and kept, at a time."""

OnChunk: TypeAlias = "Callable[[int, npt.NDArray[Any]], None]"
"""Called with a start (a multiple of CHUNK) and the scores from there, [at most CHUNK, C], in any order of starts."""


class Reference(Protocol):
    """A runtime on the host.

    Attributes:
        name: as on the command line.
        exact: whether a correct board equals it bit for bit; otherwise it is compared with a tolerance.
    """

    name: str
    exact: bool

    @property
    def runtime_version(self) -> str:
        """What the scores depend on beside model and data; part of the cache's key."""

    def scores(self, model: Model, tensors: npt.NDArray[Any], *, on_chunk: OnChunk | None = None) -> npt.NDArray[Any]:
        """Run a model over input tensors.

        Args:
            model: to be run.
            tensors: the model's input dtype, [N, *input.shape[1:]].
            on_chunk: told of each finished piece, from the calling thread.

        Returns:
            The output's dtype, [N, C] with C the output's elements.

        Raises:
            ModelError: the runtime cannot run the model.
        """

    def close(self) -> None:
        """End what is still running; may be called from another thread, and twice."""
