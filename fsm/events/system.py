"""What happened to sessions, the account, the mode, the feeds and the engine itself."""

from __future__ import annotations

from decimal import Decimal

from attrs import field, frozen

from fsm.figures import SessionFigures
from fsm.instrument import Instrument
from fsm.mode import ControlLevel, ModeState
from fsm.vocabulary import (
    TradingMode,
)


@frozen(slots=True, kw_only=True)
class SessionStarted:
    """A holder began to work on the account. `recovery` is True after an unclean end.

    `previous` are the figures of the session before, where that one could not tell them: it was
    killed.
    """

    session_id: str
    mode: TradingMode
    venue: str
    holder: str
    recovery: bool
    started_at_us: int
    version: str
    seed: int | None = None
    instruments: tuple[Instrument, ...] = ()
    strategies: tuple[str, ...] = ()
    previous: SessionFigures | None = None

    @property
    def stream(self) -> str:
        return f"session/{self.session_id}"


@frozen(slots=True, kw_only=True)
class SessionEnded:
    """The session's end, written once; `halt_reason` is the first precise cause (N01, N10).

    `truth` is what its last comparison with the venue found: ok, warn, halt or unverified.
    `figures` are what it earned, as the ledger has it at the end.
    """

    session_id: str
    halt_reason: str
    clean: bool
    ended_at_us: int
    ticks: int = 0
    truth: str = "unverified"
    figures: SessionFigures | None = None

    @property
    def stream(self) -> str:
        return f"session/{self.session_id}"


@frozen(slots=True, kw_only=True)
class CapitalRecorded:
    """Capital that came or went by itself: the opening balance is one such event (X12).

    `kind` is a `CapitalKind`; `amount` of `asset` is positive when it comes and negative when it
    goes. `price` is in account quote units for an asset that is not a quote asset; None where it is
    one, and for an opening balance of unknown worth. `value` is what that is in quote units,
    `basis_delta` what it adds to the denominator of every performance figure; both were decided
    by the figures before the event (`equity_before`, `net_basis_before`). `prices` are those of an
    initial basis, by asset. `ref` names the transfer at the venue: each is booked once.
    """

    kind: str
    asset: str
    amount: Decimal
    price: Decimal | None = None
    source_note: str = ""
    value: Decimal | None = None
    basis_delta: Decimal | None = None
    equity_before: Decimal | None = None
    net_basis_before: Decimal | None = None
    prices: dict[str, Decimal] = field(factory=dict)
    ref: str = ""
    who: str = ""
    why: str = ""

    @property
    def stream(self) -> str:
        return "account"


@frozen(slots=True, kw_only=True)
class ConversionBooked:
    """One asset turned into another at the venue, outside of any order: one event, two legs.

    Both amounts are positive. `realized` is what it brought against the average cost of what was
    given away, quote units; 0 where quote was given, or where no cost is known.
    """

    from_asset: str
    from_amount: Decimal
    to_asset: str
    to_amount: Decimal
    realized: Decimal
    ref: str
    who: str = ""
    why: str = ""

    @property
    def stream(self) -> str:
        return "account"


@frozen(slots=True, kw_only=True)
class CapitalAnchored:
    """The capital figure snapped to a margin wallet as the venue told it.

    `drift` is the wallet less the fold of the facts: 0 where both agree, and nobody's profit where
    they do not. `venue_us`: facts of an earlier time are in the wallet already.
    """

    asset: str
    wallet: Decimal
    drift: Decimal
    venue_us: int
    origin: str

    @property
    def stream(self) -> str:
        return "account"


@frozen(slots=True, kw_only=True)
class FundingBooked:
    """One funding payment, once (X11, X27). `amount` is positive when received."""

    instrument: str
    asset: str
    amount: Decimal
    funding_id: str
    venue_us: int = 0

    @property
    def stream(self) -> str:
        return "account"


@frozen(slots=True, kw_only=True)
class AccountSnapshotTaken:
    """The account as published after a position closed or a session ended."""

    session_id: str
    reason: str
    capital: Decimal
    capital_source: str
    realized_pnl: Decimal
    fees_paid: Decimal
    balances: dict[str, Decimal]
    reserved: dict[str, Decimal]
    capital_seq: int = 0
    net_basis: Decimal = Decimal(0)
    funding: Decimal = Decimal(0)
    net_pnl: Decimal = Decimal(0)
    slippage_quote: Decimal = Decimal(0)
    realized_provisional: Decimal = Decimal(0)

    @property
    def stream(self) -> str:
        return "account"


