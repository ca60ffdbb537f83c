"""What an actor may read while it decides: published state, the time, the rules. Never changed
from inside a decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from actors.entities.sizer import ConvictionSizer, SizeDecision, SizeRequest, SizerSettings
from actors.runtime.ids import IdSource
from fsm.events import Event
from fsm.facts import OrderFill
from fsm.instrument import Instrument
from fsm.market import Tick
from fsm.mode import ControlLevel, ModeState, Permission, permitted
from fsm.money import ZERO
from fsm.order import TERMINAL, OrderState
from fsm.timestamps import SECOND_US
from fsm.vocabulary import OrderRole, TradingMode
from storage.account_view import AccountView
from storage.ledger import Ledger

if TYPE_CHECKING:
    from actors.entities.order import Order
    from actors.entities.position import Position


@frozen(slots=True, kw_only=True)
class Rules:
    """The configured numbers that decisions use, in the core's units (microseconds, Decimals)."""

    submit_timeout_us: int = 5 * SECOND_US
    cancel_timeout_us: int = 5 * SECOND_US
    exit_query_interval_us: int = SECOND_US
    unresolved_retry_us: int = 30 * SECOND_US
    exit_reprice_after_us: int = 3 * SECOND_US
    exit_attempts_max: int = 5
    open_orders_interval_us: int = 5 * SECOND_US
    balances_interval_us: int = 60 * SECOND_US
    age_threshold_us: int = 300 * SECOND_US
    fills_overlap_us: int = 60 * SECOND_US
    backoff_max_us: int = 30 * SECOND_US
    max_in_flight_us: int = 60 * SECOND_US
    query_timeout_us: int = 5 * SECOND_US
    queries_per_pass_max: int = 50
    assume_fill_when_young: bool = False
    cancel_external: bool = False
    truth_tolerance_abs: Decimal = Decimal("0.0001")
    truth_tolerance_bps: Decimal = Decimal(5)
    truth_tolerances: Mapping[str, Decimal] = field(factory=dict)
    pnl_tolerance: Decimal = Decimal("0.02")
    pnl_tolerance_bps: Decimal = Decimal(1)
    truth_halt_after_us: int = 300 * SECOND_US
    max_position_usd: Decimal | None = Decimal(5)
    max_session_loss: Decimal | None = Decimal(20)
    daily_drawdown: Decimal | None = Decimal(20)
    stop_pct: Decimal | None = Decimal(15)
    target_pct: Decimal | None = Decimal(20)
    orders_per_minute_max: int | None = 120
    price_sanity_pct: Decimal | None = Decimal(5)
    stale_after_us: int = 5 * SECOND_US
    allowed_instruments: frozenset[str] = frozenset()
    allowed_strategies: frozenset[str] = frozenset()
    episodes_max: int = 3
    guard_interval_us: int = 4 * SECOND_US
    sizer: SizerSettings | None = None
    """How the sizer gives leverage; None: an entry may use what its instrument allows."""
    wallet_truth_degrades: bool = True
    """Whether a difference that the reconciler finds in a running session degrades."""
    guards: Mapping[str, Any] = field(factory=dict)
    """The settings of the guards that are on, by name (`actors.guards.settings`)."""


@define(slots=True)
class MarketView:
    """One instrument's last quote and counters."""

    tick: Tick | None = None
    ticks: int = 0
    trades: int = 0
    gaps: int = 0
    out_of_order: int = 0
    duplicates: int = 0
    seen_at_us: int = 0


@define(slots=True)
class Session:
    """Which session we are, and what it may say of itself."""

    session_id: str = ""
    mode: TradingMode = TradingMode.PAPER
    venue: str = "sim"
    holder: str = ""
    started_at_us: int = 0


