"""Timestamps of market data files: ISO 8601, or epoch seconds, ms, us, ns told apart by size.

Not responsible for ordering or for clocks: it turns text into UTC microseconds, nothing else.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

#: From these sizes on a number is milliseconds, microseconds, nanoseconds. Each unit reaches from
#: 1973 to the year 5138, so that no time that a market file can hold is ambiguous.
_MS_MIN, _US_MIN, _NS_MIN = 10**11, 10**14, 10**17

#: Eight digits in this range are dates; as seconds they would all lie in August and September 1970.
_COMPACT_DATE_MIN, _COMPACT_DATE_MAX = 19_700_101, 21_991_231

#: 2200-01-01. A time behind it is damage; believed, it would make every later row look late.
EVENT_US_MAX = 7_258_118_400_000_000


def timestamp_us(text: str) -> int:
    """UTC microseconds since the epoch; a time without a zone is UTC; digits below 1 us are cut.

    Raises ValueError, naming the text, when it is no time between 1970 and 2200.
    """
    try:
        if not text.isascii() or "_" in text:
            raise ValueError("digits of another kind")
        value = _epoch_us(int(text)) if text.isdecimal() else _other_us(text.strip())
    except (ValueError, OverflowError, InvalidOperation):
        raise ValueError(f"timestamp {text[:40]!r} is neither ISO 8601 nor an epoch") from None
    if not 0 < value < EVENT_US_MAX:
        raise ValueError(f"timestamp {text[:40]!r} is not between 1970 and 2200")
    return value


def _epoch_us(number: int) -> int:
    if _COMPACT_DATE_MIN <= number <= _COMPACT_DATE_MAX:
        raise ValueError("a date such as 20231114, not seconds")
    if number < _MS_MIN:
        return number * 1_000_000
    if number < _US_MIN:
        return number * 1_000
    if number < _NS_MIN:
        return number
    return number // 1_000


def _other_us(text: str) -> int:
    if "-" in text[1:] or ":" in text:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - _EPOCH) // _MICROSECOND
    number = Decimal(text)
    # Bounded before int(): a written exponent may ask for a number of any length.
    if not 0 < number < 10**20:
        raise ValueError("out of range")
    if number < _MS_MIN:
        return int(number * 1_000_000)
    if number < _US_MIN:
        return int(number * 1_000)
    return _epoch_us(int(number))
