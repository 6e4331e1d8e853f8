"""Engine ``aot``: an int8 .tflite translated to C ahead of time.

bakenn generates the network in C11, from portable kernels or a chip vendor's. Around it stand: the rewriting of the
graph (``graph``), the back ends and the joining to one file (``aotunit``), the softmax that bakenn leaves out
(``softmax``), the model's description for the firmware's core (``modelfile``), messages for refusals that name the
operator (``aotrefusal``), and the cache (``aotcache``).
"""

from pytest_tinyml.engines.aotcache import generated
from pytest_tinyml.engines.aotgenerate import generate
from pytest_tinyml.engines.aotunit import CMSIS_NN, ESP_NN, KERNELS, PORTABLE
from pytest_tinyml.engines.sources import EngineSources, KernelUse

__all__ = ["CMSIS_NN", "ESP_NN", "KERNELS", "PORTABLE", "EngineSources", "KernelUse", "generate", "generated"]
