"""From the configuration to what the core works with: microseconds, Decimals, instruments.

Also the defaults of a run without any configuration: two instruments, two strategies each, small.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import evolve

from actors.backups import BackupPlan
from actors.config import Config, SizerConfig, refuse
from actors.entities.sizer import SizerSettings
from actors.guards.checks import unknown_names
from actors.guards.desk import KINDS
from actors.strategies import registry
from actors.strategies.base import Strategy
from actors.venues.sim import SimSettings
from actors.world import Rules
from fsm.instrument import Instrument
from fsm.timestamps import SECOND_US
from fsm.vocabulary import InstrumentKind
from storage.backup_folder import default_folder

DEFAULT_INSTRUMENTS = (
    Instrument(
        name="BTC/USDT",
        base="BTC",
        quote="USDT",
        kind=InstrumentKind.PERPETUAL,
        price_tick=Decimal("0.1"),
        qty_step=Decimal("0.0000001"),
        max_leverage=Decimal(5),
    ),
    Instrument(
        name="XRP/RLUSD",
        base="XRP",
        quote="RLUSD",
        price_tick=Decimal("0.00001"),
        qty_step=Decimal("0.0001"),
    ),
)
DEFAULT_STRATEGIES = ("always-trade-canary", "momentum")
_LOT_VALUE_MAX = Decimal("0.05")


def _us(seconds: float) -> int:
    return round(seconds * SECOND_US)


def rules_from(config: Config) -> Rules:
    """The numbers that decisions use."""
    orders, reconciler, risk = config.orders, config.reconciler, config.risk
    return Rules(
        submit_timeout_us=_us(orders.submit_timeout_s),
        cancel_timeout_us=_us(orders.cancel_timeout_s),
        exit_query_interval_us=_us(orders.exit_query_interval_s),
        unresolved_retry_us=_us(orders.unresolved_retry_s),
        exit_reprice_after_us=_us(orders.exit_reprice_after_s),
        exit_attempts_max=orders.exit_attempts_max,
        open_orders_interval_us=_us(reconciler.open_orders_interval_s),
        balances_interval_us=_us(reconciler.balances_interval_s),
        age_threshold_us=_us(reconciler.age_threshold_s),
        fills_overlap_us=_us(reconciler.fills_overlap_s),
        backoff_max_us=_us(reconciler.backoff_max_s),
        queries_per_pass_max=reconciler.queries_per_pass_max,
        assume_fill_when_young=reconciler.assume_fill_when_young,
        cancel_external=reconciler.cancel_external,
        truth_tolerance_abs=reconciler.truth_tolerance_abs,
        truth_tolerance_bps=reconciler.truth_tolerance_bps,
        truth_tolerances=reconciler.truth_tolerances,
        pnl_tolerance=config.ledger.pnl_tolerance,
        pnl_tolerance_bps=config.ledger.pnl_tolerance_bps,
        truth_halt_after_us=_us(reconciler.truth_halt_after_s),
        max_in_flight_us=_us(config.venue.max_in_flight_s),
        max_position_usd=risk.max_position_usd,
        max_session_loss=risk.max_session_loss,
        daily_drawdown=risk.daily_drawdown,
        stop_pct=risk.stop_pct,
        target_pct=risk.target_pct,
        orders_per_minute_max=risk.orders_per_minute_max,
        price_sanity_pct=risk.price_sanity_pct,
        stale_after_us=_us(config.feed.stale_after_s),
        allowed_instruments=frozenset(risk.allowed_instruments),
        allowed_strategies=frozenset(risk.allowed_strategies),
        sizer=sizer_settings(config.sizer),
        episodes_max=config.guards.episodes_max,
        guard_interval_us=_us(config.guards.interval_s),
        wallet_truth_degrades=config.guards.wallet_truth.enabled,
        guards=guards_on(config),
    )


def sizer_settings(config: SizerConfig) -> SizerSettings | None:
    """The sizer's cap and tables; None while it is off."""
    if not config.enabled:
        return None
    return SizerSettings(
        leverage_max=config.leverage_max,
        streaks={int(run): by for run, by in config.streak_multipliers.items()},
        buckets={Decimal(least): by for least, by in config.bucket_multipliers.items()},
    )


