"""Each incident of a guard can fail: a build that does what a naive one would do fails it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from actors import messages as msg
from actors.entities import mode
from actors.guards.anchor_saturation import AnchorSaturation
from actors.guards.base import Guard
from actors.guards.directional_drift import DirectionalDrift
from actors.guards.latch import DEGRADE
from actors.guards.quotes import fresh_mid
from actors.runtime.actor import Refused
from fsm.mode import ModeState
from tests.unit.chaos.runs import ROOT, fails_with

Patch = pytest.MonkeyPatch


def looks_at_fills_by_a_timer(patch: Patch) -> None:
    patch.setattr(DirectionalDrift, "hears", ())


def has_no_way_out(patch: Patch) -> None:
    patch.setattr(DirectionalDrift, "is_well", lambda self, world: False)


def halts_at_the_second_trip(patch: Patch) -> None:
    def naive(self: mode.Mode, source: str, world: Any) -> bool:
        return source in mode.SPENDING and self.episodes.get(source, 0) >= 1

    patch.setattr(mode.Mode, "_is_spent", naive)


def does_not_cool_down(patch: Patch) -> None:
    patch.setattr(Guard, "cooldown_ticks", lambda self, world: 0)


def takes_a_bad_regime_for_harm(patch: Patch) -> None:
    real = AnchorSaturation.__init__

    def naive(self: AnchorSaturation, *given: Any) -> None:
        real(self, *given)
        self.action = DEGRADE

    patch.setattr(AnchorSaturation, "__init__", naive)
    patch.setattr(mode, "SPENDING", (*mode.SPENDING, "anchor_saturation"))


def counts_on_while_idle(patch: Patch) -> None:
    def naive(self: DirectionalDrift, world: Any) -> None:
        self.stable_ticks += 1
        for flow in self.flows.values():
            flow.ticks += 1

    patch.setattr(DirectionalDrift, "observe", naive)


def judges_raw_values_before_warm_up(patch: Patch) -> None:
    def naive(self: AnchorSaturation, world: Any) -> None:
        held = self.settings
        mid, anchor = fresh_mid(world, held.instrument), fresh_mid(world, held.anchor)
        if mid is not None and anchor is not None:
            basis = (mid - anchor) / anchor * 10_000
            self.residuals.append(max(-held.cap_bps, min(held.cap_bps, basis)))

    patch.setattr(AnchorSaturation, "observe", naive)


def has_one_switch_for_all_conditions(patch: Patch) -> None:
    real = DirectionalDrift.trips

    def naive(self: DirectionalDrift, world: Any) -> Any:
        self.settings = attrs.evolve(self.settings, condition_c=True)
        return real(self, world)

    patch.setattr(DirectionalDrift, "trips", naive)


def resumes_what_is_halted_only(patch: Patch) -> None:
    real = mode.Mode._on_resume

    def naive(self: mode.Mode, message: Any, world: Any) -> Any:
        if self.state is not ModeState.HALTED:
            raise Refused("nothing to resume")
        return real(self, message, world)

    patch.setitem(mode._DECIDE, msg.Resume, naive)


NAIVE: dict[str, list[Callable[[Patch], None]]] = {
    "N13": [looks_at_fills_by_a_timer],
    "N14": [has_no_way_out],
    "N16": [halts_at_the_second_trip, does_not_cool_down],
    "N18": [takes_a_bad_regime_for_harm],
    "N20": [counts_on_while_idle],
    "N22": [judges_raw_values_before_warm_up],
    "N23": [has_one_switch_for_all_conditions],
    "../restart/halt-lifted-at-the-gate": [resumes_what_is_halted_only],
}


@pytest.mark.parametrize(
    ("incident", "naive"), [(name, one) for name, ones in NAIVE.items() for one in ones]
)
def test_a_naive_build_fails_the_scenario(
    incident: str, naive: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    fails_with(ROOT / "incidents" / f"{incident}.toml", lambda: naive(monkeypatch))
