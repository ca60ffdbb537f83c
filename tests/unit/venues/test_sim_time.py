"""Latency, order of delivery, determinism, and the driver in real time."""

from __future__ import annotations

from decimal import Decimal

import trio
import trio.testing
from sim_builders import a_cancel, a_tick, a_venue, ask_venue, buy, names, sell, traded

from actors.venues.realtime import InProcessVenue
from fsm.facts import OrderFill, VenueConnected


def test_without_latency_a_request_is_answered_by_the_next_advance():
    venue = a_venue()
    assert venue.next_due_us() is None
    venue.send(buy("B", "1", "1.20"))

    assert 0 == venue.next_due_us()
    assert ["OrderAccepted"] == names(list(venue.advance(0)))
    assert venue.next_due_us() is None


def test_latency_passes_on_each_way_and_the_venue_acts_in_between():
    venue = a_venue(latency_us=100)
    venue.market(a_tick("1.29", "1.30"), 1000)
    venue.send(buy("B", "1"))

    assert 1100 == venue.next_due_us()
    assert () == tuple(venue.advance(1100))
    assert 1200 == venue.next_due_us()
    messages = list(venue.advance(1200))
    assert ["OrderAccepted", "OrderFill"] == names(messages)
    assert [1100, 1100] == [message.venue_us for message in messages]


def test_what_was_due_before_market_data_meets_the_market_as_it_was():
    venue = a_venue(latency_us=100)
    venue.market(a_tick("1.29", "1.30"), 1000)
    venue.send(buy("B", "1"))
    venue.market(a_tick("1.39", "1.40"), 1150)

    assert [("B", "1", "1.30")] == traded(list(venue.advance(2000)))


def test_one_long_step_gives_the_same_as_many_short_ones():
    def run(step_us: int) -> list[object]:
        venue = a_venue(latency_us=70, latency_jitter_us=50)
        venue.market(a_tick("1.29", "1.30"), 0)
        for index in range(20):
            venue.send(buy(f"B{index}", "1"))
        said: list[object] = []
        for now_us in range(step_us, 1001, step_us):
            said += venue.advance(now_us)
        return said

    assert run(1000) == run(1) == run(20)
    assert 40 == len(run(1000))


def test_the_same_seed_gives_the_same_and_another_seed_another_timing():
    def run(seed: int) -> list[object]:
        venue = a_venue(latency_us=100, latency_jitter_us=100, seed=seed)
        venue.market(a_tick("1.29", "1.30"), 1)
        for index in range(30):
            venue.send(buy(f"B{index}", "1"), 10 * index)
            venue.send(sell(f"S{index}", "1", "1.35"), 10 * index)
        return list(venue.advance(10_000))

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_jitter_never_lets_a_cancel_overtake_its_order():
    venue = a_venue(latency_us=1, latency_jitter_us=1000)
    for index in range(50):
        venue.send(buy(f"B{index}", "1", "1.00"))
        venue.send(a_cancel(f"B{index}"))

    assert ["OrderAccepted", "OrderCanceled"] * 50 == names(list(venue.advance(10**6)))


def test_time_never_goes_back():
    venue = a_venue()
    venue.advance(1000)
    (accepted,) = ask_venue(venue, buy("B", "1", "1.20"), now_us=500)

    assert 1000 == accepted.venue_us


async def test_the_driver_sleeps_until_something_is_due_and_delivers_in_order(autojump_clock):
    heard = []

    def clock_us() -> int:
        return round(trio.current_time() * 1_000_000)

    async def deliver(message: object) -> None:
        await trio.sleep(0)
        heard.append((trio.current_time(), message))

    sim = a_venue(latency_us=500_000)
    venue = InProcessVenue(sim, clock_us)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(venue.run, deliver)
        start_s = trio.current_time()
        await trio.sleep(60)
        venue.market(a_tick("1.29", "1.30"))
        venue.send(buy("B", "1"))
        await trio.sleep(60)
        nursery.cancel_scope.cancel()

    assert ["VenueConnected", "OrderAccepted", "OrderFill"] == names([m for _, m in heard])
    assert isinstance(heard[0][1], VenueConnected)
    assert all(abs(at_s - start_s - 61) < 0.001 for at_s, _ in heard[1:])


async def test_a_full_lane_makes_the_venue_wait_and_nothing_is_dropped(autojump_clock):
    send, receive = trio.open_memory_channel[object](1)
    sim = a_venue(balances={"RLUSD": "1000000"})
    venue = InProcessVenue(sim, lambda: round(trio.current_time() * 1_000_000))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(venue.run, send.send)
        venue.market(a_tick("1.29", "1.30", "100000"))
        for index in range(50):
            venue.send(buy(f"B{index}", "1"))
        await trio.testing.wait_all_tasks_blocked()
        for index in range(50, 60):
            venue.send(buy(f"B{index}", "1"))
        heard = [await receive.receive() for _ in range(121)]
        nursery.cancel_scope.cancel()

    fills = [message.client_order_id for message in heard if isinstance(message, OrderFill)]
    assert [f"B{index}" for index in range(60)] == fills
    assert Decimal(60) == sim.exchange.funds.totals["XRP"]
