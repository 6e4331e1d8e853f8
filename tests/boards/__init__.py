"""Tests of boards and of what runs on them."""
