"""A stand-in for ST's tool: takes the same words, and writes a network behind ST's interfaces and reports in ST's form.

The network is the one that engine ``aot`` generates. All of it is written here; of ST's there are only the names that a
program has to use, as far as firmware/engines/stedgeai does.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

import numpy as np

from pytest_tinyml.engines import aot, aotunit
from pytest_tinyml.records import Model, PreprocessSpec
from pytest_tinyml.references.litert import LiteRtReference
from pytest_tinyml.stores.models import load_file

ROOT: Final = Path(__file__).parents[2]
MODE: Final = "TINYML_TEST_STEDGEAI"
"""Environment variable: ``legacy`` (default) or ``stai``, the interface; ``old``, ``refuse``, ``crash``, ``mute``."""
WEIGHTS, ACTIVATIONS = 12_345, 6_789
REFUSAL: Final = "NOT IMPLEMENTED: Unsupported layer types: FOO, stopping."

AI_PLATFORM: Final = """
#ifndef AI_PLATFORM_H
#define AI_PLATFORM_H
#include <stddef.h>
#include <stdint.h>
typedef void *ai_handle;
typedef struct { uint32_t type : 8; uint32_t code : 24; } ai_error;
typedef struct { ai_handle data; } ai_buffer;
enum { AI_ERROR_NONE = 0 };
#endif
"""
LEGACY_H: Final = """
#ifndef AI_NETWORK_H
#define AI_NETWORK_H
#include "ai_platform.h"
#define AI_NETWORK_INPUTS_IN_ACTIVATIONS (4)
#define AI_NETWORK_OUTPUTS_IN_ACTIVATIONS (4)
#define AI_NETWORK_IN_NUM (1)
#define AI_NETWORK_IN_1_SIZE_BYTES ({inputs})
#define AI_NETWORK_OUT_NUM (1)
#define AI_NETWORK_OUT_1_SIZE_BYTES ({outputs})
ai_error ai_network_create_and_init(ai_handle *network, const ai_handle activations[], const ai_handle weights[]);
ai_handle ai_network_destroy(ai_handle network);
ai_buffer *ai_network_inputs_get(ai_handle network, uint16_t *count);
ai_buffer *ai_network_outputs_get(ai_handle network, uint16_t *count);
int32_t ai_network_run(ai_handle network, const ai_buffer *input, ai_buffer *output);
#endif
"""
LEGACY_DATA_H: Final = """
#define AI_NETWORK_DATA_ACTIVATIONS_COUNT (1)
#define AI_NETWORK_DATA_ACTIVATIONS_SIZE ({arena} + 64 + {inputs} + 64 + {outputs})
"""
LEGACY_C: Final = """
#include "network.h"
#include "{header}"
static ai_buffer in, out;
static uint8_t *arena;
static int alive;
ai_error ai_network_create_and_init(ai_handle *network, const ai_handle activations[], const ai_handle weights[]) {{
    ai_error none = {{AI_ERROR_NONE, 0}}, twice = {{1, 2}};
    (void)weights;
    if (alive || activations == NULL) return twice;
    alive = 1;
    arena = activations[0];
    in.data = arena + ({arena} + 63) / 64 * 64;
    out.data = (uint8_t *)in.data + ({inputs} + 63) / 64 * 64;
    *network = &alive;
    return none;
}}
ai_handle ai_network_destroy(ai_handle network) {{ (void)network; alive = 0; return NULL; }}
ai_buffer *ai_network_inputs_get(ai_handle network, uint16_t *count) {{ (void)network; (void)count; return &in; }}
ai_buffer *ai_network_outputs_get(ai_handle network, uint16_t *count) {{ (void)network; (void)count; return &out; }}
int32_t ai_network_run(ai_handle network, const ai_buffer *input, ai_buffer *output) {{
    if (network != &alive || !alive) return -1;
    {infer}(arena, input[0].data, output[0].data);
    return 1;
}}
"""
STAI: Final = """
#ifndef STAI_H
#define STAI_H
#include <stddef.h>
#include <stdint.h>
typedef uint8_t stai_network;
typedef uint8_t *stai_ptr;
typedef uint32_t stai_size;
typedef enum { STAI_SUCCESS = 0, STAI_ERROR_GENERIC = 0x20000 } stai_return_code;
typedef enum { STAI_MODE_SYNC = 1 } stai_run_mode;
#define STAI_ALIGNED(x) __attribute__((aligned(x)))
#define STAI_FLAG_ACTIVATIONS (0x1 << 26)
#define STAI_FLAG_INPUTS (0x1 << 27)
#define STAI_FLAG_OUTPUTS (0x1 << 28)
#define STAI_FLAG_WEIGHTS (0x1 << 30)
stai_return_code stai_runtime_init(void);
#endif
"""
STAI_H: Final = """
#ifndef STAI_NETWORK_H
#define STAI_NETWORK_H
#include "stai.h"
#define STAI_NETWORK_FLAGS (STAI_FLAG_OUTPUTS|STAI_FLAG_WEIGHTS)
#define STAI_NETWORK_IN_NUM (1)
#define STAI_NETWORK_IN_1_SIZE_BYTES ({inputs})
#define STAI_NETWORK_OUT_NUM (1)
#define STAI_NETWORK_OUT_1_SIZE_BYTES ({outputs})
#define STAI_NETWORK_ACTIVATIONS_NUM (1)
#define STAI_NETWORK_ACTIVATIONS_SIZE_BYTES ({arena} + 64 + {outputs})
typedef struct {{ stai_ptr activations, input, output; }} _stai_network_context;
#define STAI_NETWORK_CONTEXT_ALIGNMENT (8)
#define STAI_NETWORK_CONTEXT_SIZE (sizeof(_stai_network_context))
stai_return_code stai_network_init(stai_network *network);
stai_return_code stai_network_run(stai_network *network, const stai_run_mode mode);
stai_return_code stai_network_get_inputs(stai_network *network, stai_ptr *inputs, stai_size *count);
stai_return_code stai_network_get_outputs(stai_network *network, stai_ptr *outputs, stai_size *count);
stai_return_code stai_network_set_activations(stai_network *network, const stai_ptr *at, const stai_size count);
stai_return_code stai_network_set_inputs(stai_network *network, const stai_ptr *at, const stai_size count);
stai_return_code stai_network_set_outputs(stai_network *network, const stai_ptr *at, const stai_size count);
#endif
"""
STAI_C: Final = """
#include "network.h"
#include "{header}"
static int ready;
stai_return_code stai_runtime_init(void) {{ ready = 1; return STAI_SUCCESS; }}
static _stai_network_context *of(stai_network *network) {{ return (_stai_network_context *)(void *)network; }}
stai_return_code stai_network_init(stai_network *network) {{
    _stai_network_context empty = {{0}};
    *of(network) = empty;
    return ready ? STAI_SUCCESS : STAI_ERROR_GENERIC;
}}
stai_return_code stai_network_set_activations(stai_network *network, const stai_ptr *at, const stai_size count) {{
    of(network)->activations = at[0];
    of(network)->output = at[0] + ({arena} + 63) / 64 * 64;
    return count == 1 ? STAI_SUCCESS : STAI_ERROR_GENERIC;
}}
stai_return_code stai_network_set_inputs(stai_network *network, const stai_ptr *at, const stai_size count) {{
    of(network)->input = at[0];
    return count == 1 ? STAI_SUCCESS : STAI_ERROR_GENERIC;
}}
stai_return_code stai_network_get_inputs(stai_network *network, stai_ptr *inputs, stai_size *count) {{
    inputs[0] = of(network)->input;
    *count = 1;
    return STAI_SUCCESS;
}}
stai_return_code stai_network_get_outputs(stai_network *network, stai_ptr *outputs, stai_size *count) {{
    outputs[0] = of(network)->output;
    *count = 1;
    return STAI_SUCCESS;
}}
stai_return_code stai_network_run(stai_network *network, const stai_run_mode mode) {{
    _stai_network_context *c = of(network);
    if (mode != STAI_MODE_SYNC || c->activations == NULL || c->input == NULL) return STAI_ERROR_GENERIC;
    {infer}(c->activations, (const int8_t *)c->input, (int8_t *)c->output);
    return STAI_SUCCESS;
}}
"""
REPORT: Final = f"""ST Edge AI Core v9.8.7-12345
Parameters            : ...

