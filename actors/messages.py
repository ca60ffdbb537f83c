"""Messages between actors, timers and the edges. Commands ask, facts happened, reports inform.

Venue facts and market data are messages as they are (`fsm.facts`, `fsm.market`); here is the rest.
Everything is frozen and plain, so that a message which an actor could not process can be journaled
and given to it again.
"""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from actors.account_messages import BookCapital as BookCapital
from actors.account_messages import BookConversion as BookConversion
from actors.account_messages import WalletSeen as WalletSeen
from actors.guards.messages import AtGate as AtGate
from actors.guards.messages import ForGuards as ForGuards
from actors.guards.messages import GuardTick as GuardTick
from actors.guards.messages import HealthReport as HealthReport
from actors.guards.messages import PassEnded as PassEnded
from actors.guards.messages import ResetGuard as ResetGuard
from actors.mode_messages import SWEEP_CHUNK as SWEEP_CHUNK
from actors.mode_messages import BooksMatch as BooksMatch
from actors.mode_messages import Degrade as Degrade
from actors.mode_messages import Divergence as Divergence
from actors.mode_messages import Halt as Halt
from actors.mode_messages import Recover as Recover
from actors.mode_messages import Regime as Regime
from actors.mode_messages import Resume as Resume
from actors.mode_messages import SetControl as SetControl
from actors.mode_messages import StopSession as StopSession
from actors.mode_messages import Sweep as Sweep
from actors.mode_messages import WithdrawLeft as WithdrawLeft
from actors.settlement_messages import ClosedAtVenue as ClosedAtVenue
from actors.settlement_messages import ClosureSettled as ClosureSettled
from actors.settlement_messages import ResolvedForPosition as ResolvedForPosition
from actors.settlement_messages import SettleLate as SettleLate
from actors.strategies.base import Signal
from fsm.events import (
    OrderFilled,
    OrderFillSettled,
    OrderFillVoided,
    SignalRaised,
)
from fsm.facts import OrderFill, VenueOrder
from fsm.instrument import Instrument
from fsm.vocabulary import (
    ExitReason,
    HeldOutcome,
    OrderRole,
    OrderType,
    Side,
    TimeInForce,
    TradingMode,
)

# ------------------------------------------------------------------------------- local to orders


@frozen(slots=True)
class SentOut:
    """The gateway was given the submit: the request is on its way."""

    client_order_id: str


@frozen(slots=True)
class NeverSent:
    """The re-check at release stopped the submit."""

    client_order_id: str
    reason: str


@frozen(slots=True)
class SubmitTimedOut:
    """No answer to the submit within `orders.submit_timeout_s`."""

    client_order_id: str


@frozen(slots=True)
class CancelTimedOut:
    """No answer to the cancel within `orders.cancel_timeout_s`."""

    client_order_id: str


@frozen(slots=True)
class FoundOpen:
    """A query found the order on the venue's book."""

    client_order_id: str
    order: VenueOrder


@frozen(slots=True)
class NamedByVenue:
    """A query told the venue's id of an order that the venue has had, and that is over there."""

    client_order_id: str
    venue_order_id: str


@frozen(slots=True)
class Claimed:
    """What was adopted as external is the order of ours that this venue id was told for."""

    client_order_id: str
    claimed_by: str


@frozen(slots=True)
class Disappeared:
    """The venue no longer lists an order that the books show as working."""

    client_order_id: str
    reason: str


@frozen(slots=True)
class NeverArrived:
    """Absence with proof: the order never reached the venue."""

    client_order_id: str
    proof: str


@frozen(slots=True)
class AssumeFilled:
    """By policy: the venue tells no fills, and what vanished while young was filled (inferred)."""

    client_order_id: str
    reason: str


@frozen(slots=True)
class HoldOrder:
    """Evidence stays inconclusive: a person has to look."""

    client_order_id: str
    reason: str


# ------------------------------------------------------------------------------------- commands


@frozen(slots=True, kw_only=True)
class PlaceOrder:
    """Place exactly this order (scenario scripts, operators); bypasses strategies and the door."""

    client_order_id: str
    role: OrderRole
    instrument: str
    side: Side
    qty: Decimal
    type: OrderType
    limit_price: Decimal | None = None
    position_id: str | None = None
    leverage: Decimal = Decimal(1)
    reduce_only: bool = False
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    strategy: str | None = None
    stop: Decimal | None = None
    take_profit: Decimal | None = None
    trailing: Decimal | None = None
    expires_in_us: int | None = None


@frozen(slots=True, kw_only=True)
class PlaceExit:
    """Place an exit of exactly this shape for a position (scenario scripts, operators)."""

    position_id: str
    client_order_id: str
    type: OrderType
    qty: Decimal
    limit_price: Decimal | None = None


