"""The search for the largest network that fits, and the answer whether a model does, on parts of any size."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_tinyml.campaign.capacity import Search
from pytest_tinyml.campaign.families import Family
from pytest_tinyml.campaign.fit import fit
from pytest_tinyml.cli import main
from pytest_tinyml.contractsetup import cached_model
from pytest_tinyml.engines.flatbuild import Builder
from pytest_tinyml.engines.select import sources_for
from pytest_tinyml.engines.tflm import arena_with_margin
from pytest_tinyml.errors import BuildError, DoesNotFitError, MissingToolError, UsageError
from pytest_tinyml.firmware import Firmware, MemoryUse
from pytest_tinyml.records import PreprocessSpec
from pytest_tinyml.references import get_reference
from pytest_tinyml.references.arena import probe_arena
from pytest_tinyml.stores.models import load_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tinyml.boards.base import Board, BoardRequest, Missing
    from pytest_tinyml.records import Model

OWN_FLASH, OWN_RAM = 9_000, 4_000


@dataclass
class Part:
    """A kind of board whose linker adds up: the model's file and something in ROM, its input and output in SRAM."""

    rom: int = 100_000
    sram: int = 50_000
    page: int = 1
    error: Exception | None = None
    linked_sizes: list[int] = field(default_factory=list)
    name: str = "part"
    summary: str = "a part"
    engine: str = "aot"
    hardware: bool = False
    links: tuple[str, ...] = ("socket",)
    clocks: tuple[str, ...] = ("wall",)
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def memories(self) -> dict[str, int]:
        """As the budget has them."""
        return {"flash": self.rom, "RAM": self.sram}

    def linked(self, model: Model, work_dir: Path) -> Firmware:
        """Add up."""
        assert work_dir.is_dir()
        if self.error is not None:
            raise self.error
        self.linked_sizes.append(len(model.data))
        rom = -(-(OWN_FLASH + len(model.data)) // self.page) * self.page
        used = {"rom": rom, "sram": OWN_RAM + model.input.nbytes + model.output.nbytes}
        sizes = {"rom": self.rom, "sram": self.sram}
        over = {name: used[name] for name in used if used[name] > sizes[name]}
        if over:
            raise DoesNotFitError("it exceeds its memories", over, sizes)
        memories = tuple(MemoryUse(name=name, used=used[name], size=sizes[name]) for name in used)
        return Firmware(
            path=Path("none"), sha256="", flash_bytes=0, ram_bytes=0, log_path=Path("none"), memories=memories
        )

    def missing(self) -> list[Missing]:
        """Nothing."""
        return []

    def check(self, model: Model) -> None:
        """Take whatever the engine takes."""
        sources_for(model)

    def create(self, request: BoardRequest) -> Board:
        """Never asked for."""
        raise NotImplementedError


def search(part: Part, family: Family, folder: Path, **limits: int) -> Search:
    """Make a search."""
    return Search(kind=part, family=family, folder=folder, limits=limits)


@pytest.mark.parametrize("rom", [21_000, 30_000, 77_777, 123_456])
@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_search_finds_the_last_that_fits(tmp_path: Path, name: str, rom: int) -> None:
    """What is found links, the next does not, and so few are linked that linking for real is no trouble."""
    family = Family(name="cnn" if name == "cnn" else "mlp", bits=8, height=8, width=8)
    part = Part(rom=rom)
    found = search(part, family, tmp_path).run()
    assert OWN_FLASH + len(family.make(found.best.size, tmp_path).data) <= rom
    assert OWN_FLASH + len(family.make(found.best.size + 1, tmp_path).data) > rom
    assert found.best.size + 1 == found.beyond.size
    assert ["rom"] == list(found.beyond.over)
    assert len(part.linked_sizes) <= 9


def test_search_does_not_believe_its_guess(tmp_path: Path) -> None:
    """Where memory is used in pages, the need is no smooth curve: the guess is off, and what is linked decides."""
    family = Family(name="mlp", bits=8, height=8, width=8)
    for rom in range(40_000, 120_000, 8_000):
        part = Part(rom=rom, page=6_000)
        found = search(part, family, tmp_path).run()
        pages = [-(-(OWN_FLASH + len(family.make(found.best.size + n, tmp_path).data)) // 6_000) for n in (0, 1)]
        assert pages[0] * 6_000 <= rom < pages[1] * 6_000
        assert found.best.size + 1 == found.beyond.size


def test_search_grows_the_input(tmp_path: Path) -> None:
    """With the side of the input growing, the limit is the memory that holds it: the largest square that fits."""
    family = Family(name="cnn", bits=8, grow="input", channels=3, units=1)
    found = search(Part(rom=10**7, sram=20_000), family, tmp_path).run()
    assert 73 == found.best.size  # 3 * 73**2 + 10 + 4,000 = 19,997
    assert {"sram": 438} == found.beyond.over  # 3 * 74**2 + 10 + 4,000 - 20,000 = 438


def test_limits_are_as_good_as_memories(tmp_path: Path) -> None:
    """A memory taken for smaller gives what a part with less of it gives."""
    family = Family(name="mlp", bits=8, height=4, width=4)
    small = search(Part(rom=20_000), family, tmp_path).run()
    limited = search(Part(rom=100_000), family, tmp_path, rom=20_000).run()
    assert small.best.size == limited.best.size
    assert small.beyond.over == limited.beyond.over


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"flash": 10_000}, "no memory 'flash'; it has rom, sram"),
        ({"rom": 100_001}, "rom of board 'part' has 100,000 B, which is less than 100,001 B"),
    ],
)
def test_limits_that_are_none(tmp_path: Path, limits: dict[str, int], message: str) -> None:
    """A limit names a memory of the linker's, and is no more than it has."""
    with pytest.raises(UsageError, match=message):
        search(Part(), Family(name="mlp", bits=8), tmp_path, **limits).run()


