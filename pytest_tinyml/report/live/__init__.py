"""The live page: where a session stands, for whoever looks at it in a browser while it runs."""

from __future__ import annotations

from pytest_tinyml.report.live.server import LiveServer

__all__ = ["LiveServer"]
