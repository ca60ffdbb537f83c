"""Which messages go to which kind of actor, and how one is kept in the journal and read back."""

from __future__ import annotations

import msgspec
from loguru import logger

from actors import messages as msg
from actors.reconciling.notes import AdoptExternal, PassEvidenceApplied, PassGoesOn
from fsm import events as ev
from fsm import facts
from storage.codec import encode

ORDER_MESSAGES = (
    msg.SentOut,
    msg.NeverSent,
    msg.SubmitTimedOut,
    msg.CancelTimedOut,
    msg.CancelOrder,
    msg.FoundOpen,
    msg.NamedByVenue,
    msg.Claimed,
    msg.Disappeared,
    msg.NeverArrived,
    msg.AssumeFilled,
    msg.HoldOrder,
    msg.ResolveHeld,
)
POSITION_MESSAGES = (
    msg.FillForPosition,
    msg.VoidForPosition,
    msg.ReplacedForPosition,
    msg.GoneAtVenue,
    msg.SettlementForPosition,
    msg.ClosedAtVenue,
    msg.ClosureSettled,
    msg.ResolvedForPosition,
    msg.OrderEnded,
    msg.EntriesCancelled,
    msg.ExitCheck,
    msg.ExpiryDue,
    msg.PriceCrossed,
    msg.RequestExit,
    msg.PlaceExit,
)
MODE_MESSAGES = (
    msg.Halt,
    msg.Regime,
    msg.Resume,
    msg.SetControl,
    msg.StopSession,
    msg.WithdrawLeft,
)
_REDUCING = (msg.CancelOrder, msg.RequestExit, msg.PriceCrossed, msg.ExpiryDue)
HEARD_IN_QUARANTINE = (
    *_REDUCING,
    msg.SetControl,
    msg.Halt,
    msg.Degrade,
    msg.StopSession,
    msg.WithdrawLeft,
)
"""Cancels, exits and the kill switch: an actor in quarantine may still reduce, never add (L8)."""
ASKED_AGAIN = (
    msg.PriceCrossed,
    msg.FoundOpen,
    msg.NamedByVenue,
    msg.Disappeared,
    msg.WithdrawLeft,
    msg.GuardTick,
    msg.ForGuards,
    msg.HealthReport,
    msg.AtGate,
    msg.PassEnded,
    msg.PassDue,
    msg.LookUp,
    msg.QueryTimedOut,
    PassEvidenceApplied,
    PassGoesOn,
    facts.OrderAnswer,
    facts.OpenOrdersAnswer,
    facts.FillsAnswer,
    facts.BalancesAnswer,
    facts.PositionsAnswer,
    facts.BalanceReport,
    msg.WalletSeen,
)
"""Said again by the next quote, or asked again by the next pass: not kept for an actor in
quarantine, or each would be a row in the journal (L9)."""
ORDER_FACTS = (
    facts.OrderAccepted,
    facts.OrderRejected,
    facts.OrderFill,
    facts.OrderCanceled,
    facts.OrderExpired,
    facts.CancelRefused,
    facts.FillSettled,
    facts.FillVoided,
    facts.OutcomeUnknown,
    facts.CancelUnanswered,
)
COMMANDS = (
    msg.CancelOrder,
    msg.PlaceOrder,
    msg.PlaceExit,
    msg.RequestExit,
    msg.Resume,
    msg.SetControl,
    msg.StopSession,
    msg.Degrade,
    msg.Recover,
    msg.Halt,
    msg.Regime,
    msg.ResetGuard,
    msg.ResolveHeld,
    msg.BookCapital,
    msg.BookConversion,
)
ACCOUNT_MESSAGES = (msg.BookCapital, msg.BookConversion, msg.WalletSeen)
ANSWERS = (
    facts.OrderAnswer,
    facts.OpenOrdersAnswer,
    facts.FillsAnswer,
    facts.BalancesAnswer,
    facts.PositionsAnswer,
)
TO_RECONCILER = (
    msg.LookUp,
    msg.QueryTimedOut,
    PassEvidenceApplied,
    PassGoesOn,
    AdoptExternal,
)
REPLAYABLE: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        *ORDER_MESSAGES,
        *POSITION_MESSAGES,
        *ORDER_FACTS,
        msg.SignalForDoor,
        msg.BookCapital,
        msg.BookConversion,
    )
}


def raw(message: object) -> str:
    """A message as journal text; its repr where it cannot be encoded."""
    try:
        return encode(message).decode()
    except (TypeError, ValueError):
        return repr(message)


def cooked(event: ev.MessageUnprocessed) -> object | None:
    """The message of an `unprocessed` event, or None when it cannot be read back."""
    cls = REPLAYABLE.get(event.message)
    if cls is None:
        return None
    try:
        message: object = msgspec.json.decode(event.payload, type=cls)
    except msgspec.MsgspecError:
        logger.error("UNPROCESSED_UNREADABLE type={} actor={}", event.message, event.actor)
        return None
    return message
