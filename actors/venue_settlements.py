"""Facts about instruments and positions that no order stands behind: funding, payouts, closings.

Each is booked exactly once, its key in the same transaction (L5); what fits nothing is unresolved.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from actors import messages as msg
from actors.effects import Notify
from actors.fact_keys import digest
from actors.known_keys import KnownKeys
from actors.registry import Books
from actors.runtime.actor import Decision
from actors.unresolved_facts import UnresolvedFacts
from fsm import events as ev
from fsm import facts
from fsm.instrument import Instrument
from fsm.money import ONE, ZERO, plain
from fsm.pnl import apply_fill
from fsm.vocabulary import InstrumentKind

_EXECUTIONS = (ev.OrderFilled, ev.OrderFillVoided)


class VenueSettlements:
    """What the venue does to the account by itself."""

    def __init__(self, books: Books, keys: KnownKeys, unresolved: UnresolvedFacts) -> None:
        self.books, self.keys, self.unresolved = books, keys, unresolved

    def _key(self, instrument: str, *more: str) -> str:
        return "|".join((self.books.world.session.venue, "main", instrument, *more))

    def _kept(self, fact: Any, reason: str) -> Decision:
        decision = Decision()
        self.unresolved.record(fact, reason, decision)
        if not decision.events:
            decision.ignored = "duplicate: this is recorded as unresolved"
        return decision

    # ---------------------------------------------------------------------------------- funding

    def funding(self, fact: facts.FundingPaid) -> Decision:
        """Book a funding payment exactly once (X11); an unknown instrument is unresolved (X27)."""
        spec = self.books.world.instruments.get(fact.instrument)
        if spec is None:
            return self._not_booked(fact, f"no instrument {fact.instrument}")
        moment = str(fact.venue_us) if fact.venue_us else None
        told = fact.funding_id or moment
        identity = told or f"unnamed {plain(fact.amount)}"
        decision = Decision()
        key = self._key(fact.instrument, "funding", identity)
        # One source may tell an id where another tells none: then moment and amount say it is one.
        ways = ("funding_unnamed", "funding_named")
        at, other = (
            self._key(fact.instrument, way, moment or "", plain(fact.amount))
            for way in (ways if fact.funding_id is None else reversed(ways))
        )
        if moment is not None and self.keys.is_known(other) and not self.keys.is_known(key):
            return Decision.ignore("duplicate: this funding is booked")
        if not self.keys.is_news(key, decision):
            if told is None:
                return self._not_booked(fact, "no id and no time: it may be the one booked")
            return Decision.ignore("duplicate: this funding is booked")
        event = ev.FundingBooked(
            instrument=fact.instrument,
            asset=spec.quote,
            amount=fact.amount,
            funding_id=identity,
            venue_us=fact.venue_us,
        )
        decision.events.append(event)
        if moment is not None:
            self.keys.is_news(at, decision)
        return decision

    def _not_booked(self, fact: facts.FundingPaid, reason: str) -> Decision:
        decision = Decision()
        self.unresolved.record_again(fact, reason, decision)
        return decision

    # ---------------------------------------------------------------------------------- payouts

    def resolved(self, fact: facts.InstrumentResolved) -> Decision:
        """Settle an instrument for good, at any payout (M09): the account's whole holding once,
        each open position by its own basis, and every order on it taken back."""
        ledger, name, payout = self.books.world.ledger, fact.instrument, fact.payout
        spec = ledger.instruments.get(name)
        if spec is None:
            return self._kept(fact, f"no instrument {name}")
        if not _is_payout(spec, fact):
            return self._kept(fact, f"{plain(payout)} is no payout of a {spec.kind} instrument")
        paid = ledger.resolved.get(name)
        if paid == payout:
            return Decision.ignore("duplicate: this resolution is booked")
        decision = Decision()
        if not self.keys.is_news(self._key(name, "resolved", plain(payout)), decision):
            return Decision.ignore("duplicate: this resolution is recorded")
        if paid is not None:
            return _differs(decision, fact, f"{plain(payout)}, it paid {plain(paid)}")
        decision.events.append(self._settled(spec, fact))
        world = self.books.world
        decision.tells += [
            msg.ResolvedForPosition(position.position_id, payout)
            for position in world.open_positions(name)
            if position.is_open
        ]
        why = f"{name} is resolved at {plain(payout)}"
        decision.tells += [
            msg.CancelOrder(order.client_order_id, why, by_engine=True)
            for order in world.live_orders()
            if order.instrument == name
        ]
        return decision

    def late(self, message: msg.SettleLate) -> Decision:
        """What came or was taken back after the payout settles at the same one."""
        ledger, name = self.books.world.ledger, message.instrument
        spec, payout = ledger.instruments[name], ledger.resolved[name]
        fact = facts.InstrumentResolved(instrument=name, payout=payout)
        event = self._settled(spec, fact, late=True)
        if event.qty == 0:
            return Decision.ignore("resolved: nothing came of it")
        return Decision(events=[event])

    def _settled(
        self, spec: Instrument, fact: facts.InstrumentResolved, *, late: bool = False
    ) -> ev.InstrumentSettled:
        ledger = self.books.world.ledger
        if spec.is_margined:
            held = ledger.net(spec.name)
            qty, cash = held.qty, apply_fill(held, -held.qty, fact.payout).realized
            gain = ZERO
        else:
            qty = ledger.totals.get(spec.base, ZERO)
            cash = qty * fact.payout
            gain = ZERO if late else self._gain_outside(spec, qty, fact.payout)
        return ev.InstrumentSettled(
            instrument=spec.name,
            asset=spec.quote,
            payout=fact.payout,
            qty=qty,
            cash=cash,
            resolution_id=fact.resolution_id or "",
            late=late,
            venue_us=fact.venue_us,
            gain=gain,
        )

    def _gain_outside(self, spec: Instrument, qty: Decimal, payout: Decimal) -> Decimal:
        """What shares that are in no position bring over their cost; an opening balance that nobody
        has valued counted for nothing, so all of it is gain."""
        world = self.books.world
        held = sum((p.qty for p in world.open_positions(spec.name) if p.is_open), ZERO)
        outside, inventory = max(qty - held, ZERO), world.ledger.inventory
        costed = min(max(inventory.qty(spec.base) - held, ZERO), outside)
        return outside * payout - costed * inventory.prices().get(spec.base, ZERO)

    # --------------------------------------------------------------------------------- closings

    def closed(self, fact: facts.PositionClosed) -> Decision:
        """Give a closing at the venue to its position, by our id or as the only open one."""
        position_id = fact.position_id or self._only_open(fact.instrument)
        position = None if position_id is None else self.books.position(position_id)
        if position is None:
            what = f"no position {fact.position_id}"
            return self._kept(fact, what if fact.position_id else "no single open position")
        if fact.instrument not in (None, position.instrument):
            return self._kept(fact, f"{position.address} is one of {position.instrument}")
        world = self.books.world
        if fact.trade_id and world.owner_of_trade(position.instrument, fact.trade_id) is not None:
            return Decision.ignore("duplicate: an order of ours has booked this trade")
        trade_id = fact.trade_id or f"syn-{digest(fact)[:16]}"
        key = self._key(position.instrument, "closed", position.position_id, trade_id)
        if self.keys.is_known(key) or f"None/{trade_id}" in position.booked:
            return Decision.ignore("duplicate: this closing is booked")
        if fact.qty is not None and fact.qty <= 0:
            return self._kept(fact, f"closes a quantity of {plain(fact.qty)}")
        if not position.is_open or position.qty == 0:
            # Its fills may be on their way: it is tried again with each one that comes.
            decision = self._kept(fact, f"nothing is open of {position.position_id}")
            self.unresolved.let_wait(fact, decision)
            return decision
        decision = self.unresolved.placed(self.unresolved.told_before(fact), position.address)
        decision.tells.append(msg.ClosedAtVenue(position.position_id, fact, trade_id, key))
        return decision

    def _only_open(self, instrument: str | None) -> str | None:
        if instrument is None:
            return None
        held = [p for p in self.books.world.open_positions(instrument) if p.is_open and p.qty]
        return held[0].position_id if len(held) == 1 else None

    def closure_settled(self, fact: facts.FillSettled) -> Decision | None:
        """The figures of a closing that was told without a price; None when it is none."""
        if fact.realized_pnl is None:
            return None
        head = self._key("", "closing_settled", fact.trade_id, "")
        positions = self.books.unpriced_closes.get(fact.trade_id, ())
        if len(positions) != 1:  # a venue may count its trades by instrument: two are none
            known = not positions and self.keys.is_any_known(head)
            return Decision.ignore("duplicate: this settlement is booked") if known else None
        key = head + positions[0]
        self.keys.on_its_way(key)
        fee = fact.fee or ZERO
        told = msg.ClosureSettled(
            positions[0], fact.trade_id, fact.realized_pnl, fee, key, fact.venue_us
        )
        return Decision(tells=[told])

    # ---------------------------------------------------------------------------------- unknown

    def unknown(self, fact: facts.UnknownExecution) -> Decision:
        """No trade and no payment that we know: kept, and nothing is guessed from it (X27)."""
        return self._kept(fact, f"execution type {fact.execution_type!r} is not known")


def late_ones(events: Sequence[ev.Event], resolved: dict[str, Any]) -> list[msg.SettleLate]:
    """What has to pay out at once, because its instrument has."""
    return [
        msg.SettleLate(event.instrument)
        for event in events
        if isinstance(event, _EXECUTIONS) and event.instrument in resolved
    ]


def _is_payout(spec: Instrument, fact: facts.InstrumentResolved) -> bool:
    payout = fact.payout
    most = payout if spec.kind is not InstrumentKind.BINARY else ONE
    return payout.is_finite() and ZERO <= payout <= most


def _differs(decision: Decision, fact: facts.InstrumentResolved, what: str) -> Decision:
    """Two payouts cannot both be true, and the first one is booked: a person has to look."""
    seen = f"{fact.instrument} resolved at {what}"
    anomaly = ev.AnomalyRecorded(kind="resolved_differently", seen=seen, done="not booked")
    decision.events.append(anomaly)
    alert = ev.AlertRaised(severity="critical", token="RESOLVED_DIFFERENTLY", text=seen)
    decision.effects.append(Notify(alert))
    return decision
