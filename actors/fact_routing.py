"""Whose fact is it? By the venue's id and the client's, then by state, and that is counted.

Both ids have to mean one order; where they mean two, the fact changes nothing (X26). A fact that
matches nothing changes nothing either: see `actors.unresolved_facts`.
"""

from __future__ import annotations

from typing import Any

from actors.entities.fills import booked_as, fill_key
from actors.entities.order import Order
from actors.known_keys import KnownKeys
from actors.reconciling.externals import is_external
from actors.registry import Books
from actors.runtime.actor import Decision
from actors.unresolved_facts import UnresolvedFacts
from actors.venue_settlements import VenueSettlements
from fsm import facts
from fsm.order import TERMINAL

#: Keys of fills that were looked up: a minute of them at a thousand a second, 10 MB.
_BOOKED_MAX = 60_000


class FactRouter:
    """Finds the order of a fact, or keeps the fact."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.keys = KnownKeys(books)
        self.unresolved = UnresolvedFacts(books, self.keys)
        self.settlements = VenueSettlements(books, self.keys, self.unresolved)
        self._booked: dict[str, None] = {}
        self.fetched_again = 0
        """Fills that a pass brought and that were booked: they were left out."""

    def find(self, fact: Any) -> Order | Decision:
        """The fact's order, or what to record when there is none."""
        order_id = fact.client_order_id
        order = self.books.world.orders.get(order_id) if order_id is not None else None
        venue_id = getattr(fact, "venue_order_id", None)
        if order is not None and (venue_id is None or venue_id == order.venue_order_id):
            return order
        owner_id = None if venue_id is None else self._owner(fact, venue_id, order)
        if order is None and isinstance(fact, facts.OrderFill) and self._is_known(fact):
            return Decision.ignore("duplicate: this trade is booked")
        if order is None and order_id is not None:
            order = self.books.order(order_id)
        if owner_id is not None and (order is None or not self._is_claimed(owner_id, order)):
            owner = self.books.order(owner_id)
            if order is not None and owner is not None:
                return self._disagree(fact, order, owner)
            order = owner or order
        if order is None and order_id is None and venue_id is None:
            order = self._by_state(fact) if isinstance(fact, facts.OrderFill) else None
        if order is None and isinstance(fact, facts.FillSettled):
            closing = self.settlements.closure_settled(fact)
            if closing is not None:
                return closing
        return self.unresolved.keep(fact, order_id or venue_id) if order is None else order

    def _owner(self, fact: Any, venue_id: str, order: Order | None) -> str | None:
        """Whose the venue's id is. An acknowledgement is where an order gets its id: then only
        orders in memory count, or a venue that begins to count anew could not be traded with."""
        first = type(fact) is facts.OrderAccepted and order is not None
        if first and order is not None and order.venue_order_id is None:
            return self.books.venue_ids.get(venue_id)
        return self.books.client_order_id(venue_id)

    @staticmethod
    def _is_claimed(owner_id: str, order: Order) -> bool:
        """The same order, or one that was taken for somebody else's and is this one (see
        `actors.entities.claims`)."""
        return owner_id == order.client_order_id or is_external(owner_id)

    def _disagree(self, fact: Any, order: Order, owner: Order) -> Decision:
        """Two orders are named by one fact: it changes neither, a person says whose it is."""
        ids = f"{order.client_order_id} by our id, {owner.client_order_id} by the venue's"
        decision = Decision()
        self.unresolved.record(fact, f"it names {ids}", decision)
        if decision.events:
            seen = f"{type(fact).__name__} {fact.venue_order_id} names {ids}"
            decision.events.append(order.anomaly("ids_disagree", seen, "not booked, unresolved"))
        else:
            decision.ignored = "duplicate: this is recorded as unresolved"
        return decision

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
        for _, fact in self.unresolved.waiting:
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