@frozen(slots=True)
class CancelOrder:
    """Take an order off the venue. `by_engine` marks it CANCELLED_BY_ENGINE first (N17)."""

    client_order_id: str
    reason: str
    by_engine: bool = False


@frozen(slots=True, kw_only=True)
class ResolveHeld:
    """A person says what became of an order that is held, and how they know."""

    client_order_id: str
    outcome: HeldOutcome
    evidence: str
    who: str
    trades: tuple[OrderFill, ...] = ()
    """The venue's trades that the person names."""


@frozen(slots=True, kw_only=True)
class AttributeFact:
    """A person says whose an unresolved fact is; without an order it is dismissed."""

    seq: int
    client_order_id: str | None
    who: str
    why: str


@frozen(slots=True)
class RequestExit:
    """A wish to leave a position; all wishes meet in its one exit decision (L6)."""

    position_id: str
    reason: ExitReason
    note: str = ""


# ------------------------------------------------------------------------------ to the position


@frozen(slots=True)
class FillForPosition:
    """An order of this position was filled."""

    position_id: str
    fill: OrderFilled


@frozen(slots=True)
class VoidForPosition:
    """A fill of this position was taken back."""

    position_id: str
    void: OrderFillVoided


@frozen(slots=True)
class ReplacedForPosition:
    """Evidence took the place of fills that were only inferred, or had no name: voids and fills
    are one change, and nothing follows from the quantities in between (X06)."""

    position_id: str
    voids: tuple[OrderFillVoided, ...]
    fills: tuple[OrderFilled, ...]


@frozen(slots=True)
class GoneAtVenue:
    """The venue has less of this position than the books, and refuses its exits (X17)."""

    position_id: str
    qty: Decimal
    seen: str


@frozen(slots=True)
class SettlementForPosition:
    """The venue stated the final figures of a fill."""

    position_id: str
    settlement: OrderFillSettled


@frozen(slots=True)
class OrderEnded:
    """An order of this position reached a terminal state."""

    position_id: str
    client_order_id: str
    role: OrderRole
    filled_qty: Decimal
    ended_as: str


@frozen(slots=True)
class EntriesCancelled:
    """The engine took the position's entries back."""

    position_id: str
    reason: str


@frozen(slots=True)
class ExitCheck:
    """Time to look at a pending exit: the ladder's clock."""

    position_id: str
    rung: int


@frozen(slots=True)
class ExpiryDue:
    """The position's time is over."""

    position_id: str


@frozen(slots=True)
class PriceCrossed:
    """A tick crossed one of the position's watched levels."""

    position_id: str
    bid: Decimal | None
    ask: Decimal | None
    event_us: int


# --------------------------------------------------------------------------------- to the rest


@frozen(slots=True)
class RaiseSignal:
    """A strategy of this name wants this, now (scenario scripts)."""

    signal: Signal
    strategy: str
    instrument: str


@frozen(slots=True)
class SignalForDoor:
    """A recorded signal waits for the door's decision."""

    signal: SignalRaised


@frozen(slots=True)
class PassDue:
    """Time for a reconciliation pass. `scope`: orders, books, start, reconnect, demand."""

    scope: str


@frozen(slots=True)
class SnapshotAccount:
    """For the account: publish a snapshot for this reason."""

    reason: str


@frozen(slots=True)
class LookUp:
    """Ask the venue for one order now. `race`: its cancel met something that came first."""

    client_order_id: str
    reason: str
    race: bool = False


@frozen(slots=True)
class QueryTimedOut:
    """A query of the reconciler got no answer in time."""

    request_id: str


@frozen(slots=True)
class RetryUnresolved:
    """Try the facts again whose order was not known yet."""


@frozen(slots=True)
class RestoreActor:
    """Fold a quarantined actor again from the journal and give it its messages."""

    address: str


@frozen(slots=True)
class FeedGapSeen:
    """The feed reports that data is missing."""

    instrument: str
    from_us: int
    to_us: int
    reason: str
    lost: int = 0


@frozen(slots=True, kw_only=True)
class StartSession:
    """Begin a session on the folded books: doubts first, then the gate (L4, L7)."""

    session_id: str
    mode: TradingMode
    venue: str
    holder: str
    version: str
    seed: int | None
    instruments: tuple[Instrument, ...]
    strategies: tuple[str, ...]
    spilled: tuple[str, ...] = ()
    opening: dict[str, Decimal] | None = None


@frozen(slots=True, kw_only=True)
class EndSession:
    """Write the session's end."""

    reason: str
    clean: bool
    ticks: int


@frozen(slots=True)
class Ask:
    """A command that wants an answer after its commit; `token` is given back with it."""

    command: object
    token: object


@frozen(slots=True)
class BooksPassDue:
    """Time to hold balances and positions against the venue."""
