"""Kaggle: what its competitions ask for, and the official client in a process of its own."""
