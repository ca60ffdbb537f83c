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
#: Running sums, of which parts are taken away again later: enough digits that nothing is lost in
#: between. They are rounded once, when they are read (`DIVISION.plus`).
EXACT = Context(prec=200)
#: What a person is shown of a figure; JSON has every digit.
_SHOWN, _SHOWN_PCT = Decimal("1E-8"), Decimal("1E-4")


def decimal_from(value: object) -> Decimal:
    """A finite Decimal from a str, int or Decimal. Floats and bools are refused (L11).

    Raises ValueError with the offending value when it is none of these or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise ValueError(f"not a decimal: {value!r} (write numbers of money as strings)")
    try:
        if isinstance(value, str) and ("_" in value or not value.isascii()):
            raise InvalidOperation  # Decimal reads 1_0 as 10, and digits of every script
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


def shown(value: Decimal) -> str:
    """A figure for people: half-even to 8 decimals, without trailing zeros.

    Sums over divisions have 28 digits, of which nobody can read the first; what is exact is in
    every JSON document.
    """
    return plain(value.quantize(_SHOWN, ROUND_HALF_EVEN, EXACT) if value.is_finite() else value)


def shown_pct(value: Decimal) -> str:
    """A percentage for people, with its sign: half-even to 4 decimals."""
    rounded = value.quantize(_SHOWN_PCT, ROUND_HALF_EVEN, EXACT)
    return f"{'+' if rounded > 0 else ''}{plain(rounded)} %"
