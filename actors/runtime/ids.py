"""Identifiers, injected (L10): a session's prefix and a counter, no random number in a turn."""

from __future__ import annotations

import random
import secrets

from attrs import define, field

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number: int) -> str:
    """Lower-case base 36 of a number >= 0."""
    digits = ""
    while True:
        number, rest = divmod(number, 36)
        digits = _ALPHABET[rest] + digits
        if number == 0:
            return digits


def session_identifier(started_at_us: int, seed: int | None, head_seq: int) -> str:
    """A session's id: its start in base 36 and a tail that is random, or drawn from the seed.

    `head_seq`, the journal's head at the start, makes two sessions of one simulated time differ:
    no client order id is ever used twice (M07).
    """
    if seed is None:
        tail = secrets.randbelow(36**3)
    else:
        tail = random.Random(f"{seed}/{started_at_us}/{head_seq}").randrange(36**3)
    return f"{base36(started_at_us)}{base36(tail).rjust(3, '0')}"


@define(slots=True)
class IdSource:
    """Counts within a session: `<session>-<kind><n>`, at most 36 characters."""

    prefix: str
    counts: dict[str, int] = field(factory=dict)

    def next(self, kind: str) -> str:
        """The next id of a kind (`o` orders, `p` positions, `s` signals, `q` queries)."""
        number = self.counts.get(kind, 0) + 1
        self.counts[kind] = number
        return f"{self.prefix}-{kind}{number}"
