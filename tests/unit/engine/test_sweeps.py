"""Many orders at once: the kill switch commits alone, the orders follow chunk by chunk, and a kill
in between leaves nothing live that must not be."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from actors import messages as msg
from fsm.events import ControlMoved, MessageUnprocessed, OrderMoved
from fsm.mode import ControlLevel
from fsm.order import OrderState, OrderTrigger
from fsm.vocabulary import OrderRole, OrderType, Side
from storage.journal import JournalReader
from tests.bench.driving import limit_quote, market_order, place_all, simulated
from tests.engines import BITCOIN
from tests.unit.engine.handmade import Bench, reported

COUNT = 5 * msg.SWEEP_CHUNK + 7
PRESS = msg.SetControl(ControlLevel.EMERGENCY, who="a test", why="too many orders")


def entry(number: int) -> msg.PlaceOrder:
    """A limit entry far away, with a position of its own."""
    return msg.PlaceOrder(
        client_order_id=f"E{number}",
        role=OrderRole.ENTRY,
        instrument=BITCOIN.name,
        side=Side.BUY,
        qty=Decimal("0.001"),
        type=OrderType.LIMIT,
        limit_price=Decimal(50000),
    )


def turns_of(database: Path) -> dict[int, list[str]]:
    """Turn -> what it recorded of the switch and of marked orders."""
    reader = JournalReader.open(database)
    found: dict[int, list[str]] = {}
    for recorded in reader.events():
        event = recorded.event
        if isinstance(event, ControlMoved):
            found.setdefault(recorded.turn, []).append("level")
        elif isinstance(event, OrderMoved) and event.trigger == OrderTrigger.ENGINE_CANCEL:
            found.setdefault(recorded.turn, []).append("marked")
    reader.close()
    return found


def test_the_level_commits_alone_and_no_turn_marks_more_than_a_chunk(tmp_path: Path) -> None:
    engine, simulation = simulated(tmp_path)
    place_all(simulation, [limit_quote(n) for n in range(COUNT)])
    place_all(simulation, [entry(n) for n in range(COUNT)])
    place_all(simulation, [market_order(n, stop=Decimal(100)) for n in range(100)])
    engine.inbox.command(PRESS)
    simulation.settle()
    turns = turns_of(engine.settings.database)

    assert ["level"] == next(iter(turns.values()))
    marked = [len(what) for what in turns.values() if "marked" in what]
    assert 2 * COUNT == sum(marked)
    assert msg.SWEEP_CHUNK == max(marked)
    assert not engine.world.live_orders()
    assert not [p for p in engine.world.positions.values() if p.is_open and not p.inventory]
    engine.close()


def test_a_second_press_does_not_wait_for_the_first_ones_sweep(tmp_path: Path) -> None:
    engine, simulation = simulated(tmp_path)
    place_all(simulation, [limit_quote(n) for n in range(COUNT)])
    engine.inbox.command(evolve(PRESS, level=ControlLevel.PAUSE))
    assert engine.dispatcher.run_turn()
    assert engine.dispatcher.run_turn()
    engine.inbox.command(PRESS)
    assert engine.dispatcher.run_turn()  # the chunk that waited before it
    assert engine.dispatcher.run_turn()

    assert engine.world.control is ControlLevel.EMERGENCY
    assert engine.world.live_orders(), "the first sweep was over"
    simulation.settle()
    assert not engine.world.live_orders()
    engine.close()


@pytest.mark.parametrize("level", [ControlLevel.FLATTEN, ControlLevel.EMERGENCY])
@pytest.mark.parametrize("count", [1, COUNT])
def test_positions_are_closed_also_where_no_order_works(
    tmp_path: Path, level: ControlLevel, count: int
) -> None:
    """Ended orders leave memory: positions alone are the ordinary case."""
    engine, simulation = simulated(tmp_path)
    place_all(simulation, [market_order(n, stop=Decimal(100)) for n in range(count)])
    assert not engine.world.orders
    engine.inbox.command(evolve(PRESS, level=level))
    simulation.settle()

    assert not [p for p in engine.world.positions.values() if p.is_open]
    engine.close()


def test_a_position_is_marked_in_the_turn_of_its_last_entry(tmp_path: Path) -> None:
    engine, simulation = simulated(tmp_path)
    place_all(simulation, [entry(n) for n in range(COUNT)])
    engine.inbox.command(PRESS)
    simulation.settle()
    reader, turns = JournalReader.open(engine.settings.database), dict[str, int]()
    for recorded in reader.events(types=("OrderMoved", "PositionMoved")):
        if recorded.event.trigger == "engine_cancel":  # type: ignore[union-attr]
            turns[recorded.stream] = recorded.turn
    reader.close()

    assert 2 * COUNT == len(turns)
    assert all(turns[f"order/E{n}"] == turns[f"position/E{n}"] for n in range(COUNT))
    engine.close()


def test_an_order_that_cannot_be_taken_back_is_not_kept_again_at_every_pass(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    bench.quote("1", "1.0001")
    bench.place("a")
    bench.accept("a")
    bench.venue.open = {"a": reported("a")}

    def fault(address: str, message: object) -> None:
        if address == "order/a":
            raise RuntimeError("a defect")

    bench.engine.system.before_decide = fault
    bench.tell(msg.CancelOrder("a", "by hand", by_engine=True))
    bench.wait(30)
    kept = len(bench.events(MessageUnprocessed))
    bench.wait(600)

    assert kept == len(bench.events(MessageUnprocessed))
    assert bench.engine.books.counters["skipped_in_quarantine"] > 50


def test_a_few_orders_are_marked_with_the_level_in_one_turn(tmp_path: Path) -> None:
    engine, simulation = simulated(tmp_path)
    place_all(simulation, [limit_quote(n) for n in range(10)])
    engine.inbox.command(PRESS)
    simulation.settle()

    assert [["level", *["marked"] * 10]] == list(turns_of(engine.settings.database).values())
    engine.close()


@pytest.mark.parametrize("level", [ControlLevel.PAUSE, ControlLevel.EMERGENCY])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_what_a_killed_sweep_left_is_taken_back_after_the_restart(
    tmp_path: Path, turns: int, level: ControlLevel
) -> None:
    engine, simulation = simulated(tmp_path)
    place_all(simulation, [limit_quote(n) for n in range(COUNT)])
    engine.inbox.command(evolve(PRESS, level=level))
    for _ in range(turns):
        assert engine.dispatcher.run_turn()
    engine.writer.conn.close()  # nothing of what follows is ever written
    engine.reader.close()
    left = [o for o in engine.world.live_orders() if o.state is OrderState.WORKING]
    assert left, "the sweep was over before it was killed"

    again, simulation = simulated(
        tmp_path, venue=simulation.venue, start_us=engine.clock.now_us() + 60_000_000
    )
    assert again.world.control is level
    simulation.run_until(again.clock.now_us() + 10_000_000)
    assert not again.world.live_orders()
    assert not simulation.venue.exchange.open
    again.close()
