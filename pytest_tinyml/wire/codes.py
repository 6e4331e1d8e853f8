"""Numbers of PROTOCOL.md: version, message types, error codes, statistics keys."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

PROTOCOL_VERSION: Final = 1
NO_SAMPLE: Final = 0xFFFFFFFF
"""``sample_id`` of an ERROR that concerns no sample."""
EARLY_REQUEST_BYTES: Final = 64
"""A request of at most so many encoded bytes may be sent before IDENTITY is known."""
MAX_COUNT: Final = 0xFFFF
"""Most samples of one INFER and most results of one RESULT."""
MAX_SAMPLE_BYTES: Final = 0xFFFF
"""Most bytes of one encoded sample."""


class MessageType(IntEnum):
    """The ``type`` byte of a frame."""

    HELLO = 0x01
    INFER = 0x02
    CANARY = 0x03
    STATS = 0x04
    RESET = 0x05
    ECHO = 0x06
    LOAD = 0x07
    IDENTITY = 0x81
    RESULT = 0x82
    CANARY_RESULT = 0x83
    STATS_RESULT = 0x84
    RESET_DONE = 0x85
    ECHO_RESULT = 0x86
    LOADED = 0x87
    LOG = 0xF0
    ERROR = 0xFF


class ErrorCode(IntEnum):
    """The ``code`` of an ERROR, and of errors.WireError."""

    BAD_FRAME = 1
    BAD_VERSION = 2
    UNKNOWN_TYPE = 3
    BAD_PAYLOAD = 4
    TOO_LARGE = 5
    BAD_ENCODING = 6
    BAD_SAMPLE = 7
    ENGINE = 8
    FAULT = 9
    OVERRUN = 10


class StatKey(IntEnum):
    """The keys of STATS_RESULT that this version knows."""

    UPTIME_MS = 1
    INFERENCES = 2
    FRAMES_RECEIVED = 3
    FRAMES_DROPPED = 4
    BYTES_RECEIVED = 5
    BYTES_SENT = 6
    RX_OVERRUNS = 7
    LEAST_FREE_STACK = 8
    LEAST_FREE_HEAP = 9
    FAULTS = 10


class ResetKind(IntEnum):
    """The ``kind`` of RESET."""

    ENGINE = 0
    BOARD = 1
