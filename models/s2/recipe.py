"""S2: the multilayer perceptron that X-CUBE-AI tutorials put on an STM32F446, with normalised columns as input."""

from pytest_tinyml.records import PreprocessSpec
from pytest_tinyml.training.recipes import Keras, Plan, Recipe


def build(keras: Keras) -> Keras:
    """Return the untrained network: float32 [N, 28, 28] to [N, 10]."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((28, 28)),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


RECIPE = Recipe(
    name="s2",
    system="STM32F446, X-CUBE-AI MLP, L2-normalised input",
    build=build,
    input_shape=(28, 28),
    training=Plan(
        optimizer=lambda keras, _: keras.optimizers.Adam(),
        epochs=3,
        batch_size=32,
        loss="sparse_categorical_crossentropy",
    ),
    finetuning=Plan(
        optimizer=lambda keras, _: keras.optimizers.Adam(1e-4),
        epochs=1,
        batch_size=32,
        loss="sparse_categorical_crossentropy",
    ),
    # tf.keras.utils.normalize(images, axis=1), not / 255: a board that scales by 255 instead must be found out.
    preprocess=PreprocessSpec(kind="l2axis1"),
    representative=100,
    keep_h5=True,
)
