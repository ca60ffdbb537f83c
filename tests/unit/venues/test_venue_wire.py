"""Frames: what goes in comes out, and what is no frame is a clear error."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sim_builders import SPOT, a_cancel, a_submit, a_tick, a_trade

from actors.venues import wire
from fsm.facts import (
    Absent,
    BalancesAnswer,
    FillsAnswer,
    FillsPage,
    Found,
    OpenOrdersAnswer,
    OrderAnswer,
    OrderFill,
    OrderRejected,
    PositionReport,
    PositionsAnswer,
    Unavailable,
    VenueConnected,
    VenueOrder,
)
from fsm.requests import QueryFills, QueryOpenOrders
from fsm.vocabulary import Liquidity, Side

FILL = OrderFill(
    trade_id="T1",
    qty=Decimal("0.10"),
    price=None,
    side=Side.SELL,
    fee=Decimal("-0.000000000001"),
    liquidity=Liquidity.MAKER,
    realized_pnl=Decimal("1E+2"),
)
ORDER = VenueOrder(
    venue_order_id="V1",
    client_order_id=None,
    instrument=SPOT.name,
    side=Side.BUY,
    qty=Decimal(1),
    filled_qty=Decimal(0),
    state="open",
)
FRAMES = [
    a_submit("B", Side.BUY, "1.50", "1.20", ioc=True),
    a_cancel("B"),
    QueryFills(request_id="q", instrument=SPOT.name, since_us=2**60, limit=5),
    QueryOpenOrders(request_id="q"),
    a_tick(None, "1.30", None),
    a_trade("1.3", "2", None),
    FILL,
    OrderRejected(client_order_id="B", reason='line\nbreak "quoted"'),
    VenueConnected(venue_us=1),
    wire.Ping(7),
    wire.Pong(7),
    OrderAnswer(request_id="q", client_order_id="B", result=Found(ORDER)),
    OrderAnswer(request_id="q", client_order_id="B", result=Absent("gone")),
    OrderAnswer(request_id="q", client_order_id="B", result=Unavailable("503")),
    OpenOrdersAnswer(request_id="q", result=Found(())),
    OpenOrdersAnswer(request_id="q", result=Found((ORDER, ORDER))),
    FillsAnswer(
        request_id="q",
        instrument=SPOT.name,
        result=Found(FillsPage(fills=(FILL,), complete=False)),
    ),
    BalancesAnswer(request_id="q", result=Found({"XRP": Decimal("1.10")})),
    PositionsAnswer(
        request_id="q", result=Found((PositionReport(instrument="X", qty=Decimal(-1)),))
    ),
]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: type(frame).__name__)
def test_a_frame_is_one_line_and_comes_back_equal(frame):
    line = wire.encode(frame)

    assert 1 == line.count(b"\n")
    decoded = wire.decode(line.rstrip(b"\n"))
    assert frame == decoded
    assert type(frame) is type(decoded)
    assert repr(frame) == repr(decoded), "not even the digits of a decimal change"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"hello", "malformed"),
        (b'{"type": "Launch", "body": {}}', "unknown frame type 'Launch'"),
        (b'{"type": "Cancel", "body": {"instrument": "X"}}', "client_order_id"),
        (b'{"type": "ping", "body": {"number": "x"}}', "int"),
        (
            b'{"type":"BalancesAnswer","body":{"request_id":"q","result":{"kind":"absent"}}}',
            "unknown result 'absent'",
        ),
        (b"[1]", "object"),
    ],
)
def test_what_is_not_a_frame_is_refused_with_the_reason(line, message):
    with pytest.raises(wire.FrameError, match=message):
        wire.decode(line)


def test_an_endless_line_is_refused():
    lines = wire.LineBuffer(bytes_max=10)
    assert [b"abc", b"d"] == lines.feed(b"abc\nd\n") + lines.feed(b"\n12345")
    assert [b"1234567"] == lines.feed(b"67\n")
    assert [] == lines.feed(b"a" * 10)
    with pytest.raises(wire.FrameError, match="longer than 10"):
        lines.feed(b"a")


def test_a_frame_beyond_the_bound_is_not_sent(monkeypatch):
    monkeypatch.setattr(wire, "FRAME_BYTES_MAX", 50)
    with pytest.raises(wire.FrameError, match="at most 50"):
        wire.encode(FILL)
