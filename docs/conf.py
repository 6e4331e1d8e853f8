"""How the documentation becomes a site: ``tox run -e docs``.

The repository's root is Sphinx's source folder (``sphinx-build -c docs . OUT``). Pages then link to each other, to
the README and to the firmware's documents by the same relative paths on a code host and in the site; Sphinx checks all.
"""

# ruff: noqa: INP001 - Sphinx reads this file, nothing imports it

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT: Final = Path(__file__).parents[1]

project = "pytest-tinyml"
author = "the authors of pytest-tinyml"
project_copyright = author
(release,) = re.findall(
    r'^__version__ = "(.+)"$', (ROOT / "pytest_tinyml/__init__.py").read_text("utf-8"), re.MULTILINE
)
version = release
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["docs/**", "README.md", "CHANGELOG.md", "firmware/*.md", "firmware/**/*.md"]
exclude_patterns = [".*", "**/.*", "**/node_modules", "**/build"]
nitpicky = True

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

html_theme = "furo"
html_title = f"pytest-tinyml {release}"
# The site's own index.html leads to the page of this name.
html_extra_path = ["_site"]
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_copy_source = False
html_show_sphinx = False

KINDS: Final = ("added", "changed", "fixed", "removed")


def _fragments() -> list[str]:
    """Return what towncrier will put above the released versions: the fragments, by kind and name."""
    lines: list[str] = []
    for kind in KINDS:
        found = sorted((ROOT / "changelog.d").glob(f"*.{kind}.md"))
        if found:
            lines += ["", f"### {kind.capitalize()}", ""]
            lines += ["- " + " ".join(path.read_text("utf-8").split()) for path in found]
    return ["", "## Not released yet", *lines] if lines else []


def _with_fragments(_app: Sphinx, name: str, content: list[str]) -> None:
    if name == "CHANGELOG":
        content[0] = "\n".join([content[0], *_fragments(), ""])


def setup(app: Sphinx) -> None:
    """Show in the changelog what is not released yet."""
    app.connect("source-read", _with_fragments)
