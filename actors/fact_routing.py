"""Whose fact is it? By the client's id, then by the venue's id, then by state, and counted.

A fact that matches nothing changes nothing: it is recorded as unresolved, kept for a while, and
tried again at each acknowledgement, because a venue may tell of a fill before it tells the id.
"""

from __future__ import annotations

import hashlib
from typing import Any

from actors import messages as msg
from actors.effects import SetTimer
from actors.entities.fills import booked_as, fill_key
from actors.entities.order import Order
from actors.registry import Books
from actors.runtime.actor import Decision
from fsm import events as ev
from fsm import facts
from fsm.money import plain
from fsm.order import TERMINAL

#: Facts that wait for their order, and keys whose events may still be on their way to the journal.
_WAITING_MAX = 1_000
#: Keys of fills that were looked up: a minute of them at a thousand a second, 10 MB.
_BOOKED_MAX = 60_000


class FactRouter:
    """Finds the order of a fact, or keeps the fact."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.waiting: list[tuple[int, Any]] = []
        self._known: dict[str, None] = {}
        self._booked: dict[str, None] = {}
        self.fetched_again = 0
        """Fills that a pass brought and that were booked: they were left out."""
        self._deadlines: dict[str, int] = {}

    def find(self, fact: Any) -> Order | Decision:
        """The fact's order, or what to record when there is none."""
        order_id = fact.client_order_id
        order = self.books.world.orders.get(order_id) if order_id is not None else None
        if order is not None:
            return order
        venue_id = getattr(fact, "venue_order_id", None)
        if isinstance(fact, facts.OrderFill) and self._is_known(fact):
            return Decision.ignore("duplicate: this trade is booked")
        if order_id is not None:
            order = self.books.order(order_id)
        if order is None and venue_id is not None:
            known = self.books.client_order_id(venue_id)
            order = self.books.order(known) if known is not None else None
        if order is None and order_id is None and venue_id is None:
            order = self._by_state(fact) if isinstance(fact, facts.OrderFill) else None
        return self._keep(fact, order_id or venue_id) if order is None else order

    def is_booked(self, fill: facts.OrderFill) -> bool:
        """Whether a fill that a pass fetched again is in the books as it is; such are counted."""
        known = self._is_known(fill)
        self.fetched_again += known
        return known

    def _is_known(self, fill: facts.OrderFill) -> bool:
        """Each pass asks for the last minute's fills again: for one that is booked no order is
        folded back."""
        order_id = fill.client_order_id
        if order_id is None and fill.venue_order_id is not None:
            order_id = self.books.client_order_id(fill.venue_order_id)
        if order_id is None or fill.trade_id is None or fill.instrument is None:
            return False
        order = self.books.world.orders.get(order_id)
        if order is not None:
            mark = (order.trades or {}).get(fill.trade_id)
            return mark is not None and mark.status is fill.status
        return self._is_in_journal(fill, fill.instrument, order_id, fill.trade_id)

    def _is_in_journal(
        self, fill: facts.OrderFill, instrument: str, order_id: str, trade_id: str
    ) -> bool:
        reader = self.books.reader
        if reader is None:
            return False
        key = fill_key(self.books.world.session.venue, instrument, order_id, trade_id, fill.status)
        if key in self._booked:
            return True
        if not reader.has_dedup_key(key):
            return False
        self._booked[key] = None
        if len(self._booked) > _BOOKED_MAX:
            del self._booked[next(iter(self._booked))]
        return True

    def unexplained(self, order: Order, since_us: int) -> facts.OrderFill | None:
        """A fill of nobody that may be this order's: its instrument, side and quantity fit, and it
        is not older than `since_us` by the venue's clock."""
        for _, fact in self.waiting:
            if (
                isinstance(fact, facts.OrderFill)
                and fact.client_order_id is None
                and fact.instrument in (None, order.instrument)
                and fact.side in (None, order.side)
                and fact.qty <= order.rest
                and (fact.venue_us == 0 or fact.venue_us >= since_us)
            ):
                return fact
        return None

    def owner_of(self, instrument: str, trade_id: str) -> str | None:
        """Which order has booked this trade: one in memory, or by the keys in the journal."""
        for order in self.books.world.orders.values():
            if order.instrument == instrument and booked_as(order, trade_id) is not None:
                return order.client_order_id
        venue, reader = self.books.world.session.venue, self.books.reader
        head, middle = f"{venue}|main|{instrument}|", f"|fill|{trade_id}|"
        key = None if reader is None else reader.dedup_key_with(head, middle)
        return None if key is None else key[len(head) : key.index(middle)]

    def _by_state(self, fact: facts.OrderFill) -> Order | None:
        """The only live order on that instrument and side; two candidates are none (P04)."""
        candidates = [
            order
            for order in self.books.world.orders.values()
            if order.state not in TERMINAL
            and order.instrument == fact.instrument
            and (fact.side is None or order.side is fact.side)
        ]
        if len(candidates) != 1:
            return None
        counters = self.books.counters
        counters["fills_routed_by_state_total"] = counters.get("fills_routed_by_state_total", 0) + 1
        return candidates[0]

    def _keep(self, fact: Any, order_id: str | None) -> Decision:
        """Record the fact once; keep it for another try when it names an order."""
        now_us, rules = self.books.world.now_us, self.books.world.rules
        text = repr(fact)
        digest = hashlib.sha256(text.encode()).hexdigest()
        decision = Decision()
        if self._is_news(f"unresolved|{digest}", decision):
            self.books.counters["unresolved_facts"] = (
                self.books.counters.get("unresolved_facts", 0) + 1
            )
            decision.events.append(
                ev.FactUnresolved(
                    fact=type(fact).__name__,
                    payload=text,
                    reason=f"no order {order_id}"
                    if order_id
                    else "no order id, and no single order that fits",
                )
            )
        known = any(waiting == fact for _, waiting in self.waiting)
        if order_id is not None and not known and len(self.waiting) < _WAITING_MAX:
            deadline = self._deadlines.get(text, 0)
            if deadline <= now_us:
                deadline = now_us + rules.unresolved_retry_us
            self.waiting.append((deadline, fact))
            decision.effects.append(
                SetTimer("unresolved", deadline - now_us, msg.RetryUnresolved())
            )
        return decision

    def take_waiting(self) -> list[Any]:
        """The facts that are still worth another try; they are kept again if it fails."""
        now_us = self.books.world.now_us
        fresh = [(deadline, fact) for deadline, fact in self.waiting if deadline > now_us]
        self.waiting = []
        self._deadlines = {repr(fact): deadline for deadline, fact in fresh}
        return [fact for _, fact in fresh]

    def funding(self, fact: facts.FundingPaid) -> Decision:
        """Book a funding payment exactly once (X11); an unknown instrument is unresolved (X27)."""
        spec = self.books.world.instruments.get(fact.instrument)
        if spec is None:
            return self._keep_funding(fact, f"no instrument {fact.instrument}")
        told = fact.funding_id or (str(fact.venue_us) if fact.venue_us else None)
        identity = told or f"unnamed {plain(fact.amount)}"
        key = f"{self.books.world.session.venue}|main|{fact.instrument}|funding|{identity}"
        decision = Decision()
        if not self._is_news(key, decision):
            if told is None:
                return self._keep_funding(fact, "no id and no time: it may be the one booked")
            return Decision.ignore("duplicate: this funding is booked")
        event = ev.FundingBooked(
            instrument=fact.instrument,
            asset=spec.quote,
            amount=fact.amount,
            funding_id=identity,
            venue_us=fact.venue_us,
        )
        decision.events.append(event)
        return decision

    def is_recorded(self, key: str) -> bool:
        """Whether the journal has this dedup key."""
        reader = self.books.reader
        return reader is not None and reader.has_dedup_key(key)

    def _is_news(self, key: str, decision: Decision) -> bool:
        """Whether nothing was recorded under this key, in the journal or on its way there."""
        if key in self._known or self.is_recorded(key):
            return False
        self._known[key] = None
        if len(self._known) > _WAITING_MAX:
            del self._known[next(iter(self._known))]
        decision.dedup_keys.append(key)
        return True

    def _keep_funding(self, fact: facts.FundingPaid, reason: str) -> Decision:
        self.books.counters["unresolved_facts"] = self.books.counters.get("unresolved_facts", 0) + 1
        return Decision(
            events=[
                ev.FactUnresolved(
                    fact="FundingPaid",
                    payload=repr(fact),
                    reason=reason,
                )
            ]
        )
