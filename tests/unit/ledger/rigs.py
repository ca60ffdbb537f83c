"""An engine whose venue says what a test tells it, and short ways to ask for its account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from attrs import define

from actors import messages as msg
from actors.registry import Books
from actors.runtime.ids import IdSource
from actors.snapshot import BooksState, captured
from actors.world import Rules, World
from fsm import facts
from fsm.instrument import Instrument
from fsm.pnl import Holding
from fsm.requests import QueryBalances, QueryPositions
from fsm.vocabulary import CapitalKind, InstrumentKind, OrderRole, OrderType, Side
from storage.account_view import AccountView
from storage.journal import JournalReader
from tests.unit.engine.handmade import PAIR, SPOT, START_US, Bench, HandVenue

D = Decimal
_decode = msgspec.msgpack.Decoder(BooksState).decode
_encode = msgspec.msgpack.Encoder(decimal_format="string").encode
PERP = Instrument(
    name=PAIR,
    base="XRP",
    quote="USD",
    kind=InstrumentKind.PERPETUAL,
    price_tick=D("0.0001"),
    qty_step=D("0.001"),
    min_qty=D("0.01"),
    max_leverage=D(5),
)


@define
class MarginVenue(HandVenue):
    """Has the positions that the books have; with `tells_wallet` off it answers no balances."""

    nets: Callable[[], Mapping[str, Holding]] = dict
    tells_wallet: bool = True
    transfers: Any = None

    def _answer(self, query: Any) -> facts.VenueMessage:
        if isinstance(query, QueryBalances) and not self.tells_wallet:
            return facts.BalancesAnswer(
                request_id=query.request_id, result=facts.Unavailable("not told")
            )
        if not isinstance(query, QueryPositions):
            return HandVenue._answer(self, query)
        held = self.nets().items()
        reports = [
            facts.PositionReport(instrument=name, qty=net.qty, avg_price=net.basis)
            for name, net in held
            if net.qty
        ]
        return facts.PositionsAnswer(
            request_id=query.request_id, result=facts.Found(tuple(reports))
        )


class Account:
    """A bench and what tests of the ledger do with it."""

    def __init__(
        self,
        folder: Path,
        instrument: Instrument = SPOT,
        opening: dict[str, Decimal] | None = None,
        *,
        tells_wallet: bool = True,
    ) -> None:
        self.bench = Bench(
            folder,
            instrument=instrument,
            opening={"USD": D(1000)} if opening is None else opening,
            venue=MarginVenue(tells_wallet=tells_wallet),
        )
        assert isinstance(self.bench.venue, MarginVenue)
        self.bench.venue.nets = lambda: self.bench.engine.world.ledger.nets

    @property
    def view(self) -> AccountView:
        return self.bench.engine.world.ledger.view()

    @property
    def document(self) -> dict[str, Any]:
        account: dict[str, Any] = self.bench.engine.document()["account"]
        return account

    def total(self, asset: str = "USD") -> Decimal:
        return self.bench.engine.world.ledger.totals.get(asset, D(0))

    # ---------------------------------------------------------------------------------- capital

    def book(
        self,
        kind: CapitalKind,
        asset: str = "USD",
        amount: str = "0",
        price: str | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """A capital command; its answer."""
        command = msg.BookCapital(
            kind=kind,
            asset=asset,
            amount=D(amount),
            price=None if price is None else D(price),
            **more,
        )
        self.bench.do(command)
        return self.bench.answers[-1]

    def deposit(self, asset: str, amount: str, price: str | None = None, **more: Any) -> Any:
        return self.book(CapitalKind.DEPOSIT, asset, amount, price, **more)

    def withdraw(self, asset: str, amount: str, price: str | None = None, **more: Any) -> Any:
        return self.book(CapitalKind.WITHDRAWAL, asset, amount, price, **more)

    def convert(self, source: str, gone: str, target: str, come: str, **more: Any) -> Any:
        self.bench.do(
            msg.BookConversion(
                from_asset=source, from_amount=D(gone), to_asset=target, to_amount=D(come), **more
            )
        )
        return self.bench.answers[-1]

    # ---------------------------------------------------------------------------------- trading

    def opened(
        self, qty: str, price: str, side: Side = Side.BUY, name: str = "a", **fill: Any
    ) -> None:
        """An entry order, placed and filled whole."""
        self.bench.place(name, side=side, qty=D(qty), limit_price=D(price))
        self.bench.accept(name)
        self.bench.fill(f"t-{name}", qty, name, price=D(price), **fill)

    def closed(
        self, qty: str, price: str | None, position: str = "a", name: str = "x", **fill: Any
    ) -> str:
        """An exit order of the position, filled whole; its trade's id."""
        self.leaving(qty, price or "1", position, name)
        self.bench.fill(f"t-{name}", qty, name, price=None if price is None else D(price), **fill)
        return f"t-{name}"

    def leaving(self, qty: str, price: str, position: str = "a", name: str = "x") -> None:
        """An exit order of the position, working."""
        self.bench.do(
            msg.PlaceExit(
                position_id=position,
                client_order_id=name,
                type=OrderType.LIMIT,
                qty=D(qty),
                limit_price=D(price),
            )
        )
        assert self.bench.answers[-1]["accepted"], self.bench.answers[-1]
        self.bench.accept(name)

    def settled(self, trade_id: str, order: str, pnl: str | None, fee: str | None = None) -> None:
        self.bench.say(
            facts.FillSettled(
                trade_id=trade_id,
                client_order_id=order,
                realized_pnl=None if pnl is None else D(pnl),
                fee=None if fee is None else D(fee),
            )
        )

    def voided(self, trade_id: str, order: str) -> None:
        self.bench.say(facts.FillVoided(trade_id=trade_id, client_order_id=order))

    def funded(self, amount: str, funding_id: str = "F1", venue_us: int = 0) -> None:
        self.bench.say(
            facts.FundingPaid(
                instrument=PAIR, amount=D(amount), funding_id=funding_id, venue_us=venue_us
            )
        )

    def wallet(self, total: str, venue_us: int = START_US, asset: str = "USD") -> None:
        self.bench.say(facts.BalanceReport(asset=asset, total=D(total), venue_us=venue_us))


def remembered(books: Books) -> bytes:
    """The state of books, without what only a running engine counts: turns, time, and in which
    order it came to hold what it holds."""
    state = _decode(captured(books))
    state.at_us = 0
    state.orders.sort(key=lambda order: order.client_order_id)
    state.positions.sort(key=lambda position: position.position_id)
    for one in (*state.orders, *state.positions):
        one.turn = 0
    return _encode(state)


def rebuilt(database: Path) -> bytes:
    """The same of the books that a fold from the first event makes."""
    reader = JournalReader.open(database)
    try:
        books = Books(World(rules=Rules(), ids=IdSource("")), None)
        for recorded in reader.verified():
            books.fold(recorded.event, recorded.seq, recorded.turn, recorded.at_us)
        books.reader = reader
        return remembered(books)
    finally:
        reader.close()


__all__ = [
    "PAIR",
    "PERP",
    "SPOT",
    "START_US",
    "Account",
    "D",
    "OrderRole",
    "Side",
    "rebuilt",
    "remembered",
]
