"""An engine in simulated time whose venue says exactly what a test tells it to, fact by fact."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import define, field

from actors import messages as msg
from actors.engine import Engine, EngineSettings
from actors.entities.order import Order
from actors.entities.position import Position
from actors.runtime.clock import SimulatedClock
from actors.simulation import Simulation
from actors.world import Rules
from fsm import facts
from fsm.events import Event
from fsm.facts import Absent, Found, Unavailable, VenueMessage
from fsm.instrument import Instrument
from fsm.market import MarketData, Tick
from fsm.requests import (
    Cancel,
    QueryBalances,
    QueryFills,
    QueryOpenOrders,
    QueryOrder,
    Submit,
    VenueRequest,
)
from fsm.timestamps import SECOND_US
from fsm.vocabulary import OrderRole, OrderType, Side, TradingMode
from storage.journal import JournalReader
from storage.verify import verify

START_US = 1_700_000_000 * SECOND_US
PAIR = "XRP/USD"
D = Decimal
SPOT = Instrument(
    name=PAIR,
    base="XRP",
    quote="USD",
    price_tick=D("0.0001"),
    qty_step=D("0.001"),
    min_qty=D("0.01"),
)
RULES = Rules(
    max_in_flight_us=2 * SECOND_US,
    stale_after_us=10**15,
    max_position_usd=None,
    max_session_loss=None,
)


@define
class HandVenue:
    """Remembers what was sent; answers queries from what a test put here, else `Unavailable`."""

    name: str = "hand"
    sent: list[VenueRequest] = field(factory=list)
    open: dict[str, facts.VenueOrder] | None = field(factory=dict)
    fills: list[facts.OrderFill] | None = field(factory=list)
    orders: dict[str, facts.VenueOrder | str | None] = field(factory=dict)
    balances: Any = None  # a callable that gives the balances
    silent: bool = False
    said: list[VenueMessage] = field(factory=list)
    page: int | None = None
    now_us: int = START_US

    def send(self, request: VenueRequest) -> None:
        self.sent.append(request)
        if not self.silent and not isinstance(request, (Submit, Cancel)):
            self.said.append(self._answer(request))

    def _answer(self, query: Any) -> VenueMessage:
        ids, missing = {"request_id": query.request_id}, Unavailable("not told")
        if isinstance(query, QueryOpenOrders):
            result: Any = missing if self.open is None else Found(tuple(self.open.values()))
            return facts.OpenOrdersAnswer(**ids, result=result)
        if isinstance(query, QueryFills):
            result = missing if self.fills is None else Found(self._page(query))
            return facts.FillsAnswer(**ids, instrument=query.instrument, result=result)
        if isinstance(query, QueryOrder):
            known = self.orders.get(query.client_order_id, "")
            result = missing if known == "" else Absent("no such order")
            if isinstance(known, facts.VenueOrder):
                result = Found(known)
            return facts.OrderAnswer(**ids, client_order_id=query.client_order_id, result=result)
        if isinstance(query, QueryBalances):
            return facts.BalancesAnswer(**ids, result=Found(dict(self.balances())))
        return facts.PositionsAnswer(**ids, result=Found(()))

    def _page(self, query: QueryFills) -> facts.FillsPage:
        assert self.fills is not None
        found = [fill for fill in self.fills if fill.venue_us >= query.since_us]
        limit = min(query.limit, self.page or query.limit)
        return facts.FillsPage(fills=tuple(found[:limit]), complete=len(found) <= limit)

    def market(self, data: MarketData, now_us: int) -> None:
        self.now_us = now_us

    def next_due_us(self) -> int | None:
        return self.now_us if self.said else None

    def advance(self, now_us: int) -> Sequence[VenueMessage]:
        self.now_us = max(self.now_us, now_us)
        said, self.said = self.said, []
        return said


@define
class Bench:
    """One database with a life after life of engines on it, and one venue beside them."""

    folder: Path
    rules: Rules = RULES
    instrument: Instrument = SPOT
    opening: dict[str, Decimal] | None = field(
        factory=lambda: {"USD": Decimal(1000), "XRP": Decimal(1000)}
    )
    accept_divergence: bool = False
    venue: HandVenue = field(factory=HandVenue)
    clock: SimulatedClock = field(factory=lambda: SimulatedClock(START_US))
    engine: Engine = field(init=False)
    simulation: Simulation = field(init=False)
    answers: list[dict[str, object]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.start()

    @property
    def database(self) -> Path:
        return self.folder / "hand.db"

    def start(self) -> None:
        """A life begins, up to the end of the gate where the venue lets it."""
        settings = EngineSettings(
            database=self.database,
            mode=TradingMode.PAPER,
            rules=self.rules,
            instruments=(self.instrument,),
            seed=1,
            opening=self.opening,
            messages_max=64,
            accept_divergence=self.accept_divergence,
        )
        self.engine = Engine(settings, self.clock, self.venue)
        self.venue.said.clear()
        self.venue.balances = lambda: self.engine.world.ledger.totals
        self.engine.release.answer = lambda token, answer: self.answers.append(answer)
        self.engine.journal_inline()
        self.engine.start()
        self.simulation = Simulation(self.engine, self.clock, self.venue)
        self.simulation.settle()

    def kill(self) -> None:
        """The process is gone; what was durable is all there is."""
        self.engine.writer.project_all()
        self.engine.reader.close()
        self.engine.writer.conn.close()

    def restart(self) -> None:
        self.kill()
        self.start()

    # ------------------------------------------------------------------------------ what is done

    def place(self, order_id: str = "a", **fields: Any) -> None:
        given: dict[str, Any] = {
            "role": OrderRole.ENTRY,
            "instrument": PAIR,
            "side": Side.BUY,
            "qty": D(10),
            "type": OrderType.LIMIT,
            "limit_price": D(1),
        } | fields
        self.do(msg.PlaceOrder(client_order_id=order_id, **given))

    def do(self, command: object) -> None:
        """A command with an answer (`answers`)."""
        self.engine.inbox.command(msg.Ask(command, "test"))
        self.simulation.settle()

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.engine.inbox.tell_local(message)
        self.simulation.settle()

    def say(self, *messages: VenueMessage) -> None:
        """The venue says this, together."""
        for message in messages:
            self.engine.inbox.facts.offer(message)
        self.simulation.settle()

    def fill(self, trade_id: str | None, qty: str, order_id: str = "a", **fields: Any) -> None:
        self.say(fill(trade_id, qty, order_id, **fields))

    def accept(self, order_id: str = "a") -> None:
        self.say(facts.OrderAccepted(client_order_id=order_id, venue_order_id=f"V-{order_id}"))

    def quote(self, bid: str | None, ask: str | None) -> None:
        now_us = self.clock.now_us()
        self.simulation.feed(
            Tick(
                instrument=PAIR,
                bid_size=D(1000),
                ask_size=D(1000),
                bid=None if bid is None else D(bid),
                ask=None if ask is None else D(ask),
                event_us=now_us,
                recv_us=now_us,
            )
        )

    def wait(self, seconds: float) -> None:
        self.simulation.run_until(self.clock.now_us() + int(seconds * SECOND_US))

    # ------------------------------------------------------------------------------ what is seen

    def order(self, order_id: str = "a") -> Order:
        order = self.engine.books.order(order_id)
        assert order is not None
        return order

    def position(self, position_id: str = "a") -> Position:
        position = self.engine.books.position(position_id)
        assert position is not None
        return position

    @property
    def mode(self) -> str:
        return str(self.engine.world.mode)

    def submits(self) -> list[Submit]:
        return [request for request in self.venue.sent if isinstance(request, Submit)]

    def exits(self) -> list[Submit]:
        return [submit for submit in self.submits() if submit.client_order_id != "a"]

    def cancels(self, order_id: str = "a") -> int:
        return sum(isinstance(r, Cancel) and r.client_order_id == order_id for r in self.venue.sent)

    def events(self, *kinds: type[Event]) -> list[Any]:
        names = tuple(kind.__name__ for kind in kinds)
        reader = JournalReader.open(self.database)
        try:
            return [recorded.event for recorded in reader.events(types=names)]
        finally:
            reader.close()

    def proven(self) -> None:
        """The journal keeps every law, and no submit left twice."""
        self.engine.writer.project_all()
        self.engine.writer.keep_head(force=True)
        report = verify(self.database)
        assert [] == list(report.problems), report
        names = [submit.client_order_id for submit in self.submits()]
        assert len(names) == len(set(names))


def fill(trade_id: str | None, qty: str, order_id: str = "a", **fields: Any) -> facts.OrderFill:
    given: dict[str, Any] = {"price": D(1), "venue_us": START_US} | fields
    return facts.OrderFill(trade_id=trade_id, client_order_id=order_id, qty=D(qty), **given)


def reported(order_id: str = "a", state: str = "open", filled: str = "0") -> facts.VenueOrder:
    return facts.VenueOrder(
        venue_order_id=f"V-{order_id}",
        client_order_id=order_id,
        instrument=PAIR,
        side=Side.BUY,
        qty=D(10),
        filled_qty=D(filled),
        state=state,
    )
