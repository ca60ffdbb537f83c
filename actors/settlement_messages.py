"""Messages about what the venue ended by itself: payouts and closings without an order of ours."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from fsm.facts import PositionClosed


@frozen(slots=True)
class ClosedAtVenue:
    """The venue told that it, or somebody there, traded the position away (`PositionClosed`).

    `trade_id` is the venue's, or a hash of what it said; `dedup_key` commits with the booking.
    """

    position_id: str
    fact: PositionClosed
    trade_id: str
    dedup_key: str


@frozen(slots=True)
class ClosureSettled:
    """The venue stated the figures of a closing that was told without a price."""

    position_id: str
    trade_id: str
    realized_pnl: Decimal
    fee: Decimal
    dedup_key: str
    venue_us: int = 0


@frozen(slots=True)
class ResolvedForPosition:
    """The position's instrument pays this per unit, for good."""

    position_id: str
    payout: Decimal


@frozen(slots=True)
class SettleLate:
    """Something was filled or taken back on an instrument that had paid out."""

    instrument: str