def guards_on(config: Config) -> dict[str, Any]:
    """The settings of every guard that is on, by its name."""
    found = {name: getattr(config.guards, name) for name in KINDS}
    return {name: settings for name, settings in found.items() if settings.enabled}


def sim_settings(config: Config) -> SimSettings:
    """How the simulated venue behaves."""
    venue = config.venue
    return SimSettings(
        latency_us=venue.latency_ms * 1_000,
        latency_jitter_us=venue.latency_jitter_ms * 1_000,
        maker_fee_bps=venue.maker_fee_bps,
        taker_fee_bps=venue.taker_fee_bps,
    )


def instruments_of(config: Config) -> tuple[Instrument, ...]:
    """The configured instruments, or the defaults where none is configured."""
    configured = tuple(item.to_instrument(name) for name, item in config.instruments.items())
    return configured or DEFAULT_INSTRUMENTS


def tradable(spec: Instrument) -> Instrument:
    """An instrument read from a data file, with a lot that small caps can trade: the simulated
    venue is ours, so its lot need not be the exchange's. The price is unknown here; 1e-7 of a
    base unit is below five cents up to a price of 500,000."""
    finest = Decimal("0.0000001")
    return evolve(spec, qty_step=min(spec.qty_step, finest), min_qty=Decimal(0))


def opening_balances(config: Config, instruments: Sequence[Instrument]) -> dict[str, Decimal]:
    """What the simulated account opens with: the same amount of each quote asset."""
    return {spec.quote: config.venue.opening_balance for spec in instruments}


def strategies_of(
    config: Config, instruments: Sequence[Instrument]
) -> tuple[tuple[str, Strategy], ...]:
    """(instrument, strategy) pairs: the configured ones, or the defaults on every instrument.

    Raises StrategyError for an unknown strategy, parameter or instrument, and ConfigError where a
    guard names an instrument that is not there.
    """
    names = {spec.name for spec in instruments}
    if not config.instruments:  # else that was looked at when the configuration was read
        refuse(config, unknown_names(config.guards, {spec.name: spec for spec in instruments}))
    if not config.strategies:
        return tuple(
            (spec.name, registry.build(name, {}))
            for spec in instruments
            for name in DEFAULT_STRATEGIES
        )
    pairs = []
    for name, item in config.strategies.items():
        if item.instrument not in names:
            raise registry.StrategyError(
                f"strategy {name}: no instrument {item.instrument!r}; "
                f"there are: {', '.join(sorted(names))}"
            )
        if item.enabled:
            pairs.append((item.instrument, registry.build(name, item.params)))
    return tuple(pairs)


def backups_folder(config: Config, database: Path) -> Path:
    """Where the backups of a database lie."""
    return Path(config.backup.folder) if config.backup.folder else default_folder(database)


def backup_folders(config: Config, database: Path) -> tuple[Path, ...]:
    """Where a backup to go back to may lie: where they are made, and where they are by default."""
    return tuple(dict.fromkeys((backups_folder(config, database), default_folder(database))))


def backup_plan(config: Config, database: Path) -> BackupPlan:
    """The scheduled backups, the simulated venue's record among them where it is ours."""
    return BackupPlan(
        folder=backups_folder(config, database),
        interval_s=config.backup.interval_s,
        keep=config.backup.keep,
        keep_days=config.backup.keep_days,
        venue=None if config.venue.socket else truth_path(config, database),
    )


def truth_path(config: Config, database: Path) -> Path:
    """Where the simulated venue keeps its own record."""
    return Path(config.venue.truth) if config.venue.truth else Path(f"{database}.venue")
