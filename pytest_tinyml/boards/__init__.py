"""Boards: chip, firmware port, engine and link under one name."""
