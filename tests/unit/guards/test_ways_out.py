"""Laws of all guards together, over random histories on a real engine."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors import messages as msg
from actors.entities.mode import SPENDING
from fsm import events as ev
from fsm import facts
from fsm.vocabulary import Side
from storage.journal import JournalReader
from tests.unit.engine.handmade import Bench
from tests.unit.guards.rigs import PAIR, Fills, guarded, ticks
from tests.unit.guards.test_other_guards import WELL

COOLDOWN = 8
GUARDS: dict[str, dict[str, Any]] = {
    "directional_drift": {"cooldown_ticks": COOLDOWN},
    "inventory_corridor": {"instruments": (PAIR,), "cooldown_ticks": COOLDOWN},
    "stale_feed": {"cooldown_ticks": COOLDOWN},
    "heartbeat": {},
    "venue_health": {"cooldown_ticks": COOLDOWN},
    "wallet_truth": {},
}
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), st.sampled_from(list(Side)), st.sampled_from(["1", "60"])),
        st.tuples(st.just("wait"), st.integers(1, 15)),
        st.tuples(st.just("quote"), st.sampled_from(["0.1", "1", "9", None])),
        st.tuples(st.just("health"), st.booleans()),
        st.tuples(st.just("pass"), st.booleans(), st.integers(1, 6)),
        st.tuples(st.just("stream"), st.booleans()),
        st.tuples(st.just("truth"), st.booleans()),
    ),
    max_size=25,
)


def do(bench: Bench, fills: Fills, step: tuple[Any, ...]) -> None:
    kind, *given = step
    if kind == "fill" and bench.mode == "ACTIVE":
        fills(given[0], qty=given[1])
    elif kind == "wait":
        ticks(bench, given[0])
    elif kind == "quote":
        bench.quote(given[0], given[0])
    elif kind == "health":
        bench.tell(WELL if given[0] else msg.HealthReport(turn_longest_s=9.0))
    elif kind == "pass":
        for _ in range(given[1]):
            bench.tell(msg.PassEnded(ok=given[0], why="503"))
    elif kind == "stream":
        bench.say(facts.VenueConnected() if given[0] else facts.VenueDisconnected(reason="cut"))
    elif kind == "truth":
        found = msg.Recover("wallet_truth") if given[0] else msg.Degrade("wallet_truth", "XRP -3")
        bench.tell(found)


def heal(bench: Bench) -> None:
    """What a world that is well again looks like to every guard."""
    bench.say(facts.VenueConnected())
    if bench.mode == "HALTED":
        bench.do(msg.Resume("ann", "looked"))
    bench.tell(WELL, msg.Recover("wallet_truth"))
    totals = bench.engine.world.ledger.totals
    even = str((totals["USD"] / totals["XRP"]).quantize(Decimal("0.0001")))
    for _ in range(COOLDOWN + 20):
        bench.quote(even, even)
        bench.tell(msg.PassEnded(ok=True))
        ticks(bench, 1)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_every_guard_finds_its_way_out_spends_what_it_should_and_does_not_flap(
    steps: list[tuple[Any, ...]],
) -> None:
    with tempfile.TemporaryDirectory(prefix="holdfast-guards-") as folder:
        bench = guarded(Path(folder), {"stale_after_us": 5_000_000}, **GUARDS)
        fills = Fills(bench)
        bench.quote("1", "1")
        for step in steps:
            do(bench, fills, step)
            episodes = bench.engine.books.mode.episodes
            assert set(episodes) <= set(SPENDING)
            if max(episodes.values(), default=0) >= 3:
                assert "HALTED" == bench.mode
                assert "degraded_episode_limit_halt" == bench.engine.books.mode.halt_reason
        heal(bench)
        assert "ACTIVE" == bench.mode, bench.engine.books.mode.sources
        check_order(bench)
        bench.proven()
        bench.kill()


def check_order(bench: Bench) -> None:
    """Trips and their ends alternate, and no end comes before the cool-down of its trip is over,
    unless a person resumed: then the count of episodes begins anew."""
    reader = JournalReader.open(bench.database)
    standing: dict[str, tuple[int, int]] = {}
    for recorded in reader.events(types=("GuardTripped", "GuardCleared", "ModeMoved")):
        event = recorded.event
        if isinstance(event, ev.ModeMoved) and event.trigger == "resume":
            standing = {name: (at_us, 0) for name, (at_us, _) in standing.items()}
        if isinstance(event, ev.GuardTripped):
            assert event.guard not in standing
            standing[event.guard] = recorded.at_us, event.cooldown_us
        elif isinstance(event, ev.GuardCleared):
            at_us, cooldown_us = standing.pop(event.guard)
            assert recorded.at_us - at_us >= cooldown_us
    reader.close()
    assert {} == standing
