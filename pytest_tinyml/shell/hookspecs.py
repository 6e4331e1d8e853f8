"""Hooks that plugins and ``conftest.py`` files may implement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from pytest_tinyml.boards.registry import Registry


def pytest_tinyml_boards(registry: Registry) -> None:
    """Register kinds of boards.

    Called once per session, before ``--board`` is looked up. A kind is any object with the attributes and methods of
    `pytest_tinyml.boards.base.BoardKind`:

    .. code-block:: python

        from pytest_tinyml.boards.native import NativeKind


        class MyBoardKind(NativeKind):
            name = "my-board"


        def pytest_tinyml_boards(registry):
            registry.register(MyBoardKind())
    """


def pytest_tinyml_results(config: pytest.Config, results: dict[str, Any]) -> None:
    """Look at the results, or add to them, before they are written to ``results.json``.

    Called once per board, when its tests are done; ``results["board"]["name"]`` says which.

    Keys of your own belong under ``results["extra"]``:

    .. code-block:: python

        import platform


        def pytest_tinyml_results(config, results):
            results["extra"]["computer"] = platform.node()
    """