Exec/report summary (generate)
-----------------------------------------------------------------
model file         :   model.tflite
input 1/1          :   'input', int8(1x28x28), 784 Bytes, activations
macc               :   109,386
weights (ro)       :   {WEIGHTS:,} B (12.06 KiB) (1 segment) / -327,552(-74.9%) vs float model
activations (rw)   :   {ACTIVATIONS:,} B (6.63 KiB) (1 segment) *
ram (total)        :   {ACTIVATIONS:,} B (6.63 KiB) = {ACTIVATIONS:,} + 0 + 0
-----------------------------------------------------------------
"""
C_INFO: Final = """{"graphs": [{"nodes": [
 {"description": "Dense", "sw_functions": ["forward_dense_integer_SSSA_ch"]},
 {"description": "Softmax", "sw_functions": []}]}]}"""


def install(folder: Path, mode: str = "legacy") -> Path:
    """Lay out what an installation has below a folder; returns the folder of its program.

    Args:
        folder: becomes ``STEDGEAI_CORE_DIR``.
        mode: see `MODE`.
    """
    headers, libraries = folder / "Middlewares/ST/AI/Inc", folder / "Middlewares/ST/AI/Lib/GCC/ARMCortexM4"
    programs = folder / "Utilities" / "linux"
    for each in (headers, libraries, programs):
        each.mkdir(parents=True)
    (headers / "ai_platform.h").write_text(AI_PLATFORM, encoding="utf-8")
    (headers / "stai.h").write_text(STAI, encoding="utf-8")
    # An archive without a member.
    (libraries / "NetworkRuntime987_CM4_GCC.a").write_bytes(b"!<arch>\n")
    program = programs / "stedgeai"
    lines = [f"#!{sys.executable}", "import os, sys", f"sys.path.insert(0, {str(ROOT)!r})"]
    lines += [f"os.environ[{MODE!r}] = {mode!r}", "from tests.stedgeai.tool import main", "sys.exit(main())"]
    program.write_text("\n".join(lines) + "\n", encoding="utf-8")
    program.chmod(0o755)
    return programs


def main() -> int:
    """Be the tool."""
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["analyze", "generate", "validate"])
    for name in ("model", "name", "target", "output", "workspace"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("mode", "valinput", "valoutput", "desc"):
        parser.add_argument(f"--{name}")
    options = parser.parse_args()
    assert ("network", "stm32f4") == (options.name, options.target)
    mode = os.environ[MODE]
    if mode in {"refuse", "crash"}:
        sys.stdout.write(REFUSAL if mode == "refuse" else "Segmentation fault")
        return 1
    output = Path(options.output)
    output.mkdir(parents=True)
    if mode == "mute":
        return 0
    model = load_file(Path(options.model), "network", PreprocessSpec())
    text = _validation(model, options) if options.command == "validate" else REPORT
    if options.command == "generate":
        _generate(model, output, mode)
        workspace = Path(options.workspace)
        workspace.mkdir(parents=True)
        (workspace / "network_c_info.json").write_text(C_INFO, encoding="utf-8")
    (output / f"network_{options.command}_report.txt").write_text(text, encoding="utf-8")
    return 0


def _generate(model: Model, output: Path, mode: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        generated = aot.generate(model, Path(scratch))
        shutil.copy(generated.vendor_sources[0], output / "network_kernels.c")
        for folder in generated.include_dirs:
            for header in folder.glob("*.h"):
                shutil.copy(header, output / header.name)
        arena = max(1, generated.arena_bytes - model.input.nbytes - model.output.nbytes)
    words = {
        "inputs": model.input.nbytes,
        "outputs": model.output.nbytes,
        "arena": arena,
        "infer": aotunit.INFER,
        "header": f"bknn_{aotunit.NETWORK}.h",
    }
    files = (
        {"network.h": STAI_H, "network.c": STAI_C} if mode == "stai" else {"network.h": LEGACY_H, "network.c": LEGACY_C}
    )
    if mode != "stai":
        files["network_data.h"] = LEGACY_DATA_H
    for name, text in files.items():
        written = text.format(**words)
        if mode == "old":
            written = written.replace("create_and_init", "create")
        (output / name).write_text(written, encoding="utf-8")


def _validation(model: Model, options: argparse.Namespace) -> str:
    """Return a report in which the C network is the original model, but for one sample that it gets wrong."""
    inputs = np.load(options.valinput)
    scores = LiteRtReference().scores(model, inputs)
    labels = np.load(options.valoutput).reshape(len(inputs), -1).argmax(axis=1)
    top1 = float((scores.argmax(axis=1) == labels).mean())
    where = "TARGET" if options.mode == "target" else "HOST"
    lines = [
        f'ST.AI Profiling results v2.0 - "network" {options.desc or ""}',
        f"nb sample(s)   :   {len(inputs)}",
        "duration       :   11.970 ms by sample (11.733/12.052/0.097)",
        "Evaluation report (summary)",
        "-" * 80,
        "Output      acc      rmse          mae           l2r           mean        std        nse        cos   tensor",
        "-" * 80,
    ]
    tail = "0.120089211   0.025269194   0.245565161   -0.000000   0.120117   0.923121   0.970756   'out', 2 x f32(1x4)"
    for name, share in ((f"{where} c-model #1", top1 - 1 / len(inputs)), ("original model #1", top1)):
        lines.append(f"{name}   {share:.2%}   {tail}")
    crossed = "0.001408418   0.000273437   0.004749658   n.a.   0.1   n.a.   0.999988   'x'"
    lines.append(f"X-cross #1   {1 - 1 / len(inputs):.2%}   {crossed}")
    return "\n".join([*lines, "-" * 80, ""])
