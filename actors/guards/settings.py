"""What may be configured of the guards: one section each, `[guards.NAME]` (L12).

A guard *tick* is one evaluation, every `guards.interval_s`; it is no market tick.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from attrs import field, frozen

from actors.config_types import key

COOLDOWN = "guard ticks before recovery is looked at, from the second episode on"
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
    cooldown_ticks: int = key(120, COOLDOWN, 0, 100_000)


@frozen(kw_only=True)
class InventoryCorridorConfig:
    """How the value of a spot pair is split between its base and its quote asset."""

    enabled: bool = key(True, "whether the guard is evaluated")
    recovery: str = key("auto", "how it is left again", choices=RECOVERIES)
    instruments: tuple[str, ...] = key(
        (), "spot instruments that are watched; empty: those that were quoted in this session"
    )
    base_share_min_pct: Decimal = key(
        Decimal(25), "outside below this share of base in the value, percent", 0, 100
    )
    base_share_max_pct: Decimal = key(Decimal(75), "and outside above this one", 0, 100)
    lookback: int = key(3, "guard ticks in a row: outside they trip, inside they end it", 1, 10_000)
    quote_min: Decimal = key(
        Decimal(30), "less of the quote asset than this trips at once, its units", 0, 10**12
    )
    value_min: Decimal = key(
        Decimal(50), "nothing to guard below this value of both, quote units", 0, 10**12
    )
    cooldown_ticks: int = key(120, COOLDOWN, 0, 100_000)


@frozen(kw_only=True)
class ExposureLimitConfig:
    """Hard caps on what is held; strictly above one of them halts with `risk_exposure`."""

    enabled: bool = key(True, "whether the guard is evaluated")
    asset_caps: Mapping[str, Decimal] = key(
        {}, "asset = largest total balance, in units of the asset", 0, 10**18
    )
    instrument_caps: Mapping[str, Decimal] = key(
        {}, "instrument = largest absolute net position, in base units", 0, 10**18
    )


@frozen(kw_only=True)
class DrawdownConfig:
    """Losses beyond `risk.max_session_loss` and `risk.daily_drawdown`, open positions included."""

    enabled: bool = key(True, "whether the guard is evaluated")
    recovery: str = key("manual", "how it is left again", choices=RECOVERIES)
    exit_pct: Decimal = key(
        Decimal(80), "with `auto`: well again at this share of every limit, percent", 0, 100
    )
    strategy_loss_max: Decimal | None = key(
        None, 'loss in a session that switches one strategy off, quote units; or "none"', 0, 10**9
    )


@frozen(kw_only=True)
class StaleFeedConfig:
    """No quote for `feed.stale_after_s` on an open connection."""

    enabled: bool = key(True, "whether the guard is evaluated")
    recovery: str = key("auto", "how it is left again", choices=RECOVERIES)
    fresh_ticks: int = key(10, "guard ticks in a row with fresh quotes that end it", 1, 100_000)
    cooldown_ticks: int = key(120, COOLDOWN, 0, 100_000)


@frozen(kw_only=True)
class HeartbeatConfig:
    """Whether the engine itself keeps up with time and has what it needs to journal."""

    enabled: bool = key(True, "whether the guard is evaluated")
    recovery: str = key("auto", "how it is left again", choices=RECOVERIES)
    turn_max_s: float = key(5.0, "trips when a turn took longer", "0.001", 600)
    tick_late_max_s: float = key(5.0, "trips when a guard tick comes later than this", "0.1", 600)
    writer_lag_max_s: float = key(
        5.0, "trips when a turn waits longer for its commit", "0.1", 3_600
    )
    wal_max_mb: int = key(512, "trips when the write-ahead log is larger, MiB", 1, 1_000_000)
    disk_free_min_mb: int = key(64, "trips when less is free on the disk, MiB", 0, 100_000_000)
    clock_skew_max_s: float = key(
        60.0, "trips when the wall clock has moved further away from ours", "0.1", 86_400
    )
    healthy_s: float = key(60.0, "without any of it before it is well again", 0, 86_400)


@frozen(kw_only=True)
class VenueHealthConfig:
    """Whether the venue answers, and takes orders."""

    enabled: bool = key(True, "whether the guard is evaluated")
    recovery: str = key("auto", "how it is left again", choices=RECOVERIES)
    failures_max: int = key(
        5, "failures in a row that trip: passes, submits without outcome, cut streams", 1, 1_000
    )
    reject_share_pct: Decimal = key(
        Decimal(50), "trips when at least this share of submits is rejected, percent", 1, 100
    )
    submits_min: int = key(10, "over this many submits, the last ones", 1, 10_000)
    probes_ok: int = key(3, "passes in a row that answered before it is well again", 1, 1_000)
    cooldown_ticks: int = key(120, COOLDOWN, 0, 100_000)


@frozen(kw_only=True)
class WalletTruthConfig:
    """What the reconciler finds when it holds the books against the venue's own balances."""

    enabled: bool = key(
        True, "whether a difference in a running session degrades; the start's gate always holds"
    )
    recovery: str = key("auto", "how it is left again", choices=RECOVERIES)


@frozen(kw_only=True)
class GuardsConfig:
    """All guards. Each can be switched off by itself."""

    interval_s: float = key(4.0, "between two guard ticks", "0.1", 600)
    episodes_max: int = key(
        3, "entries of one source that halt the session: drift, corridor, feed, venue", 1, 1_000
    )
    anchor_saturation: AnchorSaturationConfig = field(factory=AnchorSaturationConfig)
    directional_drift: DirectionalDriftConfig = field(factory=DirectionalDriftConfig)
    inventory_corridor: InventoryCorridorConfig = field(factory=InventoryCorridorConfig)
    exposure_limit: ExposureLimitConfig = field(factory=ExposureLimitConfig)
    drawdown: DrawdownConfig = field(factory=DrawdownConfig)
    stale_feed: StaleFeedConfig = field(factory=StaleFeedConfig)
    heartbeat: HeartbeatConfig = field(factory=HeartbeatConfig)
    venue_health: VenueHealthConfig = field(factory=VenueHealthConfig)
    wallet_truth: WalletTruthConfig = field(factory=WalletTruthConfig)
