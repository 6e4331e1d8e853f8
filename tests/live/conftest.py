"""The live page is looked at in a browser."""

from tests.browser import browser, open_tab

__all__ = ["browser", "open_tab"]
