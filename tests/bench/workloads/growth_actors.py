"""The cost of an event with 1,000 to 1,000,000 live actors: it should not depend on them.

Before each measurement that many actors are put into the engine's books: limit entries that rest,
each an order and its position, from handmade events, on the instrument that is then traded. Market
orders and quotes follow, as in `market_orders` and `quotes`. The simulated venue knows nothing of
the handmade orders; reconciliation, whose passes look at every order, is kept out of the time.

The cost is processor time, of the loop's thread and the writer's together: what other work on the
machine does to it is small beside what it does to a wall clock (`wall_us`), and one second of each
has to be compared with one second minutes later.
"""

from __future__ import annotations

import gc
from collections import deque
from itertools import chain
from pathlib import Path

import trio

from actors import messages as msg
from actors.engine import Engine
from actors.runtime import collector
from actors.world import Rules
from fsm.order import OrderState
from fsm.timestamps import SECOND_US
from tests.bench.driving import Durable, limit_quote, market_order, top_up_with
from tests.bench.history import working_entry
from tests.bench.measuring import Figures, Workload
from tests.bench.targets import below

_ACTORS = (1_000, 10_000, 100_000, 1_000_000)
_PAIRS = 5_000
_NEVER_US = 86_400 * SECOND_US


def run(folder: Path, size: int) -> Figures:
    """Measure with each number of actors up to `size`; the growth is largest over smallest."""
    figures: Figures = {}
    steps = [count for count in _ACTORS if count <= size]
    for actors in steps:
        place = folder / str(actors)
        place.mkdir()
        figures |= costs(actors, _mixed_with(place, actors))
        gc.unfreeze()  # the next one starts with a collector that has seen nothing
        gc.collect()
    figures["growth"] = figures[f"event_us_{steps[-1]}"] / figures[f"event_us_{steps[0]}"]
    return figures


def costs(step: int, measured: Figures) -> Figures:
    """Microseconds an event at one step: processor time, and on the wall."""
    events = measured["events_per_s"] * measured["seconds"]
    cpu_s = measured["loop_cpu_s"] + measured["writer_cpu_s"]
    return {
        f"event_us_{step}": 1e6 * cpu_s / events,
        f"wall_us_{step}": 1e6 * measured["seconds"] / events,
    }


def _mixed_with(folder: Path, actors: int) -> Figures:
    def prepare(engine: Engine) -> None:
        pattern, at_us = working_entry(), engine.clock.now_us()
        for number in range(actors // 2):
            for event in pattern.events(number):
                engine.books.apply(event, engine.world.seq, at_us)
        collector.settle_in()  # as a start on such a journal does

    rules = Rules(
        max_in_flight_us=SECOND_US,
        open_orders_interval_us=_NEVER_US,
        balances_interval_us=_NEVER_US,
        orders_per_minute_max=None,
    )
    rig = Durable(folder, rules=rules, prepare=prepare)
    measured = mixed(rig, _PAIRS)
    live = len(rig.engine.world.orders) + len(rig.engine.world.positions)
    assert live >= actors, f"{live} of {actors} actors are live"
    rig.engine.close()
    return measured


def mixed(rig: Durable, pairs: int) -> Figures:
    """As many market orders as quotes; the quotes are cancelled as soon as they work."""
    quotes = [limit_quote(number) for number in range(pairs + 1)]
    orders = [market_order(number) for number in range(pairs)]
    to_cancel = deque(quote.client_order_id for quote in quotes[1:])
    both = chain(quotes[:1], chain.from_iterable(zip(quotes[1:], orders, strict=True)))
    place, live = top_up_with(rig, both), rig.engine.world.orders

    def top_up() -> None:
        while to_cancel and not rig.engine.inbox.control.is_full:
            order = live.get(to_cancel[0])
            if order is None or order.state is not OrderState.WORKING:
                break
            rig.engine.inbox.command(msg.CancelOrder(to_cancel.popleft(), "requote"))
        place()

    def done() -> bool:
        return rig.quiet and rig.ended == 2 * pairs

    return rig.figures(2 * pairs, trio.run(rig.drive, top_up, done))


WORKLOAD = Workload(
    name="growth_actors",
    about="processor microseconds an event with so many live actors; growth = most over fewest",
    size=1_000_000,
    quick_size=10_000,
    headline=("growth", *(f"event_us_{count}" for count in _ACTORS)),
    run=run,
    targets=(below("growth", 1.5),),
    repeat_max=3,
    in_quick=False,
    by_default=False,
)
