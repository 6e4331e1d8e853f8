"""What a test needs and does not find: a reason to skip on somebody's computer, and a failure in CI."""

from __future__ import annotations

import os
from typing import Never

import pytest


def lacking(reason: str) -> Never:
    """Skip the test, or in CI fail it: there nothing is skipped for want of a tool."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and in CI it has to be", pytrace=False)
    pytest.skip(reason)
