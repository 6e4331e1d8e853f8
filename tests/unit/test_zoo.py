"""The committed zoo: every card says what its files are, and the systems have the models that they need."""

from __future__ import annotations

import hashlib
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tinyml.assets import assets_dir
from pytest_tinyml.engines.layers.fromespdl import read_espdl
from pytest_tinyml.engines.layers.macs import macs_of
from pytest_tinyml.stores.models import load_model, model_names
from pytest_tinyml.stores.splits import MNIST_TEST_SHA256, MNIST_TRAIN_SHA256, TEST_COUNT, TRAIN_COUNT
from pytest_tinyml.stores.tflite import read_graph
from pytest_tinyml.training.recipes import load_recipe, recipe_names
from pytest_tinyml.training.stairs import TORCH_RECIPES, load_torch_recipe

if TYPE_CHECKING:
    from pytest_tinyml.records import TensorSpec

AOT_OPERATORS = {"CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"}
"""What the engine aot takes."""


def card(name: str) -> dict[str, Any]:
    """Read a card as it is written, past our own reader."""
    return tomllib.loads((assets_dir("models") / name / "card.toml").read_text(encoding="utf-8"))


def espdl_entries() -> list[tuple[str, dict[str, Any]]]:
    """Return every file of the zoo for ESP-DL with its recipe's name."""
    return [(name, entry) for name in TORCH_RECIPES for entry in card(name)["file"]]


def entries() -> list[tuple[str, dict[str, Any]]]:
    """Return every .tflite file of the zoo with its recipe's name."""
    return [(name, entry) for name in recipe_names() for entry in card(name)["file"]]


ESPDL_ENTRIES = [pytest.param(name, entry, id=entry["name"]) for name, entry in espdl_entries()]
ENTRIES = [pytest.param(name, entry, id=entry["name"]) for name, entry in entries()]


def tensor(spec: TensorSpec) -> dict[str, Any]:
    """Return a tensor as a card writes it."""
    plain = {"dtype": spec.dtype, "shape": list(spec.shape)}
    return plain | ({"scale": spec.scale, "zero_point": spec.zero_point} if spec.scale else {})


def test_names() -> None:
    """The names that the documentation uses on the command line exist."""
    kinds = ("float", "ptq", "qat")
    expected = {f"{system}-{kind}" for system in ("s0", "s1", "s2", "s4") for kind in kinds} | {"s1-ptq-pertensor"}
    assert expected | {"s3-int8", "s3-int16"} == set(model_names())
    assert load_model("s3").name == "s3-int8"


@pytest.mark.parametrize(("name", "entry"), ENTRIES)
def test_card_equals_file(name: str, entry: dict[str, Any]) -> None:
    """Size, digest, operators, quantisation and multiply-accumulates in the card are the file's."""
    path = assets_dir("models") / name / entry["file"]
    data = path.read_bytes()
    graph = read_graph(data, path)
    assert entry["bytes"] == len(data)
    assert entry["sha256"] == hashlib.sha256(data).hexdigest()
    assert entry["operators"] == list(graph.operators)
    assert entry["macs"] == graph.macs
    assert entry["input"] == tensor(graph.input)
    assert entry["output"] == tensor(graph.output)


@pytest.mark.parametrize(("name", "entry"), ENTRIES)
def test_kind(name: str, entry: dict[str, Any]) -> None:
    """Quantised models are int8 at both ends, all end in softmax, and have only operators that the engines take."""
    model = load_model(entry["name"])
    dtype = "float32" if entry["kind"] == "float" else "int8"
    assert f"{name}-{entry['kind']}" == entry["name"]
    assert (dtype, dtype) == (model.input.dtype, model.output.dtype)
    assert (1, 10) == model.output.shape
    assert model.operators[-1] == "SOFTMAX"
    assert set(model.operators) <= AOT_OPERATORS


@pytest.mark.parametrize(("name", "entry"), ENTRIES)
def test_accuracy_is_of_the_28_000(name: str, entry: dict[str, Any]) -> None:
    """Ratio and counts agree, and were measured on the committed test split by a named runtime."""
    assert TEST_COUNT == entry["count"] == card(name)["data"]["test_count"]
    assert entry["top1"] == pytest.approx(entry["correct"] / entry["count"], abs=5e-7)
    assert entry["runtime"].split()[0] == ("litert" if entry["kind"] == "float" else "tflm")


