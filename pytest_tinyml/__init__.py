"""Hardware-in-the-loop testing of quantised neural networks on microcontrollers."""

__version__ = "0.1.0"
