"""The pytest plugin: with `suite` and `contract` the only code that imports pytest."""
