"""The reconciler: holds the books against what the venue has, one bounded pass at a time.

A pass asks for open orders and for the fills since the watermark, then for each order whose fate
is open by its id. Only evidence moves an order (L2, L3): `Unavailable` changes nothing, absence
counts only with proof, a snapshot never moves an order backwards. What is learned goes out as
facts, through the same handlers as the stream. Its own state is transient; watermarks are events.
What evidence means is in `reconciling.verdicts`, how much a turn does in `reconciling.passes`.
"""

from __future__ import annotations

from functools import partial
from typing import Any, assert_never

from attrs import define, field
from loguru import logger

from actors import messages as msg
from actors.effects import CancelTimer, SendQuery, SetTimer
from actors.entities.order import Order
from actors.reconciling import absence, pages, sources, sweep
from actors.reconciling.externals import adopt
from actors.reconciling.link import Link
from actors.reconciling.notes import AdoptExternal, PassEvidenceApplied, PassGoesOn
from actors.reconciling.outcomes import end_of, messages, opening
from actors.reconciling.passes import BOOKS, ORDERS, START, Pass, Work, looks
from actors.reconciling.truth import Truth, compare_books, is_settled, questions
from actors.reconciling.unproven import Unproven
from actors.reconciling.verdicts import Seen, verdict
from actors.runtime.actor import Decision
from actors.world import World
from fsm import events as ev
from fsm import facts
from fsm.facts import Absent, Found, Unavailable
from fsm.mode import ModeState
from fsm.order import OrderState
from fsm.requests import (
    Query,
    QueryFills,
    QueryOpenOrders,
)
from fsm.timestamps import SECOND_US
from fsm.vocabulary import OrderRole, PnlSource

S = OrderState
#: They are asked about each second; one that is held waits for a person.
_HURRIED = (S.SUBMITTED, S.UNKNOWN, S.CANCEL_PENDING, S.CANCELLED_BY_ENGINE)
_LOOKS_AT_BOOKS_MAX = 3
#: Orders with an inferred fill that are asked about; DEGRADED stands long before so many (L9).
_INFERRED_MAX = 10_000


