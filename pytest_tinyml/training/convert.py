"""From Keras networks to .tflite files with batch 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tinyml.errors import MissingDependencyError
from pytest_tinyml.training.fit import fit

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt

    from pytest_tinyml.training.recipes import Keras, Recipe, Variant


def fake_quantised(
    keras: Keras,
    model: Keras,
    recipe: Recipe,
    inputs: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    seed: int,
) -> Keras:
    """Return a copy of a trained network with fake quantisation (tfmot's 8 bit scheme), fine-tuned.

    Args:
        keras: the module.
        model: the trained float network; it is not changed.
        recipe: has the plan of the fine-tuning.
        inputs: float32 [N, ...], preprocessed.
        labels: int64 [N].
        seed: of shuffling and distortions.

    Raises:
        MissingDependencyError: tensorflow-model-optimization is not installed.
    """
    try:
        import tensorflow_model_optimization as tfmot  # noqa: PLC0415 - imports TensorFlow
    except ImportError as error:
        package = "tensorflow-model-optimization"
        raise MissingDependencyError(package, "train", "quantisation-aware training") from error
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    quantised = tfmot.quantization.keras.quantize_model(copy)
    fit(keras, quantised, recipe.finetuning, inputs, labels, seed)
    return quantised


def convert(model: Keras, variant: Variant, representative: npt.NDArray[np.float32]) -> bytes:
    """Convert a network to a .tflite file; int8 variants take and give int8.

    Args:
        model: the float network, or for ``qat`` the network with fake quantisation.
        variant: what to make of it.
        representative: float32 [N, ...], preprocessed: calibrates the ranges of ``ptq`` and ``ptq-pertensor``.
    """
    import tensorflow as tf  # noqa: PLC0415

    # A concrete function of batch 1: from_keras_model leaves the batch dynamic, and Flatten becomes four operators.
    signature = tf.TensorSpec((1, *representative.shape[1:]), tf.float32, name="pixels")
    function = tf.function(lambda pixels: model(pixels, training=False)).get_concrete_function(signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    if variant != "float":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    if variant.startswith("ptq"):

        def samples() -> Iterator[list[npt.NDArray[np.float32]]]:
            for index in range(len(representative)):
                yield [representative[index : index + 1]]

        converter.representative_dataset = samples
        # Not for qat: there it makes the converter ask for a representative data set.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    if variant == "ptq-pertensor":
        # TensorFlow has no public switch for this; CMSIS-NN's fully connected kernel wants one scale per layer.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True  # noqa: SLF001
    return bytes(converter.convert())
