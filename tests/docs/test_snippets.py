"""What the documentation shows besides Python and commands is well formed, and means something to those who read it."""

from __future__ import annotations

import json
import subprocess
import tomllib
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from pytest_tinyml.boards.boardmap import read_board_map
from pytest_tinyml.boards.registry import Registry, registered
from pytest_tinyml.shell.options import OPTIONS
from pytest_tinyml.stores.models import load_model
from tests.docs.snippets import PAGES, ROOT, blocks, in_block, on_page
from tests.http.test_http_client import INVITATION, TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from tests.projects import Project

PROSE: Final = frozenset({"", "console", "python", "text"})
"""Output, and what other tests read: `test_commands` and `test_docs`."""
DATA: Final[dict[str, Callable[[str], Any]]] = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}
SAMPLES: Final = 40


def written(*languages: str) -> list[Any]:
    """Return the blocks in some languages with their pages."""
    return [
        pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        for number, (language, text) in enumerate(blocks(page))
        if language in languages
    ]


def test_every_language_is_read() -> None:
    """There is no block in a language that no test reads, and no code that is taken for output."""
    known = PROSE | DATA.keys() | {"sh", "bash"}
    found = {language for page in PAGES for language, _ in blocks(page) if not language.startswith("{")}
    assert set() == found - known


@pytest.mark.parametrize("text", written("sh", "bash"))
def test_shell(text: str) -> None:
    """A shell takes the lines."""
    done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize(("language", "text"), [pair for page in PAGES for pair in blocks(page) if pair[0] in DATA])
def test_data(language: str, text: str) -> None:
    """What is data can be read."""
    assert DATA[language](text)


@pytest.mark.parametrize("text", written("toml"))
def test_toml(text: str, tmp_path: Path) -> None:
    """A card belongs to a model, a file of boards is taken, and a project's settings are options and their values."""
    read = tomllib.loads(text)
    if "preprocess" in read:
        (tmp_path / "my.tflite").write_bytes(load_model("s0-ptq").data)
        (tmp_path / "my.card.toml").write_text(text, encoding="utf-8")
        assert not load_model(str(tmp_path / "my.tflite")).preprocess.assumed
    elif "board" in read:
        (tmp_path / "tinyml-boards.toml").write_text(text, encoding="utf-8")
        found = read_board_map(tmp_path / "tinyml-boards.toml", registered(Registry()).names())
        assert [board["id"] for board in read["board"]] == [board.id for board in found.boards]
    else:
        known = {option.key: option for option in OPTIONS}
        for key, value in read["tool"]["pytest"]["ini_options"].items():
            for item in value if isinstance(value, list) else [value]:
                known[key].parse(item)


def test_client_of_the_page(project: Project) -> None:
    """The client that users are given predicts all samples, and is right, bit by bit."""
    (code,) = (text for language, text in blocks(ROOT / "docs/how-to/own-http-client.md") if language == "python")
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_file(str(load_model("s1-ptq").path), arena_size=1 << 20)

    def classify(pixels: bytes) -> npt.NDArray[Any]:
        import numpy as np

        shifted = np.frombuffer(pixels, dtype=np.uint8).astype(np.int16) - 128
        interpreter.set_input(shifted.astype(np.int8).reshape(interpreter.get_input_details(0)["shape"]), 0)
        interpreter.invoke()
        scores: npt.NDArray[Any] = interpreter.get_output(0).reshape(-1)
        return scores

    names: dict[str, Any] = {}
    exec(compile(code, "own-http-client.md", "exec"), names)  # noqa: S102 - it is our own page
    session = project.spawn("--board=http-client", "--tinyml-model=s1-ptq", f"--tinyml-limit={SAMPLES}")
    try:
        assert session.stdout is not None
        output = ""
        while (found := INVITATION.search(output)) is None:
            line = session.stdout.readline()
            assert line, output
            output += line
        host, _, port = found[1].removeprefix("http://").partition(":")
        names["run"](host, int(port), (project.path / found[2]).read_text("ascii").strip(), classify)
        rest, _ = session.communicate(timeout=TIMEOUT_S)
    finally:
        session.kill()
        session.wait()
    assert 0 == session.returncode, output + rest
    assert 1.0 == project.results()["metrics"]["bit_exact_ratio"]


PAGE: Final = """\
1. Type `tinyml boards`, and

   ```console
   $ TINYML_CACHE=/tmp/x .venv/bin/pytest --board native \\
         --tinyml-limit 5   # five
   5 passed
   $ tinyml data info photos#train && ls
   ```

```{toctree}
other
```

    tinyml fit MODEL [--board NAME ...]
"""


def test_commands_are_found(tmp_path: Path) -> None:
    """Blocks in lists, comments, continued lines, variables and hashes in words are read as a shell reads them."""
    (tmp_path / "page.md").write_text(PAGE, encoding="utf-8")
    shell, fence = blocks(tmp_path / "page.md")
    assert ("console", "{toctree}") == (shell[0], fence[0])
    run, info = in_block("page.md", shell[1])
    assert ("pytest", "--board", "native", "--tinyml-limit", "5") == run.words
    assert ("5 passed",) == run.printed
    assert ("tinyml", "data", "info", "photos#train") == info.words
    found = [list(map(str, place)) for place in on_page(tmp_path / "page.md", tmp_path)]
    assert [[str(run), str(info)], ["tinyml fit MODEL '[--board' NAME '...]'"], ["tinyml boards"]] == found
    assert [True, True, False, True] == [
        command.whole for place in on_page(tmp_path / "page.md", tmp_path) for command in place
    ]
