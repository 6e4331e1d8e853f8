"""S1: the multilayer perceptron of "hello world" style ESP32 projects, 784-64-64-10."""

from pytest_tinyml.training.recipes import Keras, Plan, Recipe


def build(keras: Keras) -> Keras:
    """Return the untrained network: float32 [N, 784] to [N, 10]."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((784,)),
            layers.Dense(64, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


RECIPE = Recipe(
    name="s1",
    system="ESP32, TFLM hello-world style MLP",
    build=build,
    input_shape=(784,),
    training=Plan(
        optimizer=lambda keras, _: keras.optimizers.RMSprop(),
        epochs=10,
        batch_size=64,
        loss="categorical_crossentropy",
        validation_split=0.2,
    ),
    finetuning=Plan(
        optimizer=lambda keras, _: keras.optimizers.Adam(1e-4),
        epochs=2,
        batch_size=64,
        loss="categorical_crossentropy",
        validation_split=0.2,
    ),
    representative=100,
    variants=("float", "ptq", "ptq-pertensor", "qat"),
)
