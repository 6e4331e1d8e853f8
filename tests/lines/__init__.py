"""A serial line with a baud rate, a buffer and faults, for tests and benchmarks."""