@frozen(slots=True, kw_only=True)
class ModeMoved:
    """A step of the system mode. `sources` is the whole set after the step."""

    trigger: str
    state: ModeState
    source: str = ""
    condition: str = ""
    reason: str = ""
    sources: tuple[str, ...] = ()
    by_guard: bool = False
    """A guard asked for it: the trip has an event of its own."""

    @property
    def stream(self) -> str:
        return "mode"


ContextValue = str | int | tuple[str, ...]


@frozen(slots=True, kw_only=True)
class GuardTripped:
    """A guard's condition held: why, and what it saw. Its latch is set until it is cleared.

    `breaker` names guard and condition (`directional_drift_guard_A`); `action` is degrade, idle,
    halt or strategy_off (the context names it). `cooldown_us`: recovery is not looked at before.
    `manual_reset`: only a person clears it.
    """

    guard: str
    breaker: str
    condition: str
    action: str
    cooldown_us: int
    manual_reset: bool
    context: dict[str, ContextValue]

    @property
    def stream(self) -> str:
        return f"guard/{self.guard}"


@frozen(slots=True, kw_only=True)
class GuardCleared:
    """A guard's latch is open again: `how` is its own recovery test, or a person (`operator`).

    `acknowledged`: figures that the person took note of, and from which the guard goes on.
    """

    guard: str
    how: str
    detail: str = ""
    acknowledged: dict[str, str] = field(factory=dict)

    @property
    def stream(self) -> str:
        return f"guard/{self.guard}"


@frozen(slots=True, kw_only=True)
class ControlMoved:
    """The operator moved the kill switch."""

    level: ControlLevel
    previous: ControlLevel
    who: str
    why: str

    @property
    def stream(self) -> str:
        return "mode"


@frozen(slots=True, kw_only=True)
class BooksCompared:
    """One comparison with the venue: `ok`, `warn`, `halt`, or `unverified` with the reason.

    `accepted`: the operator accepted these deltas at this start; in this session only a change
    counts again. `opened_us`: when the opening balances were adopted.
    """

    status: str
    deltas: dict[str, str]
    detail: str = ""
    accepted: bool = False
    opened_us: int | None = None

    @property
    def stream(self) -> str:
        return "reconciler"


@frozen(slots=True, kw_only=True)
class WatermarkMoved:
    """Fills up to here are booked; moves in the transaction that books the last page."""

    instrument: str
    venue_us: int

    @property
    def stream(self) -> str:
        return "reconciler"


@frozen(slots=True, kw_only=True)
class AnomalyRecorded:
    """Something that should not be, with what was seen and what was done about it."""

    kind: str
    seen: str
    done: str
    client_order_id: str | None = None
    position_id: str | None = None

    @property
    def stream(self) -> str:
        return "reconciler"


@frozen(slots=True, kw_only=True)
class FactUnresolved:
    """A venue fact that matches nothing: it changes nothing and is kept (P04).

    `payload` is the fact as JSON; `key` is the same at each telling of it.
    """

    fact: str
    payload: str
    reason: str
    key: str = ""

    @property
    def stream(self) -> str:
        return "reconciler"


@frozen(slots=True, kw_only=True)
class FactResolved:
    """What became of an unresolved fact: whose it is (`order/ID`, `position/ID`), or dismissed.

    `fact_seq` is the seq of its FactUnresolved. `who` and `why` where a person said so.
    """

    fact_seq: int
    resolved_as: str
    who: str = ""
    why: str = ""

    @property
    def stream(self) -> str:
        return "reconciler"


@frozen(slots=True, kw_only=True)
class MessageUnprocessed:
    """An actor raised: its state is untouched, the raw message is kept, it is quarantined."""

    actor: str
    message: str
    payload: str
    error: str

    @property
    def stream(self) -> str:
        return "system"


@frozen(slots=True, kw_only=True)
class ActorRestored:
    """A quarantined actor was folded again from the journal and took its messages."""

    actor: str

    @property
    def stream(self) -> str:
        return "system"


@frozen(slots=True, kw_only=True)
class FeedGapRecorded:
    """Market data is missing between two event times, or was shed (`reason`, `lost`).

    `grown`: the gap that was told before from this same time, and goes on up to here.
    """

    instrument: str
    from_us: int
    to_us: int
    reason: str
    lost: int = 0
    grown: bool = False

    @property
    def stream(self) -> str:
        return f"feed/{self.instrument}"


@frozen(slots=True, kw_only=True)
class AlertRaised:
    """Something a person should hear of. `token` is what a person searches for."""

    severity: str
    token: str
    text: str

    @property
    def stream(self) -> str:
        return "system"
