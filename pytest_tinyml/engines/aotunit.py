"""Back ends of engine ``aot``: which kernels bakenn is asked for, and the one C file that they are joined to.

Three things stand here because they hang together: dense layers that bakenn leaves to its portable kernel are given
to the vendor's library, bakenn's and the vendor's sources become one translation unit, and what that unit really
calls is read from its text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.assets import assets_dir
from pytest_tinyml.engines.sources import KernelUse
from pytest_tinyml.errors import BuildError, UnknownNameError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tinyml.engines.flatgraph import Graph
    from pytest_tinyml.engines.graph import NormalizedModel

PORTABLE: Final = "portable"
CMSIS_NN: Final = "cmsis-nn"
ESP_NN: Final = "esp-nn"
KERNELS: Final = (PORTABLE, CMSIS_NN, ESP_NN)
"""Names of the back ends."""
NETWORK: Final = "model"
"""The generated symbols' stem, the same for every model: sources depend on the graph, not on a file's name."""
INFER: Final = f"bknn_{NETWORK}_infer"
_PORTABLE_DENSE: Final = f"bknn_{NETWORK}_linear_s8"
_OUR_DENSE: Final = "tml_dense_s8"
_LARGEST: Final = {CMSIS_NN: 0x7FFF_FFFF, ESP_NN: 0xFFFF}
"""Inputs or outputs of a dense layer, by the types that the kernels hold them in."""

_PROLOGUE: Final = {
    PORTABLE: "",
    # Without bakenn's "freestanding" CMSIS-NN includes math.h, of which it uses nothing. But that switch also replaces
    # memcpy by a loop over bytes, and CMSIS-NN loads four weights at once by memcpy: the compiler's own is put back.
    CMSIS_NN: """#ifndef __arm__
#define __GNUC_PYTHON__ /* CMSIS-NN's switch for other processors: plain C in place of its instructions */
#define __RESTRICT __restrict /* ... which leaves this to CMSIS-Core */
#endif
#define BAKENN_CMSIS_NN_FREESTANDING
#include "arm_nn_math_types.h"
#undef memcpy
#undef memset
#define memcpy __builtin_memcpy
#define memset __builtin_memset
""",
    ESP_NN: "#define CONFIG_NN_OPTIMIZED 1\n",
}
_ADAPTER: Final = {CMSIS_NN: "tml_dense_cmsis_nn.h", ESP_NN: "tml_dense_esp_nn.h"}
_VENDOR_FUNCTION: Final = re.compile(r"\b((?:arm|esp_nn)_\w+_s8)\s*\(")
# A step of the plan in the generated code: a call, or a comment in place of one.
_STEP: Final = re.compile(rf"^    (?:(bknn_{NETWORK}_\w+)\(|/\* tflite_\d+_\w+: )", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """The generated network as one text.

    Attributes:
        text: C11 with GNU extensions.
        include_dirs: where the vendor's headers are.
        kernels_used: see `EngineSources`; without the trailing softmax.
    """

    text: str
    include_dirs: tuple[Path, ...]
    kernels_used: tuple[KernelUse, ...]


def options(kernels: str) -> Any:  # noqa: ANN401 - bakenn's CBackendOptions
    """Return bakenn's options for a back end.

    bakenn's own optimised kernels stay off (``enable_weight_packing``): those for the Cortex-M4 store every weight in
    16 bits, and an operator is then either the vendor's or portable.

    Raises:
        UnknownNameError: no such back end.
    """
    if kernels not in KERNELS:
        raise UnknownNameError("kernels", kernels, KERNELS)
    import bakenn  # noqa: PLC0415 - 0.2 s that only a generation needs

    if kernels == PORTABLE:
        return bakenn.CBackendOptions()
    return bakenn.CBackendOptions(
        kernel_policy=bakenn.KernelPolicy.STATIC_PRIORITY,
        enable_weight_packing=False,
        enable_cmsis_nn=kernels == CMSIS_NN,
        enable_esp_nn=kernels == ESP_NN,
        target=bakenn.CORTEX_M4 if kernels == CMSIS_NN else bakenn.ESP32,
    )


def _dense_bundle(kernels: str, folder: Path) -> Any:  # noqa: ANN401
    """Copy the vendor's sources that the dense layers need; bakenn copies only those that it selected itself."""
    if kernels == CMSIS_NN:
        from bakenn.backend.cmsis_nn import bundle_fully_connected  # noqa: PLC0415

        return bundle_fully_connected(folder)
    from bakenn.backend.esp_nn import bundle_kernels  # noqa: PLC0415
    from bakenn.backend.esp_nn.integration import ESP_NN_CONV_IDS  # noqa: PLC0415

    return bundle_kernels(folder, (ESP_NN_CONV_IDS["esp32"],), "esp32")


