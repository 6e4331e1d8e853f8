"""Engine aot: what is generated, and what is refused with which words."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as fb

from pytest_tinyml.engines import aot
from pytest_tinyml.engines.modelfile import c_string, model_source
from pytest_tinyml.errors import BuildError, ModelError, UnknownNameError, UnsupportedOperatorError
from pytest_tinyml.records import PreprocessSpec
from pytest_tinyml.stores.models import load_model
from tests.campaigns import zoo_on
from tests.unit.enginelib import engine_of, load_engine, run, tflm
from tests.unit.tflite_models import FLOAT, Builder, convnet, dense, keras_flatten, keras_mlp, record, softmax_options

if TYPE_CHECKING:
    import ctypes
    from pathlib import Path

    from pytest_tinyml.records import Model


def build(model: Model, folder: Path, kernels: str = aot.PORTABLE) -> tuple[aot.EngineSources, ctypes.CDLL]:
    """Generate, compile and load a model with the engine."""
    generated = aot.generate(model, folder, kernels)
    return generated, load_engine(generated, folder)


@pytest.mark.parametrize("kernels", aot.KERNELS)
@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
def test_equals_tflm(tmp_path: Path, kernels: str, *, softmax: bool, per_channel: bool) -> None:
    """A model as Keras 3 writes it gives TensorFlow Lite Micro's bytes, with and without softmax."""
    model = record(keras_mlp(softmax=softmax, per_channel=per_channel))
    generated, library = build(model, tmp_path / "out", kernels)
    tensors = np.random.default_rng(2).integers(-128, 128, (2000, 1, 4, 6)).astype(np.int8)
    engine = engine_of(library)
    assert int(np.count_nonzero(tflm(model, tensors) != run(engine, model, tensors))) == 0
    assert (generated.arena_bytes, generated.arena_bytes) == (engine.arena_used(None), engine.arena_capacity(None))
    assert engine.name == b"aot"


@pytest.mark.parametrize("kernels", aot.KERNELS)
def test_every_operator_of_the_vendors_equals_tflm(tmp_path: Path, kernels: str) -> None:
    """Convolutions of three kinds, both poolings and dense layers, in sizes that leave remainders."""
    model = record(convnet())
    generated, library = build(model, tmp_path / "out", kernels)
    tensors = np.random.default_rng(3).integers(-128, 128, (1000, 1, 9, 9, 3)).astype(np.int8)
    engine = engine_of(library)
    expected = tflm(model, tensors)
    assert len(np.unique(expected, axis=0)) > 900  # the outputs do depend on the inputs
    assert int(np.count_nonzero(expected != run(engine, model, tensors))) == 0
    assert generated.arena_bytes == engine.arena_used(None)


CONVNET_KERNELS = {
    "portable": ["bknn_model_conv2d_s8", "bknn_model_max_pool2d_s8", "bknn_model_depthwise_conv2d_s8"]
    + ["bknn_model_conv2d_s8"] * 2
    + ["bknn_model_average_pool2d_s8", "", *["bknn_model_linear_s8"] * 3],
    "cmsis-nn": ["arm_convolve_wrapper_s8", "arm_max_pool_s8", "arm_depthwise_conv_wrapper_s8"]
    + ["arm_convolve_wrapper_s8"] * 2
    + ["arm_avgpool_s8", "", *["arm_fully_connected_s8"] * 3],
    "esp-nn": ["esp_nn_conv_s8", "bknn_model_max_pool2d_s8", "esp_nn_depthwise_conv_s8"]
    + ["esp_nn_conv_s8"] * 2
    + ["bknn_model_average_pool2d_s8", "", *["esp_nn_conv_s8"] * 3],
}


@pytest.mark.parametrize("kernels", aot.KERNELS)
def test_says_which_function_computes_what(tmp_path: Path, kernels: str) -> None:
    """Functions stand in the order of the file's operators, under the file's indices; folded operators are left out."""
    generated = aot.generate(record(convnet()), tmp_path, kernels)
    uses = generated.kernels_used
    assert CONVNET_KERNELS[kernels] == [use.function for use in uses]
    assert [0, 1, 2, 3, 4, 5, 9, 10, 11, 12] == [use.index for use in uses]
    assert ["AVERAGE_POOL_2D", "RESHAPE", "FULLY_CONNECTED"] == [use.operator for use in uses[5:8]]
    assert [use.function.startswith(("arm_", "esp_nn_")) for use in uses] == [use.vendor for use in uses]


