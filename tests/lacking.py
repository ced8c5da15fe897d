"""What becomes of a test whose service or program this machine lacks."""

import os
from typing import NoReturn

import pytest


def lacking(reason: str) -> NoReturn:
    """Skip for want of a service, but never in CI, where its absence is a fault."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
