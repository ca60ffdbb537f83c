"""Decimal only (L11): parsing at the edge, steps, and the one rounding that each use states.

Floats never touch a balance: `decimal_from` refuses them.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

ZERO = Decimal(0)
ONE = Decimal(1)

#: Prices derived by division (a basis, an average) are rounded half-even to this many significant
#: digits. Quantities and cash are sums and products and stay exact.
DIVISION = Context(prec=28, rounding=ROUND_HALF_EVEN)


def decimal_from(value: object) -> Decimal:
    """A finite Decimal from a str, int or Decimal. Floats and bools are refused (L11).

    Raises ValueError with the offending value when it is none of these or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise ValueError(f"not a decimal: {value!r} (write numbers of money as strings)")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"not a decimal: {value!r}") from None
    if not number.is_finite():
        raise ValueError(f"not a finite decimal: {value!r}")
    return number


def divide(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Quotient at 28 significant digits, half-even; the only division of money in the project."""
    return DIVISION.divide(numerator, denominator)


def floor_to_step(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` that is not larger in magnitude than `value`."""
    if step <= 0:
        return value
    return (value / step).to_integral_value(rounding=ROUND_DOWN) * step


def plain(value: Decimal) -> str:
    """Canonical text: no exponent, no trailing zeros, no negative zero."""
    if not value:
        return "0"
    text = str(value)
    if "E" in text:
        text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
