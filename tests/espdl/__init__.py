"""Tests that need the extra espdl."""
