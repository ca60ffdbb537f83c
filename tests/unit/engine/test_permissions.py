"""What may leave for the venue, in every mode and at every level: looked at where it leaves."""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest

from actors import messages as msg
from actors.effects import SendCancel, SendQuery, SendSubmit
from actors.entities.order import Order
from fsm.mode import ControlLevel, ModeState
from fsm.requests import Cancel, QueryOpenOrders, Submit
from fsm.vocabulary import OrderRole, OrderType, Side
from tests.unit.engine.handmade import PAIR, Bench

NOTHING = ""
#: The table of the modes: which of entry, exit, cancel and query leave with the kill switch off.
MAY_LEAVE = {
    ModeState.STARTING: NOTHING,
    ModeState.OBSERVING: NOTHING,
    ModeState.RECONCILING: "exit cancel query",
    ModeState.ACTIVE: "entry quote exit cancel query",
    ModeState.IDLE: "exit cancel query",
    ModeState.DEGRADED: "exit cancel query",
    ModeState.HALTED: "exit cancel query",
    ModeState.STOPPING: "exit cancel query",
    ModeState.STOPPED: NOTHING,
}
CASES = list(product(ModeState, ControlLevel, ("entry", "quote", "exit", "cancel", "query")))


def _is_allowed(mode: ModeState, level: ControlLevel, what: str) -> bool:
    return what in MAY_LEAVE[mode].split() and (
        level is ControlLevel.OFF or what not in ("entry", "quote")
    )


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("permissions"))


@pytest.mark.parametrize(("mode", "level", "what"), CASES)
def test_it_leaves_only_where_mode_and_level_allow_it(
    bench: Bench, mode: ModeState, level: ControlLevel, what: str
) -> None:
    engine, name = bench.engine, f"{mode}-{level}-{what}"
    _intend(bench, name, what)
    before, sent = len(bench.venue.sent), dict(engine.release.sent)
    world = engine.world
    held = world.mode, world.control
    world.mode, world.control = mode, level
    try:
        engine.release.release(_effect(name, what))
    finally:
        world.mode, world.control = held
    left = len(bench.venue.sent) - before
    assert _is_allowed(mode, level, what) == bool(left)
    if what in ("entry", "quote", "exit"):
        told = engine.inbox.local.queue[-1] if not left else engine.inbox.local.queue[0]
        assert isinstance(told, msg.SentOut if left else msg.NeverSent)
        assert sent["submit"] + left == engine.release.sent["submit"]
    bench.engine.inbox.local.queue.clear()


def _intend(bench: Bench, name: str, what: str) -> None:
    """An order of this role that is intended and has not left."""
    if what == "query":
        return
    role = OrderRole(what) if what != "cancel" else OrderRole.QUOTE
    bench.engine.world.orders[name] = Order(
        client_order_id=name,
        role=role,
        instrument=PAIR,
        side=Side.BUY,
        type=OrderType.LIMIT,
        qty=Decimal(1),
        limit_price=Decimal(1),
        position_id=None,
        session_id="s",
        created_us=0,
        request_left=what == "cancel",
    )


def _effect(name: str, what: str) -> SendSubmit | SendCancel | SendQuery:
    if what == "query":
        return SendQuery(QueryOpenOrders(request_id=name))
    if what == "cancel":
        return SendCancel(Cancel(client_order_id=name, instrument=PAIR))
    request = Submit(
        client_order_id=name,
        instrument=PAIR,
        side=Side.BUY,
        qty=Decimal(1),
        type=OrderType.LIMIT,
        limit_price=Decimal(1),
    )
    return SendSubmit(request, OrderRole(what))


def test_without_a_journal_only_cancels_leave(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.engine.world.journal_ok = False
    for what in ("entry", "quote", "exit", "cancel"):
        _intend(bench, what, what)
        bench.engine.release.release(_effect(what, what))
    assert [Cancel] == [type(request) for request in bench.venue.sent if not _is_query(request)]


def _is_query(request: object) -> bool:
    return type(request).__name__.startswith("Query")
