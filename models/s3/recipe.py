"""S3: the staircase of networks by which ESP-DL is learned on an ESP32, each a test of the converter.

Steps 15 to 23 of the project that it comes from. Step 20, the digits, is the zoo's model; the others are trained on
small pictures that are made on the spot (`pytest_tinyml.training.toys`), and on MNIST.
"""

from pytest_tinyml.training.stairs import Stair, Torch, TorchRecipe

LARGEST = {8: 724, 16: 358}
"""Neurons of the hidden layer of `largest`, by bits."""


def one_neuron(torch: Torch, _: int) -> Torch:
    """Return one neuron with a sigmoid: [N, 1, 1, 2] to [N, 1]."""
    nn = torch.nn
    return nn.Sequential(nn.Flatten(), nn.Linear(2, 1), nn.Sigmoid())


def two_classes(torch: Torch, _: int) -> Torch:
    """Return two neurons with a softmax: [N, 1, 1, 2] to [N, 2]."""
    nn = torch.nn
    return nn.Sequential(nn.Flatten(), nn.Linear(2, 2), nn.Softmax(-1))


def one_convolution(torch: Torch, _: int) -> Torch:
    """Return one convolution: [N, 1, 3, 3] to [N, 2]."""
    nn = torch.nn
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Softmax(-1))


def pooled(torch: Torch, widths: tuple[int, ...], size: int, channels: int, head: tuple[int, ...]) -> Torch:
    """Return convolutions of 3 x 3 with a max-pool behind each, dense layers, and a softmax; a sigmoid for one class.

    Args:
        torch: the module.
        widths: channels of each convolution.
        size: height and width of the input.
        channels: of the input.
        head: neurons of each dense layer; the last is the number of classes.
    """
    nn = torch.nn
    layers = []
    for width in widths:
        layers += [nn.Conv2d(channels, width, 3), nn.ReLU(), nn.MaxPool2d(2)]
        channels, size = width, (size - 2) // 2
    layers.append(nn.Flatten())
    inputs = channels * size * size
    for index, neurons in enumerate(head):
        layers.append(nn.Linear(inputs, neurons))
        inputs = neurons
        if index < len(head) - 1:
            layers.append(nn.ReLU())
    layers.append(nn.Sigmoid() if head[-1] == 1 else nn.Softmax(-1))
    return nn.Sequential(*layers)


def digits(torch: Torch, _: int) -> Torch:
    """Return the zoo's network, 12,810 parameters: [N, 1, 28, 28] to [N, 10]."""
    return pooled(torch, (16, 32), 28, 1, (10,))


def largest(torch: Torch, bits: int) -> Torch:
    """Return a network at the limit that was found for an ESP32: about 600,000 parameters of 8 bits, 300,000 of 16."""
    return pooled(torch, (16, 32), 28, 1, (LARGEST[bits], 10))


STAIRS = (
    Stair(step=15, title="one sigmoid neuron", shape=(1, 1, 2), data="brighter", build=one_neuron, epochs=60),
    Stair(step=16, title="softmax of two", shape=(1, 1, 2), data="brighter", build=two_classes, epochs=60),
    Stair(step=17, title="one conv2d", shape=(1, 3, 3), data="brighter", build=one_convolution, epochs=40),
    Stair(
        step=18,
        title="two conv2d, two max-pools",
        shape=(1, 12, 12),
        data="lines",
        build=lambda torch, _: pooled(torch, (4, 8), 12, 1, (2,)),
        epochs=10,
    ),
    Stair(
        step=19,
        title="15x15, 10 classes",
        shape=(1, 15, 15),
        data="glyphs",
        build=lambda torch, _: pooled(torch, (8, 16), 15, 1, (10,)),
        epochs=15,
    ),
    Stair(step=20, title="MNIST", shape=(1, 28, 28), data="mnist", build=digits, epochs=12),
    Stair(step=21, title="the largest that fits", shape=(1, 28, 28), data="mnist", build=largest, epochs=1),
    Stair(
        step=22,
        title="photographs, one sigmoid",
        shape=(3, 32, 32),
        data="photographs",
        build=lambda torch, _: pooled(torch, (8, 16), 32, 3, (16, 1)),
        epochs=12,
        peak=3e-3,
    ),
    Stair(
        step=23,
        title="photographs 64x64x3, two classes",
        shape=(3, 64, 64),
        data="photographs",
        build=lambda torch, _: pooled(torch, (8, 16, 32), 64, 3, (32, 2)),
        epochs=8,
        peak=3e-3,
    ),
)

RECIPE = TorchRecipe(name="s3", system="ESP32, ESP-DL staircase, step 20: digits", stairs=STAIRS, step=20)
