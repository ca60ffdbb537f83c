"""Which names were ever used, with a small memory: most answers are "never", and cost no query.

A new order's id is looked up before it is used (M03, L4), and nearly always it is new. One bit a
name says so for certain; a bit that is set may be another name's, and then the journal is asked.
"""

from __future__ import annotations

from zlib import crc32

#: 2^24 bits are 2 MB; after a million names 6 % of the new ones ask the journal in vain.
_BITS = 24
_MASK = (1 << _BITS) - 1


class SeenNames:
    """A set of names that may say yes in error, and never no in error."""

    __slots__ = ("bits",)

    def __init__(self) -> None:
        self.bits = bytearray(1 << (_BITS - 3))

    def add(self, name: str) -> None:
        """Remember a name for good."""
        place = crc32(name.encode()) & _MASK
        self.bits[place >> 3] |= 1 << (place & 7)

    def __contains__(self, name: str) -> bool:
        """False: it was certainly never added."""
        place = crc32(name.encode()) & _MASK
        return bool(self.bits[place >> 3] & (1 << (place & 7)))
