"""The fold: events into entities, at run time and at a restart by the same code (L7).

Also passivation: what has ended leaves memory once that is durable, and is folded back from its
stream when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.entities.account import Account
from actors.entities.door import Door
from actors.entities.mode import Mode
from actors.entities.order import Order, created
from actors.entities.position import Position, opened
from actors.entities.sizer import Trades
from actors.guards.latch import Latches
from actors.markets import Markets
from actors.reconciler import Reconciler
from actors.seen import SeenNames
from actors.world import Session, World
from fsm import events as ev
from fsm.money import ZERO
from fsm.order import TERMINAL
from fsm.position import ENDED
from fsm.vocabulary import OrderRole, PnlSource
from storage.journal import JournalReader

_MONEY = frozenset(
    {
        ev.OrderFilled,
        ev.OrderFillVoided,
        ev.OrderFillSettled,
        ev.PositionChanged,
        ev.CapitalRecorded,
        ev.ConversionBooked,
        ev.FundingBooked,
        ev.InstrumentSettled,
    }
)
#: Open facts that are looked for when a fact finds its order.
_UNRESOLVED_MAX = 1_000
_A_KEY_MAX = 64


class Books:
    """Every entity of the system, kept up to date by `apply`."""

    def __init__(self, world: World, reader: JournalReader | None) -> None:
        self.world = world
        self._reader = reader
        self.missed: dict[str, None] = {}
        self.refolded: list[str] = []
        self.seen_orders, self.seen_positions = SeenNames(), SeenNames()
        self.turn = 0
        """The turn that events belong to; entities remember the last one that changed them."""
        self.ended: dict[str, None] = {}
        """Streams that are over since `begin_turn`: they may leave memory when it is durable."""
        self.mode, self.door, self.reconciler = Mode(), Door(), Reconciler()
        self.account = Account()
        self.latches, self.trades = Latches(), Trades()
        self.markets = Markets(world)
        self.unprocessed: dict[str, list[ev.MessageUnprocessed]] = {}
        self.counters: dict[str, int] = {}
        self.last_session_clean = True
        self.last_truth: str | None = None
        """What the last session that ended found of the venue; None before there was one."""
        self.venue_ids: dict[str, str] = {}
        self.unresolved: dict[str, list[int]] = {}
        """Facts that nobody could place yet, by what they are told again under; the newest."""
        self.unpriced_closes: dict[str, list[str]] = {}
        """Closings at the venue that were told without a price: trade id -> positions."""
        world.find_by_venue_id = self.client_order_id
        world.order_exists = self.order_exists
        world.find_order = self.order
        world.find_position = self.position
        self.reconciler.counters = self.counters
        world.day_start_pnl = lambda: self.door.start_of_day(world.now_us, self._net())

    @property
    def reader(self) -> JournalReader | None:
        """The journal to fold ended actors back from; None while the journal itself is folded."""
        return self._reader

    @reader.setter
    def reader(self, reader: JournalReader | None) -> None:
        """From here on ended actors come back when they are asked for; a position that a late
        fill opened again during the fold comes back at once, it needs its protection (X13)."""
        self._reader = reader
        if reader is not None:
            for position_id in self.missed:
                position = self.refold_position(position_id)
                if position is not None and position.is_open:
                    self._count_open(position.strategy, position.instrument, 1)
                self._passivate_position(position_id, self.turn)
            self.missed.clear()
            self.refolded.clear()

    # ------------------------------------------------------------------------------------- fold

    def begin_turn(self, turn: int, ended: dict[str, None]) -> None:
        """What is applied from here on belongs to this turn, and what it ends goes into `ended`."""
        self.turn, self.ended = turn, ended

    def fold(self, event: ev.Event, seq: int, turn: int, at_us: int) -> None:
        """One event of the journal at a start: applied, and forgotten again where it ended."""
        self.world.now_us = at_us
        self.apply(event, seq, at_us)
        if self.ended:
            for stream in self.ended:
                self.passivate(stream, turn)
            self.ended.clear()

    def apply(self, event: ev.Event, seq: int, at_us: int) -> None:
        """Apply one event to every entity that it concerns."""
        world = self.world
        world.seq = seq
        kind = type(event)
        handler = _APPLY.get(kind)
        if handler is not None:
            handler(self, event, at_us)
        if kind in _MONEY:
            world.money_version += 1
            self.door.roll(at_us, self._net())
        world.ledger.apply(event, seq)

    def _intended(self, event: ev.OrderIntended, at_us: int) -> None:
        order = self.world.orders[event.client_order_id] = created(event, at_us)
        order.turn = self.turn
        self.seen_orders.add(event.client_order_id)
        self._to_position(event, event.position_id)
        self.door.evolve(event, at_us, self._net())
        self.reconciler.began(event.client_order_id)
        if event.role is OrderRole.QUOTE:
            self.world.quoted[event.instrument] = None

    def _order_event(self, event: Any, at_us: int) -> None:
        """What an order's position has to know as well: what may still fill, and what has."""
        order = self._evolved(event, at_us)
        if order is None:  # folded at a start, after the order had ended
            self._to_position(event, getattr(event, "position_id", None))
            return
        if order.state in TERMINAL:
            self.ended[event.stream] = None
        self._to_position(event, order.position_id)

    def _fill_event(self, event: Any, at_us: int) -> None:
        """A fill or a void; the reconciler goes on asking for one that is only inferred."""
        self._order_event(event, at_us)
        if event.provenance is PnlSource.INFERRED:
            self.reconciler.evolve(event, at_us)

    def _evolved(self, event: Any, at_us: int) -> Order | None:
        order = self.world.orders.get(event.client_order_id) or self.order(event.client_order_id)
        if order is not None:
            order.evolve(event)
            order.turn = self.turn
            if order.left_us is None or type(event) is ev.OrderMoved:
                order.note_time(event, at_us)
        return order

    def _sent(self, event: ev.OrderSent, at_us: int) -> None:
        self._evolved(event, at_us)

    def _acknowledged(self, event: ev.OrderAcknowledged, at_us: int) -> None:
        order = self._evolved(event, at_us)
        if order is not None and order.state in TERMINAL:
            self.ended[event.stream] = None
        if event.venue_order_id is not None:
            self.venue_ids[event.venue_order_id] = event.client_order_id

    def _to_position(self, event: Any, position_id: str | None) -> None:
        if position_id is not None:
            position = self.world.positions.get(position_id)
            if position is not None:
                position.evolve(event)
                position.turn = self.turn
                if position.state in ENDED:
                    self.ended[position.address] = None

    def _position_opened(self, event: ev.PositionOpened, at_us: int) -> None:
        position = self.world.positions[event.position_id] = opened(event)
        position.turn = self.turn
        self.seen_positions.add(event.position_id)
        self._count_open(event.strategy, event.instrument, 1)
        self.world.by_instrument.setdefault(event.instrument, {})[event.position_id] = None
        self.markets.changed(event.instrument)
        self._learn(event)

    def _learn(self, event: Any) -> None:
        """A trade that is over, or corrected, tells the sizer what it brought."""
        result = self.trades.apply(event)
        if result is not None:
            self.world.sizer.feedback(result)

    def _position_changed(self, event: ev.PositionChanged, at_us: int) -> None:
        if event.client_order_id is None and event.trade_id is not None:
            if "realized_skipped_no_price" in event.flags:
                self.unpriced_closes.setdefault(event.trade_id, []).append(event.position_id)
            elif event.cause == "settlement":
                self.unpriced_closes[event.trade_id].remove(event.position_id)
                if not self.unpriced_closes[event.trade_id]:
                    del self.unpriced_closes[event.trade_id]
        self._position_event(event, at_us)

    def _position_event(self, event: Any, at_us: int) -> None:
        self._learn(event)
        position = self.position(event.position_id)
        if position is not None:
            was_open = position.is_open
            position.evolve(event)
            position.turn = self.turn
            is_open = position.is_open
            if not is_open:
                self.ended[position.address] = None
            if is_open is not was_open:
                self._count_open(position.strategy, position.instrument, 1 if is_open else -1)
            if type(event) is ev.PositionChanged and position.strategy is not None:
                net, pnl = event.realized_delta - event.fee_quote, self.world.strategy_pnl
                pnl[position.strategy] = pnl.get(position.strategy, ZERO) + net
            self.markets.changed(position.instrument)
        elif self._reader is None:
            self.missed[event.position_id] = None  # it had ended, and something came late

    def _count_open(self, strategy: str | None, instrument: str, change: int) -> None:
        if strategy is not None:
            open_of = self.world.open_of_strategy
            open_of[strategy, instrument] = open_of.get((strategy, instrument), 0) + change

    def _mode_event(self, event: Any, at_us: int) -> None:
        self.mode.evolve(event, at_us)
        self.latches.evolve(event, at_us)
        self.world.episodes = self.mode.episodes
        self.world.mode, self.world.control = self.mode.state, self.mode.control
        self.world.sources = frozenset(self.mode.sources)
        self.world.halt_reason = self.mode.halt_reason

    def _guard_event(self, event: Any, at_us: int) -> None:
        self.latches.evolve(event, at_us)
        self.world.strategies_off = self.latches.strategies_off

    def _session_started(self, event: ev.SessionStarted, at_us: int) -> None:
        self._mode_event(event, at_us)
        self.reconciler.evolve(event)
        self.world.strategies_off = self.latches.strategies_off
        self.world.strategy_pnl, self.world.quoted = {}, {}
        self.world.session = Session(
            event.session_id, event.mode, event.venue, event.holder, event.started_at_us
        )
        self.world.instruments = {spec.name: spec for spec in event.instruments}
        self.last_session_clean, self.last_truth = False, None

    def _session_ended(self, event: ev.SessionEnded, at_us: int) -> None:
        self.last_session_clean, self.last_truth = event.clean, event.truth

    def _decided(self, event: ev.SignalDecided, at_us: int) -> None:
        self.door.evolve(event, at_us, self._net())

    def _reconciled(self, event: Any, at_us: int) -> None:
        self.reconciler.evolve(event)

    def _unprocessed(self, event: ev.MessageUnprocessed, at_us: int) -> None:
        self.unprocessed.setdefault(event.actor, []).append(event)

    def _restored(self, event: ev.ActorRestored, at_us: int) -> None:
        self.unprocessed.pop(event.actor, None)

    def _fact_unresolved(self, event: ev.FactUnresolved, at_us: int) -> None:
        if event.key:
            seqs = self.unresolved.setdefault(event.key, [])
            seqs.append(self.world.seq)
            del seqs[:-_A_KEY_MAX]
            if len(self.unresolved) > _UNRESOLVED_MAX:  # the table has it, a person may place it
                del self.unresolved[next(iter(self.unresolved))]

    def _fact_resolved(self, event: ev.FactResolved, at_us: int) -> None:
        for key, seqs in self.unresolved.items():
            if event.fact_seq in seqs:
                seqs.remove(event.fact_seq)
                if not seqs:
                    del self.unresolved[key]
                return

    def _gap(self, event: ev.FeedGapRecorded, at_us: int) -> None:
        if not event.grown:
            self.markets.view(event.instrument).gaps += 1

    def _net(self) -> Any:
        return self.world.ledger.realized_pnl - self.world.ledger.fees_paid

    # ------------------------------------------------------------------------------ passivation

    def passivate(self, stream: str, durable_turn: int) -> None:
        """Forget an order or a position that is over, unless a turn after `durable_turn` changed
        it: that one is not in the journal yet."""
        kind, _, name = stream.partition("/")
        if kind == "order":
            self._passivate_order(name, durable_turn)
        else:
            self._passivate_position(name, durable_turn)

    def _passivate_order(self, client_order_id: str, durable_turn: int) -> None:
        """Forget a terminal order; its stream keeps it."""
        order = self.world.orders.get(client_order_id)
        if order is not None and order.state in TERMINAL and order.turn <= durable_turn:
            del self.world.orders[client_order_id]
            venue_id = order.venue_order_id
            if venue_id is not None and self.venue_ids.get(venue_id) == client_order_id:
                del self.venue_ids[venue_id]  # else another order has claimed it since

    def _passivate_position(self, position_id: str, durable_turn: int) -> None:
        """Forget an ended position that no order may change any more."""
        position = self.world.positions.get(position_id)
        if position is None or position.turn > durable_turn:
            return
        if not position.is_open and not position.live:
            del self.world.positions[position_id]
            self.world.by_instrument.get(position.instrument, {}).pop(position_id, None)
            self.markets.changed(position.instrument)

    def order(self, client_order_id: str) -> Order | None:
        """The order, from memory or folded back from the journal; None when there is none."""
        order = self.world.orders.get(client_order_id)
        if order is None and self._reader is not None and client_order_id in self.seen_orders:
            order = self.refold_order(client_order_id)
        return order

    def refold_order(self, client_order_id: str) -> Order | None:
        """Fold an order anew from its stream and put it into memory."""
        assert self.reader is not None
        order: Order | None = None
        for recorded in self.reader.events(stream=f"order/{client_order_id}"):
            if isinstance(recorded.event, ev.OrderIntended):
                order = created(recorded.event, recorded.at_us)
            elif order is not None:
                order.evolve(recorded.event)
                order.note_time(recorded.event, recorded.at_us)
        if order is not None:
            self.world.orders[client_order_id] = order
            self.refolded.append(order.address)
        return order

    def position(self, position_id: str) -> Position | None:
        """The position, from memory or folded back from the journal; None when there is none."""
        position = self.world.positions.get(position_id)
        if position is None and self._reader is not None and position_id in self.seen_positions:
            position = self.refold_position(position_id)
        return position

    def refold_position(self, position_id: str) -> Position | None:
        """Fold a position anew from its stream, and its live orders from memory."""
        assert self.reader is not None
        position: Position | None = None
        for recorded in self.reader.events(stream=f"position/{position_id}"):
            if isinstance(recorded.event, ev.PositionOpened):
                position = opened(recorded.event)
            elif position is not None:
                position.evolve(recorded.event)
        if position is None:
            return None
        for order in self.world.live_orders():
            if order.position_id == position_id:
                position.adopt(order)
        self.refolded.append(position.address)
        self.world.positions[position_id] = position
        self.world.by_instrument.setdefault(position.instrument, {})[position_id] = None
        self.markets.changed(position.instrument)
        return position

    def order_exists(self, client_order_id: str) -> bool:
        """Whether an intent with this id was ever journaled."""
        if client_order_id in self.world.orders:
            return True
        if self._reader is None or client_order_id not in self.seen_orders:
            return False
        return self._reader.has_stream(f"order/{client_order_id}")

    def client_order_id(self, venue_order_id: str) -> str | None:
        """Our id for a venue's id, from memory or from the identity index."""
        found = self.venue_ids.get(venue_order_id)
        if found is None and self.reader is not None:
            found = self.reader.client_order_id(venue_order_id)
        return found

    def learn_identity(self, venue_order_id: str, client_order_id: str) -> None:
        """Remember an identity whose event is on its way to the journal."""
        self.venue_ids[venue_order_id] = client_order_id


