"""What may be configured: every key with its default, its meaning and its range (L12).

Responsible for the sections as frozen values only; `actors.config` reads and checks them. Adding or
removing a key is one line in its section: the reference, the checks, the environment override and
`holdfast config` follow from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import attrs
from attrs import field, frozen

from actors.config_types import key
from actors.entities.sizer import STREAK_MAX
from actors.guards.settings import GuardsConfig
from fsm.instrument import REFUSED_KINDS, Instrument
from fsm.money import decimal_from, plain
from fsm.vocabulary import InstrumentKind, TradingMode

_DAY_S = 86_400


@frozen(kw_only=True)
class EngineConfig:
    """The service itself."""

    mode: str = key(
        "paper",
        "which gateway stands behind the venue port",
        choices=("paper", "backtest", "dry-run", "live"),
    )
    seed: int = key(1, "seed of the synthetic feed and of the simulated venue", 0, 2**63 - 1)
    db: str = key("holdfast.db", "path of the database")
    turn_messages_max: int = key(256, "messages that one turn drains at most", 1, 65_536)
    turns_in_flight_max: int = key(4, "turns that may wait for their commit", 1, 64)
    shutdown_deadline_s: float = key(10.0, "time that a clean shutdown may take", "0.1", 600)

    @property
    def trading_mode(self) -> TradingMode:
        """The mode as records carry it."""
        return TradingMode(self.mode.upper().replace("-", "_"))


@frozen(kw_only=True)
class LanesConfig:
    """Bounds of the inbox lanes (L9)."""

    control_max: int = key(1_000, "operator commands waiting at most", 1, 1_000_000)
    facts_max: int = key(
        100_000, "venue facts waiting before the socket reader is paused", 1, 10_000_000
    )
    market_max: int = key(100_000, "ticks waiting before the oldest are shed", 1, 10_000_000)


@frozen(kw_only=True)
class OrdersConfig:
    """Deadlines of an order's requests."""

    submit_timeout_s: float = key(
        5.0, "a submit without an answer is UNKNOWN after this (L4)", "0.01", 600
    )
    cancel_timeout_s: float = key(
        5.0, "a cancel without an answer is asked about after this", "0.01", 600
    )
    exit_query_interval_s: float = key(
        1.0, "how often an exit that is UNKNOWN is asked for", "0.05", 60
    )
    unresolved_retry_s: float = key(
        30.0, "how long a fact without a match is tried again", 0, 3_600
    )
    exit_reprice_after_s: float = key(
        3.0, "an exit that rests unfilled is made marketable after this", "0.05", 3_600
    )
    exit_attempts_max: int = key(
        5, "failed exits before DEGRADED and an alert; the exit is still retried", 1, 1_000
    )


@frozen(kw_only=True)
class ReconcilerConfig:
    """How the books are held against the venue."""

    open_orders_interval_s: float = key(5.0, "between passes over open orders", "0.1", 3_600)
    balances_interval_s: float = key(
        60.0, "between passes over balances and positions", "0.1", _DAY_S
    )
    age_threshold_s: float = key(
        300.0, "an order that vanished younger than this is asked about again", 0, _DAY_S
    )
    fills_overlap_s: float = key(60.0, "how far a fills query reaches back", 0, _DAY_S)
    backoff_max_s: float = key(30.0, "longest pause after failed queries", "0.1", 3_600)
    queries_per_pass_max: int = key(
        50, "missing orders that one pass asks for at most, longest unasked first", 1, 10_000
    )
    assume_fill_when_young: bool = key(
        False, "whether an order that vanished while young is booked as an inferred fill"
    )
    cancel_external: bool = key(False, "whether orders that are not ours are cancelled")
    truth_tolerance_abs: Decimal = key(
        Decimal("0.0001"), "difference of a balance that is still rounding, units", 0, 10**9
    )
    truth_tolerance_bps: Decimal = key(
        Decimal(5), "the same in basis points of the balance; the larger one holds", 0, 10_000
    )
    truth_tolerances: Mapping[str, Decimal] = key(
        {}, "tolerance of single assets instead, units: { XRP = 0.01 }"
    )
    truth_halt_after_s: float = key(
        300.0, "how long books may differ from the wallet before HALTED", "0.1", _DAY_S
    )


@frozen(kw_only=True)
class LedgerConfig:
    """How our arithmetic is held against the venue's own figures."""

    pnl_tolerance: Decimal = key(
        Decimal("0.02"),
        "by how much a trade's realized PnL may differ from the venue's, quote units",
        0,
        10**9,
    )
    pnl_tolerance_bps: Decimal = key(
        Decimal(1),
        "the same in basis points of what the trade was worth; the larger one holds",
        0,
        10_000,
    )


