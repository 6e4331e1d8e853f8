"""Tests that train for real; they need the extra `train`."""
