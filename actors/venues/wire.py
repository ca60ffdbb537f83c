"""Frames between the engine and a venue in another process: one JSON object per line.

A frame is `{"type": NAME, "body": {...}}`; the names are those of the classes of `fsm.requests`,
`fsm.market` and `fsm.facts`, plus `ping` and `pong`. Decimals are strings. Responsible for bytes
only; sockets are the business of the server and of the client.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import msgspec

from fsm import facts, market, requests
from fsm.facts import (
    Absent,
    BalancesAnswer,
    FillsAnswer,
    Found,
    OpenOrdersAnswer,
    OrderAnswer,
    PositionsAnswer,
    Unavailable,
    VenueAnswer,
    VenueMessage,
)
from fsm.market import MarketData
from fsm.requests import VenueRequest

#: The longest frame, newline included. A longer answer becomes `Unavailable` at the sender.
FRAME_BYTES_MAX = 16 * 1024 * 1024


class FrameError(ValueError):
    """A frame that cannot be understood; the connection it came from is of no more use."""


@attrs.frozen(slots=True)
class Ping:
    """Are you there? Answered by `Pong` with the same number."""

    number: int


@attrs.frozen(slots=True)
class Pong:
    """I am here."""

    number: int


Frame = VenueRequest | MarketData | VenueMessage | Ping | Pong


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    body: msgspec.Raw


class _Result(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    value: msgspec.Raw = msgspec.Raw(b"null")
    why: str = ""


class _AnswerBody(msgspec.Struct, forbid_unknown_fields=True):
    request_id: str
    result: _Result
    client_order_id: str = ""
    instrument: str = ""


_PLAIN: dict[str, type[Any]] = {
    **{
        kind.__name__: kind
        for kind in (
            requests.Submit,
            requests.Cancel,
            requests.QueryOrder,
            requests.QueryOpenOrders,
            requests.QueryFills,
            requests.QueryBalances,
            requests.QueryPositions,
            market.Tick,
            market.MarketTrade,
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
            facts.BalanceReport,
            facts.PositionReport,
            facts.FundingPaid,
            facts.InstrumentResolved,
            facts.PositionClosed,
            facts.UnknownExecution,
            facts.VenueConnected,
            facts.VenueDisconnected,
        )
    },
    "ping": Ping,
    "pong": Pong,
}
#: What `Found` holds in each answer.
_FOUND: dict[type[Any], Any] = {
    OrderAnswer: facts.VenueOrder,
    OpenOrdersAnswer: tuple[facts.VenueOrder, ...],
    FillsAnswer: facts.FillsPage,
    BalancesAnswer: dict[str, Decimal],
    PositionsAnswer: tuple[facts.PositionReport, ...],
}
_ANSWERS = {kind.__name__: kind for kind in _FOUND}
_NAMES = {kind: name for name, kind in _PLAIN.items()}

_encoder = msgspec.json.Encoder()
_envelope = msgspec.json.Decoder(_Envelope)
_answer_body = msgspec.json.Decoder(_AnswerBody)
_plain_decoders = {name: msgspec.json.Decoder(kind) for name, kind in _PLAIN.items()}
_found_decoders = {kind: msgspec.json.Decoder(value) for kind, value in _FOUND.items()}


def encode(frame: Frame) -> bytes:
    """One line, newline included. Raises FrameError when it is too long, or not a frame."""
    kind = type(frame)
    name = _NAMES.get(kind)
    if name is not None:
        body: object = frame
    elif kind in _FOUND:
        name, body = kind.__name__, _answer_as_body(frame)  # type: ignore[arg-type]
    else:
        raise FrameError(f"not a frame: {kind.__name__}")
    line = _encoder.encode({"type": name, "body": body}) + b"\n"
    if len(line) > FRAME_BYTES_MAX:
        raise FrameError(f"{name} of {len(line)} bytes: at most {FRAME_BYTES_MAX} fit a frame")
    return line


def decode(line: bytes | bytearray) -> Frame:
    """The frame of one line. Raises FrameError with the reason and the beginning of the line."""
    try:
        envelope = _envelope.decode(line)
        decoder = _plain_decoders.get(envelope.type)
        if decoder is not None:
            frame: Frame = decoder.decode(envelope.body)
            return frame
        kind = _ANSWERS.get(envelope.type)
        if kind is None:
            raise FrameError(f"unknown frame type {envelope.type!r}")
        return _answer_of(kind, _answer_body.decode(envelope.body))
    except (msgspec.MsgspecError, ValueError) as error:
        if isinstance(error, FrameError):
            raise
        raise FrameError(f"{error} in frame {bytes(line[:120])!r}") from None


def _answer_as_body(answer: VenueAnswer) -> dict[str, object]:
    result: dict[str, object]
    match answer.result:
        case Found(value):
            result = {"kind": "found", "value": value}
        case Absent(proof):
            result = {"kind": "absent", "why": proof}
        case Unavailable(reason):
            result = {"kind": "unavailable", "why": reason}
    body: dict[str, object] = {"request_id": answer.request_id, "result": result}
    if isinstance(answer, OrderAnswer):
        body["client_order_id"] = answer.client_order_id
    elif isinstance(answer, FillsAnswer):
        body["instrument"] = answer.instrument
    return body


def _answer_of(kind: type[Any], body: _AnswerBody) -> VenueAnswer:
    result: Found[Any] | Absent | Unavailable
    if body.result.kind == "found":
        result = Found(_found_decoders[kind].decode(body.result.value))
    elif body.result.kind == "absent" and kind is OrderAnswer:
        result = Absent(body.result.why)
    elif body.result.kind == "unavailable":
        result = Unavailable(body.result.why)
    else:
        raise FrameError(f"unknown result {body.result.kind!r} in {kind.__name__}")
    fields = {"request_id": body.request_id, "result": result}
    if kind is OrderAnswer:
        fields["client_order_id"] = body.client_order_id
    elif kind is FillsAnswer:
        fields["instrument"] = body.instrument
    answer: VenueAnswer = kind(**fields)
    return answer


class LineBuffer:
    """Cuts received bytes into lines, and refuses a line that never ends."""

    def __init__(self, bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._rest = bytearray()

    def feed(self, data: bytes | bytearray) -> list[bytes]:
        """The lines that are complete now. Raises FrameError when one is too long."""
        self._rest += data
        if b"\n" not in data:
            if len(self._rest) > self._bytes_max:
                raise FrameError(f"a frame longer than {self._bytes_max} bytes")
            return []
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        if len(rest) > self._bytes_max or any(len(line) >= self._bytes_max for line in lines):
            raise FrameError(f"a frame longer than {self._bytes_max} bytes")
        return [line for line in lines if line.strip()]
