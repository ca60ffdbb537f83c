"""Recorded market data that lies beside the source tree; tests that need it skip without it."""

from __future__ import annotations

from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "market"


def market_data(name: str) -> Path:
    """The recorded file `name`; skips the test, saying so, where it is not there."""
    path = _BESIDE / name
    if not path.is_file():
        pytest.skip(f"recorded market data is not here: {name}")
    return path
