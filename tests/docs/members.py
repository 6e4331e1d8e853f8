"""The parts of the reference that are made from docstrings: fixtures, what they hand out, hooks, exceptions."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from typing import TYPE_CHECKING, Final

from pytest_tinyml import errors, records
from pytest_tinyml.shell import fixtures, handles, hookspecs, plugin
from pytest_tinyml.verdict.compare import Comparison
from tests.docs.tables import cell, table

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARD: Final = "A range of sample ids; a test that asks for it becomes one test per shard."
"""``tinyml_shard`` is no function with a docstring: `plugin.pytest_generate_tests` makes it."""


def fixture_table() -> str:
    """Return the table of the fixtures."""
    rows = []
    for node in ast.parse(inspect.getsource(fixtures)).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("tinyml_"):
            assert node.returns is not None
            given = ast.unparse(node.returns)
            rows.append((f"`{node.name}`", f"[`{given}`](#{given.lower()})", _text(_first(ast.get_docstring(node)))))
    assert '"tinyml_shard"' in inspect.getsource(plugin)
    return table(("fixture", "gives", "what it is"), [*rows, ("`tinyml_shard`", "`range`", SHARD)])


def handed_out() -> str:
    """Return a section for each class that a fixture gives."""
    classes = [
        *(handles.BoardHandle, handles.RunHandle, handles.ReferenceHandle),
        *(Comparison, records.Model, records.Dataset),
    ]
    return "\n\n".join(
        f"### {made.__name__}\n\n{_text(_first(made.__doc__))}\n\n"
        f"{table(('member', 'what it is'), list(_members(made)))}"
        for made in classes
    )


def _members(made: type) -> Iterator[tuple[str, str]]:
    """Yield attributes, then properties and methods, with what their docstrings say."""
    for name, said in _entries(made.__doc__, "Attributes"):
        yield f"`{name}`", _text(said)
    for name, member in vars(made).items():
        # A method of a special name is called in another way, which is what a reader knows it by.
        if name == "__len__":
            yield "`len()`", _text(_first(member.__doc__))
        elif name.startswith("_"):
            continue
        elif isinstance(member, property):
            yield f"`{name}`", _text(_first(member.__doc__))
        elif inspect.isfunction(member):
            taken = list(inspect.signature(member).parameters)[1:]
            more = [f"`{argument}`: {said}" for argument, said in _entries(member.__doc__, "Args")]
            more += [f"Gives {said[:1].lower()}{said[1:]}" for said in _paragraphs(member.__doc__, "Returns")]
            more += [f"Raises `{error}`: {said}" for error, said in _entries(member.__doc__, "Raises")]
            yield f"`{name}({', '.join(taken)})`", _text(" ".join([_first(member.__doc__), *more]))


def hooks() -> str:
    """Return a section for each hook, with its docstring's example as a block of its own."""
    found = []
    for name, function in vars(hookspecs).items():
        if name.startswith("pytest_tinyml_"):
            said, _, code = inspect.cleandoc(function.__doc__ or "").partition(".. code-block:: python\n")
            block = f"\n\n```python\n{textwrap.dedent(code).strip()}\n```" if code else ""
            heading = f"### {name}({', '.join(inspect.signature(function).parameters)})"
            found.append(f"{heading}\n\n{_quoted(said.strip())}{block}")
    return "\n\n".join(found)


def exceptions() -> str:
    """Return the tree of exceptions, and a table with what each says and carries."""
    tree = (errors.__doc__ or "").partition("\n\n")[2].strip()
    rows = [
        (
            f"`{error.__name__}`",
            f"`{error.__mro__[1].__name__}`",
            _text(_first(error.__doc__)),
            ", ".join(f"`{name}`" for name, _ in _fields(error)),
        )
        for error in raised()
    ]
    return f"```text\n{tree}\n```\n\n" + table(("exception", "is a", "what it means", "carries"), rows)


def raised() -> list[type[errors.TinymlError]]:
    """Return every exception of the package, in the order of its module."""
    return [
        value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.TinymlError)
    ]


def _fields(error: type) -> list[tuple[str, str]]:
    """Return what an exception carries besides its message."""
    held = inspect.getsource(error)
    args = [(name, said) for name, said in _entries(error.__doc__, "Args") if re.search(rf"self\.{name}\b", held)]
    return args + _entries(error.__doc__, "Attributes")


def _first(docstring: str | None) -> str:
    """Return the first paragraph of a docstring, in one line."""
    return " ".join(inspect.cleandoc(docstring or "").partition("\n\n")[0].split())


def _paragraphs(docstring: str | None, section: str) -> list[str]:
    """Return what stands under a heading of a Google docstring, in one line; empty if there is no such heading."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    if f"{section}:" not in lines:
        return []
    start = lines.index(f"{section}:") + 1
    taken = []
    for line in lines[start:]:
        if line and not line.startswith(" "):
            break
        taken.append(line.strip())
    return [" ".join(" ".join(taken).split())]


def _entries(docstring: str | None, section: str) -> list[tuple[str, str]]:
    """Return the ``name: meaning`` pairs under a heading of a Google docstring."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    found: list[tuple[str, str]] = []
    inside = False
    for line in lines:
        if line == f"{section}:":
            inside = True
        elif inside and line and not line.startswith(" "):
            break
        elif inside and (entry := re.match(r"    ([\w.]+): (.*)", line)):
            found.append((entry[1], entry[2]))
        elif inside and line.strip():
            name, said = found[-1]
            found[-1] = (name, f"{said} {line.strip()}")
    return found


def _text(said: str) -> str:
    return cell(_quoted(said))


def _quoted(said: str) -> str:
    """Return reStructuredText's literals as Markdown's."""
    return said.replace("``", "`")
