"""Runtimes on the host that a board is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_tinyml.errors import UnknownNameError

if TYPE_CHECKING:
    from pytest_tinyml.references.base import Reference

REFERENCE_NAMES: Final = ("litert", "litert-ref", "tflm")


def get_reference(name: str, *, jobs: int | None = None) -> Reference:
    """Return a reference by name.

    Args:
        name: ``tflm`` (golden: the code that boards run), ``litert`` (XNNPACK kernels) or ``litert-ref`` (LiteRT's
        reference
            kernels).
        jobs: processes to spread ``tflm`` over; one per available processor if None.

    Raises:
        UnknownNameError: no such reference.
        UsageError: the reference is not installed; says which to take instead.
    """
    # The runtimes themselves are imported when they compute: a cached answer needs none of them.
    from pytest_tinyml.references.litert import LiteRtReference  # noqa: PLC0415
    from pytest_tinyml.references.tflm import TflmReference  # noqa: PLC0415

    if name == "tflm":
        return TflmReference(jobs=jobs)
    if name in REFERENCE_NAMES:
        return LiteRtReference(kernels="reference" if name == "litert-ref" else "default")
    raise UnknownNameError("reference", name, REFERENCE_NAMES)
