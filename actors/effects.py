"""What a turn wants done outside: released only after its events are durable (L1).

Timers are the exception: a timer is a message to ourselves, so it is armed at once.
"""

from __future__ import annotations

from attrs import frozen

from fsm.events import AlertRaised
from fsm.requests import Cancel, Query, Submit
from fsm.vocabulary import OrderRole


@frozen(slots=True)
class SendSubmit:
    """Let a submit leave; looked at again at release."""

    request: Submit
    role: OrderRole


@frozen(slots=True)
class SendCancel:
    """Let a cancel leave, behind its own order's submit."""

    request: Cancel


@frozen(slots=True)
class SendQuery:
    """Ask the venue. Queries change nothing, but they leave in order with the rest."""

    request: Query


@frozen(slots=True)
class SetTimer:
    """Deliver `message` after `delay_us`; a timer with the same key is replaced."""

    key: str
    delay_us: int
    message: object


@frozen(slots=True)
class TellLater:
    """Deliver `message` to the engine behind everything that waits when this turn is durable."""

    message: object


@frozen(slots=True)
class CancelTimer:
    """Forget a timer."""

    key: str


@frozen(slots=True)
class Reply:
    """Answer a command; released after its commit, so that `accepted` is true."""

    token: object
    answer: dict[str, object]


@frozen(slots=True)
class Notify:
    """Tell people."""

    alert: AlertRaised


Effect = SendSubmit | SendCancel | SendQuery | SetTimer | TellLater | CancelTimer | Reply | Notify
