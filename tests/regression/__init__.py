"""Tests of what must never happen again, or never at all: lost results, errors that pass."""
