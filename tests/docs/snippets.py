"""The commands and code in the documentation: where they stand, and what they are."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("firmware/**/*.md")])
PROGRAMS: Final = ("pytest", "tinyml")
_FENCE: Final = re.compile(r"^( *)(`{3,})([^\n`]*)\n(.*?)^ *\2$", re.MULTILINE | re.DOTALL)
_INDENTED: Final = re.compile(r"(?:^ {4,}(?:pytest|tinyml) [^\n]*\n)+", re.MULTILINE)
_INLINE: Final = re.compile(r"(?<!`)`((?:pytest|tinyml) [^`]+)`")
_PLACEHOLDER: Final = re.compile(r"^\[|\.\.\.|^[A-Z]+$")
# shlex takes every hash for a comment, also the one in photos#train.
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")
_VARIABLE: Final = re.compile(r"\w+=\S*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command that a page tells its reader to type.

    Attributes:
        page: relative to the repository.
        words: program and arguments.
        whole: it can be typed as it stands, and does not show what may follow or be put in.
        alone: it stands in a block, not in a sentence, where the rest of it may be left out.
        printed: the lines that the page shows under it.
        place: number of the block or sentence; what stands in one is typed one after the other, in one folder.
    """

    page: str
    words: tuple[str, ...]
    whole: bool
    alone: bool
    printed: tuple[str, ...] = ()
    place: int = 0

    def __str__(self) -> str:
        """Return it as it would be typed."""
        return shlex.join(self.words)


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the fenced blocks of a page: language, and text without the fence's indentation."""
    for indent, _, language, text in _FENCE.findall(page.read_text(encoding="utf-8")):
        yield language, "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))


def commands() -> list[Command]:
    """Return every command of `PROGRAMS` in the documentation, with its place."""
    return [
        replace(command, place=place)
        for page in PAGES
        for place, found in enumerate(on_page(page))
        for command in found
    ]


def on_page(page: Path, root: Path = ROOT) -> Iterator[list[Command]]:
    """Yield the commands of each block, and each of a sentence."""
    name = str(page.relative_to(root))
    text = page.read_text(encoding="utf-8")
    for language, block in blocks(page):
        if language in {"console", ""}:
            yield list(in_block(name, block))
        elif language in {"sh", "bash"}:
            yield [command for line in block.replace("\\\n", " ").splitlines() for command in _typed(name, line)]
    prose = _FENCE.sub("", text)
    for lines in _INDENTED.findall(prose):
        yield [command for line in lines.splitlines() for command in _typed(name, line)]
    for line in _INLINE.findall(prose):
        yield list(_typed(name, line.replace("\n", " "), alone=False))


def in_block(page: str, block: str) -> Iterator[Command]:
    """Yield the commands behind ``$``, each with what was printed up to the next one."""
    first, *others = re.split(r"^\$ ", block.replace("\\\n", " "), flags=re.MULTILINE)
    del first
    for part in others:
        line, _, printed = part.partition("\n")
        yield from _typed(page, line, printed=tuple(printed.splitlines()))


def _typed(page: str, line: str, *, alone: bool = True, printed: tuple[str, ...] = ()) -> Iterator[Command]:
    """Yield the commands of one line; programs that are not ours are left out."""
    for part in line.split("&&"):
        # In a sentence an apostrophe is no quote, and what is left open there was no command.
        try:
            words = shlex.split(_COMMENT.sub("", part))
        except ValueError:
            words = part.split()
        while words and _VARIABLE.fullmatch(words[0]):
            words = words[1:]
        if words and Path(words[0]).name in PROGRAMS:
            open_end = any(_PLACEHOLDER.search(word) for word in words)
            yield Command(
                page=page,
                words=(Path(words[0]).name, *words[1:]),
                whole=not open_end,
                alone=alone,
                printed=printed,
            )
