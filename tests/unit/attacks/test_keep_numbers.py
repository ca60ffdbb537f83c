"""Numbers that a person mistypes: none becomes money by accident."""

from __future__ import annotations

import pytest

from fsm.money import decimal_from


@pytest.mark.parametrize("text", ["1_000", "_1", "\u0663", "\uff11", "1\u00a0000", "1,5", "0x10"])
def test_only_plain_digits_are_a_decimal(text: str) -> None:
    with pytest.raises(ValueError, match="not a decimal"):
        decimal_from(text)
