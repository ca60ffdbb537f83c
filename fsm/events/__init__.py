"""What happened, as the journal keeps it: frozen values, one class a type.

An event carries the result of the decision (the state after it, the new quantities), so that a
projection or a person reading the journal never has to redo arithmetic; `evolve` of an entity and
`storage.projections` both only copy. The envelope (seq, turn, time, stream) is the journal's.

Times are UTC microseconds. Fees are costs: positive is paid (L11).
"""

from __future__ import annotations

from attrs import frozen

from fsm.events.orders import (
    OrderAcknowledged,
    OrderFilled,
    OrderFillForetold,
    OrderFillPaired,
    OrderFillSettled,
    OrderFillVoided,
    OrderIntended,
    OrderMoved,
    OrderSent,
)
from fsm.events.positions import (
    ExitDecided,
    PnlCompared,
    PositionChanged,
    PositionMoved,
    PositionOpened,
    ProtectionMoved,
)
from fsm.events.settlements import InstrumentSettled
from fsm.events.signals import (
    RuleCheck,
    SignalDecided,
    SignalRaised,
)
from fsm.events.system import (
    AccountSnapshotTaken,
    ActorRestored,
    AlertRaised,
    AnomalyRecorded,
    BooksCompared,
    CapitalAnchored,
    CapitalRecorded,
    ContextValue,
    ControlMoved,
    ConversionBooked,
    FactResolved,
    FactUnresolved,
    FeedGapRecorded,
    FundingBooked,
    GuardCleared,
    GuardTripped,
    MessageUnprocessed,
    ModeMoved,
    SessionEnded,
    SessionStarted,
    WatermarkMoved,
)

Event = (
    SessionStarted
    | SessionEnded
    | SignalRaised
    | SignalDecided
    | OrderIntended
    | OrderSent
    | OrderAcknowledged
    | OrderFilled
    | OrderFillPaired
    | OrderFillForetold
    | OrderFillSettled
    | OrderFillVoided
    | OrderMoved
    | PositionOpened
    | PositionChanged
    | PnlCompared
    | PositionMoved
    | ExitDecided
    | ProtectionMoved
    | CapitalRecorded
    | ConversionBooked
    | CapitalAnchored
    | FundingBooked
    | InstrumentSettled
    | AccountSnapshotTaken
    | ModeMoved
    | GuardTripped
    | GuardCleared
    | ControlMoved
    | BooksCompared
    | WatermarkMoved
    | AnomalyRecorded
    | FactUnresolved
    | FactResolved
    | MessageUnprocessed
    | ActorRestored
    | FeedGapRecorded
    | AlertRaised
)

#: Type name in the journal -> class. A name is never reused for another shape.
EVENT_TYPES: dict[str, type[Event]] = {cls.__name__: cls for cls in Event.__args__}


@frozen(slots=True)
class Recorded:
    """An event in its envelope, as the journal gives it back."""

    seq: int
    turn: int
    at_us: int
    stream: str
    event: Event

    @property
    def type(self) -> str:
        """The event's type name."""
        return type(self.event).__name__


__all__ = [
    "AccountSnapshotTaken",
    "ActorRestored",
    "AlertRaised",
    "AnomalyRecorded",
    "BooksCompared",
    "CapitalAnchored",
    "ContextValue",
    "CapitalRecorded",
    "ControlMoved",
    "ConversionBooked",
    "EVENT_TYPES",
    "Event",
    "ExitDecided",
    "FactResolved",
    "FactUnresolved",
    "FeedGapRecorded",
    "FundingBooked",
    "GuardCleared",
    "GuardTripped",
    "InstrumentSettled",
    "MessageUnprocessed",
    "ModeMoved",
    "OrderAcknowledged",
    "OrderFillForetold",
    "OrderFillPaired",
    "OrderFillSettled",
    "OrderFillVoided",
    "OrderFilled",
    "OrderIntended",
    "OrderMoved",
    "OrderSent",
    "PnlCompared",
    "PositionChanged",
    "PositionMoved",
    "PositionOpened",
    "ProtectionMoved",
    "Recorded",
    "RuleCheck",
    "SessionEnded",
    "SessionStarted",
    "SignalDecided",
    "SignalRaised",
    "WatermarkMoved",
]
