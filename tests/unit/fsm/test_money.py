"""Decimals only: parsing, steps, the one division and the canonical text."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsm.money import decimal_from, divide, floor_to_step, plain

D = Decimal
amounts = st.integers(-(10**17), 10**17).map(lambda n: D(n).scaleb(-8))
steps = st.sampled_from([D(s) for s in ("0.00000001", "0.001", "0.25", "0.5", "1", "5", "100")])


@pytest.mark.parametrize("value", [1.5, 0.0, True, False, None, b"1", [], "abc", "", "1,5", "0x1"])
def test_what_is_not_a_decimal_is_refused_and_shown(value: object) -> None:
    with pytest.raises(ValueError, match="not a decimal") as caught:
        decimal_from(value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-inf", D("NaN"), D("Infinity")])
def test_what_is_not_finite_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not a finite decimal"):
        decimal_from(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0.1", "0.1"), ("-0", "0"), (7, "7"), (D("2.50"), "2.5"), ("1e3", "1000"),
     ("1E-8", "0.00000001")],
)  # fmt: skip
def test_decimals_are_taken_as_they_are(value: object, expected: str) -> None:
    assert expected == plain(decimal_from(value))


@given(amounts)
def test_plain_text_is_canonical_and_reads_back(value: Decimal) -> None:
    text = plain(value)
    assert value == decimal_from(text)
    assert text == plain(decimal_from(text))
    assert text == plain(value.quantize(D("1e-10")))
    assert not set(text) & set("eE+")
    assert text == "0" or not (text.startswith("-0") and "." not in text)
    assert "." not in text or text[-1] not in "0."


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0E+5", "0"), ("-0.000", "0"), ("1E+2", "100"), ("100", "100"), ("-1.500", "-1.5")],
)
def test_plain_text(value: str, expected: str) -> None:
    assert expected == plain(D(value))


@given(amounts, steps)
def test_a_floored_quantity_is_a_multiple_and_never_larger(value: Decimal, step: Decimal) -> None:
    floored = floor_to_step(value, step)
    assert floored % step == 0
    assert abs(floored) <= abs(value)
    assert abs(value - floored) < step
    assert floored == 0 or (floored > 0) == (value > 0)
    assert floored == floor_to_step(floored, step)


@pytest.mark.parametrize("step", ["0", "-1"])
def test_without_a_step_nothing_is_floored(step: str) -> None:
    assert D("1.2345") == floor_to_step(D("1.2345"), D(step))


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [
        ("1", "4", "0.25"),
        ("830", "300", "2.766666666666666666666666667"),
        ("2", "3", "0.6666666666666666666666666667"),
        ("-1", "3", "-0.3333333333333333333333333333"),
        # The 29th digit is a 5 and nothing follows: to the even neighbour, up and down alike.
        ("1.0000000000000000000000000005", "1", "1.000000000000000000000000000"),
        ("1.0000000000000000000000000015", "1", "1.000000000000000000000000002"),
    ],
)
def test_division_has_28_digits_half_even(numerator: str, denominator: str, expected: str) -> None:
    assert D(expected) == divide(D(numerator), D(denominator))
