"""Ready-made tests for any model, data set and board: ``pytest --pyargs pytest_tinyml.suite --board NAME``."""
