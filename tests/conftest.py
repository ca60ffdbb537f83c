"""Fixtures that every test may use; keep it small, and put what one area needs beside its tests."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def root() -> Path:
    """The top of the source tree."""
    return ROOT
