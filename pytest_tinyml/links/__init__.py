"""How samples travel between host and board."""