@define(slots=True, kw_only=True)
class World:
    """The view that is handed to every decision."""

    rules: Rules
    ids: IdSource
    ledger: Ledger = field(factory=Ledger)
    session: Session = field(factory=Session)
    instruments: dict[str, Instrument] = field(factory=dict)
    markets: dict[str, MarketView] = field(factory=dict)
    sizer: ConvictionSizer = field(init=False)
    """Gives leverage to entries, and learns from every trade also while it is off."""
    orders: dict[str, Order] = field(factory=dict)
    positions: dict[str, Position] = field(factory=dict)
    mode: ModeState = ModeState.STARTING
    sources: frozenset[str] = frozenset()
    """Who keeps the system DEGRADED."""
    episodes: Mapping[str, int] = field(factory=dict)
    """How often each source that spends episodes has entered DEGRADED in this session."""
    halt_reason: str | None = None
    """Why the system is HALTED, or will be behind the start's gate."""
    quarantined: Mapping[str, object] = field(factory=dict)
    """Actors that raised and have not been folded again, by their address."""
    control: ControlLevel = ControlLevel.OFF
    journal_ok: bool = True
    now_us: int = 0
    seq: int = 0
    disabled_strategies: set[str] = field(factory=set)
    """Strategies that failed in this run."""
    strategies_off: Mapping[str, str] = field(factory=dict)
    """Strategies that a guard has switched off, and why; folded."""
    strategy_pnl: dict[str, Decimal] = field(factory=dict)
    """Realized PnL of this session net of fees, by strategy; quote units."""
    quoted: dict[str, None] = field(factory=dict)
    """Instruments on which a quote of ours was placed in this session."""
    day_start_pnl: Callable[[], Decimal] = lambda: ZERO
    """Realized PnL net of fees at the beginning of this UTC day."""
    is_connected: Callable[[], bool] = lambda: True
    """Whether the venue's stream is open."""
    log_counts: dict[str, int] = field(factory=dict)
    find_by_venue_id: Callable[[str], str | None] = lambda venue_order_id: None
    find_order: Callable[[str], Order | None] = lambda client_order_id: None
    find_position: Callable[[str], Position | None] = lambda position_id: None
    open_of_strategy: dict[tuple[str, str], int] = field(factory=dict)
    """(strategy, instrument) -> how many of its positions are open."""
    order_exists: Callable[[str], bool] = lambda client_order_id: False
    is_booked: Callable[[OrderFill], bool] = lambda fill: False
    """Whether a fill that a pass fetched again is in the books as it is; such are counted."""
    unexplained_fill: Callable[[Order, int], OrderFill | None] = lambda order, since_us: None
    """A fill that no known order explains, and that may be this order's since then."""
    owner_of_trade: Callable[[str, str], str | None] = lambda instrument, trade_id: None
    """Which order has booked a trade of an instrument, if any."""
    is_recorded: Callable[[str], bool] = lambda key: False
    """Whether something was journaled under this dedup key."""
    account: AccountView = field(factory=lambda: Ledger().view())
    """The account as published: what reports and strategies see, as of durable state. Decisions of
    the core look at `ledger`: they must not depend on how fast a commit is (L10)."""
    recorded_event: Callable[[str], Event | None] = lambda key: None
    """What was journaled under this dedup key."""
    money_version: int = 0
    by_instrument: dict[str, dict[str, None]] = field(factory=dict)

    def is_off(self, strategy: str) -> bool:
        """A strategy that may not open anything: it failed, or a guard switched it off."""
        return strategy in self.disabled_strategies or strategy in self.strategies_off

    def __attrs_post_init__(self) -> None:
        self.sizer = ConvictionSizer(self.rules.sizer or SizerSettings())

    def sized(
        self, strategy: str, spec: Instrument, qty: Decimal, price: Decimal
    ) -> SizeDecision | None:
        """What the sizer gives an entry, at the capital before it; None where it is off, the
        instrument takes no margin, or the sizer cannot say."""
        if self.rules.sizer is None or not spec.is_margined:
            return None
        request = SizeRequest(
            strategy=strategy, qty=qty, entry_price=price, leverage_max=spec.max_leverage
        )
        return self.sizer.size(request, self.ledger.capital)

    def open_positions(self, instrument: str) -> list[Position]:
        """Positions of an instrument that are in memory, ended ones on their way out included."""
        return [self.positions[p] for p in self.by_instrument.get(instrument, ())]

    def client_order_id(self, venue_order_id: str) -> str | None:
        """Whose order the venue means, by the identity index."""
        return self.find_by_venue_id(venue_order_id)

    def is_ours(self, client_order_id: str) -> bool:
        """Whether an intent of ours stands behind this id, in memory or in the journal."""
        return client_order_id in self.orders or self.order_exists(client_order_id)

    def is_ended(self, client_order_id: str) -> bool:
        """An order of ours that is terminal, or has left memory because it was."""
        order = self.orders.get(client_order_id)
        return order.state in TERMINAL if order else self.order_exists(client_order_id)

    def market_seen(self) -> int:
        """Quotes and public trades taken in during this run, over all instruments."""
        return sum(view.ticks + view.trades for view in self.markets.values())

    def ledger_version(self) -> int:
        """Moves with every event that moves money, so that a comparison can tell a race."""
        return self.money_version

    def count_log(self, token: str) -> None:
        """Count a log token that a person may search for."""
        self.log_counts[token] = self.log_counts.get(token, 0) + 1

    def permitted(self, what: Permission) -> bool:
        """Whether mode and control level let this leave for the venue. A mode that raised may have
        missed a trip: it lets nothing be opened (L8)."""
        if what is Permission.ENTRY and "mode" in self.quarantined:
            return False
        return permitted(self.mode, self.control, what, journal_ok=self.journal_ok)

    def quote(self, instrument: str) -> Tick | None:
        """The last quote of an instrument, or None before the first."""
        view = self.markets.get(instrument)
        return view.tick if view else None

    def unknown_orders(self, instrument: str) -> int:
        """Orders on this instrument whose fate is open: no re-entry while there are any."""
        doubtful = (OrderState.UNKNOWN, OrderState.HELD_FOR_REVIEW)
        return sum(
            1 for o in self.orders.values() if o.instrument == instrument and o.state in doubtful
        )

    def live_orders(self) -> list[Order]:
        """All orders of ours that are not terminal, oldest first; those that somebody else placed
        are not waited for, swept or counted."""
        return [
            order
            for order in self.orders.values()
            if order.state not in TERMINAL and order.role is not OrderRole.EXTERNAL
        ]
