"""Golden vectors of PROTOCOL.md and what computes them."""
