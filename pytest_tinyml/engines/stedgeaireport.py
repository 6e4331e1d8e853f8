"""What ST's tool says about a model: the reports of ``analyze``, ``generate`` and ``validate``, in our words.

Both generations write the same kind of text: ``stm32ai`` (X-CUBE-AI) and ``stedgeai`` (ST Edge AI Core).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.engines.sources import KernelUse
from pytest_tinyml.errors import BuildError
from pytest_tinyml.verdict.metrics import Distance

if TYPE_CHECKING:
    from collections.abc import Mapping

_WEIGHTS: Final = re.compile(r"^weights \(ro\)\s*:\s*([\d,]+) B\b", re.MULTILINE)
_ACTIVATIONS: Final = re.compile(r"^activations \(rw\)\s*:\s*([\d,]+) B\b", re.MULTILINE)
_RAM: Final = re.compile(r"^ram \(total\)\s*:\s*([\d,]+) B\b", re.MULTILINE)
_MACC: Final = re.compile(r"^macc\s*:\s*([\d,]+)", re.MULTILINE)
_VERSION: Final = re.compile(r"(?:ST ?Edge ?AI Core|STM\.ai|STM32AI|stm32ai)\D{0,40}?v?(\d+\.\d+\.\d+)", re.IGNORECASE)
_SAMPLES: Final = re.compile(r"^\s*nb sample\(?s?\)?\s*:\s*(\d+)", re.MULTILINE)
_DURATION: Final = re.compile(r"^\s*duration\s*:\s*([\d.]+) ms by sample", re.MULTILINE)
_COLUMNS: Final = re.compile(r"\s{2,}")
_NO_VALUE: Final = "n.a."


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What a network takes, as the tool reports it, without the code of its library.

    Attributes:
        weights_bytes: constants, in flash.
        activations_bytes: working memory; input and output are in it where the tool placed them there.
        ram_bytes: all memory: activations, and what of input and output is not in them.
        macs: multiply-accumulates of one inference.
        version: of the tool.
    """

    weights_bytes: int
    activations_bytes: int
    ram_bytes: int
    macs: int
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """The evaluation of ``validate``, by the names that a run has in ``results.json``.

    Attributes:
        samples: how many were compared.
        latency_ms: mean duration of an inference on the part; None on the host.
        argmax_agreement: share of samples whose class is that of the original model; ST's ``acc`` of ``X-cross``.
        distance: of the C network from the original model: rmse, mae, l2r, nse, cos of ``X-cross``.
        top1_board: share of samples whose class is the label; ``acc`` of the C network. None without labels.
        top1_reference: the same for the original model.
    """

    samples: int | None
    latency_ms: float | None
    argmax_agreement: float | None
    distance: Distance
    top1_board: float | None
    top1_reference: float | None


def read_footprint(text: str) -> Footprint:
    """Read a report of ``analyze`` or ``generate``.

    Raises:
        BuildError: it does not say what a network takes.
    """
    found = {name: pattern.search(text) for name, pattern in _FOOTPRINT.items()}
    lacking = [name for name, match in found.items() if match is None]
    if lacking:
        msg = f"the report of ST's tool does not say {', '.join(lacking)}"
        raise BuildError(msg)
    numbers = {name: int(match[1].replace(",", "")) for name, match in found.items() if match is not None}
    version = _VERSION.search(text)
    return Footprint(
        weights_bytes=numbers["weights"],
        activations_bytes=numbers["activations"],
        ram_bytes=numbers["ram"],
        macs=numbers["macc"],
        version=version[1] if version else "",
    )


_FOOTPRINT: Final = {"weights": _WEIGHTS, "activations": _ACTIVATIONS, "ram": _RAM, "macc": _MACC}


def read_validation(text: str) -> Validation:
    """Read a report of ``validate``.

    Raises:
        BuildError: it has no evaluation of the C network against the original model.
    """
    rows = _evaluation(text)
    cross = next((row for name, row in rows.items() if name.startswith("X-cross")), None)
    if cross is None:
        msg = "the report of ST's tool has no row 'X-cross': the C network was not compared with the model"
        raise BuildError(msg)
    board = next((row for name, row in rows.items() if "c-model" in name.lower()), {})
    original = next((row for name, row in rows.items() if name.lower().startswith("original")), {})
    samples, duration = _SAMPLES.search(text), _DURATION.search(text)
    on_part = any(name.startswith("TARGET") for name in rows) or "mode=TARGET" in text.upper().replace(" ", "")
    rmse, mae = cross.get("rmse"), cross.get("mae")
    if rmse is None or mae is None:
        msg = "the report of ST's tool has no rmse and mae"
        raise BuildError(msg)
    return Validation(
        samples=int(samples[1]) if samples else None,
        latency_ms=float(duration[1]) if duration and on_part else None,
        argmax_agreement=cross.get("acc"),
        distance=Distance(rmse=rmse, mae=mae, l2r=cross.get("l2r"), nse=cross.get("nse"), cos=cross.get("cos")),
        top1_board=board.get("acc"),
        top1_reference=original.get("acc"),
    )


def _evaluation(text: str) -> dict[str, dict[str, float | None]]:
    """Return the values of each row of the last "Evaluation report (summary)" by column; None for ``n.a.``."""
    _, found, table = text.rpartition("Evaluation report (summary)")
    rows: dict[str, dict[str, float | None]] = {}
    columns: list[str] = []
    for line in table.splitlines() if found else ():
        cells = _COLUMNS.split(line.strip())
        if cells[0] == "Output":
            columns = cells[1:]
        elif columns and len(cells) > len(columns):
            rows[cells[0]] = {
                name: _value(cell) for name, cell in zip(columns, cells[1:], strict=False) if name != "tensor"
            }
        elif rows and not line.strip().strip("-"):
            break
    return rows


def _value(cell: str) -> float | None:
    if cell == _NO_VALUE:
        return None
    try:
        return float(cell.removesuffix("%")) / 100 if cell.endswith("%") else float(cell)
    except ValueError:
        return None


def kernels_of(c_info: Mapping[str, Any]) -> tuple[KernelUse, ...]:
    """Return what computes each node of the C graph, from the tool's ``network_c_info.json``; empty if it does not say.

    The nodes are the tool's, after it has folded operators into each other: their numbers count them.
    """
    graphs = c_info.get("graphs") or [{}]
    nodes = graphs[0].get("nodes") or []
    return tuple(
        KernelUse(
            index=index,
            operator=str(node.get("description", "")),
            function=str((node.get("sw_functions") or [""])[0]),
            vendor=True,
        )
        for index, node in enumerate(nodes)
    )
