"""One order: what it does with each fact and command. The states are `fsm.order`'s."""

from __future__ import annotations

from decimal import Decimal
from sys import intern
from typing import Any

from attrs import define, evolve, field

from actors import messages as msg
from actors.effects import CancelTimer, SendCancel, SetTimer
from actors.entities import cancels, claims, fills, replacing, resolution
from actors.entities.trades import Foretold, TradeMark, foretold_by, mark_of, without
from actors.runtime.actor import Decision, Refused
from actors.world import World
from fsm import events as ev
from fsm import facts
from fsm import order as machine
from fsm.money import ZERO, divide
from fsm.order import TABLE, TERMINAL, OrderState, OrderTrigger
from fsm.requests import Cancel
from fsm.vocabulary import FillStatus, OrderRole, OrderType, Side

S, T = OrderState, OrderTrigger
_NO_CANCEL_ASKED = frozenset({S.INTENDED, S.SUBMITTED, S.WORKING, S.PARTIALLY_FILLED})


@define(slots=True)
class Order:
    """An order's state: the fold of its stream. With all indexes less than 1 KB while idle."""

    client_order_id: str
    role: OrderRole
    instrument: str
    side: Side
    type: OrderType
    qty: Decimal
    limit_price: Decimal | None
    position_id: str | None
    session_id: str
    created_us: int
    reduce_only: bool = False
    strategy: str | None = None
    reserve_price: Decimal | None = None
    state: OrderState = S.INTENDED
    venue_order_id: str | None = None
    filled_qty: Decimal = ZERO
    value: Decimal = ZERO
    priced_qty: Decimal = ZERO
    fees: Decimal = ZERO
    trades: dict[str, TradeMark] | None = None
    request_left: bool = False
    acknowledged: bool = False
    unproven: tuple[str, ...] = ()
    """Fills that stand for evidence which may still come: inferred ones, and unnamed ones."""
    aliases: dict[str, str] | None = None
    """Other names of booked fills: each was told with and without a trade id."""
    foretold: tuple[Foretold, ...] = ()
    """Voids and settlements of trades that are not booked yet."""
    cancel_refused: bool = False
    engine_cancelled: bool = False
    cancel_asked: bool = False
    """A person or a strategy took it back at some time, whatever its state is now."""
    left_us: int | None = None
    cancel_us: int | None = None
    turn: int = field(default=0, eq=False)
    """The last turn that changed it: it may be forgotten when that one is durable."""

    @property
    def address(self) -> str:
        """Its stream."""
        return f"order/{self.client_order_id}"

    def note_time(self, event: ev.Event, at_us: int) -> None:
        """Remember when its request left, or at the latest may have, and when its cancel was asked
        for: what ages count from."""
        if self.left_us is None and self.request_left:
            self.left_us = at_us
        if type(event) is ev.OrderMoved and event.trigger == T.CANCEL_REQUESTED:
            self.cancel_us = at_us

    @property
    def proven_qty(self) -> Decimal:
        """What is filled on the venue's word, without what is only inferred."""
        return self.filled_qty - replacing.inferred_qty(self) if self.unproven else self.filled_qty

    @property
    def rest(self) -> Decimal:
        """What may still fill by its quantity."""
        return self.qty - self.filled_qty

    @property
    def is_live(self) -> bool:
        """Not terminal: something is still expected."""
        return self.state not in TERMINAL

    @property
    def avg_price(self) -> Decimal | None:
        """Volume-weighted over the fills that came with a price."""
        return divide(self.value, self.priced_qty) if self.priced_qty else None

    # ------------------------------------------------------------------------------------ evolve

    def evolve(self, event: ev.Event) -> None:
        """Copy what happened."""
        if isinstance(event, ev.OrderSent):
            self.state, self.request_left = event.state, True
        elif isinstance(event, ev.OrderAcknowledged):
            self._evolve_acknowledged(event)
        elif isinstance(event, ev.OrderFilled):
            self._evolve_filled(event)
        elif isinstance(event, ev.OrderMoved):
            self._evolve_moved(event)
        elif isinstance(event, ev.OrderFillSettled):
            self._evolve_settled(event)
        elif isinstance(event, ev.OrderFillVoided):
            self._evolve_voided(event)
        elif isinstance(event, ev.OrderFillPaired):
            self.aliases = (self.aliases or {}) | {event.other_id: event.trade_id}
        elif isinstance(event, ev.OrderFillForetold):
            self.foretold += (foretold_by(event),)

    def _mark(self, trade_id: str, status: FillStatus) -> None:
        assert self.trades is not None
        self.trades[trade_id] = evolve(self.trades[trade_id], status=status)

    def _evolve_settled(self, event: ev.OrderFillSettled) -> None:
        assert self.trades is not None
        self.fees += event.fee_delta
        self.trades[event.trade_id] = fills.after_settlement(self.trades[event.trade_id], event)

    def _evolve_acknowledged(self, event: ev.OrderAcknowledged) -> None:
        self.state, self.request_left, self.acknowledged = event.state, True, True
        if event.venue_order_id is not None:
            self.venue_order_id = event.venue_order_id

    def _evolve_filled(self, event: ev.OrderFilled) -> None:
        self.state, self.request_left = event.state, True
        self.filled_qty, self.fees = event.filled_qty, event.fees
        if event.price is not None:
            self.value += event.qty * event.price
            self.priced_qty += event.qty
        if self.trades is None:
            self.trades = {}
        mark = self.trades[event.trade_id] = mark_of(event)
        if mark.is_unproven:
            self.unproven += (event.trade_id,)
        if self.foretold:
            self.foretold = tuple(f for f in self.foretold if f.trade_id != event.trade_id)

    def _evolve_voided(self, event: ev.OrderFillVoided) -> None:
        self.state, self.filled_qty, self.fees = event.state, event.filled_qty, event.fees
        if event.price is not None:
            self.value -= event.qty * event.price
            self.priced_qty -= event.qty
        self._mark(event.trade_id, FillStatus.VOIDED)
        self.unproven = without(self.unproven, event.trade_id)

    def _evolve_moved(self, event: ev.OrderMoved) -> None:
        self.state = event.state
        if event.trigger == T.OUTCOME_UNKNOWN:
            self.request_left = True  # it may have: from here on only evidence counts
        elif event.trigger == T.CANCEL_REFUSED:
            self.cancel_refused = True
        elif event.trigger in (T.ENGINE_CANCEL, T.CANCEL_REQUESTED):
            self.cancel_refused = False
            by_engine = event.trigger == T.ENGINE_CANCEL
            self.engine_cancelled = self.engine_cancelled or by_engine
            self.cancel_asked = self.cancel_asked or not by_engine

    # ------------------------------------------------------------------------------------ decide

    def decide(self, message: object, world: World) -> Decision:
        """Pure: what this message means for this order."""
        handler: Any = _HANDLERS.get(type(message))
        if handler is None:
            raise Refused(f"{self.address}: no handling for {type(message).__name__}")
        return handler(self, message, world)

    def next_state(self, trigger: OrderTrigger, guard: str | None = None) -> OrderState:
        """The state that follows by the table. Raises IllegalTrigger."""
        return TABLE.next(self.address, self.state, trigger, guard)

    def moved(
        self, trigger: OrderTrigger, reason: str, guard: str | None = None, who: str | None = None
    ) -> Decision:
        """One step by the table, with its follow-up at the position when that ends the order."""
        ignored = TABLE.reason_ignored(self.state, trigger, guard)
        if ignored is not None:
            return Decision.ignore(f"{trigger}: {ignored}")
        state = self.next_state(trigger, guard)
        event = ev.OrderMoved(
            client_order_id=self.client_order_id,
            position_id=self.position_id,
            trigger=trigger,
            state=state,
            reason=reason,
            who=who,
        )
        decision = Decision(events=[event])
        self.ended(decision, state)
        return decision

    def ended(self, decision: Decision, state: OrderState, filled: Decimal | None = None) -> None:
        """Tell the position once when the order leaves the live states; forget its timers."""
        if state in TERMINAL and self.is_live:
            if self.state is not S.WORKING or self.cancel_refused:  # else the answer took it off
                decision.effects.append(CancelTimer(f"submit/{self.client_order_id}"))
            if self.state not in _NO_CANCEL_ASKED or self.cancel_refused:
                decision.effects.append(CancelTimer(f"cancel/{self.client_order_id}"))
            # A fill tells its position itself: after the last one of an entry nothing is left.
            complete = state is S.FILLED and self.role is not OrderRole.EXIT
            if self.position_id is not None and not complete:
                qty = self.filled_qty if filled is None else filled
                decision.tells.append(
                    msg.OrderEnded(self.position_id, self.client_order_id, self.role, qty, state)
                )

    # ---------------------------------------------------------------------------- sending, doubt

    def _on_sent(self, message: msg.SentOut, world: World) -> Decision:
        state = self.next_state(T.SENT)
        return Decision(
            events=[ev.OrderSent(client_order_id=self.client_order_id, state=state)],
            effects=[
                SetTimer(
                    f"submit/{self.client_order_id}",
                    world.rules.submit_timeout_us,
                    msg.SubmitTimedOut(self.client_order_id),
                )
            ],
        )

    def _on_never_sent(self, message: msg.NeverSent, world: World) -> Decision:
        if self.request_left or not self.is_live:
            return Decision.ignore("never_sent: its request had left, or it is over")
        return self.moved(T.NEVER_SENT, message.reason, machine.REQUEST_NOT_LEFT)

    def _doubt(self, reason: str) -> Decision:
        decision = self.moved(T.OUTCOME_UNKNOWN, reason)
        decision.tells.append(msg.LookUp(self.client_order_id, reason))
        return decision

    def _on_submit_timeout(self, message: msg.SubmitTimedOut, world: World) -> Decision:
        if self.state is S.SUBMITTED:
            return self._doubt("no answer to the submit in time")
        return Decision.ignore("submit_timeout: answered meanwhile")

    def _on_outcome_unknown(self, message: facts.OutcomeUnknown, world: World) -> Decision:
        if self.state in (S.INTENDED, S.SUBMITTED):
            return self._doubt(message.reason)
        return Decision.ignore("outcome_unknown: something definite is known")

    def _on_disappeared(self, message: msg.Disappeared, world: World) -> Decision:
        if self.state in (S.WORKING, S.PARTIALLY_FILLED):
            return self.moved(T.OUTCOME_UNKNOWN, message.reason)
        return Decision.ignore("disappeared: not shown as working")

    def _on_never_arrived(self, message: msg.NeverArrived, world: World) -> Decision:
        guard = machine.SOMETHING_FILLED if self.filled_qty else machine.NOTHING_FILLED
        return self.moved(T.NEVER_ARRIVED, message.proof, guard)

    def _on_hold(self, message: msg.HoldOrder, world: World) -> Decision:
        if not TABLE.allows(self.state, T.HELD):
            return Decision.ignore("held: something definite is known")
        decision = self.moved(T.HELD, message.reason)
        decision.events.append(
            ev.AnomalyRecorded(
                kind="held_pending_review",
                seen=message.reason,
                done="HELD_FOR_REVIEW, DEGRADED",
                client_order_id=self.client_order_id,
                position_id=self.position_id,
            )
        )
        decision.tells.append(msg.Degrade("reconciler_held_pending_review", self.client_order_id))
        return decision

    # -------------------------------------------------------------------------------- venue facts

    def identify(self, decision: Decision, venue_order_id: str | None) -> None:
        """Let the venue\'s id commit with this decision when it is news."""
        if venue_order_id is not None and self.venue_order_id is None:
            decision.identities.append((venue_order_id, self.client_order_id))

    def _on_accepted(self, message: facts.OrderAccepted, world: World) -> Decision:
        return self._present(T.ACCEPTED, message.venue_order_id, world)

    def _on_found_open(self, message: msg.FoundOpen, world: World) -> Decision:
        return self._present(T.FOUND_OPEN, message.order.venue_order_id, world)

    def _on_named(self, message: msg.NamedByVenue, world: World) -> Decision:
        """It was accepted, and is over: how it ended is told when its fills are booked."""
        decision, _ = self._acknowledge(T.ACCEPTED, message.venue_order_id)
        if not decision.events:
            decision.ignored = "named_by_venue: as the books say"
        return decision

    def _present(self, trigger: OrderTrigger, venue_order_id: str | None, world: World) -> Decision:
        """The venue has it, by acknowledgement or by query."""
        decision, state = self._acknowledge(trigger, venue_order_id)
        if self.state in TERMINAL:
            self._dead_but_live(decision, venue_order_id, world)
        elif trigger is T.FOUND_OPEN and self.state in (S.CANCELLED_BY_ENGINE, S.CANCEL_PENDING):
            if state in (S.CANCELLED_BY_ENGINE, S.CANCEL_PENDING):
                decision.effects += cancels.cancel_effects(self, world)
        elif not decision.events:
            decision.ignored = f"{trigger}: as the books say"
        if self.state is S.HELD_FOR_REVIEW and trigger is T.FOUND_OPEN:
            decision.tells += cancels.again(self)
        return decision

    def _acknowledge(
        self, trigger: OrderTrigger, venue_order_id: str | None
    ) -> tuple[Decision, OrderState]:
        """What the books learn from it, and the state that follows."""
        guard = machine.SOMETHING_FILLED if self.filled_qty else machine.NOTHING_FILLED
        if trigger is T.FOUND_OPEN and self.state is S.CANCEL_PENDING and not self.cancel_refused:
            guard = machine.CANCEL_UNANSWERED
        state = self.next_state(trigger, guard)
        decision = Decision()
        self.identify(decision, venue_order_id)
        if state is not self.state or decision.identities or not self.request_left:
            decision.events.append(
                ev.OrderAcknowledged(
                    client_order_id=self.client_order_id,
                    position_id=self.position_id,
                    state=state,
                    venue_order_id=venue_order_id or self.venue_order_id,
                    found=trigger is T.FOUND_OPEN,
                )
            )
        if state is not self.state:
            decision.effects.append(CancelTimer(f"submit/{self.client_order_id}"))
        return decision, state

    def _dead_but_live(self, decision: Decision, venue_order_id: str | None, world: World) -> None:
        """A terminal order that the venue still works: cancel it there, and say so (X21). What
        somebody else placed is theirs: it is left alone, or cancelled again by the policy."""
        if self.role is OrderRole.EXTERNAL:
            if world.rules.cancel_external:
                decision.effects.append(SendCancel(self._cancel(venue_order_id)))
            elif not decision.events:
                decision.ignored = "external: it had left the venue's list, and is there again"
            return
        if "dead_order_live_at_venue" not in world.sources:  # once, not at every pass
            seen, done = f"the venue lists it as {venue_order_id}", "cancelled there, DEGRADED"
            decision.events.append(self.anomaly("dead_order_live_at_venue", seen, done))
        decision.effects.append(SendCancel(self._cancel(venue_order_id)))
        decision.tells.append(msg.Degrade("dead_order_live_at_venue", self.client_order_id))

    def _cancel(self, venue_order_id: str | None) -> Cancel:
        return Cancel(
            client_order_id=self.client_order_id,
            instrument=self.instrument,
            venue_order_id=venue_order_id or self.venue_order_id,
        )

    def _on_rejected(self, message: facts.OrderRejected, world: World) -> Decision:
        if message.reason.startswith("duplicate client_order_id"):
            # It is about a second submit, not about this order, which the venue has (M07).
            return Decision(
                events=[self.anomaly("duplicate_submit_refused", message.reason, "looked up")],
                tells=[msg.LookUp(self.client_order_id, message.reason)],
            )
        decision = self.moved(T.REJECTED, message.reason)
        if decision.ignored is not None and self.is_live:
            decision.tells.append(
                msg.LookUp(self.client_order_id, "rejected after it was accepted")
            )
        return decision

    def _on_canceled(self, message: facts.OrderCanceled, world: World) -> Decision:
        decision = self.moved(T.CANCELED, message.reason or "confirmed by the venue")
        self.identify(decision, message.venue_order_id)
        return decision

    def _on_expired(self, message: facts.OrderExpired, world: World) -> Decision:
        decision = self.moved(T.EXPIRED, message.reason or "expired at the venue")
        self.identify(decision, message.venue_order_id)
        return decision

    def anomaly(self, kind: str, seen: str, done: str) -> ev.AnomalyRecorded:
        """An anomaly about this order."""
        return ev.AnomalyRecorded(
            kind=kind,
            seen=seen,
            done=done,
            client_order_id=self.client_order_id,
            position_id=self.position_id,
        )


