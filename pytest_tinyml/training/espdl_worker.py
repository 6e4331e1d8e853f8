"""A process that quantises an ONNX file with esp-ppq; what esp-ppq prints goes to a log.

Started by `espdl` as a file: espdl_worker.py ONNX CALIBRATION BITS TARGET OUT. CALIBRATION is a .npy, float32 with a
sample per row, of the shape of the input. OUT receives the .espdl.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np


def quantise(onnx_file: str, calibration: str, bits: int, target: str, out: str) -> None:
    """Write OUT; esp-ppq leaves files beside it."""
    # esp-ppq and what it imports warn of their own code; a caller that makes errors of warnings does not mean those.
    warnings.simplefilter("ignore")
    import torch  # noqa: PLC0415 - after the filter
    from esp_ppq.api import espdl_quantize_onnx  # noqa: PLC0415

    samples = np.load(calibration, allow_pickle=False)
    torch.manual_seed(0)
    batches: list[Any] = [torch.from_numpy(sample[None]) for sample in samples]
    espdl_quantize_onnx(
        onnx_import_file=onnx_file,
        espdl_export_file=out,
        calib_dataloader=batches,
        calib_steps=len(batches),
        input_shape=list(batches[0].shape),
        target=target,
        num_of_bits=bits,
        device="cpu",
        error_report=False,
        export_config=False,
        metadata_props={"target": target},
    )


if __name__ == "__main__":
    quantise(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])
