"""Engine ``aot``: an int8 .tflite translated to C ahead of time.

bakenn generates the network in portable C11; this module prepares the graph for it (``graph``), adds the softmax
that bakenn leaves out, describes the model to the firmware's core (``modelfile``) and turns refusals into messages
that name the operator.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.engines.flatgraph import Graph, dump, load
from pytest_tinyml.engines.graph import ENGINE, NormalizedModel, normalize
from pytest_tinyml.engines.modelfile import model_source
from pytest_tinyml.errors import BuildError, ModelError, UnsupportedOperatorError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tinyml.records import Model

NETWORK: Final = "model"
"""The generated symbols' stem, the same for every model: sources depend on the graph, not on a file's name."""
_INT8_ONLY: Final = (
    "engine 'aot' is int8 only; use --board tflm for this model, or convert it with full-integer int8 quantisation"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AotSources:
    """What a firmware compiles beside ``firmware/engines/aot/*.c``.

    Attributes:
        sources: our generated C, clean under -Wall -Wextra -Wconversion.
        vendor_sources: bakenn's generated C, to be compiled without those warnings; wants -O3.
        include_dirs: for all of them and for the engine's own sources.
        arena_bytes: working memory of the engine: bakenn's plan, the input and the output.
        weights_bytes: constant data of the network.
    """

    sources: tuple[Path, ...]
    vendor_sources: tuple[Path, ...]
    include_dirs: tuple[Path, ...]
    arena_bytes: int
    weights_bytes: int


def _refuse_types(model: Model, graph: Graph) -> None:
    """Refuse what is not int8 from end to end, naming the operator that converts if there is one."""
    operators = graph.sub.operators or []
    ends = [(position, graph.kind(operators[position])) for position in (0, len(operators) - 1) if operators]
    for position, kind in ends:
        if kind in {"QUANTIZE", "DEQUANTIZE"}:
            reason = (
                f"the model's input is {model.input.dtype} and its output {model.output.dtype}; convert it with "
                "inference_input_type = inference_output_type = tf.int8, or use --board tflm"
            )
            raise UnsupportedOperatorError(model.name, ENGINE, position, kind, reason)
    for what, spec in (("input", model.input), ("output", model.output)):
        if spec.dtype != "int8":
            msg = f"{model.name}: its {what} is {spec.dtype}; {_INT8_ONLY}"
            raise ModelError(msg)


def _compile(data: bytes, folder: Path) -> Any:  # noqa: ANN401 - bakenn's CompiledModel
    import bakenn  # noqa: PLC0415 - 0.2 s that only this engine needs

    return bakenn.compile_tflite(data, folder, name=NETWORK)


def _culprit(normalized: NormalizedModel, name: str, message: str) -> int | None:
    """Find which remaining operator a refusal is about; None if it is about none in particular.

    bakenn names the operator, or a tensor, or nothing. In the last case the operator is the last one of the shortest
    beginning of the graph that is refused with the same words.
    """
    import bakenn  # noqa: PLC0415

    named = re.search(r"operator\[(\d+)\]|tflite_(\d+)_", message)
    if named:
        return int(named[1] or named[2])
    graph = load(normalized.data, name)
    operators = list(graph.sub.operators)
    tensor = re.search(r"TFLite (?:constant )?tensor (\d+)", message)
    if tensor:
        touching = [i for i, op in enumerate(operators) if int(tensor[1]) in (*op.inputs, *op.outputs)]
        return touching[0] if touching else None
    for length in range(1, len(operators) + 1):
        graph.sub.operators = operators[:length]
        graph.sub.outputs = np.asarray([operators[length - 1].outputs[0]], dtype=np.int32)
        with tempfile.TemporaryDirectory() as scratch:
            try:
                _compile(dump(graph), Path(scratch) / "prefix")
            except bakenn.BakeNNError as error:
                if str(error) == message:
                    return length - 1
    return None


def _translate(model: Model, normalized: NormalizedModel, message: str) -> ModelError:
    """Turn bakenn's refusal into an error that names the operator of the original graph."""
    position = _culprit(normalized, model.name, message)
    if position is None:
        return ModelError(f"{model.name}: refused by engine {ENGINE!r}: {message}")
    index = normalized.origin[position]
    graph = load(model.data, model.name)
    kind = graph.kind(graph.sub.operators[index])
    reason = re.sub(r"^(subgraph\[\d+\]/operator\[\d+\]|tflite_\d+_\w+): ", "", message)
    if kind == "SOFTMAX":
        reason = "a softmax is computed only where it is the last operator"
    elif "unsupported TFLite builtin operator code" in reason:
        reason = "the C generator has no such operator; use --board tflm"
    return UnsupportedOperatorError(model.name, ENGINE, index, kind, reason)


def _config(normalized: NormalizedModel) -> str:
    macro = f"BKNN_{NETWORK.upper()}"
    lines = {
        "INFER": f"bknn_{NETWORK}_infer",
        "ARENA_BYTES": f"{macro}_ARENA_SIZE",
        "ARENA_ALIGNMENT": f"{macro}_ARENA_ALIGNMENT",
        "INPUT_BYTES": f"{macro}_INPUT_BYTES",
        "OUTPUT_BYTES": f"{macro}_OUTPUT_BYTES",
        "SOFTMAX": "0",
    }
    softmax = normalized.softmax
    if softmax is not None:
        lines |= {
            "SOFTMAX": "1",
            "SOFTMAX_ROWS": f"{softmax.rows}u",
            "SOFTMAX_DEPTH": f"{softmax.depth}u",
            "SOFTMAX_MULTIPLIER": str(softmax.multiplier),
            "SOFTMAX_LEFT_SHIFT": str(softmax.left_shift),
            "SOFTMAX_DIFF_MIN": f"({softmax.diff_min})",
        }
    return _header("AOT_ENGINE_CONFIG_H", f"bknn_{NETWORK}.h", lines)


def _header(guard: str, include: str, macros: Mapping[str, str]) -> str:
    defines = "".join(f"#define TML_AOT_{name} {value}\n" for name, value in macros.items())
    return (
        "/* Generated by pytest-tinyml: what firmware/engines/aot needs to know of the network. */\n"
        f'#ifndef {guard}\n#define {guard}\n\n#include "{include}"\n\n{defines}\n#endif\n'
    )