@frozen(kw_only=True)
class VenueConfig:
    """The venue gateway; `sim` is the simulated venue."""

    max_in_flight_s: float = key(
        60.0, "a request older than this cannot reach the book any more", "0.1", 3_600
    )
    latency_ms: int = key(20, "simulated one-way latency", 0, 60_000)
    latency_jitter_ms: int = key(10, "random part on top of the latency", 0, 60_000)
    maker_fee_bps: Decimal = key(
        Decimal(1), "fee for resting liquidity; negative is a rebate", -100, 1_000
    )
    taker_fee_bps: Decimal = key(Decimal(5), "fee for taking liquidity", -100, 1_000)
    socket: str = key(
        "", "unix socket of a venue that runs as its own process; empty: in this process"
    )
    truth: str = key("", "path of the venue's own file; empty: beside the database")
    opening_balance: Decimal = key(
        Decimal(1_000), "what the simulated account opens with, of each quote asset", 0, 10**12
    )


@frozen(kw_only=True)
class RiskConfig:
    """The risk door in front of every order; in force without any configuration."""

    max_position_usd: Decimal = key(Decimal(5), "largest position, quote units", 0, 10**9)
    max_session_loss: Decimal = key(
        Decimal(20), "loss of a session that blocks entries, quote units", 0, 10**9
    )
    daily_drawdown: Decimal = key(
        Decimal(20), "drawdown of a UTC day that blocks entries, quote units", 0, 10**9
    )
    stop_pct: Decimal | None = key(
        Decimal(15), 'stop below (above) the entry, percent; "none" for no stop', "0.01", 100
    )
    target_pct: Decimal | None = key(
        Decimal(20), 'take profit from the entry, percent; "none" for no target', "0.01", 10_000
    )
    orders_per_minute_max: int = key(
        120, "orders a minute; exits and cancels are exempt", 1, 1_000_000
    )
    price_sanity_pct: Decimal = key(
        Decimal(5), "how far a limit price may lie beyond the book, percent", "0.01", 100
    )
    allowed_instruments: tuple[str, ...] = key((), "instruments that may trade; empty: every one")
    allowed_strategies: tuple[str, ...] = key((), "strategies that may trade; empty: every one")