@pytest.mark.parametrize("name", recipe_names())
def test_card_of_recipe(name: str) -> None:
    """A card was made by the recipe beside it, from the documented split."""
    recipe, table = load_recipe(name), card(name)
    assert recipe.name == name == table["name"]
    assert recipe.system == table["system"]
    assert recipe.seed == table["seed"]
    assert recipe.preprocess.kind == table["preprocess"]["kind"]
    assert recipe.preprocess.scale == table["preprocess"].get("scale", recipe.preprocess.scale)
    assert recipe.training.epochs == table["training"]["epochs"]
    assert recipe.training.augment == table["training"]["augment"]
    assert recipe.finetuning.epochs == table["training"]["finetuning_epochs"]
    assert recipe.representative == table["training"]["representative"]
    assert list(recipe.variants) == [entry["kind"] for entry in table["file"]]
    assert (TRAIN_COUNT, MNIST_TRAIN_SHA256) == (table["data"]["train_count"], table["data"]["train_sha256"])
    assert MNIST_TEST_SHA256 == table["data"]["test_sha256"]


@pytest.mark.parametrize("kind", ["ptq", "qat"])
def test_s0_reaches_99_percent(kind: str) -> None:
    """S0 classifies at least 99.0 % of the 28,000 as int8."""
    accuracy = load_model(f"s0-{kind}").card_top1
    assert accuracy is not None
    assert accuracy >= 0.99


def test_s1_per_tensor_size() -> None:
    """S1 with per-tensor dense layers has the size that its tutorial shows, about 57,960 bytes."""
    assert 57_960 == pytest.approx(len(load_model("s1-ptq-pertensor").data), rel=0.005)


def test_s2_is_saved_as_h5() -> None:
    """S2 has the .h5 that X-CUBE-AI reads, in HDF5 format."""
    assert (assets_dir("models") / "s2" / "s2.h5").read_bytes().startswith(b"\x89HDF\r\n\x1a\n")


@pytest.mark.parametrize(("name", "entry"), ESPDL_ENTRIES)
def test_espdl_card_equals_file(name: str, entry: dict[str, Any]) -> None:
    """Cards of .espdl files say what is in them, by a named runtime, and what the recipe beside them says."""
    model, table, recipe = load_model(entry["name"]), card(name), load_torch_recipe(name)
    stair = recipe.stair(recipe.step)
    network = read_espdl(model)
    assert (entry["bytes"], entry["sha256"]) == (len(model.data), hashlib.sha256(model.data).hexdigest())
    assert (entry["operators"], entry["macs"]) == (list(model.operators), macs_of(network))
    assert (entry["input"], entry["output"]) == (tensor(model.input), tensor(model.output))
    assert (f"{name}-{entry['kind']}", entry["kind"]) == (entry["name"], model.input.dtype)
    assert (TEST_COUNT, MNIST_TEST_SHA256) == (entry["count"], table["data"]["test_sha256"])
    assert (TRAIN_COUNT, MNIST_TRAIN_SHA256) == (table["data"]["train_count"], table["data"]["train_sha256"])
    assert entry["top1"] == pytest.approx(entry["correct"] / entry["count"], abs=5e-7)
    assert entry["runtime"].startswith("espdl esp-ppq ")
    assert (recipe.system, recipe.seed, recipe.step) == (table["system"], table["seed"], table["training"]["step"])
    assert (stair.epochs, stair.batch_size) == (table["training"]["epochs"], table["training"]["batch_size"])
    # Quantisation costs at most a fifth of a point.
    assert abs(table["training"]["float_correct"] - entry["correct"]) < 0.002 * TEST_COUNT


@pytest.mark.parametrize(("name", "entry"), ENTRIES + ESPDL_ENTRIES)
def test_documentation(name: str, entry: dict[str, Any]) -> None:
    """The table in docs/reference/models.md has the card's figures."""
    figures = (card(name)["parameters"], entry["macs"], entry["bytes"], entry["correct"])
    line = f"| `{entry['name']}` | {' | '.join(f'{figure:,}' for figure in figures)} | {entry['top1']:.2%} |"
    assert line in (assets_dir("models").parent / "docs" / "reference" / "models.md").read_text(encoding="utf-8")
