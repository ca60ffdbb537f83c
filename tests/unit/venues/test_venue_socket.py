"""The venue in another process: round trips, cuts, take-over, and what a cut means (L3, L4)."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import trio
import trio.testing
from sim_builders import SPOT, a_cancel, a_tick, a_venue, buy, sell

from actors.venues.sim import read_truth
from actors.venues.sim.server import VenueServer, open_listener
from actors.venues.socket_client import SocketSettings, SocketVenue
from actors.venues.wire import decode, encode
from fsm.facts import (
    CancelUnanswered,
    Found,
    OpenOrdersAnswer,
    OrderAccepted,
    OrderAnswer,
    OrderFill,
    OutcomeUnknown,
    Unavailable,
    VenueConnected,
    VenueDisconnected,
)
from fsm.requests import QueryBalances, QueryFills, QueryOpenOrders, QueryOrder

FAST = SocketSettings(backoff_min_s=0.01, backoff_max_s=0.02)
OPEN_ORDERS = QueryOpenOrders(request_id="open")


@pytest.fixture
def address() -> Iterator[Path]:
    # A Unix path may have 107 bytes: pytest's own directories are too deep on some machines.
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "venue.sock"


class Inbox:
    """What a client delivered, to wait for."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self._send, self._receive = trio.open_memory_channel[object](1000)

    async def deliver(self, message: object) -> None:
        await self._send.send(message)

    async def next(self, kind: type = object, timeout_s: float = 10) -> object:
        """The next message of that kind; what came before it stays in `heard`."""
        with trio.fail_after(timeout_s):
            while True:
                message = await self._receive.receive()
                self.heard.append(message)
                if isinstance(message, kind):
                    return message


async def serve(nursery: trio.Nursery, address: Path, **venue_settings: object) -> VenueServer:
    listener, _ = open_listener(address, None)
    clock_us = lambda: round(trio.current_time() * 1_000_000)  # noqa: E731
    server = VenueServer(a_venue(**venue_settings), clock_us)
    nursery.start_soon(server.run, listener)
    return server


async def connect(
    nursery: trio.Nursery, address: Path | tuple[str, int], settings: SocketSettings = FAST
) -> tuple[SocketVenue, Inbox]:
    client, inbox = SocketVenue(address, settings=settings), Inbox()
    nursery.start_soon(client.run, inbox.deliver)
    await inbox.next(VenueConnected)
    return client, inbox


async def test_requests_market_data_and_answers_make_the_round_trip(nursery, address):
    await serve(nursery, address, latency_us=1000, taker_fee_bps=Decimal(10))
    client, inbox = await connect(nursery, address)
    client.market(a_tick("1.29", "1.30"))
    client.send(buy("B", "1.5"))
    client.send(buy("R", "1", "1.20"))
    fill = await inbox.next(OrderFill)
    client.send(OPEN_ORDERS)
    opened = await inbox.next(OpenOrdersAnswer)
    client.send(QueryBalances(request_id="b"))
    client.send(QueryFills(request_id="f", instrument=SPOT.name, since_us=0))
    balances, fills = await inbox.next(), await inbox.next()

    assert (Decimal("1.5"), Decimal("1.30"), Decimal("0.00195")) == (fill.qty, fill.price, fill.fee)
    assert ["R"] == [order.client_order_id for order in opened.result.value]
    assert Decimal("101.5") == balances.result.value["XRP"]
    assert (fill,) == fills.result.value.fills
    assert 0 == client.statistics().pending
    assert "0600" == oct(address.stat().st_mode)[-3:].zfill(4)


async def test_a_client_that_dies_leaves_its_orders_and_the_next_one_can_ask(nursery, address):
    server = await serve(nursery, address)
    async with trio.open_nursery() as first_life:
        client, inbox = await connect(first_life, address)
        client.market(a_tick("1.29", "1.30"))
        client.send(buy("R", "5", "1.20"))
        await inbox.next(OrderAccepted)
        first_life.cancel_scope.cancel()
    server.venue.market(a_tick("1.10", "1.15", "2"), 0)  # a fill that nobody hears
    server._wake.set()
    await trio.testing.wait_all_tasks_blocked(0.01)
    client, inbox = await connect(nursery, address)
    client.send(OPEN_ORDERS)
    answer = await inbox.next(OpenOrdersAnswer)

    (order,) = answer.result.value
    assert ("R", Decimal(2)) == (order.client_order_id, order.filled_qty)
    assert 1 == server.dropped
    assert [OpenOrdersAnswer] == [type(message) for message in inbox.heard[1:]]
    client.send(buy("B", "1"))
    fill = await inbox.next(OrderFill)
    # The market stayed as it was: R used up what was displayed at 1.15.
    assert Decimal("1.16") == fill.price


