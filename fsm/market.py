"""Market data as the core sees it: best quotes and trades, with two times each.

`event_us` is the source's own clock, `recv_us` ours; both are UTC microseconds since the epoch.
For data, "now" is the feed's greatest event time (a local clock behind the exchange is normal).
"""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from fsm.vocabulary import Side


@frozen(slots=True, kw_only=True)
class Tick:
    """Best bid and ask. A missing side is None, never zero."""

    instrument: str
    bid: Decimal | None
    ask: Decimal | None
    bid_size: Decimal | None
    ask_size: Decimal | None
    event_us: int
    recv_us: int


@frozen(slots=True, kw_only=True)
class MarketTrade:
    """One public trade. `side` is the taker's, None when the source does not tell."""

    instrument: str
    price: Decimal
    qty: Decimal
    side: Side | None
    event_us: int
    recv_us: int
    trade_id: str | None = None


MarketData = Tick | MarketTrade
