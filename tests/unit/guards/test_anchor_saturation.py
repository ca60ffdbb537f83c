"""The anchor guard: warm-up, boundaries, missing quotes, and a way out of every level (N22)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.guards.anchor_saturation import AnchorSaturation
from actors.guards.latch import Latch
from actors.guards.settings import AnchorSaturationConfig
from actors.runtime.ids import IdSource
from actors.world import MarketView, Rules, World
from fsm.market import Tick

OURS, ANCHOR = "XRP/RLUSD", "XRP/USDT"
STEP_US = 4_000_000


class Rig:
    """One guard on a world in which only two quotes exist."""

    def __init__(self, **settings: Any) -> None:
        held = AnchorSaturationConfig(instrument=OURS, anchor=ANCHOR)
        self.latch = Latch()
        self.guard = AnchorSaturation(attrs.evolve(held, **settings), self.latch, STEP_US)
        self.world = World(rules=Rules(), ids=IdSource(""))
        self.quote(ANCHOR, Decimal(1))

    def quote(self, name: str, price: Decimal | None) -> None:
        tick = Tick(
            instrument=name,
            bid=price,
            ask=price,
            bid_size=None,
            ask_size=None,
            event_us=0,
            recv_us=0,
        )
        self.world.markets[name] = MarketView(tick=tick, ticks=1, seen_at_us=self.world.now_us)

    def see(self, bps: int | None, times: int = 1) -> bool:
        """So many ticks at this basis; whether the last one trips."""
        tripped = False
        for _ in range(times):
            self.world.now_us += STEP_US
            self.quote(ANCHOR, Decimal(1))
            self.quote(OURS, None if bps is None else 1 + Decimal(bps) / 10_000)
            self.guard.observe(self.world)
            if not self.latch.tripped:
                tripped = self.guard.trips(self.world) is not None
                self.latch.tripped = tripped
        return tripped

    def ticks_to_leave(self, bps: int, limit: int = 3_000) -> int | None:
        for number in range(1, limit):
            self.see(bps)
            if self.guard.is_well(self.world):
                return number
        return None


def test_nothing_is_judged_before_the_average_is_warm_and_the_lookback_full() -> None:
    rig = Rig()
    assert not rig.see(0, 10)
    assert not rig.see(900, 64)  # 74 of 50 + 25
    assert 24 == len(rig.guard.residuals)
    assert not rig.guard.is_well(rig.world)


@pytest.mark.parametrize(("far", "tripped"), [(9, False), (10, True)])
def test_share_and_mean_have_to_hold_over_the_lookback(far: int, tripped: bool) -> None:
    rig = Rig(baseline_ticks=100_000, entry_mean_bps=Decimal("3.5"), exit_mean_bps=Decimal(2))
    rig.see(0, 50 + 25)
    assert tripped is any(rig.see(9) for _ in range(far))


def test_a_missing_or_stale_quote_is_skipped() -> None:
    rig = Rig()
    rig.see(0, 70)
    held = list(rig.guard.residuals), rig.guard.average, rig.guard.observations
    rig.see(None, 100)
    rig.world.now_us += 60_000_000
    rig.guard.observe(rig.world)
    assert held == (list(rig.guard.residuals), rig.guard.average, rig.guard.observations)


def test_the_way_out_needs_thirty_calm_observations_in_a_row() -> None:
    rig = Rig()
    rig.see(0, 100)
    assert any(rig.see(60) for _ in range(30))
    calm = rig.ticks_to_leave(rig_level(rig))
    assert calm is not None
    assert 30 <= calm <= 30 + 25


def rig_level(rig: Rig) -> int:
    """The level that is usual by now."""
    assert rig.guard.average is not None
    return int(rig.guard.average.to_integral_value())


LEVELS = st.lists(st.tuples(st.integers(-2_000, 2_000), st.integers(1, 60)), max_size=12)


@given(before=LEVELS, level=st.integers(-2_000, 2_000))
def test_whatever_happened_a_level_that_stays_is_left_again(
    before: list[tuple[int, int]], level: int
) -> None:
    """N22: the average gets to any level, so that the residual becomes small."""
    rig = Rig(baseline_ticks=60, warm_ticks=20, lookback=10)
    for bps, times in before:
        rig.see(bps, times)
    rig.latch.tripped = True
    assert rig.ticks_to_leave(level) is not None
