"""What a sequential test is asked to decide, and how the user writes it down; imports no numpy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

EXAMPLE: Final = "alpha=0.05,beta=0.05,delta=1pp"
_FORM: Final = f"is not a list of alpha, beta, delta and seed, e.g. {EXAMPLE}"
_HALF: Final = 0.5
_ALL: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialSpec:
    """What `pytest_tinyml.verdict.sequential` decides between, with which error rates.

    Attributes:
        alpha: how often, at most, a board that is not worse than its partner is said to be worse; above 0, at most 0.5.
        beta: how often, at most, one that is worse by `delta` or more is said not to be; above 0, at most 0.5.
        delta: loss of top-1 accuracy that must not be missed, above 0 and below 1; the user gives percentage points.
        seed: of the random order of samples, at least 0.
    """

    alpha: float = 0.05
    beta: float = 0.05
    delta: float = 0.01
    seed: int = 0

    def __str__(self) -> str:
        """Return it as the user would write it."""
        return f"alpha={self.alpha:g},beta={self.beta:g},delta={100 * self.delta:g}pp,seed={self.seed}"


def parse_sequential(text: str) -> SequentialSpec:
    """Read ``alpha=0.05,beta=0.05,delta=1pp,seed=0``, in any order; what is left out is as in this example.

    Raises:
        ValueError: with a message that goes on after the text, e.g. "is not ...".
    """
    spec, given = SequentialSpec(), set[str]()
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or key not in {"alpha", "beta", "delta", "seed"}:
            raise ValueError(_FORM)
        if key in given:
            msg = f"must be clear: {key} is given twice"
            raise ValueError(msg)
        given.add(key)
        if key == "seed":
            spec = replace(spec, seed=_seed(value))
        elif key == "delta":
            spec = replace(spec, delta=_delta(value))
        elif key == "alpha":
            spec = replace(spec, alpha=_rate(key, value))
        else:
            spec = replace(spec, beta=_rate(key, value))
    return spec


def _rate(key: str, text: str) -> float:
    value = _number(text)
    if value is None or not 0.0 < value <= _HALF:
        msg = f"must have {key} above 0 and at most 0.5, not {text!r}"
        raise ValueError(msg)
    return value


def _delta(text: str) -> float:
    value = _number(text.removesuffix("pp")) if text.endswith("pp") else None
    if value is None or not 0.0 < value < _ALL:
        msg = f"must have delta in percentage points, above 0 and below 100, e.g. delta=1pp, not {text!r}"
        raise ValueError(msg)
    return value / _ALL


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        msg = f"must have a seed that is a whole number, not {text!r}"
        raise ValueError(msg)
    return int(text)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
