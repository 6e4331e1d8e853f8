"""S0: a small convolutional network for Kaggle's "Digit Recognizer" on an ESP32-CAM, at least 99.0 % as int8."""

from pytest_tinyml.training.recipes import Keras, OptimizerMaker, Plan, Recipe

EPOCHS = 60
FINETUNING_EPOCHS = 4
DISTORTION = 0.6


def build(keras: Keras) -> Keras:
    """Return the untrained network: float32 [N, 28, 28, 1] to [N, 10]."""
    layers = keras.layers
    # Channels are multiples of 4: the word size of the SIMD kernels of CMSIS-NN and ESP-NN.
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPool2D(),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPool2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def cosine(peak: float) -> OptimizerMaker:
    """Return a maker of Adam whose learning rate falls from ``peak`` to 0 along a cosine."""
    return lambda keras, steps: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(peak, steps))


RECIPE = Recipe(
    name="s0",
    system="ESP32-CAM, TFLM, Kaggle digits CNN",
    build=build,
    input_shape=(28, 28, 1),
    training=Plan(
        optimizer=cosine(3e-3),
        epochs=EPOCHS,
        batch_size=128,
        loss="sparse_categorical_crossentropy",
        augment=DISTORTION,
    ),
    finetuning=Plan(
        optimizer=cosine(3e-4),
        epochs=FINETUNING_EPOCHS,
        batch_size=128,
        loss="sparse_categorical_crossentropy",
        augment=DISTORTION,
    ),
    representative=500,
)