async def test_a_cut_answers_every_open_request_as_unknown_and_reconnects(nursery, address):
    server = await serve(nursery, address, latency_us=3_600_000_000)
    client, inbox = await connect(nursery, address)
    client.send(buy("B", "5", "1.20"))
    client.send(a_cancel("C"))
    client.send(OPEN_ORDERS)
    client.send(QueryOrder(request_id="q", client_order_id="B", instrument=SPOT.name))
    while server.venue.statistics().requests < 4:
        await trio.sleep(0.001)
    await trio.aclose_forcefully(server._client)
    await inbox.next(VenueConnected)

    disconnected, submit, cancel, opened, order, connected = inbox.heard[1:]
    assert isinstance(disconnected, VenueDisconnected)
    assert isinstance(submit, OutcomeUnknown)
    assert isinstance(cancel, CancelUnanswered)
    assert ("B", "C") == (submit.client_order_id, cancel.client_order_id)
    assert isinstance(opened.result, Unavailable)
    assert isinstance(order, OrderAnswer)
    assert isinstance(order.result, Unavailable)
    assert isinstance(connected, VenueConnected)
    assert 1 == server.venue.statistics().in_flight - 3, "what arrived is still on its way"


async def test_an_answer_that_comes_after_the_cut_is_dropped_but_its_facts_are_not(
    nursery, address
):
    server = await serve(nursery, address)
    client, inbox = await connect(nursery, address)
    stale = OpenOrdersAnswer(request_id="long ago", result=Found(()))
    await server._client.send_all(encode(stale) + encode(OrderAccepted(client_order_id="old")))
    accepted = await inbox.next(OrderAccepted)

    assert "old" == accepted.client_order_id
    assert 2 == len(inbox.heard)
    assert 1 == client.statistics().stale_answers


async def test_without_a_connection_requests_are_answered_as_lost_at_once(nursery, address):
    client, inbox = SocketVenue(address, settings=FAST), Inbox()
    nursery.start_soon(client.run, inbox.deliver)
    client.send(buy("B", "5", "1.20"))
    client.send(a_cancel("B"))
    client.send(OPEN_ORDERS)
    client.market(a_tick("1.29", "1.30"))

    assert "B" == (await inbox.next(OutcomeUnknown)).client_order_id
    assert "B" == (await inbox.next(CancelUnanswered)).client_order_id
    assert isinstance((await inbox.next(OpenOrdersAnswer)).result, Unavailable)
    statistics = client.statistics()
    assert (3, 1, 0) == (statistics.failed_at_once, statistics.market_dropped, statistics.pending)


async def test_the_outbound_queue_and_the_pending_table_are_bounded(nursery, address):
    await serve(nursery, address, latency_us=3_600_000_000)
    small = SocketSettings(outbound_max=4, pending_max=6)
    client, inbox = await connect(nursery, address, small)
    for index in range(6):
        client.send(buy(f"B{index}", "1", "1.20"))
        client.market(a_tick("1.29", "1.30"))
    full = client.statistics()
    while client.statistics().outbound:
        await trio.sleep(0.001)
    for index in range(10, 14):
        client.send(buy(f"B{index}", "1", "1.20"))
    reasons = [(await inbox.next(OutcomeUnknown)).reason for _ in range(4)]

    assert 4 == full.outbound
    assert full.market_dropped > 0
    assert any("queue" in reason for reason in reasons)
    assert any("without an answer" in reason for reason in reasons)


async def test_a_newer_connection_takes_over_and_the_older_one_is_closed(nursery, address):
    server = await serve(nursery, address)
    older = await trio.open_unix_socket(str(address))
    assert isinstance(decode(await older.receive_some(1000)), VenueConnected)
    newer = await trio.open_unix_socket(str(address))
    assert isinstance(decode(await newer.receive_some(1000)), VenueConnected)

    with trio.fail_after(5):
        assert b"" == await older.receive_some(1000)
    await newer.send_all(encode(buy("B", "1", "1.20")))
    assert isinstance(decode(await newer.receive_some(1000)), OrderAccepted)
    assert 2 == server.connections
    await older.aclose()
    await newer.aclose()


async def test_an_older_client_that_reads_nothing_does_not_block_the_newer(nursery, address):
    await serve(nursery, address)
    older = await trio.open_unix_socket(str(address))
    query = encode(QueryOrder(request_id="q" * 50_000, client_order_id="x", instrument="X"))
    with trio.move_on_after(0.2):
        while True:
            await older.send_all(query)
    client, inbox = await connect(nursery, address)
    client.send(OPEN_ORDERS)

    assert isinstance((await inbox.next(OpenOrdersAnswer)).result, Found)
    await older.aclose()


