"""The numbers to hold: what a figure is held against, and whether it holds. No measuring.

A ratio is of the reference in the same run, pair by pair. A figure in seconds or bytes is judged at
the full size only: a tenth of a restart says nothing about a restart.
"""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen


class Held(StrEnum):
    """How a figure is held against its limit."""

    RATIO_AT_LEAST = "x reference"
    BELOW = "<"


@frozen(kw_only=True)
class Target:
    """One line of the numbers to hold: the figure, its limit, and how it is compared."""

    figure: str
    limit: float
    held: Held = Held.BELOW

    @property
    def text(self) -> str:
        """As a person reads it: `>= 5 x reference`, `< 10`."""
        if self.held is Held.RATIO_AT_LEAST:
            return f">= {self.limit:g} x"
        return f"< {self.limit:g}"

    def met_by(self, value: float) -> bool:
        """`value` is the ratio for a ratio, the figure otherwise; both as medians."""
        return value >= self.limit if self.held is Held.RATIO_AT_LEAST else value < self.limit


def at_least(figure: str, ratio: float) -> Target:
    """At least so many times the reference's figure."""
    return Target(figure=figure, limit=ratio, held=Held.RATIO_AT_LEAST)


def below(figure: str, limit: float) -> Target:
    """Less than the limit, in the figure's own unit."""
    return Target(figure=figure, limit=limit)
