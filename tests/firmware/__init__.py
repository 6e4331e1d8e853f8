"""Tests of the firmware sources on the host."""
