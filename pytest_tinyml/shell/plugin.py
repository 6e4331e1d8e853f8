"""The plugin's entry point. Installed but unused, it costs a few options: all else is imported with ``--board``."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from pytest_tinyml.shell import fixtures, hookspecs
from pytest_tinyml.shell.options import NO_BOARD, add_options, asked_boards, read_settings
from pytest_tinyml.shell.portoptions import add_port_options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_tinyml.shell.session import Session


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the options."""
    add_options(parser)
    # Which of two plugins is loaded first is not for them to say: whether the other one will come is.
    if find_spec("pytest_embedded") is None or pluginmanager.is_blocked("pytest_embedded"):
        add_port_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks."""
    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures, and the harness if a board was asked for."""
    config.addinivalue_line("markers", "tinyml: uses a board; runs with --board NAME, skips without")
    config.pluginmanager.register(fixtures, "tinyml-fixtures")
    boards = asked_boards(config)
    if boards is None and config.option.tinyml_submit is not None:
        msg = "--tinyml-submit submits what a board predicts: add --board NAME (tinyml boards lists them)"
        raise pytest.UsageError(msg)
    if boards is None or config.option.help:
        return
    # pytest-xdist's controller, whether asked for with -n, or with --dist and --tx.
    if hasattr(config, "workerinput") or config.pluginmanager.has_plugin("dsession"):
        msg = "--board does not go with -n: processes cannot share a board; use --tinyml-count N for several boards"
        raise pytest.UsageError(msg)
    from pytest_tinyml.shell.session import Session  # noqa: PLC0415 - what it imports is only needed with a board

    session = Session(config, read_settings(config, boards))
    config.pluginmanager.register(session, fixtures.SESSION)
    if session.settings.live is not None:
        from pytest_tinyml.shell.live import LivePage  # noqa: PLC0415 - a server takes a while

        config.pluginmanager.register(LivePage(config, session, session.settings.live), "tinyml-live")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test per run of several, and one per shard for every test that asks for ``tinyml_shard``."""
    session: Session | None = metafunc.config.pluginmanager.get_plugin(fixtures.SESSION)
    if session is not None and session.several and fixtures.HARNESS in metafunc.fixturenames:
        metafunc.parametrize(fixtures.HARNESS, session.names, indirect=True, scope="session")
    if "tinyml_shard" not in metafunc.fixturenames:
        return
    shards: Iterable[range] = [range(0)] if session is None else session.shards()
    # Zero-padded, so that an alphabetical listing is in order.
    metafunc.parametrize(
        "tinyml_shard", shards, ids=lambda shard: f"{shard.start:05d}-{shard.stop - 1:05d}" if shard else "-"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without ``--board`` skip what needs one; with it and without paths, run only that."""
    if asked_boards(config) is None:
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
