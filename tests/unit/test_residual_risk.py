"""What PROTOCOL.md says about damage that nobody notices, computed."""

from __future__ import annotations

import random
from itertools import pairwise
from zlib import crc32

from cobs import cobs

POLYNOMIAL = 0x104C11DB7
COVERED_BITS = 91_607
CODEWORD_BITS = COVERED_BITS + 32


def test_three_flipped_bits_are_always_found() -> None:
    """Up to 91,607 bits and their CRC hold no undetected pattern of two or three bits, and one bit more does.

    A pattern is undetected if the polynomial divides it. Shifting changes nothing, so its last bit may be bit 0: what
    is looked for is x^i = 1, or x^i + 1 = x^j, modulo the polynomial.
    """
    exponent: dict[int, int] = {}
    power = 1
    for i in range(CODEWORD_BITS + 1):
        assert power not in exponent, f"two bits, {i} apart"
        exponent[power] = i
        power <<= 1
        if power >> 32:
            power ^= POLYNOMIAL
    spans = [max(i, exponent[value ^ 1]) for value, i in exponent.items() if i and exponent.get(value ^ 1)]
    assert min(spans) == CODEWORD_BITS


def test_the_polynomial_is_the_one_in_use() -> None:
    """The CRC-32 of zlib is that polynomial: the CRCs of one-bit messages follow its powers."""
    zeros = crc32(bytes(8))
    syndromes = [crc32((1 << bit).to_bytes(8, "little")) ^ zeros for bit in range(63, -1, -1)]
    reflected = int(f"{POLYNOMIAL & 0xFFFFFFFF:032b}"[::-1], 2)
    for before, after in pairwise(syndromes):
        assert after == before >> 1 ^ (reflected if before & 1 else 0)


def test_dropped_and_doubled_bytes_are_like_a_random_change() -> None:
    """Of frames that COBS lets through, one in 256 agrees in eight bits of the CRC: as many as chance would have."""
    noise = random.Random(5)  # noqa: S311 - a reproducible one
    agree = left = 0
    while left < 15_000:
        body = bytes(
            (1, 2, *noise.randbytes(2), *noise.choices((0, 7, *noise.randbytes(8)), k=noise.randrange(20, 60)))
        )
        sent = cobs.encode(body + crc32(body).to_bytes(4, "little"))
        at = noise.randrange(len(sent))
        spoilt = sent[:at] + noise.choice((b"", sent[at : at + 1] * 2)) + sent[at + 1 :]
        try:
            got = cobs.decode(spoilt)
        except cobs.DecodeError:
            continue
        left += 1
        agree += crc32(got[:-4]) & 0xFF == got[-4]
    # 59 expected; five standard deviations are 38.
    assert abs(agree - left / 256) < 5 * (left / 256) ** 0.5
