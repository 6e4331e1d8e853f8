"""The twin: a stand-in for an ESP32-CAM on a desk, for tests that use it as a user would."""
