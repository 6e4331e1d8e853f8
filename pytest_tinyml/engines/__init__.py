"""Engines: from a model file to the sources that a firmware links."""
