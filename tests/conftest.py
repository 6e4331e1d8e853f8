"""Shared by all tests: pytester, which runs pytest on files that a test writes."""

pytest_plugins = ["pytester"]