def _hand_over_dense(kernels: str, text: str, plan: Any) -> str:  # noqa: ANN401 - bakenn's ExecutionPlan
    """Let the calls of bakenn's portable dense kernel go to the vendor's library instead."""
    steps = list(zip(_STEP.finditer(text), plan.steps, strict=True))
    for match, step in reversed(steps):
        if match[1] == _PORTABLE_DENSE and max(plan.constants[step.weight].shape) <= _LARGEST[kernels]:
            text = text[: match.start(1)] + _OUR_DENSE + text[match.end(1) :]
    return text


def _called(unit: str, function: str) -> tuple[str, bool]:
    """Return the vendor's function that a function of the unit calls, or else its own name; and which it is."""
    body = re.search(rf"^(?:static )?void {function}\([^)]*\) {{\n(.*?)^}}", unit, re.MULTILINE | re.DOTALL)
    inner = _VENDOR_FUNCTION.search(body[1]) if body else None
    return (inner[1], True) if inner else (function, False)


def _kernels_used(unit: str, model_text: str, plan: Any, normalized: NormalizedModel, graph: Graph) -> list[KernelUse]:  # noqa: ANN401
    """Read from the generated code what is called for each operator; graph is the original one."""
    calls = re.findall(r"^    (?:((?:bknn|tml)_\w+)\(|/\* tflite_\d+_\w+: )", model_text, re.MULTILINE)
    uses = []
    for call, step in zip(calls, plan.steps, strict=True):
        position = re.match(r"tflite_(\d+)_", step.name)
        if position is None:
            msg = f"the generated step {step.name!r} belongs to no operator: this release of bakenn is not supported"
            raise BuildError(msg)
        index = normalized.origin[int(position[1])]
        function, vendor = _called(unit, call) if call else ("", False)
        uses.append(
            KernelUse(index=index, operator=graph.kind(graph.sub.operators[index]), function=function, vendor=vendor)
        )
    return uses


def join(kernels: str, folder: Path, compiled: Any, normalized: NormalizedModel, graph: Graph) -> Unit:  # noqa: ANN401
    """Join bakenn's three sources and the vendor's to one translation unit and remove them.

    The kernels take every size as an argument. Where the compiler sees kernel and call at once, it makes loops of
    known length of them; docs/explanation/aot-engine.md has what that brings. A shared library needs
    -fvisibility=hidden for it, or the calls stay replaceable.

    The text itself is joined, not includes: firmware is cached by the content of the sources that are compiled, and
    weights in an included file would not count.

    Args:
        kernels: the back end.
        folder: bakenn's output.
        compiled: bakenn's CompiledModel.
        normalized: what it was compiled from.
        graph: the model's file, for the operators' names.

    Raises:
        OSError: a file cannot be read or written.
        BuildError: the generated code is not of the form that bakenn 1.0 gives it.
    """
    plan, artifacts = compiled.plan, compiled.artifacts
    vendor, include_dirs = list(artifacts.support_sources), list(artifacts.support_include_dirs)
    ours = [folder / f"bknn_{NETWORK}{suffix}.c" for suffix in ("_kernels", "_weights")]
    main = artifacts.model_source.read_text(encoding="utf-8")
    adapter = ""
    try:
        if kernels != PORTABLE:
            handed_over = _hand_over_dense(kernels, main, plan)
            if handed_over != main:
                bundle = _dense_bundle(kernels, folder)
                vendor += bundle.sources
                include_dirs += bundle.include_dirs
                root = assets_dir("firmware") / "engines" / "aot" / "kernels"
                main, adapter = handed_over, (root / _ADAPTER[kernels]).read_text(encoding="utf-8")
        texts = [path.read_text(encoding="utf-8") for path in (*sorted(set(vendor)), *ours)]
        unit = "\n".join([_PROLOGUE[kernels] if vendor else "", *texts, adapter, main])
        uses = _kernels_used(unit, main, plan, normalized, graph)
    except ValueError as error:  # of zip: more or fewer calls than steps
        msg = f"the generated code has not one call for each step ({error}): this release of bakenn is not supported"
        raise BuildError(msg) from error
    for path in folder.rglob("*.c"):
        path.unlink()  # a second copy would invite changes to a file that nobody compiles
    return Unit(text=unit, include_dirs=tuple(dict.fromkeys(include_dirs)), kernels_used=tuple(uses))
