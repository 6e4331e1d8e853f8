"""Tests of pytest-tinyml."""
