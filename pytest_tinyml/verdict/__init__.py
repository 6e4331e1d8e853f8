"""A run against its reference: arrays in, numbers out."""