async def test_a_frame_that_is_none_closes_the_connection_and_nothing_else(
    nursery, address, capsys
):
    server = await serve(nursery, address)
    stream = await trio.open_unix_socket(str(address))
    await stream.receive_some(1000)
    await stream.send_all(b'{"type": "Launch", "body": {}}\n')
    with trio.fail_after(5):
        assert b"" == await stream.receive_some(1000)
    await stream.aclose()

    assert "unknown frame type 'Launch'" in server.last_error
    await connect(nursery, address)


async def test_a_half_open_connection_is_given_up(nursery, address, autojump_clock):
    listener, _ = open_listener(address, None)

    async def silent(stream: trio.SocketStream) -> None:
        await stream.send_all(encode(VenueConnected()))
        async for _ in stream:
            pass

    nursery.start_soon(trio.serve_listeners, silent, [listener])
    client, inbox = SocketVenue(address), Inbox()
    nursery.start_soon(client.run, inbox.deliver)
    await inbox.next(VenueConnected)
    client.send(buy("B", "1", "1.20"))
    lost = await inbox.next(OutcomeUnknown, timeout_s=60)

    assert "nothing heard for 15" in lost.reason


async def test_a_full_lane_is_not_taken_for_a_silent_venue(nursery, address, autojump_clock):
    await serve(nursery, address)
    client = SocketVenue(address)
    ready, entered, release, heard = trio.Event(), trio.Event(), trio.Event(), []

    async def deliver(message: object) -> None:
        heard.append(message)
        ready.set()
        if isinstance(message, OrderAccepted):
            entered.set()
            await release.wait()

    nursery.start_soon(client.run, deliver)
    await ready.wait()
    client.send(buy("B", "1", "1.20"))
    await entered.wait()
    await trio.sleep(60)
    assert client.connected
    release.set()
    await trio.sleep(60)

    assert 1 == client.statistics().connections
    assert [VenueConnected, OrderAccepted] == [type(message) for message in heard]


async def test_loopback_tcp_serves_as_well(nursery):
    listener, where = open_listener(None, 0)
    host, port = where.split(":")
    nursery.start_soon(VenueServer(a_venue(), lambda: 1).run, listener)
    client, inbox = await connect(nursery, (host, int(port)))
    client.send(sell("S", "1", "1.20"))

    assert isinstance(await inbox.next(OrderAccepted), OrderAccepted)


async def test_a_socket_in_use_is_not_taken_and_a_stale_one_is_replaced(address):
    with socket.socket(socket.AF_UNIX) as owner:
        owner.bind(str(address))
        owner.listen(1)
        with pytest.raises(OSError, match="another venue"):
            open_listener(address, None)
    listener, _ = open_listener(address, None)
    await listener.aclose()


CONFIG = {
    "instruments": [{"name": SPOT.name, "base": "XRP", "quote": "RLUSD", "price_tick": "0.01"}],
    "balances": {"XRP": "100", "RLUSD": "1000"},
    "settings": {"taker_fee_bps": "10"},
}


def start_process(address: Path, truth: Path) -> subprocess.Popen[str]:
    root = Path(__file__).parents[3]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "actors.venues.sim.server",
            "--socket",
            str(address),
            "--truth",
            str(truth),
            "--config-json",
            json.dumps(CONFIG),
        ],
        stderr=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert process.stderr is not None
    assert f"listening {address}\n" == process.stderr.readline()
    return process


async def test_the_venue_process_survives_being_killed_with_all_it_answered(nursery, address):
    truth = address.with_name("truth.db")
    process = start_process(address, truth)
    try:
        client, inbox = await connect(nursery, address)
        client.market(a_tick("1.29", "1.30"))
        client.send(buy("B", "1.5"))
        client.send(buy("R", "1", "1.20"))
        await inbox.next(OrderFill)
        await inbox.next(OrderAccepted)
        process.kill()
        process.wait()
        await inbox.next(VenueDisconnected)
        left = read_truth(truth)
        process.stderr.close()
        process = start_process(address, truth)
        await inbox.next(VenueConnected)
        client.send(OPEN_ORDERS)
        opened = await inbox.next(OpenOrdersAnswer)
        process.send_signal(signal.SIGTERM)
        status = process.wait(timeout=10)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()

    assert {"B": "filled", "R": "open"} == {key: o.state for key, o in left.orders.items()}
    assert ["R"] == [order.client_order_id for order in opened.result.value]
    assert 0 == status
    assert not address.exists()
    assert {"B": 1, "R": 1} == read_truth(truth).submits