_APPLY: dict[type, Callable[..., None]] = {
    ev.OrderIntended: Books._intended,
    ev.OrderSent: Books._sent,
    ev.OrderAcknowledged: Books._acknowledged,
    ev.OrderFilled: Books._fill_event,
    ev.OrderFillPaired: Books._order_event,
    ev.OrderFillForetold: Books._order_event,
    ev.OrderFillSettled: Books._order_event,
    ev.OrderFillVoided: Books._fill_event,
    ev.OrderMoved: Books._order_event,
    ev.PositionOpened: Books._position_opened,
    ev.PositionChanged: Books._position_changed,
    ev.PositionMoved: Books._position_event,
    ev.PnlCompared: Books._position_event,
    ev.ExitDecided: Books._position_event,
    ev.ProtectionMoved: Books._position_event,
    ev.ModeMoved: Books._mode_event,
    ev.ControlMoved: Books._mode_event,
    ev.GuardTripped: Books._guard_event,
    ev.GuardCleared: Books._guard_event,
    ev.SessionStarted: Books._session_started,
    ev.SessionEnded: Books._session_ended,
    ev.SignalDecided: Books._decided,
    ev.WatermarkMoved: Books._reconciled,
    ev.BooksCompared: Books._reconciled,
    ev.MessageUnprocessed: Books._unprocessed,
    ev.ActorRestored: Books._restored,
    ev.FeedGapRecorded: Books._gap,
    ev.FactUnresolved: Books._fact_unresolved,
    ev.FactResolved: Books._fact_resolved,
}
