"""Facts that match nothing (P04): recorded, tried again, and placed at last, by themselves or by a
person who says whose they are. Whatever places one does so once, in the turn that books it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from attrs import evolve

from actors import messages as msg
from actors.effects import SetTimer
from actors.entities.fills import booked_as
from actors.entities.order import Order
from actors.fact_keys import ABOUT_A_TRADE, digest, first_key, keys_of, unresolved
from actors.known_keys import KnownKeys
from actors.registry import Books
from actors.runtime.actor import Decision, Refused
from fsm import events as ev
from fsm import facts

#: Facts that wait for their order.
_WAITING_MAX = 1_000
DISMISSED = "dismissed"
#: What a person may give to an order; everything else can only be dismissed.
_ATTRIBUTABLE: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        facts.OrderAccepted,
        facts.OrderRejected,
        facts.OrderFill,
        facts.OrderCanceled,
        facts.OrderExpired,
        facts.CancelRefused,
        facts.FillSettled,
        facts.FillVoided,
    )
}


class UnresolvedFacts:
    """What is open, what waits for another try, and what became of both."""

    def __init__(self, books: Books, keys: KnownKeys) -> None:
        self.books, self.keys = books, keys
        self.waiting: list[tuple[int, Any]] = []
        self._deadlines: dict[str, int] = {}
        self._waits_for_fills = False

    # ------------------------------------------------------------------------------- coming in

    def record(self, fact: Any, reason: str, decision: Decision) -> None:
        """Record the fact with the decision, once for all its tellings."""
        if self.keys.is_news(f"unresolved|{digest(fact)}", decision):
            self.record_again(fact, reason, decision)

    def record_again(self, fact: Any, reason: str, decision: Decision) -> None:
        """Record it although it looks like one that is recorded: it may be another one."""
        counters = self.books.counters
        counters["unresolved_facts"] = counters.get("unresolved_facts", 0) + 1
        decision.events.append(unresolved(fact, reason))

    def keep(self, fact: Any, order_id: str | None) -> Decision:
        """Record the fact; keep it for another try when it names an order."""
        reason = "no order id, and no single order that fits"
        decision = Decision()
        self.record(fact, f"no order {order_id}" if order_id else reason, decision)
        if order_id is not None:
            self.let_wait(fact, decision)
        return decision

    def let_wait(self, fact: Any, decision: Decision) -> None:
        """Keep it for another try: what it is about may become known in time."""
        now_us, rules = self.books.world.now_us, self.books.world.rules
        known = any(waiting == fact for _, waiting in self.waiting)
        if known or len(self.waiting) >= _WAITING_MAX:
            return
        deadline = self._deadlines.get(repr(fact), 0)
        if deadline <= now_us:
            deadline = now_us + rules.unresolved_retry_us
        self.waiting.append((deadline, fact))
        self._waits_for_fills = self._waits_for_fills or isinstance(fact, facts.PositionClosed)
        decision.effects.append(SetTimer("unresolved", deadline - now_us, msg.RetryUnresolved()))

    def may_fit(self, decision: Decision) -> bool:
        """Whether something that waits may find its place now: an id was told, or a fill came."""
        if decision.identities:
            return True
        return self._waits_for_fills and any(
            type(event) is ev.OrderFilled for event in decision.events
        )

    def take_waiting(self) -> list[Any]:
        """The facts that are still worth another try; they are kept again if it fails."""
        now_us = self.books.world.now_us
        fresh = [(deadline, fact) for deadline, fact in self.waiting if deadline > now_us]
        self.waiting, self._waits_for_fills = [], False
        self._deadlines = {repr(fact): deadline for deadline, fact in fresh}
        return [fact for _, fact in fresh]

    # --------------------------------------------------------------------------------- going out

    def placed_by(self, fact: Any, order: Order) -> list[int]:
        """Which open ones this fact is, now that it has found its order: a void or a settlement is
        not placed before its trade is there."""
        held = self.books.unresolved
        if not held:
            return []
        if isinstance(fact, ABOUT_A_TRADE) and booked_as(order, fact.trade_id) is None:
            return []
        return [seq for key in dict.fromkeys(keys_of(fact, order)) for seq in held.get(key, ())]

    def placed(self, seqs: list[int], address: str) -> Decision:
        """Say so of each, once: whose it was, `order/ID` or `position/ID`."""
        decision = Decision()
        for seq in seqs:
            if self.keys.is_news(_resolved_key(seq), decision):
                told = ev.FactResolved(fact_seq=seq, resolved_as=address)
                decision.events.append(told)
        return decision

    def told_before(self, fact: Any) -> list[int]:
        """Open ones that this fact, of no order, is told again as."""
        return list(self.books.unresolved.get(first_key(fact), ()))

    def attributed(
        self, message: msg.AttributeFact
    ) -> tuple[Decision, Order | None, facts.OrderFact | None]:
        """What a person says of one: the record, and the fact for the order that they name (None:
        dismissed). Raises Refused where it is resolved already, or does not fit."""
        event = self._event(message.seq)
        decision = Decision()
        if self.keys.is_known(_resolved_key(message.seq)):
            raise Refused(f"seq {message.seq} is resolved already: `holdfast fills --unresolved`")
        if message.client_order_id is None:
            resolved_as, order, fact = DISMISSED, None, None
        else:
            order, fact = self._for_order(event, message)
            resolved_as = order.address
            self.waiting = [(until, held) for until, held in self.waiting if not _same(held, fact)]
        self.keys.is_news(_resolved_key(message.seq), decision)
        decision.events.append(
            ev.FactResolved(
                fact_seq=message.seq, resolved_as=resolved_as, who=message.who, why=message.why
            )
        )
        return decision, order, fact

    def _event(self, seq: int) -> ev.FactUnresolved:
        reader = self.books.reader
        found = list(reader.events(seq - 1, limit=1)) if reader is not None and seq > 0 else []
        event = found[0].event if found and found[0].seq == seq else None
        if not isinstance(event, ev.FactUnresolved):
            raise Refused(f"seq {seq} is no unresolved fact: `holdfast fills --unresolved`")
        return event

    def _for_order(
        self, event: ev.FactUnresolved, message: msg.AttributeFact
    ) -> tuple[Order, facts.OrderFact]:
        """The fact as the named order's. Raises Refused with what does not fit."""
        seq, order_id = message.seq, str(message.client_order_id)
        kind = _ATTRIBUTABLE.get(event.fact)
        if kind is None:
            raise Refused(f"seq {seq}: a {event.fact} is no order's; use --dismiss")
        try:
            fact: Any = msgspec.json.decode(event.payload, type=kind)
        except msgspec.MsgspecError:
            raise Refused(
                f"seq {seq}: an older version kept it in words only; book it by its trade "
                "(`control resolve ... --trades`), and use --dismiss"
            ) from None
        order = self.books.order(order_id)
        if order is None:
            raise Refused(f"seq {seq}: no order {order_id}")
        if order.address in self.books.world.quarantined:
            raise Refused(f"seq {seq}: {order.address} is quarantined; restore it first")
        self._check(seq, fact, order)
        venue_id = fact.venue_order_id
        owner = None if venue_id is None else self.books.client_order_id(venue_id)
        if owner not in (None, order_id):
            venue_id = None
        return order, evolve(fact, client_order_id=order_id, venue_order_id=venue_id)

    def _check(self, seq: int, fact: Any, order: Order) -> None:
        where = f"seq {seq} does not fit {order.address}"
        for name, ours in (("instrument", order.instrument), ("side", order.side)):
            theirs = getattr(fact, name, None)
            if theirs is not None and theirs != ours:
                raise Refused(f"{where}: its {name} is {theirs}, the order's {ours}")
        trade_id = getattr(fact, "trade_id", None)
        if trade_id is None:
            return
        booked = booked_as(order, trade_id) is not None
        if isinstance(fact, ABOUT_A_TRADE):
            if not booked:
                raise Refused(f"{where}: trade {trade_id} is not booked for it")
            return
        owner = self.books.world.owner_of_trade(order.instrument, trade_id)
        if booked or owner is not None:
            held = order.client_order_id if booked else owner
            raise Refused(f"{where}: trade {trade_id} is booked for order {held}; use --dismiss")


def _resolved_key(seq: int) -> str:
    return f"fact_resolved|{seq}"


def _same(held: Any, fact: Any) -> bool:
    """Whether a fact that waits is the one that a person has placed."""
    ids = {"client_order_id": None, "venue_order_id": None}
    return type(held) is type(fact) and evolve(held, **ids) == evolve(fact, **ids)