@pytest.mark.parametrize("kernels", aot.KERNELS)
def test_the_functions_named_are_called(tmp_path: Path, kernels: str) -> None:
    """A compiled network without optimisation refers to the vendor's functions exactly if they are named."""
    generated = aot.generate(record(convnet()), tmp_path, kernels)
    includes = [f"-I{path}" for path in generated.include_dirs]
    compiler = ["cc", "-std=c11", "-O0", "-ffunction-sections", *includes]
    (source,) = generated.vendor_sources
    # Only what the entry point reaches survives the linker's garbage collection.
    flags = ["-shared", "-fPIC", "-fvisibility=hidden", "-Wl,--gc-sections", "-Wl,-u,bknn_model_infer"]
    (tmp_path / "entry.c").write_text(
        "void bknn_model_infer(void *, const void *, void *);\n"
        '__attribute__((visibility("default"))) void entry(void) { bknn_model_infer(0, 0, 0); }\n'
    )
    library = str(tmp_path / "network.so")
    subprocess.run([*compiler, *flags, str(source), str(tmp_path / "entry.c"), "-o", library], check=True, timeout=120)
    listed = subprocess.run(["nm", library], check=True, timeout=60, capture_output=True, text=True).stdout
    present = {line.split()[-1] for line in listed.splitlines()}
    generic = {"esp_nn_conv_s8": "esp_nn_conv_s8_opt", "esp_nn_depthwise_conv_s8": "esp_nn_depthwise_conv_s8_opt"}
    named = {generic.get(use.function, use.function) for use in generated.kernels_used if use.function}
    assert set() == named - present
    assert (kernels == "portable") == ("bknn_model_linear_s8" in present)


@pytest.mark.parametrize("kernels", [aot.CMSIS_NN, aot.ESP_NN])
@pytest.mark.parametrize("name", [name for name in zoo_on("tflm") if not name.endswith("-float")])
def test_the_zoos_layers_are_the_vendors(tmp_path: Path, name: str, kernels: str) -> None:
    """Every convolution and every dense layer of the zoo, whatever its weights' scales."""
    uses = aot.generate(load_model(name), tmp_path, kernels).kernels_used
    layers = [use for use in uses if use.operator in {"CONV_2D", "FULLY_CONNECTED"}]
    assert [] == [use for use in layers if not use.vendor]
    assert len(layers) >= 2


def test_unknown_kernels(tmp_path: Path) -> None:
    """The message names those that there are."""
    with pytest.raises(
        UnknownNameError, match=r"no kernels named 'cmsis'; did you mean 'cmsis-nn'\? Known: cmsis-nn, "
    ):
        aot.generate(record(keras_mlp()), tmp_path, "cmsis")


def test_names_of_tensors_are_not_compiled(tmp_path: Path) -> None:
    """A name that would end the comment that it is written into does not reach the C."""
    net = Builder()
    source = net.tensor([1, 2, 3], scale=0.1)
    net.tensors[source].name = "x */ #error planted /*"
    result = dense(net, keras_flatten(net, source), 3, 1)
    generated = aot.generate(record(net.finish(source, result)), tmp_path)
    assert "planted" not in "".join(path.read_text() for path in generated.vendor_sources)


