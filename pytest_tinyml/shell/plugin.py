"""The plugin's entry point. Installed but unused, it costs a few options: all else is imported with ``--board``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.shell import fixtures, hookspecs
from pytest_tinyml.shell.options import NO_BOARD, add_options, board_name, read_settings

if TYPE_CHECKING:
    from collections.abc import Iterable


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks."""
    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures, and the harness if a board was asked for."""
    config.addinivalue_line("markers", "tinyml: uses a board; runs with --board NAME, skips without")
    config.pluginmanager.register(fixtures, "tinyml-fixtures")
    board = board_name(config)
    if board is None or config.option.help:
        return
    # pytest-xdist's controller, whether asked for with -n, or with --dist and --tx.
    if hasattr(config, "workerinput") or config.pluginmanager.has_plugin("dsession"):
        msg = "--board does not go with -n: processes cannot share a board; use --tinyml-count N for several boards"
        raise pytest.UsageError(msg)
    from pytest_tinyml.shell.harness import Harness  # noqa: PLC0415 - what it imports is only needed with a board

    config.pluginmanager.register(Harness(config, read_settings(config, board)), "tinyml-harness")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test per shard of the data set of every test that asks for ``tinyml_shard``."""
    if "tinyml_shard" not in metafunc.fixturenames:
        return
    harness = metafunc.config.pluginmanager.get_plugin("tinyml-harness")
    shards: Iterable[range] = [range(0)] if harness is None else harness.shards()
    # Zero-padded, so that an alphabetical listing is in order.
    metafunc.parametrize(
        "tinyml_shard", shards, ids=lambda shard: f"{shard.start:05d}-{shard.stop - 1:05d}" if shard else "-"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without ``--board`` skip what needs one; with it and without paths, run only that."""
    if board_name(config) is None:
        for item in items:
            if uses_board(item):
                item.add_marker(pytest.mark.skip(reason=NO_BOARD))
        return
    if config.args_source is config.ArgsSource.ARGS:
        return
    others = [item for item in items if not uses_board(item)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if uses_board(item)]


def uses_board(item: pytest.Item) -> bool:
    """Whether a test asks for one of the plugin's fixtures or carries its marker."""
    names = getattr(item, "fixturenames", ())
    return item.get_closest_marker("tinyml") is not None or any(name.startswith("tinyml_") for name in names)