def created(event: ev.OrderIntended, at_us: int) -> Order:
    """The order of an intent. What many orders have in common is kept in memory once."""
    limit, reserve = event.limit_price, event.reserve_price
    return Order(
        client_order_id=event.client_order_id,
        role=event.role,
        instrument=intern(event.instrument),
        side=event.side,
        type=event.type,
        qty=event.qty,
        limit_price=limit,
        position_id=event.position_id and intern(event.position_id),
        session_id=intern(event.session_id),
        created_us=at_us,
        reduce_only=event.reduce_only,
        strategy=event.strategy and intern(event.strategy),
        reserve_price=limit if reserve == limit else reserve,
    )


_HANDLERS: dict[type, Any] = {
    msg.SentOut: Order._on_sent,
    msg.NeverSent: Order._on_never_sent,
    msg.SubmitTimedOut: Order._on_submit_timeout,
    msg.CancelTimedOut: cancels.on_timeout,
    msg.CancelOrder: cancels.on_cancel,
    msg.FoundOpen: replacing.disproving(Order._on_found_open),
    msg.NamedByVenue: Order._on_named,
    msg.Claimed: claims.on_claimed,
    msg.Disappeared: Order._on_disappeared,
    msg.NeverArrived: Order._on_never_arrived,
    msg.AssumeFilled: replacing.on_assumed,
    msg.HoldOrder: Order._on_hold,
    msg.ResolveHeld: resolution.on_resolve,
    facts.OrderAccepted: Order._on_accepted,
    facts.OrderRejected: replacing.disproving(Order._on_rejected),
    facts.OrderFill: fills.on_fill,
    facts.OrderCanceled: replacing.disproving(Order._on_canceled),
    facts.OrderExpired: replacing.disproving(Order._on_expired),
    facts.CancelRefused: cancels.on_refused,
    facts.FillSettled: fills.on_settled,
    facts.FillVoided: fills.on_voided,
    facts.OutcomeUnknown: Order._on_outcome_unknown,
    facts.CancelUnanswered: cancels.on_unanswered,
}
