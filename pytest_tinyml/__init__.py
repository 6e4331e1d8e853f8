"""Hardware-in-the-loop testing of quantised neural networks on microcontrollers."""
