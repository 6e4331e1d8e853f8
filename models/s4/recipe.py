"""S4: a small convolutional network for TFLM on the host, in float and in int8."""

from pytest_tinyml.training.recipes import Keras, Plan, Recipe


def build(keras: Keras) -> Keras:
    """Return the untrained network: float32 [N, 28, 28, 1] to [N, 10]."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(12, 3, activation="relu"),
            layers.MaxPool2D(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


RECIPE = Recipe(
    name="s4",
    system="TFLM on the host, one-convolution CNN",
    build=build,
    input_shape=(28, 28, 1),
    training=Plan(
        optimizer=lambda keras, _: keras.optimizers.Adam(),
        epochs=6,
        batch_size=64,
        loss="sparse_categorical_crossentropy",
    ),
    finetuning=Plan(
        optimizer=lambda keras, _: keras.optimizers.Adam(1e-4),
        epochs=1,
        batch_size=64,
        loss="sparse_categorical_crossentropy",
    ),
    representative=100,
)
