"""Settings of guards that make no sense together: refused when the configuration is read.

The way out of a guard has to be stricter than the way in and has to be reachable, or the system
gets stuck in it (N22).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from actors.guards.settings import AnchorSaturationConfig, GuardsConfig, InventoryCorridorConfig
from fsm.money import plain
from fsm.vocabulary import InstrumentKind

Problem = tuple[str, str]
"""The key, and what is wrong with its value."""


def conflicts(guards: GuardsConfig) -> Iterator[Problem]:
    """Every value that contradicts another one, by its dotted key."""
    for name, problem in _anchor(guards.anchor_saturation):
        yield f"guards.anchor_saturation.{name}", problem
    for name, problem in _corridor(guards.inventory_corridor):
        yield f"guards.inventory_corridor.{name}", problem


def _anchor(held: AnchorSaturationConfig) -> Iterator[Problem]:
    if held.exit_mean_bps >= held.entry_mean_bps:
        limit = plain(held.entry_mean_bps)
        yield "exit_mean_bps", f"must be below entry_mean_bps ({limit}), or it never ends"
    if held.exit_share_pct >= held.entry_share_pct:
        limit = plain(held.entry_share_pct)
        yield "exit_share_pct", f"must be below entry_share_pct ({limit}), or it never ends"
    if held.exit_share_pct == 0:
        yield "exit_share_pct", "must be above 0: less than nothing is never reached"
    if held.cap_bps < held.entry_mean_bps:
        limit = plain(held.entry_mean_bps)
        yield "cap_bps", f"must be at least entry_mean_bps ({limit}), or it never trips"
    if held.beyond_bps >= held.cap_bps:
        yield "beyond_bps", f"must be below cap_bps ({plain(held.cap_bps)}), or it never trips"
    if held.warm_ticks > held.baseline_ticks:
        limit = str(held.baseline_ticks)
        yield "warm_ticks", f"must be at most baseline_ticks ({limit}): longer teaches no more"
    if held.lookback > held.baseline_ticks:
        limit = str(held.baseline_ticks)
        yield "lookback", f"must be at most baseline_ticks ({limit}), or it hides what it looks for"
    if held.anchor and not held.instrument:
        yield "anchor", "needs guards.anchor_saturation.instrument as well"
    if held.instrument and not held.anchor:
        yield "instrument", "needs guards.anchor_saturation.anchor as well"
    if held.instrument and held.instrument == held.anchor:
        yield "anchor", "must be another instrument than guards.anchor_saturation.instrument"


def _corridor(held: InventoryCorridorConfig) -> Iterator[Problem]:
    if held.base_share_min_pct >= held.base_share_max_pct:
        limit = plain(held.base_share_max_pct)
        yield "base_share_min_pct", f"must be below base_share_max_pct ({limit}): nothing is inside"
    if held.quote_min > held.value_min:
        limit = plain(held.value_min)
        yield "quote_min", f"must be at most value_min ({limit}): a value in between never ends it"


class Traded(Protocol):
    """What is known of an instrument before anything runs."""

    @property
    def base(self) -> str:
        """The asset that is bought and sold."""

    @property
    def quote(self) -> str:
        """The asset that it is priced in."""

    @property
    def kind(self) -> str:
        """Spot, or what costs margin."""


def unknown_names(guards: GuardsConfig, traded: Mapping[str, Traded]) -> Iterator[Problem]:
    """Instruments and assets that a guard names and nobody trades, by the key that names them; and
    instruments that the guard of spot pairs does not look at."""
    anchor, corridor = guards.anchor_saturation, guards.inventory_corridor
    caps = guards.exposure_limit
    named = [
        ("anchor_saturation.instrument", anchor.instrument),
        ("anchor_saturation.anchor", anchor.anchor),
        *(("inventory_corridor.instruments", name) for name in corridor.instruments),
        *(("exposure_limit.instrument_caps", name) for name in caps.instrument_caps),
    ]
    for key, name in named:
        if name and name not in traded:
            known = ", ".join(sorted(traded))
            yield f"guards.{key}", f"no instrument {name!r}; there are: {known}"
    for name in corridor.instruments:
        if name in traded and traded[name].kind == InstrumentKind.PERPETUAL:
            key = "guards.inventory_corridor.instruments"
            yield key, f"{name} is no spot instrument: it has no inventory to keep in a corridor"
    assets = {asset for spec in traded.values() for asset in (spec.base, spec.quote)}
    for asset in caps.asset_caps:
        if asset not in assets:
            known = ", ".join(sorted(assets))
            yield "guards.exposure_limit.asset_caps", f"no asset {asset!r}; there are: {known}"
