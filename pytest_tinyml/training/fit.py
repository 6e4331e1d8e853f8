"""Training with TensorFlow: repeatable set-up, distortions, fitting."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_tinyml.errors import MissingDependencyError

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_tinyml.training.recipes import Keras, Plan

THREADS: Final = 2
CHUNK: Final = 6_000


def load_keras(purpose: str = "training a model") -> Keras:
    """Import TensorFlow and Keras 2, the Keras that quantisation-aware training needs, and make them repeatable.

    Args:
        purpose: what they are needed for, for the message where they are not installed.

    Raises:
        MissingDependencyError: the extra ``train`` is not installed.
    """
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow as tf  # noqa: PLC0415 - seconds and half a gigabyte
        import tf_keras  # noqa: PLC0415
    except ImportError as error:
        package = (error.name or "tensorflow").split(".")[0].replace("_", "-")
        raise MissingDependencyError(package, "train", purpose) from error
    # TensorFlow refuses new thread counts once it has computed anything, e.g. when a second model is trained.
    with suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    return tf_keras


def fit(
    keras: Keras, model: Keras, plan: Plan, inputs: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], seed: int
) -> None:
    """Compile a network and train it in place.

    Args:
        keras: the module.
        model: maps float32 [N, ...] to probabilities [N, classes].
        plan: optimizer, epochs, loss and distortions.
        inputs: float32 [N, ...], preprocessed.
        labels: int64 [N].
        seed: of shuffling and distortions.
    """
    keras.utils.set_random_seed(seed)
    steps = -(-int(len(inputs) * (1.0 - plan.validation_split)) // plan.batch_size) * plan.epochs
    model.compile(optimizer=plan.optimizer(keras, steps), loss=plan.loss, metrics=["accuracy"])
    one_hot = plan.loss == "categorical_crossentropy"
    targets = keras.utils.to_categorical(labels) if one_hot else labels
    options = {"batch_size": plan.batch_size, "validation_split": plan.validation_split, "verbose": 0}
    if plan.augment == 0.0:
        model.fit(inputs, targets, epochs=plan.epochs, **options)
        return
    for epoch in range(plan.epochs):
        model.fit(distort(inputs, plan.augment, (seed, epoch)), targets, epochs=1, **options)


def distort(images: npt.NDArray[np.float32], strength: float, seed: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return images shifted, rotated, zoomed and sheared at random, about their centre, with bilinear interpolation.

    Args:
        images: float32 [N, H, W, C]; 0 is what moves in at the border.
        strength: 1.0 is up to 2 pixels, 12 degrees, 10 % and 0.15, each uniformly distributed and to either side.
        seed: of the random numbers.
    """
    import tensorflow as tf  # noqa: PLC0415

    random = np.random.Generator(np.random.PCG64(seed))
    count, height, width, _ = images.shape
    angle = np.deg2rad(random.uniform(-12.0, 12.0, count) * strength)
    zoom = 1.0 + random.uniform(-0.1, 0.1, count) * strength
    shear = random.uniform(-0.15, 0.15, count) * strength
    shift = random.uniform(-2.0, 2.0, (2, count)) * strength
    # Rows of [a0 a1 a2; b0 b1 b2]: where the output's (x, y) comes from; the last two are the projective part.
    matrix = np.zeros((count, 8), dtype=np.float32)
    matrix[:, 0] = matrix[:, 4] = np.cos(angle) / zoom
    matrix[:, 3] = np.sin(angle) / zoom
    matrix[:, 1] = shear - matrix[:, 3]
    middle_x, middle_y = (width - 1) / 2.0, (height - 1) / 2.0
    matrix[:, 2] = middle_x - matrix[:, 0] * middle_x - matrix[:, 1] * middle_y + shift[0]
    matrix[:, 5] = middle_y - matrix[:, 3] * middle_x - matrix[:, 4] * middle_y + shift[1]
    chunks = [
        tf.raw_ops.ImageProjectiveTransformV3(
            images=images[start : start + CHUNK],
            transforms=matrix[start : start + CHUNK],
            output_shape=[height, width],
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
        ).numpy()
        for start in range(0, count, CHUNK)
    ]
    return np.concatenate(chunks)
