"""What may be configured of the guards: one section each, `[guards.NAME]` (L12).

A guard *tick* is one evaluation, every `guards.interval_s`; it is no market tick.
"""

from __future__ import annotations

from decimal import Decimal

from attrs import field, frozen

from actors.config_types import key

ACTIONS = ("degrade", "idle", "halt")
RECOVERIES = ("auto", "manual")


@frozen(kw_only=True)
class AnchorSaturationConfig:
    """The distance of an instrument from its anchor, once the slow part of it is taken away."""

    enabled: bool = key(True, "whether the guard is evaluated")
    instrument: str = key("", "the instrument that is quoted; empty: the guard has nothing to do")
    anchor: str = key("", "the instrument whose middle price is the anchor of it")
    action: str = key("idle", "what a trip does", choices=("idle", "degrade"))
    recovery: str = key("auto", "how it is left again", choices=RECOVERIES)
    cap_bps: Decimal = key(Decimal(10), "an observation counts as at most this", "0.01", 10_000)
    lookback: int = key(25, "observations that the trip looks at", 1, 10_000)
    entry_mean_bps: Decimal = key(
        Decimal(6), "trips at this absolute mean of the residual", "0.01", 10_000
    )
    entry_share_pct: Decimal = key(
        Decimal(40), "and with at least this share beyond `beyond_bps`, percent", 0, 100
    )
    beyond_bps: Decimal = key(Decimal(5), "what counts as far from the anchor", "0.01", 10_000)
    exit_mean_bps: Decimal = key(
        Decimal(4), "well again below this absolute mean of the residual", "0.01", 10_000
    )
    exit_share_pct: Decimal = key(
        Decimal(30), "and with less than this share beyond `beyond_bps`, percent", 0, 100
    )
    exit_ticks: int = key(30, "guard ticks in a row that have to be well", 1, 10_000)
    baseline_ticks: int = key(150, "length of the moving average that is taken away", 2, 100_000)
    warm_ticks: int = key(50, "observations before the average is used", 1, 100_000)


@frozen(kw_only=True)
class DirectionalDriftConfig:
    """Resting orders that fill on one side only: the market runs over us (N13)."""

    enabled: bool = key(True, "whether the guard is evaluated")
    recovery: str = key("auto", "how it is left again", choices=RECOVERIES)
    condition_a: bool = key(True, "A: a burst of fills on one side")
    burst_count: int = key(3, "A trips at so many fills of one side", 2, 1_000)
    burst_window_s: float = key(30.0, "within this time", "0.1", 86_400)
    condition_b: bool = key(True, "B: net notional within a window")
    net_notional_max: Decimal = key(
        Decimal(50), "B trips at this absolute net value, quote units", "0.01", 10**9
    )
    net_window_s: float = key(120.0, "within this time", "0.1", 86_400)
    condition_c: bool = key(True, "C: no fill of the other side")
    no_opposing_fill_ticks: int = key(15, "C trips after so many guard ticks without", 1, 100_000)
    no_opposing_fill_min_fills: int = key(3, "C is armed by so many fills", 1, 1_000)
    stable_ticks: int = key(10, "guard ticks without a trip before it is well again", 1, 100_000)
    cooldown_ticks: int = key(
        120, "guard ticks before recovery is looked at, from the second episode on", 0, 100_000
    )


@frozen(kw_only=True)
class GuardsConfig:
    """All guards. Each can be switched off by itself."""

    interval_s: float = key(4.0, "between two guard ticks", "0.1", 600)
    episodes_max: int = key(
        3, "entries of one source that halt the session: drift, corridor, feed, venue", 1, 1_000
    )
    anchor_saturation: AnchorSaturationConfig = field(factory=AnchorSaturationConfig)
    directional_drift: DirectionalDriftConfig = field(factory=DirectionalDriftConfig)
