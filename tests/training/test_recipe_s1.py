"""Recipe S1, trained for real, gives what its card says: the figures of the zoo can be had again."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from pytest_tinyml.assets import assets_dir
from pytest_tinyml.stores.cards import Card, read_card
from pytest_tinyml.stores.fetch import fetched_mnist
from pytest_tinyml.stores.models import load_model
from pytest_tinyml.training import train
from tests.presence import lacking

# TensorFlow and its model optimisation warn of deprecations in themselves.
pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("default")]

TOLERANCE = 0.007
"""Of the accuracy. Six seeds of S1 have a standard deviation of 0.08 to 0.13 points (docs/reference/models.md), so the
difference of two trainings has one of up to 0.18. Another CPU rounds differently, which amounts to another seed.
3.9 standard deviations are allowed; a broken conversion or preprocessing costs several points."""
QUANTISATION_LOSS = 0.0015
"""Of the accuracy. The same six seeds lost at most 0.04 points from float to int8."""
MODULES = ("tensorflow", "tf_keras", "tensorflow_model_optimization")


@pytest.fixture(scope="module")
def mnist() -> str:
    """MNIST from TINYML_MNIST_DIR, else fetched."""
    return os.environ.get("TINYML_MNIST_DIR") or str(fetched_mnist())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, mnist: str) -> Card:
    """The card of a newly trained S1."""
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if missing:
        lacking(f"{', '.join(missing)} is not installed (pip install 'pytest-tinyml[train]')")
    return train("s1", data=mnist, out=tmp_path_factory.mktemp("s1"))


@pytest.fixture(scope="module")
def committed() -> Card:
    """The card of the committed S1."""
    return read_card(assets_dir("models") / "s1" / "card.toml")


@pytest.mark.parametrize("name", ["s1-float", "s1-ptq", "s1-ptq-pertensor", "s1-qat"])
def test_accuracy(trained: Card, committed: Card, name: str) -> None:
    """Each new file is as accurate as the committed one, within what another seed would change."""
    new, old = ({entry.name: entry.top1 for entry in card.files}[name] for card in (trained, committed))
    assert old == pytest.approx(new, abs=TOLERANCE)


@pytest.mark.parametrize("name", ["s1-ptq", "s1-ptq-pertensor"])
def test_quantisation_costs_little(trained: Card, name: str) -> None:
    """Quantisation after training keeps the accuracy of the float network."""
    top1 = {entry.name: entry.top1 or 0.0 for entry in trained.files}
    assert top1["s1-float"] == pytest.approx(top1[name], abs=QUANTISATION_LOSS)


def test_same_networks(trained: Card, committed: Card) -> None:
    """New and committed files have the same tensors, operators, parameters and, within 1 %, size."""
    assert committed.parameters == trained.parameters
    for entry in trained.files:
        new, old = load_model(str(trained.path.parent / entry.file)), load_model(entry.name)
        assert entry.name == new.name == old.name
        assert (old.operators, old.preprocess) == (new.operators, new.preprocess)
        assert (old.input, old.output) == (new.input, new.output)
        assert len(old.data) == pytest.approx(len(new.data), rel=0.01)


def test_distortions_are_repeatable(trained: Card) -> None:
    """Distorted images depend on the seed alone, stay within 0 .. 1, and strength 0 leaves them as they were."""
    from pytest_tinyml.training.fit import distort

    assert trained.files
    images = np.random.default_rng(5).random((7, 28, 28, 1), dtype=np.float32)
    first, again, other = (distort(images, 1.0, seed) for seed in ((1, 2), (1, 2), (1, 3)))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()
    assert 0.0 <= first.min() < first.max() <= 1.0
    np.testing.assert_allclose(distort(images, 0.0, (1, 2)), images, atol=1e-6)


def test_mnist_is_the_published_one(mnist: str) -> None:
    """The folder holds the four files of MNIST."""
    assert Path(mnist).is_dir()
    assert any(path.name.startswith("train-images") for path in Path(mnist).iterdir())