@define(slots=True)
class Reconciler:
    """Runs passes. `watermarks`, `inferred`, `opened_us` and the truth's verdict are folds; the
    rest dies with us."""

    watermarks: dict[str, int] = field(factory=dict)
    inferred: dict[str, int] = field(factory=dict)
    """Orders with a fill that is only inferred, and since when: they are still asked for."""
    opened_us: int = 0
    truth: Truth = field(factory=Truth)
    accept_divergence: bool = False
    counters: dict[str, int] = field(factory=dict)
    link: Link = field(factory=Link)
    current: Pass | None = None
    again: str | None = None
    passes: int = 0
    last_at_us: int | None = None
    venue_open_orders: int | None = None
    doubts: dict[str, int] = field(factory=dict)
    """Orders that the answers miss, or contradict each other about, and since when."""
    vain: dict[str, int] = field(factory=dict)
    """Orders whose fills were searched for in vain, and how often."""
    contested: dict[str, tuple[int, str]] = field(factory=dict)
    """Absent orders that something of nobody fits: when that was found, and what it is."""
    asked: dict[str, int] = field(factory=dict)
    """Orders that were missing, and the number of the last question about them."""
    questions: int = 0
    races: dict[str, None] = field(factory=dict)
    unproven: Unproven = field(factory=Unproven)

    @property
    def address(self) -> str:
        """Its stream."""
        return "reconciler"

    def evolve(self, event: ev.Event, at_us: int = 0) -> None:
        """Copy what happened."""
        self.truth.evolve(event)
        if type(event) is ev.WatermarkMoved:
            self.watermarks[event.instrument] = event.venue_us
        elif type(event) is ev.BooksCompared and event.opened_us is not None:
            self.opened_us = event.opened_us
        elif type(event) is ev.OrderFilled and event.provenance is PnlSource.INFERRED:
            if len(self.inferred) >= _INFERRED_MAX:
                del self.inferred[next(iter(self.inferred))]
            self.inferred[event.client_order_id] = at_us
        elif type(event) is ev.OrderFillVoided and event.provenance is PnlSource.INFERRED:
            self.inferred.pop(event.client_order_id, None)

    def decide(self, message: object, world: World) -> Decision:
        """What to ask next, and what the answers mean."""
        decision = Decision()
        if isinstance(message, msg.PassDue):
            self._begin(message.scope, world, decision)
        elif isinstance(message, msg.LookUp):
            self._look_up(message, world, decision)
        elif isinstance(message, AdoptExternal):
            return adopt(message.client_order_id, message.order, world)
        elif isinstance(message, PassGoesOn | PassEvidenceApplied):
            run = self.current
            if run is None or run.number != message.number:
                return Decision.ignore("pass: ended meanwhile")
            if isinstance(message, PassEvidenceApplied):
                self._applied(run, world, decision)
            else:
                self._advance(run, world, decision)
        elif isinstance(message, msg.QueryTimedOut):
            self._timed_out(message.request_id, world, decision)
        else:
            self._answered(message, world, decision)
        return decision

    def began(self, client_order_id: str) -> None:
        """An order came into being: what the pass hears of it may be older than its end."""
        if self.current is not None:
            self.current.began[client_order_id] = None

    def start_over(self) -> None:
        """Forget a pass that was broken off: the next one asks for everything again."""
        self.current = self.again = None

    # ------------------------------------------------------------------------------- starting one

    def _begin(self, scope: str, world: World, decision: Decision) -> None:
        if world.mode in (ModeState.STARTING, ModeState.OBSERVING, ModeState.STOPPED):
            return
        if self.current is not None:
            if self.again is None or scope in (START, BOOKS):
                self.again = scope
            return
        if world.mode is ModeState.RECONCILING:
            scope = START  # until the gate is passed every pass is about the gate
        self.passes += 1
        run = self.current = Pass(
            scope,
            self.passes,
            world.now_us,
            {name: looks(order) for name, order in world.orders.items()},
            opening=scope == START and not world.ledger.totals,
            accepts_divergence=self.accept_divergence,
            vain=self.vain,
            contested=self.contested,
        )
        self._ask(QueryOpenOrders(request_id=world.ids.next("q")), run, world, decision)
        for name in world.instruments:
            query = pages.first_query(world, name, self.watermarks.get(name, 0))
            self._ask(query, run, world, decision)

    def _look_up(self, message: msg.LookUp, world: World, decision: Decision) -> None:
        """One order is wanted now: the pass that follows asks for it first."""
        self.asked[message.client_order_id] = -1
        if message.race:
            self._race(message.client_order_id, world)
        running = self.current is not None and self.link.failures
        if not running and not self.link.waits(world.now_us):
            self._begin(ORDERS, world, decision)  # else those in doubt would never back off

    def _race(self, client_order_id: str, world: World) -> None:
        """A cancel met something that came first: counted once an order (N19)."""
        if client_order_id not in self.races:
            self.races[client_order_id] = None
            self.counters["cancel_races"] = self.counters.get("cancel_races", 0) + 1
            logger.info("RECONCILER_CANCEL_RACE order={}", client_order_id)
            world.count_log("RECONCILER_CANCEL_RACE")

    def _ask(self, query: Query, run: Pass, world: World, decision: Decision) -> None:
        run.waiting[query.request_id] = query
        decision.effects.append(SendQuery(query))
        key, patience_us = f"query/{query.request_id}", world.rules.query_timeout_us
        decision.effects.append(SetTimer(key, patience_us, msg.QueryTimedOut(query.request_id)))

    # ------------------------------------------------------------------------------------ answers

    def _timed_out(self, request_id: str, world: World, decision: Decision) -> None:
        run = self.current
        if run is None or request_id not in run.waiting:
            decision.ignored = "query: answered or given up already"
            return
        query = run.waiting.pop(request_id)
        run.failures.append(f"{type(query).__name__}: no answer in time")
        self._advance(run, world, decision)

    def _answered(self, answer: Any, world: World, decision: Decision) -> None:
        run = self.current
        query = run.waiting.pop(answer.request_id, None) if run is not None else None
        if run is None or query is None:
            decision.ignored = "answer: nobody waits for it any more"
            return
        decision.effects.append(CancelTimer(f"query/{answer.request_id}"))
        if isinstance(answer.result, Unavailable):
            run.failures.append(f"{type(query).__name__}: {answer.result.reason}")
        else:
            run.answered += 1
            self._take(answer, query, run, world, decision)
        self._advance(run, world, decision)

    def _take(
        self, answer: facts.VenueAnswer, query: Query, run: Pass, world: World, decision: Decision
    ) -> None:
        """Read an answer; every kind and every result of it has its place here (L3)."""
        match answer:
            case facts.OrderAnswer(result=Found() | Absent()):
                self._order(answer, run, world, decision)
            case facts.OpenOrdersAnswer(result=Found(orders)):
                self.venue_open_orders, run.listing = len(orders), orders
            case facts.FillsAnswer(result=Found(page)):
                assert isinstance(query, QueryFills)
                steps = pages.steps(page, run, self.opened_us, world)
                run.work.append(Work(steps, partial(self._page_done, query, page, run, world)))
            case facts.BalancesAnswer(result=Found(balances)):
                run.balances = balances
            case facts.PositionsAnswer(result=Found(positions)):
                run.positions = positions
            case (
                facts.OrderAnswer()
                | facts.OpenOrdersAnswer()
                | facts.FillsAnswer()
                | facts.BalancesAnswer()
                | facts.PositionsAnswer()
            ):
                raise AssertionError("an answer that is unavailable is counted, not read")
            case _:
                assert_never(answer)

    def _page_done(
        self,
        query: QueryFills,
        page: facts.FillsPage,
        run: Pass,
        world: World,
        decision: Decision,
    ) -> None:
        """The page is booked: the watermark moves in the transaction that books the last one."""
        if not page.complete:
            following = pages.next_query(world, query, page)
            if following is None:
                run.failures.append(f"fills of {query.instrument}: {query.limit} at one moment")
                run.stuck[query.instrument] = None
                behind_us = pages.last_of(page, query) + 1
                self._ask(pages.query(world, query.instrument, behind_us), run, world, decision)
            else:
                self._ask(following, run, world, decision)
            return
        if query.instrument in run.stuck:
            return  # what follows a moment is booked, the watermark stays before it
        run.fills_answered[query.instrument] = None
        last_us = pages.last_of(page, query)
        if last_us > self.watermarks.get(query.instrument, 0):
            decision.events.append(ev.WatermarkMoved(instrument=query.instrument, venue_us=last_us))

    # ---------------------------------------------------------------------------------- one order

    def _order(
        self, answer: facts.OrderAnswer, run: Pass, world: World, decision: Decision
    ) -> None:
        order = self._find(answer.client_order_id, world)
        if order is None:
            return
        match answer.result:
            case Unavailable():
                self._decided(order, Seen.UNAVAILABLE, "", world, decision)
            case Absent(proof):
                absence.noted(run, order, proof, self.doubts.get(order.client_order_id), world)
            case Found(reported):
                if reported.filled_qty != order.proven_qty:
                    sweep.refetch(run, order, reported.filled_qty)
                name, venue_id = order.client_order_id, reported.venue_order_id
                if reported.state == "open":
                    if run.is_as_asked(order):  # else the answer is older than what is known
                        decision.tells.append(msg.FoundOpen(name, reported))
                    self.doubts.pop(name, None)
                    return
                run.ended.append((name, reported))
                if order.venue_order_id is None and reported.state != "rejected":
                    # Its fills may name only the venue's id: they find it by this one.
                    decision.tells.append(msg.NamedByVenue(name, venue_id))
            case _:
                assert_never(answer.result)

    def _find(self, client_order_id: str, world: World) -> Order | None:
        """A live order; one that was taken for filled is folded back to be asked about."""
        order = world.orders.get(client_order_id)
        if order is None and client_order_id in self.inferred:
            order = world.find_order(client_order_id)
        return order

    def _ends(self, run: Pass, world: World, decision: Decision) -> None:
        """Orders that the venue says have ended, or does not know, now that every fill it told is
        booked."""
        if not run.failures:
            sweep.note_vain(run, world)
        for missed in filter(None, [self._find(name, world) for name in run.absent]):
            doubted_us = self.doubts.get(missed.client_order_id)
            seen, told = absence.seen(run, missed, doubted_us, world)
            self._decided(missed, seen, told, world, decision)
        for name, reported in run.ended:
            order = self._find(name, world)
            if order is None:
                continue
            ended = end_of(order, reported)
            short = reported.filled_qty > order.proven_qty
            if order.is_live and reported.filled_qty != order.proven_qty:
                if run.has_fills_of(order, world) and not run.failures:
                    told = f"the venue says {reported.state}, {reported.filled_qty} filled"
                    self._decided(order, Seen.SHORT, told, world, decision)
            elif ended is not None and not short:
                decision.tells.append(ended)
        run.ended, run.absent = [], {}

    def _decided(
        self, order: Order, seen: Seen, told: str, world: World, decision: Decision
    ) -> None:
        """Ask the table, and turn its verdict into messages."""
        name = order.client_order_id
        case = sweep.case_of(order, self.doubts.get(name), world.now_us)
        if seen in (Seen.ABSENT, Seen.SHORT, Seen.CONTESTED):
            self.doubts.setdefault(name, world.now_us)
        reached = verdict(case, seen, sweep.policy_of(world.rules))
        decision.tells += messages(order, case, seen, reached, told)

    # ----------------------------------------------------------------------------------- stages

    def _advance(self, run: Pass, world: World, decision: Decision) -> None:
        """When everything that was asked has an answer, go on to the next stage or finish."""
        if not run.go_on(decision) or run.waiting:
            return
        if run.stage == "sweep":
            run.stage = "missing"
            if run.listing is not None:
                run.open_orders = {}
                run.work.append(Work(sweep.listed(run.listing, run, world)))
                run.work.append(Work(sweep.vanished(run, world)))
                run.work.append(self.unproven.compared(run, world))
                if not run.go_on(decision):
                    return
        if run.stage == "missing":
            run.stage = "orders"
            self._ask_for_missing(run, world, decision)
        if run.stage == "orders" and not run.waiting:
            run.stage = "ends"
            for name, since_us in run.refetch.items():
                run.fills_answered.pop(name, None)  # until these have answered as well
                self._ask(pages.query(world, name, since_us), run, world, decision)
        if run.waiting:
            return
        if run.stage == "ends":
            # The fills are told in this turn, before this: it is decided when they are booked.
            run.stage = "ended"
            decision.tells.append(PassEvidenceApplied(run.number))
        elif run.stage == "compare":
            self._compare(run, world, decision)

    def _ask_for_missing(self, run: Pass, world: World, decision: Decision) -> None:
        """A bounded number of questions; whoever is left out comes first in the next pass."""
        inferred = self.unproven.inferred(self.inferred, run, world, decision)
        if run.open_orders is not None:
            run.missing += [name for name in inferred if name not in run.open_orders]
        chosen = sweep.due(run.missing, self.asked, world.rules.queries_per_pass_max, world)
        run.left_out = len(run.missing) - len(chosen)
        self.asked = {name: self.asked.get(name, -1) for name in run.missing}
        for name in chosen:
            self.questions += 1
            self.asked[name] = self.questions
            order = self._find(name, world)
            if order is None:
                continue
            if order.state is S.CANCELLED_BY_ENGINE:
                logger.info("RECONCILER_SKIP_ENGINE_CANCEL order={}", name)
                world.count_log("RECONCILER_SKIP_ENGINE_CANCEL")
            elif order.state is S.CANCEL_PENDING:
                self._race(name, world)
            run.looked[name] = looks(order)
            self._ask(sweep.question(order, world), run, world, decision)

    def _applied(self, run: Pass, world: World, decision: Decision) -> None:
        """What was learned is decided on: orders that ended, then the books, or it is over."""
        if run.stage == "ended":
            run.stage = "applied"
            self._ends(run, world, decision)
            decision.tells.append(PassEvidenceApplied(run.number))
            return
        gated = run.scope == START and not (run.is_complete and is_settled(world))
        if run.scope == ORDERS or gated:
            self._finish(run, world, decision)
            return
        run.round_ok = run.is_complete
        self._look_at_books(run, world, decision)

    # ------------------------------------------------------------------------------------- books

    def _look_at_books(self, run: Pass, world: World, decision: Decision) -> None:
        run.stage, run.books_seq, run.books_us = "compare", world.ledger_version(), world.now_us
        run.looks_at_books += 1
        for query in questions(world):
            self._ask(query, run, world, decision)

    def _compare(self, run: Pass, world: World, decision: Decision) -> None:
        if run.opening and not world.ledger.totals and run.balances is not None:
            since_us = max(world.now_us, run.newest_us + 1)
            decision.events += opening(run.balances, world.ledger.quotes, since_us)
            decision.tells.append(msg.BooksMatch())
        elif run.books_seq == world.ledger_version():
            accepted = self.truth.accepted
            outcome = compare_books(run.balances, run.positions, world, accepted)
            if not self.truth.judge(outcome, run, world, decision):
                self.again = ORDERS if self.again == ORDERS else None  # the books have their timer
            elif run.scope == START:
                self.accept_divergence = False  # it was about what was there at the start
        elif run.looks_at_books < _LOOKS_AT_BOOKS_MAX:
            self._look_at_books(run, world, decision)
            return
        else:
            self.truth.missed(run, world, decision)
        self._finish(run, world, decision)

    # ------------------------------------------------------------------------------------ the end

    def _finish(self, run: Pass, world: World, decision: Decision) -> None:
        self.current, self.last_at_us = None, world.now_us
        decision.effects += self.link.passed(run, world.now_us)
        decision.tells.append(msg.PassEnded(not run.failures, ", ".join(run.failures[:3])))
        doubtful = [o for o in world.orders.values() if o.state in _HURRIED]
        sweep.forget(run, world, self.doubts, self.vain, self.contested, self.races)
        decision.tells += sources.follow(run, world)
        rules = world.rules
        delay = rules.open_orders_interval_us
        if world.mode is ModeState.RECONCILING or doubtful or run.left_out:
            delay = rules.exit_query_interval_us
        if not any(o.role is OrderRole.EXIT and o.state is S.UNKNOWN for o in doubtful):
            delay = self.link.delay_us(delay, SECOND_US, rules.backoff_max_us)
        scope = self.again or (START if world.mode is ModeState.RECONCILING else ORDERS)
        asked = self.again is not None
        if asked:
            delay, self.again = 0, None
        self.link.next_try_us = world.now_us + delay
        timers = [e.key for e in decision.effects if isinstance(e, SetTimer)]
        if asked or "pass/suspect" not in timers:
            decision.effects.append(SetTimer("pass/next", delay, msg.PassDue(scope)))
