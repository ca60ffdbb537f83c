"""What must hold in every state, and what must come out once everything is well again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import evolve

from actors import messages as msg
from fsm import events as ev
from fsm.order import TERMINAL, OrderTrigger
from fsm.order import OrderState as S
from fsm.vocabulary import PnlSource
from tests.model.core import OPENING, ORDER, Core, folded_order
from tests.model.steps import OPERATOR, Step, serve
from tests.model.venue import FEE, PRICE, Network

ZERO = Decimal(0)
_SAME = {"filled": S.FILLED, "canceled": S.CANCELED, "expired": S.EXPIRED, "rejected": S.REJECTED}


def business(core: Core) -> tuple[Any, ...]:
    """What a failed query may not change (L3)."""
    order, ledger = folded_order(core), core.world.ledger
    seen = None if order is None else (order.state, order.filled_qty, order.venue_order_id)
    positions = [(p.position_id, p.state, p.qty) for p in core.world.positions.values()]
    return seen, positions, dict(ledger.totals), dict(ledger.reserved)


def may_be_moved_by_a_failure(core: Core) -> bool:
    """Whether the pass holds something that was found: the last answer lets it be looked at."""
    run = core.books.reconciler.current
    return run is not None and bool(run.listing or run.ended or run.absent)


def _events(core: Core) -> list[ev.Event]:
    durable = [row.recorded.event for row in core.journal.rows]
    return [*durable, *(event for turn in core.journal.pending for event in turn.events)]


def broken(core: Core, network: Network, step: Step, before: tuple[Any, ...] | None) -> list[str]:
    """Every law that this state breaks, in words. `before`: the business as it was, where the step
    must not have changed it."""
    found = list(core.journal.broken)
    events, order = _events(core), folded_order(core)
    if before is not None and business(core) != before:
        found.append(f"L3: a query that failed moved {before[0]} to {business(core)[0]}")
    if len(set(network.submits)) != len(network.submits):
        found.append(f"L4: an order was sent twice: {network.submits}")
    if core.system.quarantine or core.books.unprocessed:
        found.append(f"an actor raised: {core.books.unprocessed}")
    if order is None:
        return found
    if core.world.rules.assume_fill_when_young:
        return found + _inferences(events, network, order)
    found += _money(core, network, events, order)
    own = [event for event in events if event.stream == f"order/{ORDER}"]
    states = [event.state for event in own if hasattr(event, "state")]
    ended = [n for n, state in enumerate(states) if state in TERMINAL]
    if ended and any(state not in TERMINAL for state in states[ended[0] :]):
        found.append(f"a dead order came back to life: {[str(s) for s in states]}")
    memory = core.world.orders.get(ORDER)
    if memory is not None and evolve(memory, turn=0) != evolve(order, turn=0):
        found.append(f"L7: in memory {memory}, by the journal {order}")
    truth = network.truth
    arrives = network.submit_until_us is not None
    never = any(getattr(e, "trigger", None) is OrderTrigger.NEVER_ARRIVED for e in own)
    if never and (truth.state not in ("none", "rejected") or arrives):
        found.append(f"L3: never_arrived, but the venue says {truth.state}")
    if order.state in TERMINAL and (truth.state == "open" or arrives):
        found.append(f"{order.state} in the books, {truth.state} at the venue")
    told = step.what.startswith("deliver") and step.on.startswith("fill:t") and step.dies is None
    if told and not core.inbox.has_mail:
        trade_id = step.on.removeprefix("fill:")
        if trade_id not in (order.trades or {}):
            found.append(f"L2: the venue told {trade_id}, and it is not booked")
    return found


def _inferences(events: list[ev.Event], network: Network, order: Any) -> list[str]:
    """L2 where a venue without a history of fills may be completed by inference: never for what
    the engine took back, never beyond the order, and gone when evidence has come."""
    found, held, taken_back = [], {}, False
    for event in events:
        if event.stream != f"order/{ORDER}":
            continue
        taken_back |= getattr(event, "trigger", None) is OrderTrigger.ENGINE_CANCEL
        if isinstance(event, ev.OrderFilled):
            held[event.trade_id] = event
            if event.provenance is PnlSource.INFERRED and taken_back:
                found.append(f"L2: {event.qty} inferred of an order that the engine took back")
        elif isinstance(event, ev.OrderFillVoided):
            del held[event.trade_id]
    real = {trade.trade_id: trade.qty for trade in network.truth.trades}
    found += [
        f"L2: {event.trade_id} is booked on evidence, the venue has {real.get(event.trade_id)}"
        for event in held.values()
        if event.provenance is not PnlSource.INFERRED and real.get(event.trade_id) != event.qty
    ]
    own = sum((event.qty for event in held.values()), ZERO)
    if order.filled_qty != own or own > order.qty:
        found.append(f"filled_qty {order.filled_qty} of {order.qty}, booked {own}")
    return found


def _money(core: Core, network: Network, events: list[ev.Event], order: Any) -> list[str]:
    """L2, L5 and the arithmetic: what is booked is what the venue did, each once."""
    found: list[str] = []
    booked = [e for e in events if isinstance(e, ev.OrderFilled)]
    names = [e.trade_id for e in booked]
    if len(set(names)) != len(names):
        found.append(f"L5: booked twice: {names}")
    real = {t.trade_id: t.qty for t in network.truth.trades}
    found += [
        f"L2: {e.trade_id} of {e.qty} is booked, the venue has {real.get(e.trade_id)}"
        for e in booked
        if real.get(e.trade_id) != e.qty
    ]
    own = sum((e.qty for e in booked if e.client_order_id == ORDER), ZERO)
    if order.filled_qty != own:
        found.append(f"filled_qty {order.filled_qty}, booked {own}")
    ledger, signed = core.world.ledger, sum((e.side.sign * e.qty for e in booked), ZERO)
    usd = OPENING["USD"] - signed * PRICE - len(booked) * FEE
    totals = {"USD": usd, "XRP": OPENING["XRP"] + signed}
    if ledger.totals != totals:
        found.append(f"totals {ledger.totals}, by the fills {totals}")
    live = order.state not in TERMINAL
    reserved = ledger.reserved.get("USD", ZERO)
    if reserved != ((order.qty - own) * PRICE if live else ZERO):
        found.append(f"L4: {order.state} with {own} filled reserves {reserved}")
    held = sum((p.qty for p in core.world.positions.values()), ZERO)
    if held != signed:
        found.append(f"the positions hold {held}, the fills {signed}")
    return found


# --------------------------------------------------------------------------- when all is well again


def healing(core: Core, network: Network) -> Network:
    """What is on its way is lost, and from here on nothing is; whoever degraded the system is well
    again. Many states share what this leads to."""
    while core.journal.pending:
        core.journal.commit()
        core.settle()
    core.wire.out.clear()
    network = evolve(
        network, facts=(), queries=(), past=(), submit_until_us=None, cancel_until_us=None
    )
    core.do(msg.Recover(OPERATOR))
    return serve(core, network)


def as_the_venue_says(core: Core, network: Network) -> list[str]:
    """A core that has come to rest beside a venue that is well: what differs."""
    core.do(msg.PassDue("books"))
    network = serve(core, network)
    found = broken(core, network, Step("healed"), None)
    order, truth = folded_order(core), network.truth
    if order is None:
        return found
    if order.filled_qty != truth.filled():
        found.append(f"{order.filled_qty} booked, the venue filled {truth.filled()}")
    if core.world.ledger.totals != truth.balances():
        found.append(f"{core.world.ledger.totals}, the venue has {truth.balances()}")
    if order.state in (S.UNKNOWN, S.HELD_FOR_REVIEW, S.INTENDED, S.SUBMITTED):
        found.append(f"still {order.state}")
    found += _state_differs(order, truth)
    if core.world.mode != "ACTIVE":
        found.append(f"{core.world.mode} by {sorted(core.world.sources)}")
    return [f"after healing: {text}" for text in found]


def _state_differs(order: Any, truth: Any) -> list[str]:
    if truth.state == "open":
        wanted = order.state in (S.WORKING, S.PARTIALLY_FILLED)
        return [] if wanted else [f"{order.state}, open at the venue"]
    if truth.state == "none":
        dead = order.state in (S.EXPIRED, S.CANCELED)
        return [] if dead else [f"{order.state}, the venue never had it"]
    if _SAME[truth.state] is not order.state:
        return [f"{order.state}, the venue says {truth.state}"]
    return []
