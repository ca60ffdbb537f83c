"""The core behind the dispatcher: routes messages to entities, applies what they decide.

One message and everything it leads to inside the engine is one transaction: a fill, its position's
change and the exit order that follows commit together or not at all. An actor that raises keeps
its state, its message is journaled as `unprocessed`, and it is quarantined until it is folded
again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import evolve
from loguru import logger

from actors import messages as msg
from actors.effects import Effect, Reply, SetTimer
from actors.entities.mode import has_entries_left
from actors.entities.placement import place
from actors.fact_routing import FactRouter
from actors.guard_turns import GUARD_MESSAGES, GuardTurns
from actors.guards.desk import GuardDesk
from actors.market_desk import MarketDesk, MarketFollows
from actors.message_groups import (
    ACCOUNT_MESSAGES,
    ANSWERS,
    COMMANDS,
    MODE_MESSAGES,
    ORDER_FACTS,
    ORDER_MESSAGES,
    POSITION_MESSAGES,
    TO_RECONCILER,
)
from actors.published import Publishing
from actors.quarantine import Quarantine
from actors.reconciling.externals import claim
from actors.registry import Books
from actors.release import Release
from actors.runtime.actor import Decision, Refused
from actors.runtime.dispatcher import Turn
from actors.runtime.lanes import Inbox
from actors.sessions import Gaps, account_snapshot, end_session, start_session
from actors.strategy_host import StrategyHost, raised
from actors.sweeping import next_chunk
from actors.venue_settlements import VenueSettlements, late_ones
from fsm import events as ev
from fsm import facts
from fsm.machine import IllegalTrigger
from fsm.market import MarketTrade, Tick
from fsm.mode import ModeState
from storage.codec import encode
from storage.writer import JournalFailed

#: A message that leads to more steps leads to them for ever; a pass has a few for each order.
_STEPS_MAX, _STEPS_AN_ORDER = 20_000, 10
_KEPT = {"accepted": False, "kept": True, "error": "it could not be processed, and is kept"}


class System:
    """All entities and the rules of who hears what."""

    def __init__(
        self, books: Books, inbox: Inbox, release: Release, hosts: list[StrategyHost]
    ) -> None:
        self.books, self.world, self.inbox = books, books.world, inbox
        self.releasing = release
        self.publishing = Publishing(books.world)
        self.facts = FactRouter(books)
        self.world.is_booked = self.facts.is_booked
        self.world.unexplained_fill = self.facts.unexplained
        self.world.owner_of_trade = self.facts.owner_of
        self.world.is_recorded = self.facts.keys.is_known
        self.world.recorded_event = self.facts.keys.event_of
        self.world.is_connected = lambda: release.connected
        self.isolation = Quarantine(self, inbox.tell_local)
        self.quarantine = self.world.quarantined = self.isolation.held
        self.ignored: dict[str, int] = {}
        self.before_decide: Callable[[str, object], None] | None = None  # fault point
        self.on_journal_failed: Callable[[JournalFailed], None] = lambda failure: None
        self.asked: object | None = None
        self._gaps = Gaps()
        self.desk = MarketDesk(books.markets, hosts)
        self.guards = GuardDesk(self.world, books.latches)
        books.account.breaches = self.guards.breaches
        self._guard_turns = GuardTurns(self)
        self._queue: deque[object] = deque()

    # ------------------------------------------------------------------------------------- turns

    def handle(self, message: object, turn: Turn) -> None:
        """One message with all that follows from it."""
        self.world.now_us = turn.at_us
        if self.books.ended is not turn.ended:
            self.books.begin_turn(turn.number, turn.ended)
        queue = self._queue
        queue.append(message)
        steps, steps_max = 0, _STEPS_MAX + _STEPS_AN_ORDER * len(self.world.orders)
        while queue:
            steps += 1
            assert steps <= steps_max, f"a message led to more than {steps_max} steps: {message!r}"
            try:
                self._step(queue.popleft(), turn)
            except Refused as refusal:
                self.count("refused_commands")
                logger.warning("COMMAND_REFUSED {}", refusal)
        if self.books.refolded:
            # Forgotten again when nothing came of it.
            turn.ended |= dict.fromkeys(self.books.refolded)
            self.books.refolded.clear()

    def _step(self, message: object, turn: Turn) -> None:
        route = _ROUTES.get(type(message))
        if route is None:
            self.count("dead_letters")
            logger.error("DEAD_LETTER type={}", type(message).__name__)
            return
        route(self, message, turn)

    # ------------------------------------------------------------------------------- market data

    def look(self, data: object, now_us: int) -> MarketFollows | None:
        """See `Core.look`."""
        self.world.now_us = now_us
        return self.desk.look(data)

    def _market(self, data: object, turn: Turn) -> None:
        follows = self.look(data, turn.at_us)
        if follows is not None:
            self._follow(follows, turn)

    def _follow(self, follows: MarketFollows, turn: Turn) -> None:
        for crossed in follows.crossed:
            self._to_position(crossed, turn)
        if follows.decision is not None:
            self.record(follows.decision, turn)
        for _, decision in self.desk.others(follows):
            self.record(decision, turn)

    # ----------------------------------------------------------------------------------- routing

    def _to_order(self, message: Any, turn: Turn) -> None:
        order = self.books.order(message.client_order_id)
        if order is None:
            self._nobody(message, turn, f"no order {message.client_order_id}")
            return
        self.decide(order, message, turn)

    def _to_position(self, message: Any, turn: Turn) -> None:
        position = self.books.position(message.position_id)
        if position is None:
            self._nobody(message, turn, f"no position {message.position_id}")
            return
        self.decide(position, message, turn)

    def _fact(self, fact: Any, turn: Turn) -> None:
        found = self.facts.find(fact)
        if isinstance(found, Decision):
            self.record(found, turn)
            return
        placed = self.facts.unresolved.placed_by(fact, found)
        self.decide(found, fact, turn)
        if placed:
            self.record(self.facts.unresolved.placed(placed, found.address), turn)

    def _retry_facts(self, message: object, turn: Turn) -> None:
        for fact in self.facts.unresolved.take_waiting():
            self._step(fact, turn)

    def _attribute(self, message: msg.AttributeFact, turn: Turn) -> None:
        decision, order, fact = self.facts.unresolved.attributed(message)
        self.record(decision, turn)
        if order is not None:
            self.decide(order, fact, turn)

    def _to_mode(self, message: Any, turn: Turn) -> None:
        self.decide(self.books.mode, message, turn)

    def _raise_signal(self, message: msg.RaiseSignal, turn: Turn) -> None:
        quote = self.world.quote(message.instrument)
        decision = raised(message.signal, message.strategy, message.instrument, quote, self.world)
        self.record(decision, turn)

    def _about_guards(self, message: object, turn: Turn) -> None:
        GUARD_MESSAGES[type(message)](self._guard_turns, message, turn)

    def _for_guards(self, message: Any, turn: Turn) -> None:
        self._guard_turns.hear(message, turn)

    def to_guard(self, name: str, message: object, turn: Turn) -> None:
        """See `quarantine.Host`."""
        self._guard_turns.begin_anew(name, message, turn)

    def _to_door(self, message: Any, turn: Turn) -> None:
        self.decide(self.books.door, message, turn)

    def _to_reconciler(self, message: Any, turn: Turn) -> None:
        self.decide(self.books.reconciler, message, turn)

    def _pass_due(self, message: msg.PassDue, turn: Turn) -> None:
        """A pass also looks whether something is live that must not be."""
        if has_entries_left(self.world):
            self._queue.append(msg.WithdrawLeft())
        self._to_reconciler(message, turn)

    def _placing(self, message: Any, turn: Turn) -> None:
        self.record(place(message, self.world), turn)

    def _session(self, message: Any, turn: Turn) -> None:
        starting = isinstance(message, msg.StartSession)
        decision = (
            start_session(message, self.books) if starting else end_session(message, self.books)
        )
        self.record(decision, turn)
        if starting:
            self._guard_turns.start(turn)
            self.isolation.deliver_unprocessed()

    def _snapshot(self, message: msg.SnapshotAccount, turn: Turn) -> None:
        decision = Decision(events=[account_snapshot(message, self.world)])
        self.record(decision, turn)

    def _sweep(self, message: msg.Sweep, turn: Turn) -> None:
        """A chunk a turn; where there are many, what led to it commits before the first one."""
        if message.start is None and turn.events and len(message.names) > msg.SWEEP_CHUNK:
            self.inbox.tell_local(evolve(message, start=0))
            turn.is_over = True
            return
        chunk, rest = next_chunk(message, self.world)
        self._queue.extend(chunk)
        if rest is not None:
            self.inbox.tell_behind_commands(rest)
            turn.is_over = True

    def _gap(self, message: msg.FeedGapSeen, turn: Turn) -> None:
        decision = Decision(events=[self._gaps.recorded(message)])
        self.record(decision, turn)

    def _connection(self, message: Any, turn: Turn) -> None:
        """A lost stream changes no order; a new one means that something may have been missed."""
        connected = isinstance(message, facts.VenueConnected)
        logger.info("VENUE_{}", "CONNECTED" if connected else "DISCONNECTED")
        self.releasing.connected = connected
        self._for_guards(message, turn)
        if connected:
            self._step(msg.PassDue("orders"), turn)

    def _books_due(self, message: Any, turn: Turn) -> None:
        turn.effects.append(SetTimer("pass/books", self.world.rules.balances_interval_us, message))
        self._step(msg.PassDue("books"), turn)

    def _to_account(self, message: Any, turn: Turn) -> None:
        self.decide(self.books.account, message, turn)

    def _report(self, message: Any, turn: Turn) -> None:
        """A balance or position report is compared by the reconciler, never booked; what it says
        of a margin wallet is where the capital figure snaps to."""
        if isinstance(message, facts.BalanceReport):
            self._to_account(message, turn)
        self._step(msg.PassDue("books"), turn)

    def _settling(self, message: Any, turn: Turn) -> None:
        """What the venue does by itself, and no order stands behind."""
        self.record(_SETTLING[type(message)](self.facts.settlements, message), turn)

    def _nobody(self, message: object, turn: Turn, why: str) -> None:
        if message is self.asked:
            raise Refused(why)
        self.count("dead_letters")
        logger.warning("DEAD_LETTER type={} {}", type(message).__name__, why)

    # ---------------------------------------------------------------------------------- deciding

    def decide(self, actor: Any, message: object, turn: Turn) -> None:
        """Let an actor decide. Whatever it raises leaves its state as it was."""
        if self.quarantine and self.isolation.intercepts(actor.address, message, turn):
            return
        try:
            if self.before_decide is not None:
                self.before_decide(actor.address, message)
            decision = actor.decide(message, self.world)
            payloads = [encode(event) for event in decision.events]
        except (Refused, IllegalTrigger) as refusal:
            if message is self.asked:
                raise
            if not isinstance(message, COMMANDS):
                why = f"not legal here: {refusal}"
                self.isolation.enter(actor.address, message, why, turn)
                return
            # The engine's own command came too late: what it was about has moved on meanwhile.
            self.ignored["command: too late"] = self.ignored.get("command: too late", 0) + 1
            logger.debug("COMMAND_TOO_LATE {}", refusal)
        except Exception as problem:
            logger.opt(exception=problem).error("ACTOR_RAISED actor={}", actor.address)
            error = f"{type(problem).__name__}: {problem}"
            self.isolation.enter(actor.address, message, error, turn)
        else:
            self._record(decision, payloads, turn)

    def _record(self, decision: Decision, payloads: list[bytes], turn: Turn) -> None:
        if decision.ignored is not None:
            self.ignored[decision.ignored] = self.ignored.get(decision.ignored, 0) + 1
        events = decision.events
        if events:
            seq, at_us, apply = turn.first_seq + len(turn.events), turn.at_us, self.books.apply
            turn.events += events
            turn.payloads += payloads
            for event in events:
                stream = event.stream
                turn.streams.append(stream)
                apply(event, seq, at_us)
                seq += 1
                if self.quarantine and stream in self.quarantine:
                    self.isolation.touched(stream, turn)
        if decision.dedup_keys:
            turn.dedup_keys += [(key, turn.next_seq - 1) for key in decision.dedup_keys]
        for venue_id, order_id in decision.identities:
            turn.identities.append((venue_id, order_id, max(turn.next_seq - 1, 0)))
            self.books.learn_identity(venue_id, order_id)
            claimed = claim(venue_id, order_id, self.world)
            if claimed is not None:
                self._queue.append(claimed)
        turn.effects += decision.effects
        self._queue.extend(decision.tells)
        if self.facts.unresolved.waiting and self.facts.unresolved.may_fit(decision):
            self._queue.append(msg.RetryUnresolved())
        if self.world.ledger.resolved:
            self._queue.extend(late_ones(events, self.world.ledger.resolved))
        # Behind what the event tells others: a fill has changed its position when guards look.
        hearers = self.guards.hearers
        if hearers and events:
            self._queue += [
                msg.ForGuards(event)
                for event in events
                if type(event) in hearers and self.guards.concerns(event)
            ]

    def _ask(self, message: msg.Ask, turn: Turn) -> None:
        """A command with an answer: accepted after its commit, or refused with one clear line."""
        before = turn.next_seq
        self.asked = message.command
        try:
            self._step(message.command, turn)
        except (Refused, IllegalTrigger) as refusal:
            self.count("refused_commands")
            turn.effects.append(Reply(message.token, {"accepted": False, "error": str(refusal)}))
            return
        finally:
            self.asked = None
        answer: dict[str, object] = {"accepted": True, "changed": turn.next_seq > before}
        answer |= self._guard_turns.note(message.command)
        if any(type(e) is ev.MessageUnprocessed for e in turn.events[before - turn.first_seq :]):
            answer = dict(_KEPT)
        turn.effects.append(Reply(message.token, answer))

    # ------------------------------------------------------------------- for the quarantine

    def record(self, decision: Decision, turn: Turn) -> None:
        """See `quarantine.Host`."""
        self._record(decision, [encode(event) for event in decision.events], turn)

    def follow(self, message: object) -> None:
        """See `quarantine.Host`."""
        self._queue.append(message)

    def step(self, message: object, turn: Turn) -> None:
        """See `quarantine.Host`."""
        self._step(message, turn)

    def _restore(self, message: msg.RestoreActor, turn: Turn) -> None:
        self.isolation.restore(message.address, turn)

    # ----------------------------------------------------------------------- durability, effects

    def handed_over(self, turn: Turn) -> None:
        """See `Core.handed_over`."""
        self.publishing.handed_over(turn.next_seq - 1)

    def durable(self, turn: Turn) -> None:
        """Publish the account, forget what has ended, and give quarantined actors another chance:
        it is safe now."""
        self.publishing.durable(turn.next_seq - 1)
        # A turn without events is let go behind those before it, and its number is used again.
        durable_turn = turn.number if turn.events else turn.number - 1
        for stream in turn.ended:
            self.books.passivate(stream, durable_turn)
        self.isolation.durable(turn)

    def release(self, effect: Effect) -> None:
        """Let one effect out, after another look."""
        self.releasing.release(effect)

    def discarded(self, turn: Turn) -> None:
        """Nothing of the turn happened; its cancels, alerts and answers still leave."""
        self.releasing.discard(turn.effects)

    def journal_failed(self, failure: JournalFailed) -> None:
        """Only cancels may leave from here on (L1)."""
        self.world.journal_ok = False
        mode = self.books.mode
        mode.state, mode.halt_reason = ModeState.HALTED, mode.halt_reason or "journal_failed"
        self.world.mode = mode.state  # cannot be journaled, so it is only said
        self.releasing.cancel_without_journal()
        self.on_journal_failed(failure)

    def count(self, name: str) -> None:
        """Move a counter of the state document."""
        self.books.counters[name] = self.books.counters.get(name, 0) + 1


_SETTLING: dict[type, Callable[[VenueSettlements, Any], Decision]] = {
    facts.FundingPaid: VenueSettlements.funding,
    facts.InstrumentResolved: VenueSettlements.resolved,
    facts.PositionClosed: VenueSettlements.closed,
    facts.UnknownExecution: VenueSettlements.unknown,
    msg.SettleLate: VenueSettlements.late,
}
_ROUTES: dict[type, Callable[[System, Any, Turn], None]] = {
    **dict.fromkeys(_SETTLING, System._settling),
    **dict.fromkeys(ORDER_MESSAGES, System._to_order),
    **dict.fromkeys(POSITION_MESSAGES, System._to_position),
    **dict.fromkeys(MODE_MESSAGES, System._to_mode),
    **dict.fromkeys(ORDER_FACTS, System._fact),
    **dict.fromkeys(ANSWERS, System._to_reconciler),
    **dict.fromkeys(TO_RECONCILER, System._to_reconciler),
    msg.PassDue: System._pass_due,
    **dict.fromkeys((facts.VenueConnected, facts.VenueDisconnected), System._connection),
    **dict.fromkeys((facts.BalanceReport, facts.PositionReport), System._report),
    **dict.fromkeys((msg.StartSession, msg.EndSession), System._session),
    **dict.fromkeys(ACCOUNT_MESSAGES, System._to_account),
    Tick: System._market,
    MarketTrade: System._market,
    MarketFollows: System._follow,
    **dict.fromkeys(GUARD_MESSAGES, System._about_guards),
    msg.ForGuards: System._for_guards,
    msg.HealthReport: System._for_guards,
    msg.PassEnded: System._for_guards,
    msg.Ask: System._ask,
    msg.RaiseSignal: System._raise_signal,
    msg.SignalForDoor: System._to_door,
    msg.PlaceOrder: System._placing,
    msg.RestoreActor: System._restore,
    msg.RetryUnresolved: System._retry_facts,
    msg.AttributeFact: System._attribute,
    msg.SnapshotAccount: System._snapshot,
    msg.Sweep: System._sweep,
    msg.BooksPassDue: System._books_due,
    msg.FeedGapSeen: System._gap,
}
