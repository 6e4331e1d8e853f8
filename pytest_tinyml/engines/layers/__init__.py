"""Engines that execute a network layer by layer with C kernels of our own: float models, and .espdl's integers.

A front end reads a model into a `Network` (``ir``): ``fromfloat`` a float .tflite, ``fromespdl`` an .espdl. From there
it is one way: ``plan`` gives every activation its place in one arena, ``emit`` writes the weights and the calls as C,
and ``firmware/engines/layers`` has the kernels and the engine around them.
"""

from typing import Final

AOT_FLOAT: Final = "aot-float"
ESPDL_C: Final = "espdl-c"
