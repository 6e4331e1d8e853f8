"""Reference ``litert``: LiteRT, the runtime formerly known as TensorFlow Lite."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from pytest_tinyml.errors import ModelError, TinymlError
from pytest_tinyml.references.base import CHUNK

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.records import Model
    from pytest_tinyml.references.base import OnChunk

_PROBE: Final = 4
"""Samples that are run at batch 1 too before a batch is trusted."""


class LiteRtReference:
    """See the module.

    It is close to what a board computes but not equal: its fully connected kernels round once where TensorFlow Lite
    Micro rounds twice.

    Args:
        kernels: ``default`` (optimised, XNNPACK) or ``reference`` (BUILTIN_REF).
    """

    exact = False

    def __init__(self, kernels: Literal["default", "reference"] = "default") -> None:
        """Remember the choice; nothing is imported yet."""
        self.kernels = kernels
        self.name = "litert" if kernels == "default" else "litert-ref"
        self._closed = False

    @property
    def runtime_version(self) -> str:
        """The installed ai-edge-litert."""
        return version("ai-edge-litert")

    def _interpreter(self, model: Model, batch: int) -> Any:  # noqa: ANN401 - the wheel has no types
        # 0.1 s that a cached answer need not pay.
        from ai_edge_litert.interpreter import Interpreter, OpResolverType  # noqa: PLC0415

        kinds = {"default": OpResolverType.AUTO, "reference": OpResolverType.BUILTIN_REF}
        # One thread: two are slower at these sizes, and float sums stay in one order.
        interpreter = Interpreter(
            model_content=model.data, num_threads=1, experimental_op_resolver_type=kinds[self.kernels]
        )
        if batch > 1:
            index = interpreter.get_input_details()[0]["index"]
            interpreter.resize_tensor_input(index, [batch, *model.input.shape[1:]])
        interpreter.allocate_tensors()
        return interpreter

    @staticmethod
    def _run(interpreter: Any, tensors: npt.NDArray[Any], model: Model) -> npt.NDArray[Any]:  # noqa: ANN401
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensors)
        interpreter.invoke()
        result = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        return np.asarray(result).reshape(-1, model.output.elements)

    def _batched(self, model: Model, single: Any, tensors: npt.NDArray[Any]) -> Any:  # noqa: ANN401
        """Return an interpreter for batches of CHUNK, or None if the model does not allow it.

        A model may have its batch of 1 built in, in a RESHAPE for example. Then LiteRT refuses the larger batch,
        or, worse, runs it on wrong data: so the first samples must come out as they do one by one.
        """
        try:
            interpreter = self._interpreter(model, CHUNK)
            batch = self._run(interpreter, tensors[:CHUNK], model)
        except (RuntimeError, ValueError):
            return None
        if len(batch) != CHUNK:
            return None
        expected = np.concatenate([self._run(single, tensors[i : i + 1], model) for i in range(_PROBE)])
        if model.output.dtype == "float32":
            same = bool(np.allclose(batch[:_PROBE], expected, rtol=1e-4, atol=1e-6))
        else:
            same = bool(np.array_equal(batch[:_PROBE], expected))
        return interpreter if same else None

    def scores(self, model: Model, tensors: npt.NDArray[Any], *, on_chunk: OnChunk | None = None) -> npt.NDArray[Any]:
        """See `Reference.scores`."""
        scores = np.empty((len(tensors), model.output.elements), dtype=model.output.dtype)
        try:
            single = self._interpreter(model, 1)
        except (RuntimeError, ValueError) as error:
            msg = f"{model.name}: LiteRT cannot run it: {error}"
            raise ModelError(msg) from error
        batched = self._batched(model, single, tensors) if len(tensors) >= CHUNK else None
        for start in range(0, len(tensors), CHUNK):
            if self._closed:
                msg = f"reference {self.name!r} was closed while it computed"
                raise TinymlError(msg)
            part = tensors[start : start + CHUNK]
            if batched is not None and len(part) == CHUNK:
                scores[start : start + CHUNK] = self._run(batched, part, model)
            else:
                for row in range(len(part)):
                    scores[start + row] = self._run(single, part[row : row + 1], model)[0]
            if on_chunk is not None:
                on_chunk(start, scores[start : start + CHUNK])
        return scores

    def close(self) -> None:
        """Stop at the next chunk; a call of `scores` in another thread ends with a TinymlError."""
        self._closed = True