def _one_unit(folder: Path) -> str:
    """Join bakenn's three sources to one translation unit and remove them.

    The kernels take every size as an argument. Where the compiler sees kernel and call at once, it makes loops of
    known length of them: a small CNN ran at 15,600 instead of 4,100 inferences a second (GCC 12, -O3, x86-64).
    A shared library needs -fvisibility=hidden for that, or the calls stay replaceable.

    The text itself is joined, not three includes: firmware is cached by the content of the sources that are
    compiled, and weights in an included file would not count.
    """
    parts = [folder / f"bknn_{NETWORK}{suffix}.c" for suffix in ("_kernels", "_weights", "")]
    text = "\n".join(part.read_text(encoding="utf-8") for part in parts)
    for part in parts:
        part.unlink()  # a second copy would invite changes to a file that nobody compiles
    return text


def generate(model: Model, out_dir: Path) -> AotSources:
    """Translate a model to C.

    The same model gives the same bytes: no path, time or host name enters the output.

    Args:
        model: int8 in, int8 out; operators as far as bakenn implements them, and a softmax at the end.
        out_dir: receives ``tml_model.c``, ``aot_network.c``, ``aot_engine_config.h`` and the folder ``bakenn``; made if
            it is absent.

    Returns:
        What to compile, and its sizes in bytes.

    Raises:
        ModelError: not int8 from end to end, or otherwise unusable.
        UnsupportedOperatorError: an operator that cannot be translated; index and name are those of the model's file.
        BuildError: out_dir cannot be written.
    """
    import bakenn  # noqa: PLC0415

    _refuse_types(model, load(model.data, model.name))
    normalized = normalize(model.data, model.name)
    text = model_source(model)
    network = out_dir / "bakenn"
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        # bakenn replaces only a folder that it recognises as its own; an interrupted run's may not be.
        shutil.rmtree(network, ignore_errors=True)
        (out_dir / "tml_model.c").write_text(text, encoding="utf-8")
        (out_dir / "aot_engine_config.h").write_text(_config(normalized), encoding="utf-8")
    except OSError as error:
        msg = f"cannot write the generated sources of {model.name} to {out_dir}: {error}"
        raise BuildError(msg) from error
    try:
        compiled = _compile(normalized.data, network)
    except bakenn.BakeNNError as error:
        if isinstance(error.__cause__, OSError):  # a full disk is not the model's fault
            msg = f"cannot write the generated sources of {model.name} to {out_dir}: {error.__cause__}"
            raise BuildError(msg) from error
        raise _translate(model, normalized, str(error)) from error
    try:
        (out_dir / "aot_network.c").write_text(_one_unit(network), encoding="utf-8")
    except OSError as error:
        msg = f"cannot write the generated sources of {model.name} to {out_dir}: {error}"
        raise BuildError(msg) from error
    artifacts = compiled.artifacts
    plan_bytes = int(artifacts.backend_plan.arena_size)
    return AotSources(
        sources=(out_dir / "tml_model.c",),
        vendor_sources=(out_dir / "aot_network.c",),
        include_dirs=(out_dir, network),
        arena_bytes=plan_bytes + model.input.nbytes + model.output.nbytes,
        weights_bytes=int(artifacts.memory_report.emitted_constant_payload_bytes),
    )
