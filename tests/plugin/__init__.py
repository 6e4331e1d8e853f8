"""Tests of the pytest plugin: pytest is run on files that they write."""
