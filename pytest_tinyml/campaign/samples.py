"""Samples of a data set in the encodings of the wire (PROTOCOL.md section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tinyml.errors import DatasetError, UsageError
from pytest_tinyml.preprocess import input_tensors
from pytest_tinyml.records import Encoding
from pytest_tinyml.wire import deflate_sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from pytest_tinyml.records import Dataset, Model

_UNPACKED = {Encoding.PIXELS_DEFLATE: Encoding.PIXELS, Encoding.TENSOR_DEFLATE: Encoding.TENSOR}


def check_shapes(model: Model, dataset: Dataset) -> None:
    """Refuse a data set that cannot be the model's input.

    Raises:
        DatasetError: other number of values per sample, other image size, or labels or targets that the model cannot
            give.
        UsageError: float samples together with a preprocessing for pixels.
    """
    got, expected = dataset.images.shape[1:], model.input.shape[1:]
    squeezed = tuple(side for side in expected if side != 1)
    if tuple(side for side in got if side != 1) != squeezed and int(np.prod(got)) != int(np.prod(expected)):
        raise DatasetError(
            dataset.source or dataset.name,
            f"samples do not fit the input of model {model.name!r}",
            expected=f"{list(expected)} ({model.input.elements} values)",
            got=f"{list(got)} ({int(np.prod(got))} values)",
        )
    if model.task == "regression":
        _check_targets(model, dataset)
    elif dataset.labels is not None and len(dataset.labels):
        classes = max(model.output.elements, 2)
        highest = int(dataset.labels.max())
        if highest >= classes:
            raise DatasetError(
                dataset.source or dataset.name,
                f"labels exceed the classes of model {model.name!r}",
                expected=f"0..{classes - 1}",
                got=highest,
            )
    if dataset.images.dtype != np.uint8 and model.preprocess.kind != "none" and not model.preprocess.assumed:
        msg = (
            f"{dataset.name} holds {dataset.images.dtype} values, but the card of model {model.name!r} preprocesses "
            f"pixels ({model.preprocess.kind}): give uint8 images, or --tinyml-preprocess none if the values are ready"
        )
        raise UsageError(msg)


def _check_targets(model: Model, dataset: Dataset) -> None:
    targets = dataset.targets
    if targets is not None and targets.shape[1] != model.output.elements:
        raise DatasetError(
            dataset.source or dataset.name,
            f"targets do not fit the output of model {model.name!r}",
            expected=f"{model.output.elements} per sample",
            got=targets.shape[1],
        )


def truth_of(model: Model, dataset: Dataset) -> npt.NDArray[np.int64] | npt.NDArray[np.float64] | None:
    """Return what a model should give: labels, int64 [N], or of a regression targets, float64 [N, C].

    Labels are the targets of a regression with one output if the data set has no others. None if there is nothing.
    """
    if model.task != "regression":
        return dataset.labels
    if dataset.targets is None and dataset.labels is not None and model.output.elements == 1:
        return dataset.labels.astype(np.float64).reshape(-1, 1)
    return dataset.targets


class SampleEncoder:
    """Encodes the samples of one data set for one model; thread-safe.

    Args:
        model: whose input the samples become.
        dataset: where they come from.
    """

    def __init__(self, model: Model, dataset: Dataset) -> None:
        """Keep views only: nothing is encoded yet."""
        self._model, self._dataset = model, dataset
        self._packed: dict[tuple[Encoding, int], bytes] = {}
        images: npt.NDArray[Any] = dataset.images.reshape(len(dataset), -1)
        self._pixels: npt.NDArray[np.uint8] | None = images if images.dtype == np.uint8 else None

    def choose(self, offered: Iterable[Encoding], *, packed: bool) -> Encoding:
        """Choose how samples shall travel to a board.

        Pixels are preferred to tensors, so that the board's own preprocessing is part of what is tested.

        Args:
            offered: what the board understands.
            packed: whether the line is slow enough for packing to pay.

        Raises:
            UsageError: the board offers nothing that this data set can be sent as.
        """
        offers = set(offered)
        pixels = (Encoding.PIXELS, Encoding.PIXELS_DEFLATE) if self._pixels is not None else ()
        for plain, deflated in (
            (pixels, (Encoding.TENSOR, Encoding.TENSOR_DEFLATE))
            if pixels
            else ((Encoding.TENSOR, Encoding.TENSOR_DEFLATE),)
        ):
            for encoding in (deflated, plain) if packed else (plain, deflated):
                if encoding in offers:
                    return encoding
        names = ", ".join(sorted(encoding.name for encoding in offers)) or "nothing"
        msg = f"the board understands {names}, but {self._dataset.name} holds {self._dataset.images.dtype} samples"
        raise UsageError(msg)

    def tensors(self, ids: Sequence[int] | slice) -> npt.NDArray[Any]:
        """Return the input tensors that the engine should see: the tensor's dtype, [n, *shape[1:]]."""
        return input_tensors(self._dataset.images[ids], self._model.preprocess, self._model.input)

    def raw(self, encoding: Encoding, ids: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Return samples in an unpacked encoding: uint8 [n, bytes of a sample]."""
        if encoding is Encoding.PIXELS and self._pixels is not None:
            wanted = list(ids)
            first, behind = wanted[0], wanted[0] + len(wanted)
            # A slice saves a copy, but only ids that follow each other are one.
            return self._pixels[first:behind] if wanted == list(range(first, behind)) else self._pixels[wanted]
        tensors = self.tensors(ids)
        return tensors.reshape(len(tensors), -1).view(np.uint8)

    def packed(self, encoding: Encoding, sample: int) -> bytes:
        """Return one sample in a packed encoding; computed once."""
        key = (encoding, sample)
        if key not in self._packed:
            self._packed[key] = deflate_sample(self.raw(_UNPACKED[encoding], [sample]).tobytes())
        return self._packed[key]

    def data(self, encoding: Encoding, sample: int) -> bytes:
        """Return one sample in any encoding."""
        if encoding in _UNPACKED:
            return self.packed(encoding, sample)
        return self.raw(encoding, [sample]).tobytes()


class EncodedWork:
    """The part of `links.work.Work` that is the encoder's: how samples travel, and their bytes.

    Args:
        encoder: of the data set.
    """

    def __init__(self, encoder: SampleEncoder) -> None:
        """Keep the encoder."""
        self._encoder = encoder

    def encoding(self, offered: frozenset[Encoding], *, packed: bool) -> Encoding:
        """See `Work.encoding`."""
        return self._encoder.choose(offered, packed=packed)

    def raw(self, encoding: Encoding, ids: Sequence[int]) -> npt.NDArray[np.uint8]:
        """See `Work.raw`."""
        return self._encoder.raw(encoding, ids)

    def packed(self, encoding: Encoding, sample: int) -> bytes:
        """See `Work.packed`."""
        return self._encoder.packed(encoding, sample)