@frozen(kw_only=True)
class SizerConfig:
    """Leverage of entries on margin, from conviction (size x entry / capital) and past trades."""

    enabled: bool = key(
        False, "whether the sizer gives leverage; off: what the instrument allows at most"
    )
    leverage_max: Decimal = key(
        Decimal(1_000),
        "most leverage that it gives; the instrument's own limit holds too",
        1,
        1_000,
    )
    streak_multipliers: Mapping[str, Decimal] = key(
        {}, 'on conviction, by wins or losses in a row: { "3" = 1.2, "-2" = 0.5 }', "0.01", 100
    )
    bucket_multipliers: Mapping[str, Decimal] = key(
        {}, 'on conviction, from this conviction on: { "2" = 0.9, "5" = 0.7 }', "0.01", 100
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """Rows of the tables that mean nothing: the dotted key, and what is wrong with it."""
        for run in self.streak_multipliers:
            if run.removeprefix("-") not in map(str, range(1, STREAK_MAX + 1)):
                runs = f"1 to {STREAK_MAX} wins, or -1 to -{STREAK_MAX} losses"
                yield "sizer.streak_multipliers", f"{run!r} is no run of trades: {runs}"
        for least in self.bucket_multipliers:
            try:
                number = decimal_from(least)
                readable = number > 0 and plain(number) == least
            except ValueError:
                readable = False
            if not readable:
                yield "sizer.bucket_multipliers", f"{least!r} is no plain number above 0"


@frozen(kw_only=True)
class JournalConfig:
    """The journal and its projections."""

    ballast_mb: int = key(
        8, "preallocated file that is released when the disk is full, MiB", 0, 10_000
    )
    projection_batch_max: int = key(
        2_000, "events that one projection transaction applies", 1, 1_000_000
    )
    head_interval_s: float = key(1.0, "between fsyncs of the head file", "0.01", 60)
    stall_s: float = key(
        30.0, "without a commit before the writer is ended and the journal has failed", 1, 3_600
    )
    snapshot_events: int = key(
        100_000, "events after which a snapshot for the next start is made; 0: never", 0, 10**9
    )


@frozen(kw_only=True)
class BackupConfig:
    """Backups on a schedule, while the service runs."""

    folder: str = key("", "where backups lie; empty: beside the database, NAME.backups")
    interval_s: float = key(21_600.0, "between backups; 0: none is made", 0, 31 * _DAY_S)
    keep: int = key(14, "newest backups that are kept", 1, 100_000)
    keep_days: int = key(7, "days of which the last backup is kept besides", 0, 100_000)


@frozen(kw_only=True)
class FeedConfig:
    """Market data."""

    stale_after_s: float = key(
        5.0, "no tick for this long blocks the instrument's entries", "0.05", 3_600
    )
    gap_s: float = key(5.0, "a pause longer than this is recorded as a gap", "0.05", 3_600)


@frozen(kw_only=True)
class RecorderConfig:
    """The recorder of market data."""

    enabled: bool = key(True, "whether every tick and trade that arrives is recorded")
    folder: str = key("", "where recordings lie; empty: beside the database, NAME.ticks")
    total_mb_max: int = key(
        1_024, "all recordings together, MiB; beyond it the oldest file is deleted", 1, 10_000_000
    )
    file_mb_max: int = key(
        32, "a file of this size is completed and the next one begun, MiB", 1, 1_000_000
    )
    file_s_max: float = key(3_600.0, "and one of this age", 1, 31 * _DAY_S)
    flush_s: float = key(
        1.0, "between writes to disk: a kill costs what came since the last", "0.01", 60
    )
    queue_max: int = key(
        50_000, "rows waiting for the disk before new ones are counted as lost", 2, 10_000_000
    )
    window_s: int = key(60, "length of a window of the completeness figures", 1, _DAY_S)
    free_mb_min: int = key(
        256, "free space on the disk that the recorder leaves to the journal, MiB", 0, 10_000_000
    )


@frozen(kw_only=True)
class SupervisionConfig:
    """Restarts of service actors."""

    restarts_max: int = key(5, "restarts within the window before a child stays down", 0, 1_000)
    restart_window_s: float = key(30.0, "window of the restart intensity", "0.1", 3_600)
    backoff_initial_s: float = key(0.1, "pause before the first restart", 0, 60)
    backoff_max_s: float = key(5.0, "longest pause before a restart", 0, 3_600)


@frozen(kw_only=True)
class StrategyConfig:
    """One strategy of `[strategies.NAME]`; every other key is a parameter of its own class."""

    instrument: str = key(attrs.NOTHING, "the instrument that it trades")
    enabled: bool = key(True, "whether it runs")
    params: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class InstrumentConfig:
    """One instrument of `[instruments."BASE/QUOTE"]`."""

    base: str = key(attrs.NOTHING, "asset that is bought and sold")
    quote: str = key(attrs.NOTHING, "asset that it is priced in")
    kind: str = key("spot", "market kind", choices=tuple(InstrumentKind), refused=REFUSED_KINDS)
    price_tick: Decimal = key(Decimal("0.0001"), "price increment, quote units", 0, 10**9)
    qty_step: Decimal = key(Decimal("0.0001"), "quantity increment, base units", 0, 10**9)
    min_qty: Decimal = key(Decimal(0), "smallest order, base units", 0, 10**9)
    min_notional: Decimal = key(Decimal(0), "smallest order value, quote units", 0, 10**9)
    max_leverage: Decimal = key(Decimal(1), "most leverage that an entry may ask for", 1, 1_000)
    aliases: tuple[str, ...] = key((), "other spellings of the symbol in feeds and files")

    def to_instrument(self, name: str) -> Instrument:
        """The value that the machines and the ledger work with."""
        values = attrs.asdict(self, recurse=False) | {"kind": InstrumentKind(self.kind)}
        return Instrument(name=name, **values)


@frozen
class Setting:
    """A value as it was given, and by whom. `text`: given as text (environment, flags)."""

    value: Any
    source: str
    text: bool = False


KeyPath = tuple[str, ...]
Settings = Mapping[KeyPath, Setting]


@frozen(kw_only=True)
class Config:
    """Everything that is configured. `settings` keeps what was given, for `effective`."""

    engine: EngineConfig = field(factory=EngineConfig)
    lanes: LanesConfig = field(factory=LanesConfig)
    orders: OrdersConfig = field(factory=OrdersConfig)
    reconciler: ReconcilerConfig = field(factory=ReconcilerConfig)
    ledger: LedgerConfig = field(factory=LedgerConfig)
    venue: VenueConfig = field(factory=VenueConfig)
    risk: RiskConfig = field(factory=RiskConfig)
    sizer: SizerConfig = field(factory=SizerConfig)
    journal: JournalConfig = field(factory=JournalConfig)
    backup: BackupConfig = field(factory=BackupConfig)
    feed: FeedConfig = field(factory=FeedConfig)
    recorder: RecorderConfig = field(factory=RecorderConfig)
    supervision: SupervisionConfig = field(factory=SupervisionConfig)
    guards: GuardsConfig = field(factory=GuardsConfig)
    strategies: Mapping[str, StrategyConfig] = field(factory=dict)
    instruments: Mapping[str, InstrumentConfig] = field(factory=dict)
    settings: Settings = field(factory=dict, repr=False, eq=False)
