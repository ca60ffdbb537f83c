"""The reconciler: holds the books against what the venue has, one bounded pass at a time.

A pass asks for open orders and for the fills since the watermark, then for each order whose fate
is open by its id. Only evidence moves an order (L2, L3): `Unavailable` changes nothing, absence
counts only with proof, a snapshot never moves an order backwards. What is learned goes out as
facts, through the same handlers as the stream. Its own state is transient; watermarks are events.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from loguru import logger

from actors import messages as msg
from actors.books import compare_books
from actors.effects import CancelTimer, Effect, SendQuery, SetTimer
from actors.entities.order import Order
from actors.evidence import DOUBTFUL, Pass, absence_means
from actors.runtime.actor import Decision
from actors.world import World
from fsm import events as ev
from fsm import facts
from fsm.facts import Absent, Found, Unavailable
from fsm.mode import ModeState
from fsm.order import TERMINAL, OrderState
from fsm.requests import (
    Query,
    QueryBalances,
    QueryFills,
    QueryOpenOrders,
    QueryOrder,
    QueryPositions,
)
from fsm.timestamps import SECOND_US
from fsm.vocabulary import OrderRole

S = OrderState
_ENDED: dict[str, Any] = {
    "canceled": facts.OrderCanceled,
    "expired": facts.OrderExpired,
    "rejected": facts.OrderRejected,
}
_REPEAT_US = 2 * SECOND_US
_PAGE, _PAGE_MAX = 1000, 64_000
HELD, DEAD = "reconciler_held_pending_review", "dead_order_live_at_venue"
START, ORDERS, BOOKS = "start", "orders", "books"


@define(slots=True)
class Reconciler:
    """Runs passes; `watermarks` is the fold of `WatermarkMoved`, the rest dies with us."""

    watermarks: dict[str, int] = field(factory=dict)
    accept_divergence: bool = False
    current: Pass | None = None
    again: str | None = None
    backoff: int = 0
    passes: int = 0
    last_at_us: int | None = None
    truth_status: str = "unverified"
    truth_deltas: dict[str, str] = field(factory=dict)
    venue_open_orders: int | None = None
    external_seen: dict[str, None] = field(factory=dict)
    suspected: dict[str, str] = field(factory=dict)
    suspected_at_us: int = 0
    unverified_reads: int = 0

    @property
    def address(self) -> str:
        """Its stream."""
        return "reconciler"

    def evolve(self, event: ev.Event) -> None:
        """Copy what happened."""
        if type(event) is ev.SessionStarted:
            self.truth_status, self.truth_deltas = "unverified", {}  # each session looks itself
        elif type(event) is ev.WatermarkMoved:
            self.watermarks[event.instrument] = event.venue_us
        elif type(event) is ev.BooksCompared:
            self.truth_status, self.truth_deltas = event.status, event.deltas

    def decide(self, message: object, world: World) -> Decision:
        """What to ask next, and what the answers mean."""
        if isinstance(message, msg.PassEvidenceApplied):
            return self.resume(message, world)
        decision = Decision()
        kind = type(message)
        if kind is msg.PassDue:
            self._begin(message.scope, world, decision)  # type: ignore[attr-defined]
        elif kind is msg.LookUp:
            self._begin(ORDERS, world, decision)
        elif kind is msg.QueryTimedOut:
            self._timed_out(message.request_id, world, decision)  # type: ignore[attr-defined]
        else:
            self._answered(message, world, decision)
        return decision

    def began(self, client_order_id: str) -> None:
        """An order came into being: what the pass hears of it may be older than its end."""
        if self.current is not None:
            self.current.began[client_order_id] = None

    def start_over(self) -> None:
        """Forget a pass that was broken off: the next one asks for everything again."""
        self.current, self.again = None, None

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
        run = Pass(scope, world.now_us, {k: o.state for k, o in world.orders.items()})
        self.current = run
        self.passes += 1
        self._ask(QueryOpenOrders(request_id=world.ids.next("q")), run, world, decision)
        for name in world.instruments:
            known = min(self.watermarks.get(name, 0), world.now_us)
            since = max(known - world.rules.fills_overlap_us, 0)
            self._ask(_fills_query(world, name, since), run, world, decision)

    def _ask(self, query: Query, run: Pass, world: World, decision: Decision) -> None:
        run.waiting[query.request_id] = query
        decision.effects.append(SendQuery(query))
        decision.effects.append(
            SetTimer(
                f"query/{query.request_id}",
                world.rules.query_timeout_us,
                msg.QueryTimedOut(query.request_id),
            )
        )

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
        result = answer.result
        if isinstance(result, Unavailable):
            run.failures.append(f"{type(query).__name__}: {result.reason}")
        elif isinstance(answer, facts.OpenOrdersAnswer):
            run.open_orders = {_name(order, world): order for order in result.value}
            self.venue_open_orders = len(run.open_orders)
        elif isinstance(answer, facts.FillsAnswer):
            self._fills(query, result.value, run, world, decision)
        elif isinstance(answer, facts.OrderAnswer):
            self._order(answer, run, world, decision)
        elif isinstance(answer, facts.BalancesAnswer):
            run.balances = result.value
        elif isinstance(answer, facts.PositionsAnswer):
            run.positions = result.value
        self._advance(run, world, decision)

    def _fills(
        self, query: Any, page: facts.FillsPage, run: Pass, world: World, decision: Decision
    ) -> None:
        """Book a page; the watermark moves in the transaction that books the last one."""
        decision.tells += [fill for fill in page.fills if not world.is_booked(fill)]
        last = page.fills[-1].venue_us if page.fills else query.since_us
        if not page.complete:
            limit = query.limit if last > query.since_us else query.limit * 2
            if limit > _PAGE_MAX:  # it never gets on: no page without an end (L9)
                run.failures.append(f"fills of {query.instrument}: more than {query.limit} at once")
                return
            self._ask(_fills_query(world, query.instrument, last, limit), run, world, decision)
            return
        run.fills_answered.add(query.instrument)
        if last > self.watermarks.get(query.instrument, 0):
            decision.events.append(ev.WatermarkMoved(instrument=query.instrument, venue_us=last))

    def _order(
        self, answer: facts.OrderAnswer, run: Pass, world: World, decision: Decision
    ) -> None:
        order = world.orders.get(answer.client_order_id)
        if order is None:
            return
        if isinstance(answer.result, Absent):
            agree = run.open_orders is not None and order.instrument in run.fills_answered
            decision.tells += absence_means(order, answer.result, agree, world)
        elif isinstance(answer.result, Found):
            self._found(order, answer.result.value, run, decision)

    # ----------------------------------------------------------------------------------- stages

    def _advance(self, run: Pass, world: World, decision: Decision) -> None:
        """When everything that was asked has an answer, go on to the next stage or finish."""
        if run.waiting:
            return
        if run.stage == "sweep":
            run.stage = "orders"
            self._sweep(run, world, decision)
        if run.stage == "orders" and not run.waiting:
            run.stage = "terminal"
            for name, since in run.refetch.items():
                self._ask(_fills_query(world, name, since), run, world, decision)
        if run.waiting:
            return
        if run.stage == "terminal":
            decision.tells += run.terminal
            run.terminal = []
            run.stage = "books"
            # What the orders' evidence leads to is decided first, in this turn; the books after it.
            decision.tells.append(msg.PassEvidenceApplied(run.started_us))
        elif run.stage == "compare":
            self._compare(run, world, decision)

    def resume(self, message: msg.PassEvidenceApplied, world: World) -> Decision:
        """The evidence is applied: compare the books where this pass is for that, or end it."""
        decision, run = Decision(), self.current
        if run is None or run.started_us != message.started_us:
            return Decision.ignore("pass: ended meanwhile")
        settled = not any(
            order.state in (S.INTENDED, S.SUBMITTED, S.UNKNOWN) for order in world.orders.values()
        )
        if run.scope == ORDERS or (run.scope == START and (run.failures or not settled)):
            self._finish(run, world, decision)
            return decision
        run.stage, run.books_seq = "compare", world.ledger_version()
        self._ask(QueryBalances(request_id=world.ids.next("q")), run, world, decision)
        if any(spec.is_margined for spec in world.instruments.values()):
            self._ask(QueryPositions(request_id=world.ids.next("q")), run, world, decision)
        return decision

    def _sweep(self, run: Pass, world: World, decision: Decision) -> None:
        """Open orders and fills are in: what does the venue have, what is missing there?"""
        if run.open_orders is None:
            return
        for name, reported in run.open_orders.items():
            order = world.orders.get(name)
            if order is None and not world.is_ours(name):
                self._external(name, reported, decision)
            elif order is None or order.state in TERMINAL:
                # Only one that had ended before the question left: a snapshot races the stream.
                was = run.states.get(name)
                if was in TERMINAL or (was is None and name not in run.began):
                    decision.tells.append(msg.FoundOpen(name, reported))
            elif (
                order.state not in (S.WORKING, S.PARTIALLY_FILLED)
                or reported.filled_qty > order.filled_qty
            ):
                if reported.filled_qty > order.filled_qty:
                    self._refetch(run, order.instrument, order.created_us)
                decision.tells.append(msg.FoundOpen(name, reported))
        for name, was in run.states.items():
            order = world.orders.get(name)
            if (
                order is None
                or order.state is not was
                or was in TERMINAL
                or name in run.open_orders
            ):
                continue
            if was is S.CANCELLED_BY_ENGINE:
                logger.info("RECONCILER_SKIP_ENGINE_CANCEL order={}", name)
                world.count_log("RECONCILER_SKIP_ENGINE_CANCEL")
            if order.request_left or was is not S.INTENDED:
                query = QueryOrder(
                    request_id=world.ids.next("q"),
                    client_order_id=name,
                    instrument=order.instrument,
                    venue_order_id=order.venue_order_id,
                )
                self._ask(query, run, world, decision)

    def _external(self, name: str, reported: facts.VenueOrder, decision: Decision) -> None:
        if name in self.external_seen:
            return
        self.external_seen[name] = None
        decision.events.append(
            ev.AnomalyRecorded(
                kind="external_order",
                seen=f"{reported.side} {reported.qty} {reported.instrument} as {name}",
                done="reported, never traded",
            )
        )

    def _refetch(self, run: Pass, instrument: str, since_us: int) -> None:
        """A cumulative quantity is a reason to ask for the fills, never a booking."""
        run.refetch[instrument] = min(run.refetch.get(instrument, since_us), since_us)

    def _found(
        self, order: Order, reported: facts.VenueOrder, run: Pass, decision: Decision
    ) -> None:
        name = order.client_order_id
        if reported.filled_qty > order.filled_qty:
            self._refetch(run, order.instrument, max(order.created_us - 60 * SECOND_US, 0))
        if reported.state == "open":
            decision.tells.append(msg.FoundOpen(name, reported))
            return
        ended = _ENDED.get(reported.state)
        if ended is facts.OrderRejected and order.state in (S.WORKING, S.PARTIALLY_FILLED):
            ended = facts.OrderExpired  # it had accepted it: taken off by its own rule since
        if ended is not None:
            reason = reported.reason or f"the venue says {reported.state}"
            run.terminal.append(
                ended(client_order_id=name, venue_order_id=reported.venue_order_id, reason=reason)
            )

    # ------------------------------------------------------------------------------------- books

    def _compare(self, run: Pass, world: World, decision: Decision) -> None:
        if run.scope == START and not world.ledger.totals and run.balances is not None:
            self._opening(run, decision)
            decision.tells.append(msg.BooksMatch())
            self._finish(run, world, decision)
            return
        outcome = compare_books(
            run.balances, run.positions, world, raced=run.books_seq != world.ledger_version()
        )
        unseen = run.open_orders is None or not run.fills_answered.issuperset(world.instruments)
        if outcome is None or (outcome[0] == "halt" and unseen):
            # Raced; or a fill that could not be asked for may explain the difference (L3).
            self._finish(run, world, decision)
            return
        status, deltas, detail = outcome
        self._judge(run, status, deltas, detail, world, decision)
        self._finish(run, world, decision)

    def _opening(self, run: Pass, decision: Decision) -> None:
        """The first start on an empty journal: what the account holds is opening capital (X12)."""
        assert run.balances is not None
        for asset, total in run.balances.items():
            decision.events.append(
                ev.CapitalRecorded(
                    kind="opening",
                    asset=asset,
                    amount=total,
                    source_note="opening balance at the first start",
                )
            )
        decision.events.append(
            ev.BooksCompared(status="ok", deltas={}, detail="opening balances adopted")
        )

    def _judge(
        self,
        run: Pass,
        status: str,
        deltas: dict[str, str],
        detail: str,
        world: World,
        decision: Decision,
    ) -> None:
        news = status != self.truth_status or deltas != self.truth_deltas
        if status == "unverified":
            self.unverified_reads += 1
            if self.unverified_reads >= 3 and run.scope != START:
                decision.tells.append(msg.Degrade("wallet_truth", "three unverified reads"))
        else:
            self.unverified_reads = 0
        if status == "halt" and deltas != self.suspected:
            # A fill may be on its way: the same difference has to be there again, 2 s later.
            self.suspected, self.suspected_at_us = deltas, world.now_us
        if status == "halt" and world.now_us - self.suspected_at_us < _REPEAT_US:
            again_us = self.suspected_at_us + _REPEAT_US - world.now_us
            self.again = None
            decision.effects.append(SetTimer("pass/suspect", again_us, msg.PassDue(run.scope)))
            return
        if status in ("ok", "warn"):
            self.suspected = {}
        if status == "ok":
            decision.tells += [
                msg.Recover(source)
                for source in ("wallet_truth", "overfill")
                if source in world.sources
            ]
        if news or run.scope == START:
            decision.events.append(ev.BooksCompared(status=status, deltas=deltas, detail=detail))
        if run.scope == START and status in ("ok", "warn"):
            decision.tells.append(msg.BooksMatch())
        elif run.scope == START and status == "halt" and world.mode is ModeState.RECONCILING:
            decision.tells.append(msg.Divergence(detail, self.accept_divergence))
        elif status == "halt":
            decision.tells.append(msg.Degrade("wallet_truth", detail))

    # ------------------------------------------------------------------------------------ the end

    def _sources(self, run: Pass, world: World, decision: Decision) -> None:
        """The reconciler's own sources stand as long as what they are about (N14)."""
        held = _held(world)
        if held and HELD not in world.sources:
            decision.tells.append(msg.Degrade(HELD, "an order waits for a person"))
        elif not held and HELD in world.sources:
            decision.tells.append(msg.Recover(HELD))
        if DEAD in world.sources and run.open_orders is not None:
            dead = [name for name in run.open_orders if run.states.get(name) in TERMINAL]
            if not dead and not any(world.is_ended(name) for name in run.open_orders):
                decision.tells.append(msg.Recover(DEAD))

    def _finish(self, run: Pass, world: World, decision: Decision) -> None:
        self.current, self.last_at_us = None, world.now_us
        self.backoff = self.backoff + 1 if run.failures else 0
        decision.tells.append(msg.PassEnded(not run.failures, ", ".join(run.failures[:3])))
        left = [o for o in world.orders.values() if o.state is not S.INTENDED]
        doubtful = [o for o in left if o.state in DOUBTFUL]
        self._sources(run, world, decision)
        delay = world.rules.open_orders_interval_us
        if world.mode is ModeState.RECONCILING or doubtful:
            delay = world.rules.exit_query_interval_us
        exit_in_doubt = any(o.role is OrderRole.EXIT and o.state is S.UNKNOWN for o in doubtful)
        if run.failures and not exit_in_doubt:
            delay = min(
                max(delay, SECOND_US) << min(self.backoff - 1, 6), world.rules.backoff_max_us
            )
        scope = self.again or (START if world.mode is ModeState.RECONCILING else ORDERS)
        if self.again is not None:
            delay, self.again = 0, None
        if not any(isinstance(e, SetTimer) and e.key == "pass/suspect" for e in decision.effects):
            decision.effects.append(_next_pass(scope, delay))


def _held(world: World) -> bool:
    return any(order.state is S.HELD_FOR_REVIEW for order in world.orders.values())


def _fills_query(world: World, instrument: str, since_us: int, limit: int = _PAGE) -> QueryFills:
    return QueryFills(
        request_id=world.ids.next("q"), instrument=instrument, since_us=since_us, limit=limit
    )


def _next_pass(scope: str, delay_us: int) -> Effect:
    return SetTimer("pass/next", delay_us, msg.PassDue(scope))


def _name(order: facts.VenueOrder, world: World) -> str:
    """Our id of a reported order: the client's id, or by the venue's id."""
    if order.client_order_id is not None:
        return order.client_order_id
    return world.client_order_id(order.venue_order_id) or order.venue_order_id