@pytest.mark.parametrize("kernels", aot.KERNELS)
def test_output_is_deterministic_and_names_no_path(tmp_path: Path, kernels: str) -> None:
    """Two folders receive the same bytes, and neither folder's name is among them."""
    model = record(keras_mlp())
    trees = []
    for name in ("first", "second"):
        aot.generate(model, tmp_path / name, kernels)
        trees.append(
            {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        )
    assert trees[0] == trees[1]
    assert [path for path, data in trees[0].items() if str(tmp_path).encode() in data] == []


@pytest.mark.parametrize("kernels", aot.KERNELS)
def test_weights_are_in_a_compiled_source(tmp_path: Path, kernels: str) -> None:
    """The sources that are compiled hold all code and data: whoever caches by their content sees a changed weight."""
    generated = aot.generate(record(keras_mlp()), tmp_path, kernels)
    compiled = {*generated.sources, *generated.vendor_sources}
    assert compiled == set(tmp_path.rglob("*.c"))
    text = "".join(path.read_text() for path in compiled)
    assert "const int8_t bknn_model_" in text
    assert '.c"' not in text


def test_generates_again_over_an_interrupted_run(tmp_path: Path) -> None:
    """Leftovers in the output folder do not matter."""
    (tmp_path / "bakenn").mkdir()
    (tmp_path / "bakenn" / "half").write_text("written")
    generated = aot.generate(record(keras_mlp()), tmp_path)
    assert [True] * 2 == [path.is_file() for path in (*generated.sources, *generated.vendor_sources)]
    assert not (tmp_path / "bakenn" / "half").exists()


def test_model_file_carries_the_original_digest() -> None:
    """The board reports the SHA-256 of the file that the user has, not of the normalised one."""
    model = record(keras_mlp())
    digest = ", ".join(f"0x{b:02x}" for b in hashlib.sha256(model.data).digest())
    assert digest in " ".join(model_source(model).split())


def test_l2axis1_tables() -> None:
    """A column's stride is the row's length, and a flat input is refused: nobody knows its columns."""
    model = record(keras_mlp(), preprocess=PreprocessSpec(kind="l2axis1"))
    text = model_source(model)
    assert ".kind = TML_PRE_L2AXIS1, .thresholds = thresholds, .threshold_count = 255, .row = 6" in text
    net = Builder()
    source = net.tensor([1, 24], scale=1 / 255, zero=-128)
    flat = record(net.finish(source, dense(net, source, 3, 1)), preprocess=PreprocessSpec(kind="l2axis1"))
    with pytest.raises(ModelError, match=r"needs an input of shape \[1, H, W\]"):
        model_source(flat)


def test_no_preprocessing() -> None:
    """A data set that already holds input tensors needs no table."""
    assert "TML_PRE_NONE" in model_source(record(keras_mlp(), preprocess=PreprocessSpec(kind="none")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s0-ptq", '"s0-ptq"'),
        ('a"b\\c', '"a\\042b\\134c"'),
        ("é" * 40, '"' + "\\303\\251" * 31 + '"'),
        ("??/", '"\\077\\077/"'),
    ],
)
def test_names_are_safe_in_c(text: str, expected: str) -> None:
    """Quotes, trigraphs and other alphabets are escaped; a cut falls between characters."""
    assert expected == c_string(text, 63)


def _float_model() -> bytes:
    net = Builder()
    source, result = net.tensor([1, 6], kind=FLOAT), net.tensor([1, 6], kind=FLOAT)
    net.operator("RELU", [source], [result])
    return net.finish(source, result)


def test_float_models_are_sent_to_tflm(tmp_path: Path) -> None:
    """The message says int8 only and names the board that takes the model."""
    with pytest.raises(ModelError, match="its input is float32; engine 'aot' is int8 only; use --board tflm"):
        aot.generate(record(_float_model(), "flt"), tmp_path)


def test_quantize_at_the_front_is_named(tmp_path: Path) -> None:
    """A float input that is quantised by the model itself is refused by that operator's name."""
    net = Builder()
    source, inner = net.tensor([1, 6], kind=FLOAT), net.tensor([1, 6], scale=0.1)
    net.operator("QUANTIZE", [source], [inner])
    with pytest.raises(UnsupportedOperatorError, match=r"operator 0 QUANTIZE .*input is float32.*inference_input_type"):
        aot.generate(record(net.finish(source, dense(net, inner, 3, 1))), tmp_path)


def _with_operator(kind: str, options: Any = None) -> bytes:
    """Return dense, one odd operator, dense."""
    net = Builder()
    source = net.tensor([1, 6], scale=0.1)
    inner = dense(net, source, 4, 1)
    odd = net.tensor([1, 4], scale=1 / 256, zero=-128)
    net.operator(kind, [inner], [odd], options, version=2)
    return net.finish(source, dense(net, odd, 3, 2))


def test_softmax_in_the_middle_is_refused(tmp_path: Path) -> None:
    """Only the last operator may be a softmax."""
    with pytest.raises(UnsupportedOperatorError, match=r"operator 1 SOFTMAX .*only where it is the last operator"):
        aot.generate(record(_with_operator("SOFTMAX", softmax_options())), tmp_path)


def test_unknown_operator_is_named(tmp_path: Path) -> None:
    """Name and index are those of the user's file."""
    with pytest.raises(UnsupportedOperatorError, match=r"tiny: operator 1 TANH .*no such operator") as caught:
        aot.generate(record(_with_operator("TANH")), tmp_path)
    assert (1, "TANH") == (caught.value.index, caught.value.operator)


def test_index_counts_folded_operators(tmp_path: Path) -> None:
    """Operators that were folded away count: the first dense layer behind a Flatten is number 4."""
    data = keras_mlp(bias_error=1e-4)
    with pytest.raises(UnsupportedOperatorError, match=r"operator 4 FULLY_CONNECTED .*scale must equal") as caught:
        aot.generate(record(data), tmp_path)
    assert caught.value.index == 4


def test_operator_is_found_where_the_generator_names_none(tmp_path: Path) -> None:
    """A fused activation that is not supported is traced to its operator."""
    net = Builder()
    source = net.tensor([1, 6], scale=0.1)
    middle = dense(net, source, 4, 1)
    result = dense(net, middle, 3, 2)
    net.operators[1].builtinOptions.fusedActivationFunction = fb.ActivationFunctionType.TANH
    with pytest.raises(UnsupportedOperatorError, match=r"operator 1 FULLY_CONNECTED .*fused activation"):
        aot.generate(record(net.finish(source, result)), tmp_path)


def test_open_dimension_is_refused(tmp_path: Path) -> None:
    """A dimension other than the batch that is open is refused with the tensor's signature."""
    net = Builder()
    source = net.tensor([1, 6], scale=0.1, signature=[-1, -1])
    with pytest.raises(UnsupportedOperatorError, match=r"operator 0 FULLY_CONNECTED .*dynamic"):
        aot.generate(record(net.finish(source, dense(net, source, 3, 1))), tmp_path)


def test_unwritable_folder(tmp_path: Path) -> None:
    """A folder that cannot be made is one message with its path."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BuildError, match="cannot write the generated sources of tiny to"):
        aot.generate(record(keras_mlp()), tmp_path / "file")


def test_full_disk_is_not_the_models_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails inside the generator is reported as such, with the system's words."""

    def no_space(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bakenn.backend.portable_c.generator.os.replace", no_space)
    with pytest.raises(BuildError, match=r"cannot write the generated sources of tiny .*No space left on device"):
        aot.generate(record(keras_mlp()), tmp_path)
