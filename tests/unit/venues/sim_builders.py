"""Short builders for simulated venues, requests and market data; times in microseconds."""

from __future__ import annotations

import random
from decimal import Decimal

from actors.venues.sim import SimSettings, SimVenue, VenueTruth
from fsm.facts import FillsPage, OrderFill, VenueMessage
from fsm.instrument import Instrument
from fsm.market import MarketTrade, Tick
from fsm.requests import Cancel, QueryFills, Submit, VenueRequest
from fsm.vocabulary import InstrumentKind, OrderType, Side, TimeInForce

SPOT = Instrument(
    name="XRP/RLUSD",
    base="XRP",
    quote="RLUSD",
    price_tick=Decimal("0.01"),
    qty_step=Decimal("0.1"),
    min_qty=Decimal("0.5"),
)
PERP = Instrument(
    name="BTC-PERP",
    base="BTC",
    quote="RLUSD",
    kind=InstrumentKind.PERPETUAL,
    price_tick=Decimal("0.5"),
    qty_step=Decimal("0.001"),
    max_leverage=Decimal(10),
)
BINARY = Instrument(name="BTC-UP", base="BTC-UP", quote="RLUSD", kind=InstrumentKind.BINARY)


def a_venue(
    *,
    truth: VenueTruth | None = None,
    balances: dict[str, str] | None = None,
    instruments: tuple[Instrument, ...] = (SPOT, PERP, BINARY),
    seed: int = 1,
    **settings: object,
) -> SimVenue:
    start = balances if balances is not None else {"XRP": "100", "RLUSD": "1000"}
    return SimVenue(
        instruments,
        {asset: Decimal(total) for asset, total in start.items()},
        SimSettings(**settings),  # type: ignore[arg-type]
        random.Random(seed),
        truth,
    )


def a_tick(
    bid: str | None,
    ask: str | None,
    size: str | None = "10",
    *,
    instrument: Instrument = SPOT,
    ask_size: str | None = None,
) -> Tick:
    def number(text: str | None) -> Decimal | None:
        return None if text is None else Decimal(text)

    return Tick(
        instrument=instrument.name,
        bid=number(bid),
        ask=number(ask),
        bid_size=number(size),
        ask_size=number(ask_size or size),
        event_us=0,
        recv_us=0,
    )


def a_trade(price: str, qty: str, side: Side | None = Side.SELL) -> MarketTrade:
    return MarketTrade(
        instrument=SPOT.name,
        price=Decimal(price),
        qty=Decimal(qty),
        side=side,
        event_us=0,
        recv_us=0,
    )


def a_submit(
    client_order_id: str,
    side: Side,
    qty: str,
    price: str | None = None,
    *,
    instrument: Instrument = SPOT,
    ioc: bool = False,
    post_only: bool = False,
    reduce_only: bool = False,
    leverage: str = "1",
) -> Submit:
    return Submit(
        client_order_id=client_order_id,
        instrument=instrument.name,
        side=side,
        qty=Decimal(qty),
        type=OrderType.MARKET if price is None else OrderType.LIMIT,
        limit_price=None if price is None else Decimal(price),
        time_in_force=TimeInForce.IOC if ioc else TimeInForce.GTC,
        post_only=post_only,
        reduce_only=reduce_only,
        leverage=Decimal(leverage),
    )


def buy(client_order_id: str, qty: str, price: str | None = None, **more: object) -> Submit:
    return a_submit(client_order_id, Side.BUY, qty, price, **more)  # type: ignore[arg-type]


def sell(client_order_id: str, qty: str, price: str | None = None, **more: object) -> Submit:
    return a_submit(client_order_id, Side.SELL, qty, price, **more)  # type: ignore[arg-type]


def a_cancel(client_order_id: str, instrument: Instrument = SPOT) -> Cancel:
    return Cancel(client_order_id=client_order_id, instrument=instrument.name)


def ask_venue(venue: SimVenue, *requests: VenueRequest, now_us: int = 10) -> list[VenueMessage]:
    """Send, and return what a venue without latency says to it."""
    for request in requests:
        venue.send(request)
    return list(venue.advance(now_us))


def names(messages: list[VenueMessage]) -> list[str]:
    return [type(message).__name__ for message in messages]


def traded(messages: list[VenueMessage]) -> list[tuple[str | None, str, str]]:
    """(client id, qty, price) of every fill in it."""
    return [
        (message.client_order_id, str(message.qty), str(message.price))
        for message in messages
        if isinstance(message, OrderFill)
    ]


def fills_page(venue: SimVenue, since_us: int, limit: int, now_us: int = 10**9) -> FillsPage:
    query = QueryFills(request_id="q", instrument=SPOT.name, since_us=since_us, limit=limit)
    venue.send(query, now_us)
    *_, answer = venue.advance(now_us)
    return answer.result.value  # type: ignore[union-attr]