def test_not_even_the_smallest(tmp_path: Path) -> None:
    """If no network fits, the message says by how many bytes of which memory the smallest does not."""
    with pytest.raises(DoesNotFitError, match=r"exceeds rom \(9,100 B\) by [\d,]+ B"):
        search(Part(), Family(name="mlp", bits=8), tmp_path, rom=9_100).run()


@pytest.mark.parametrize("board", ["native", "tflm"])
def test_processes_have_no_capacity(board: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A board that is a process is refused with the reason."""
    assert 2 == main(["capacity", "--board", board])
    assert "it has no memories of a fixed size" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--input", "28"],
        ["--limit", "rom"],
        ["--limit", "rom=1G"],
        ["--width", "0"],
        ["--bits", "4"],
        ["--family", "rnn"],
    ],
)
def test_bad_words(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be understood ends with 2 and names the option."""
    with pytest.raises(SystemExit) as ending:
        main(["capacity", "--board", "native", *words])
    assert 2 == ending.value.code
    assert f"argument {words[0]}" in capsys.readouterr().err


def test_oblong_input_cannot_grow(capsys: pytest.CaptureFixture[str]) -> None:
    """An input that grows is square."""
    assert 2 == main(["capacity", "--board", "native", "--grow", "input", "--input", "28x14x1"])
    assert "square" in capsys.readouterr().err


@pytest.mark.parametrize(
    "family",
    [
        Family(name="mlp", bits=8, height=6, width=5),
        Family(name="cnn", bits=8, height=9, width=7, channels=3),
        Family(name="cnn", bits=8, grow="input", channels=2, units=3),
    ],
    ids=["mlp", "cnn", "input"],
)
def test_networks_are_alive(tmp_path: Path, family: Family) -> None:
    """A network's outputs depend on its input, few are cut off, and the same size gives the same bytes."""
    model = family.make(8, tmp_path)
    assert family.make(8, tmp_path).sha256 == model.sha256
    assert (1, *family.shape(8)) == model.input.shape
    tensors = np.random.default_rng(1).integers(-128, 128, (50, *family.shape(8))).astype(np.int8)
    scores = get_reference("litert").scores(model, tensors)
    assert (50, 10) == scores.shape
    assert len(np.unique(scores, axis=0)) > 45
    assert np.mean(np.abs(scores.astype(int)) >= 127) < 0.1


def test_parameters_by_hand() -> None:
    """The two formulas, worked out on paper."""
    assert (784 + 1) * 3 + (3 + 1) * 3 + (3 + 1) * 10 == Family(name="mlp", bits=8).parameters(3)
    cnn = Family(name="cnn", bits=8)
    assert (9 + 1) * 2 + (18 + 1) * 4 + (7 * 7 * 4 + 1) * 64 + 65 * 10 == cnn.parameters(2)
    assert "28x28x1 conv 2 pool conv 4 pool dense 64 dense 10" == cnn.describe(2)


def test_fit_adds_up_what_the_linker_says(tmp_path: Path) -> None:
    """A board that can be linked answers with the linker's figures, whether the model fits or not."""
    model = cached_model("s1-ptq")
    answer = fit(Part(), model, tmp_path)
    assert "fits" == answer.verdict
    assert ["rom", "sram"] == [memory.name for memory in answer.memories]
    assert OWN_FLASH + 61_120 == answer.memories[0].used
    small = fit(Part(rom=61_119, sram=4_000), model, tmp_path)
    assert "too large" == small.verdict
    assert (
        MemoryUse(name="rom", used=OWN_FLASH + 61_120, size=61_119),
        MemoryUse(name="sram", used=OWN_RAM + 784 + 10, size=4_000),
    ) == small.memories


def test_fit_without_the_compiler(tmp_path: Path) -> None:
    """Without the cross compiler the answer is what the model needs of the memories, and says so."""
    model = cached_model("s1-ptq")
    generated = sources_for(model)
    absent = MissingToolError("cc", "linking", "apt-get install cc")
    answer = fit(Part(error=absent), model, tmp_path)
    assert "has room" == answer.verdict
    assert [generated.weights_bytes, generated.arena_bytes] == [memory.used for memory in answer.memories]
    small = fit(Part(sram=generated.arena_bytes - 1, error=absent), model, tmp_path)
    assert "too large" == small.verdict
    assert ["RAM"] == [memory.name for memory in small.memories]


def test_fit_with_an_interpreter_counts_its_arena(tmp_path: Path) -> None:
    """TensorFlow Lite Micro needs the file and the arena that it recorded, with the margin that firmware is given."""
    model = cached_model("s4-ptq")
    arena = arena_with_margin(probe_arena(model).used_bytes)
    part = Part(engine="tflm", sram=arena, rom=len(model.data), error=MissingToolError("cc", "linking", "none"))
    assert "has room" == fit(part, model, tmp_path).verdict
    part.sram -= 1
    assert "too large" == fit(part, model, tmp_path).verdict
    part.rom -= 1
    assert ["flash", "RAM"] == [memory.name for memory in fit(part, model, tmp_path).memories]


def test_fit_says_what_stands_in_the_way(tmp_path: Path) -> None:
    """A model that the engine refuses, a build that fails and an engine of which nothing is known are told apart."""
    net = Builder()
    source = net.tensor([1, 4], scale=0.1)
    result = net.tensor([1, 4], scale=0.1)
    net.operator("FLOOR", [source], [result])
    path = tmp_path / "floor.tflite"
    path.write_bytes(net.finish(source, result))
    refused = fit(Part(), load_file(path, "floor", PreprocessSpec()), tmp_path)
    assert ("cannot run it", True) == (refused.verdict, "FLOOR" in refused.reason)
    broken = fit(Part(error=BuildError("no such register")), cached_model("s1-ptq"), tmp_path)
    assert ("not known", "no such register") == (broken.verdict, broken.reason)
    part = Part(engine="abacus", error=MissingToolError("cc", "linking", "none"))
    assert "engine 'abacus' is not known" in fit(part, cached_model("s1-ptq"), tmp_path).reason


def test_fit_for_boards_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    """On the command line every board answers; only one that was asked for by name can fail."""
    assert 0 == main(["fit", "s1-ptq", "--board", "native", "--board", "tflm"])
    lines = capsys.readouterr().out.splitlines()
    assert "s1-ptq: 61,120 B" == lines[0]
    assert ["native  no limit (engine aot)", "tflm    no limit (engine tflm)"] == lines[1::2]
    assert 2 == main(["fit", "s1-ptq", "--board", "nativ"])
    assert "did you mean 'native'?" in capsys.readouterr().err
