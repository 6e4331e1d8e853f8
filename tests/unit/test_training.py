"""Training, as far as it goes without TensorFlow: recipes, the data that are refused, the card that is written."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_tinyml.assets import assets_dir
from pytest_tinyml.errors import DatasetError, MissingDependencyError, ModelError, UnknownNameError
from pytest_tinyml.records import PreprocessSpec
from pytest_tinyml.stores.cards import read_card
from pytest_tinyml.stores.datasets import load_dataset
from pytest_tinyml.stores.models import load_file
from pytest_tinyml.stores.samples import make_dataset
from pytest_tinyml.training import recipefile, recipes, train
from pytest_tinyml.training.cardfile import Trained, render_card
from pytest_tinyml.training.data import training_data
from pytest_tinyml.training.evaluate import count_correct
from pytest_tinyml.training.recipes import load_recipe, recipe_names

if TYPE_CHECKING:
    from pathlib import Path

ZEROS = np.zeros((1, 28, 28), np.uint8)


def test_recipes() -> None:
    """The four systems that have a model of their own in the zoo have a recipe."""
    assert ("s0", "s1", "s2", "s4") == recipe_names()
    assert load_recipe("S2").name == "s2"


def test_s1_is_the_network_of_the_tutorial() -> None:
    """S1 is trained as its tutorial says: 10 epochs, batches of 64, a fifth left out, 100 samples for the ranges."""
    recipe = load_recipe("s1")
    plan = recipe.training
    assert (10, 64, 0.2, "categorical_crossentropy") == (plan.epochs, plan.batch_size, plan.validation_split, plan.loss)
    assert recipe.representative == 100


def test_s2_is_the_network_of_the_tutorial() -> None:
    """S2 is trained as its tutorial says: 3 epochs on columns of L2 norm 1, kept as .h5, too."""
    recipe = load_recipe("s2")
    assert (3, "sparse_categorical_crossentropy") == (recipe.training.epochs, recipe.training.loss)
    assert PreprocessSpec(kind="l2axis1") == recipe.preprocess
    assert recipe.keep_h5


def test_unknown_recipe(tmp_path: Path) -> None:
    """A misspelt recipe is answered with the known ones, before anything heavy is imported."""
    with pytest.raises(UnknownNameError, match=r"no recipe named 's5'; did you mean '.*Known: s0, s1, s2, s3, s4"):
        train("s5", data=None, out=tmp_path)


def test_recipe_without_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe file that defines none is named."""
    (tmp_path / "s9").mkdir()
    (tmp_path / "s9" / "recipe.py").write_text("RECIPE = 3\n")
    for module in (recipes, recipefile):
        monkeypatch.setattr(module, "assets_dir", lambda _: tmp_path)
    with pytest.raises(ModelError, match=r"s9/recipe\.py: RECIPE: expected a Recipe, got 3"):
        load_recipe("s9")


@pytest.mark.parametrize(("module", "package"), [("tensorflow", "tensorflow"), ("tf_keras", "tf-keras")])
def test_without_tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, package: str) -> None:
    """Without the extra, the message names the pip command."""
    monkeypatch.setitem(sys.modules, "tensorflow", None if module == "tensorflow" else np)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        MissingDependencyError, match=rf"training a model needs {package}: pip .*pytest-tinyml\[train\]"
    ):
        train("s1", data=None, out=tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_other_data(tmp_path: Path) -> None:
    """70,000 samples whose test split is not the committed one are refused."""
    images = np.broadcast_to(ZEROS, (70_000, 28, 28))
    np.savez(tmp_path / "own.npz", images=images, labels=np.zeros(70_000, np.uint8))
    with pytest.raises(
        DatasetError, match=r"its 28,000 test samples are not the committed mnist-28k.*expected 2879cda5"
    ):
        training_data(str(tmp_path / "own.npz"))


def test_leak(tmp_path: Path) -> None:
    """A test image among the training images is refused and counted."""
    test = load_dataset("mnist-28k")
    images = np.concatenate([ZEROS, test.images[7:9]])
    np.savez(tmp_path / "own.npz", images=images, labels=np.zeros(3, np.uint8))
    with pytest.raises(DatasetError, match="2 training images are among the 28,000 test images, the first is sample 1"):
        training_data(str(tmp_path / "own.npz"))


def test_unlabelled(tmp_path: Path) -> None:
    """Training data need labels."""
    np.savez(tmp_path / "own.npz", images=ZEROS)
    with pytest.raises(DatasetError, match="has no labels to train on"):
        training_data(str(tmp_path / "own.npz"))


def test_other_shape(tmp_path: Path) -> None:
    """Training images are like the test images."""
    np.savez(tmp_path / "own.npz", images=ZEROS[:, :9, :9], labels=np.zeros(1, int))
    with pytest.raises(DatasetError, match=r"differ from the test images in shape.*expected uint8 \(28, 28\)"):
        training_data(str(tmp_path / "own.npz"))


def test_own_training_data(tmp_path: Path) -> None:
    """Any other labelled images are accepted for training."""
    np.savez(tmp_path / "own.npz", images=ZEROS, labels=np.array([4]))
    own, test = training_data(str(tmp_path / "own.npz"))
    assert (1, 28_000) == (len(own), len(test))


def test_card_is_read_back(tmp_path: Path) -> None:
    """What is written into a card comes out of it again."""
    recipe = load_recipe("s2")
    model = load_file(assets_dir("models") / "s2" / "s2-ptq.tflite", "s2-ptq", recipe.preprocess)
    data = make_dataset("x", np.concatenate([ZEROS, ZEROS]), np.array([1, 2]))
    file = Trained(variant="ptq", model=model, macs=5, correct=1, runtime="tflm 1")
    (tmp_path / "card.toml").write_text(render_card(recipe, 3, 99, data, data, (file,)))
    card = read_card(tmp_path / "card.toml")
    assert ("s2", recipe.system, 99, recipe.preprocess) == (card.name, card.system, card.parameters, card.preprocess)
    entry = card.files[0]
    assert ("s2-ptq", "s2-ptq.tflite", "ptq", 5) == (entry.name, entry.file, entry.kind, entry.macs)
    assert (model.sha256, len(model.data), 0.5, "tflm 1") == (entry.sha256, entry.nbytes, entry.top1, entry.runtime)


@pytest.mark.parametrize("name", ["s1-ptq", "s2-float"])
def test_count_correct(name: str) -> None:
    """The evaluation is of the file and by the label: on 500 images about as good as the card says, else 0."""
    system = name.partition("-")[0]
    model = load_file(assets_dir("models") / system / f"{name}.tflite", name, load_recipe(system).preprocess)
    whole = load_dataset("mnist-28k")
    assert whole.labels is not None
    part = make_dataset("part", whole.images[:500], whole.labels[:500])
    wrong = make_dataset("wrong", whole.images[:500], whole.labels[:500] + 10)
    correct, runtime = count_correct(model, part)
    assert 500 * 0.94 <= correct < 500
    assert runtime.split()[0] == ("litert" if name.endswith("float") else "tflm")
    assert count_correct(model, wrong)[0] == 0
