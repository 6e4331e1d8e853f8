"""Which engine has which operator: the table is what the engines do, and what refusals say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml.engines.flatbuild import FLOAT, INT8, Builder
from pytest_tinyml.engines.select import sources_for
from pytest_tinyml.engines.support import Family, elsewhere, engines, family_of
from pytest_tinyml.engines.tflmops import operators_of
from pytest_tinyml.errors import UnsupportedOperatorError
from tests.unit.tflite_models import record

if TYPE_CHECKING:
    from pytest_tinyml.records import Model

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "engines.md"


def _one(kind: str, tensors: int = FLOAT) -> Model:
    """Return a model of one operator from [1, 4] to [1, 4]."""
    net = Builder()
    scale = None if tensors == FLOAT else 0.1
    source, result = (net.tensor([1, 4], kind=tensors, scale=scale) for _ in range(2))
    net.operator(kind, [source], [result])
    return record(net.finish(source, result))


def test_bakenn_has_what_the_table_says() -> None:
    """The operators of the C generator are those that its importer knows."""
    import inspect

    from bakenn.frontends.tflite import importer

    (aot,) = (support for support in engines() if support.engine == "aot")
    source = inspect.getsource(importer)
    table = source[source.index("supported: dict[int") : source.index("for op_index in range")]
    known = {line.split("builtin.")[1].split(")")[0] for line in table.splitlines() if "builtin." in line}
    assert known == aot.operators - {"SOFTMAX"}


@pytest.mark.parametrize(
    ("operator", "family", "engine", "expected"),
    [
        ("ABS", "int8", "aot", "engine 'tflm' has it: --board tflm"),
        ("CONV_2D", "int8", "tflm", "engine 'aot' has it: --board native"),
        ("CONV_2D", "float32", "tflm", "engine 'aot-float' has it: --board native"),
        ("CONV_2D", "int8", "stedgeai", "engines 'aot' and 'tflm' have it: --board native or --board tflm"),
        ("CONV_2D", "int16", "tflm", "no other engine has it"),
        ("RELU_N1_TO_1", "float32", "tflm", "engine 'aot-float' has it: --board native"),
        ("Sigmoid", "espdl", "espdl-c", "engine 'espdl' has it: --board esp32-espdl"),
        ("CUSTOM:Mine", "float32", "aot-float", "no other engine has it"),
    ],
)
def test_who_has_it(operator: str, family: Family, engine: str, expected: str) -> None:
    """An engine is named if it takes such models, has the operator and is not the one that refused."""
    assert expected == elsewhere(operator, family, engine)


@pytest.mark.parametrize(
    ("model", "ask", "words"),
    [
        (_one("TANH"), sources_for, "0 TANH is not supported by engine 'aot-float'"),
        (_one("ABS", INT8), sources_for, "0 ABS is not supported by engine 'aot'"),
    ],
)
def test_translators_say_who_else(model: Model, ask: Any, words: str) -> None:
    """A refusal ends with the engine that has the operator, and the board to ask for."""
    with pytest.raises(UnsupportedOperatorError, match=words) as caught:
        ask(model)
    assert str(caught.value).endswith("; engine 'tflm' has it: --board tflm")


def test_the_interpreter_says_who_else() -> None:
    """An operator that only the float kernels have is refused by TensorFlow Lite Micro with their name."""
    with pytest.raises(UnsupportedOperatorError, match="RELU_N1_TO_1 is not supported by engine 'tflm'") as caught:
        operators_of(_one("RELU_N1_TO_1"))
    assert str(caught.value).endswith("; engine 'aot-float' has it: --board native")


def test_families() -> None:
    """A model's kind is its format, or the type of its input."""
    assert ["float32", "int8"] == [family_of(_one("TANH", kind)) for kind in (FLOAT, INT8)]


def test_the_page_is_the_table() -> None:
    """The documentation has a row for each engine, with all its operators."""
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines()]
    cells = {row[0].strip("`"): row[2:] for row in rows if len(row) == 4}
    for support in engines():
        assert [f"`{support.how}`", ", ".join(sorted(support.operators))] == cells[support.engine]
    assert np.unique([support.engine for support in engines()]).size == len(engines())
