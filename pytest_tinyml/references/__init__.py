"""Runtimes on the host that a board is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_tinyml.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from pytest_tinyml.records import Model
    from pytest_tinyml.references.base import Reference

ESPDL: Final = "espdl"
REFERENCE_NAMES: Final = (ESPDL, "litert", "litert-ref", "tflm")


def reference_for(name: str | None, model: Model) -> str:
    """Return the name of the reference for a model: the one that was asked for, or the golden one of its format.

    Raises:
        UnknownNameError: no such reference.
        UsageError: it cannot run models of this format.
    """
    if name is None:
        return ESPDL if model.format == ESPDL else "tflm"
    if name not in REFERENCE_NAMES:
        raise UnknownNameError("reference", name, REFERENCE_NAMES)
    if (name == ESPDL) != (model.format == ESPDL):
        fitting = ESPDL if model.format == ESPDL else "tflm, litert or litert-ref"
        msg = f"reference {name!r} cannot run {model.name}, which is a .{model.format} file: take {fitting}"
        raise UsageError(msg)
    return name


def get_reference(name: str, *, jobs: int | None = None) -> Reference:
    """Return a reference by name.

    Args:
        name: ``tflm`` (golden: the code that boards run), ``litert`` (XNNPACK kernels), ``litert-ref`` (LiteRT's
            reference kernels), or ``espdl`` (esp-ppq's simulation of ESP-DL, for .espdl files).
        jobs: processes to spread ``tflm`` over; one per available processor if None.

    Raises:
        UnknownNameError: no such reference.
        UsageError: the reference is not installed; says which to take instead.
    """
    # The runtimes themselves are imported when they compute: a cached answer needs none of them.
    from pytest_tinyml.references.espdl import EspdlReference  # noqa: PLC0415
    from pytest_tinyml.references.litert import LiteRtReference  # noqa: PLC0415
    from pytest_tinyml.references.tflm import TflmReference  # noqa: PLC0415

    if name == "tflm":
        return TflmReference(jobs=jobs)
    if name == ESPDL:
        return EspdlReference()
    if name in REFERENCE_NAMES:
        return LiteRtReference(kernels="reference" if name == "litert-ref" else "default")
    raise UnknownNameError("reference", name, REFERENCE_NAMES)
