"""Gateway to a venue in another process, over a Unix socket or loopback TCP.

Responsible for what a cut connection means (L3, L4): a submit or cancel that has no answer yet is
reported unknown, a query unavailable. Nothing is sent twice: what was lost stays lost, and the
reconciler asks. Facts are never dropped: when `deliver` waits, the socket is not read.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import trio
from attrs import frozen

from actors.venues.realtime import Wake
from actors.venues.sim.queries import unanswered
from actors.venues.wire import FrameError, LineBuffer, Ping, Pong, decode, encode
from fsm.facts import (
    BalancesAnswer,
    CancelRefused,
    CancelUnanswered,
    FillsAnswer,
    OpenOrdersAnswer,
    OrderAccepted,
    OrderAnswer,
    OrderCanceled,
    OrderFill,
    OrderRejected,
    OutcomeUnknown,
    PositionsAnswer,
    VenueConnected,
    VenueDisconnected,
    VenueMessage,
)
from fsm.market import MarketData, MarketTrade, Tick
from fsm.requests import Cancel, Submit, VenueRequest

Deliver = Callable[[VenueMessage], Awaitable[None]]
PendingKey = tuple[str, str]

_ANSWERS = (OrderAnswer, OpenOrdersAnswer, FillsAnswer, BalancesAnswer, PositionsAnswer)
_READ_BYTES = 65_536
_WRITE_FRAMES = 500


class ConnectionLostError(Exception):
    """The connection is of no more use; the message says why."""


@frozen(slots=True, kw_only=True)
class SocketSettings:
    """Times in seconds, limits in entries. Market data gets at most half of the outbound queue."""

    ping_interval_s: float = 5.0
    silence_max_s: float = 15.0
    connect_timeout_s: float = 5.0
    backoff_min_s: float = 0.1
    backoff_max_s: float = 5.0
    outbound_max: int = 20_000
    pending_max: int = 50_000


@frozen(slots=True, kw_only=True)
class SocketStatistics:
    """Counts since the start."""

    connected: bool
    connections: int
    outbound: int
    pending: int
    market_dropped: int
    failed_at_once: int
    stale_answers: int


class SocketVenue:
    """`VenueGateway` over a socket. `address` is a Unix path, or (host, port).

    `send` and `market` may be called from the trio thread at any time; `run` is the service.
    """

    def __init__(
        self,
        address: Path | tuple[str, int],
        name: str = "sim",
        settings: SocketSettings | None = None,
    ) -> None:
        self.name = name
        self.address = address
        self.settings = settings or SocketSettings()
        self.connected = False
        self._outbound: deque[VenueRequest | MarketData | Ping] = deque()
        self._outbound_wake = Wake()
        self._pending: dict[PendingKey, VenueRequest] = {}
        # Answers that we give ourselves because the venue cannot.
        self._local: deque[VenueMessage] = deque()
        self._local_wake = Wake()
        self._deliver_lock = trio.Lock()
        self._last_heard_s = 0.0
        self._delivering = False
        self._connections = 0
        self._market_dropped = 0
        self._failed_at_once = 0
        self._stale_answers = 0

    # ----------------------------------------------------------------------------- gateway

    def send(self, request: VenueRequest) -> None:
        """Queue a request; without a connection, or at a limit, it is answered as lost at once."""
        if not self.connected:
            self._fail(request, "not connected to the venue")
        elif len(self._outbound) >= self.settings.outbound_max:
            self._fail(request, "the outbound queue to the venue is full")
        elif len(self._pending) >= self.settings.pending_max:
            self._fail(request, "too many requests without an answer")
        else:
            self._pending[_key_of(request)] = request
            self._outbound.append(request)
            self._outbound_wake.set()

    def market(self, data: MarketData) -> None:
        """Forward market data; what cannot be queued is dropped and counted."""
        if not self.connected or len(self._outbound) >= self.settings.outbound_max // 2:
            self._market_dropped += 1
            return
        self._outbound.append(data)
        self._outbound_wake.set()

    def statistics(self) -> SocketStatistics:
        """Counts for the status document."""
        return SocketStatistics(
            connected=self.connected,
            connections=self._connections,
            outbound=len(self._outbound),
            pending=len(self._pending),
            market_dropped=self._market_dropped,
            failed_at_once=self._failed_at_once,
            stale_answers=self._stale_answers,
        )

    # ----------------------------------------------------------------------------- service

    async def run(self, deliver: Deliver) -> None:
        """Stay connected until cancelled; every message goes to `deliver`, in order."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._deliver_local, deliver)
            if self._pending:  # of an earlier run of this service that was cut short
                await self._disconnected("the service was restarted", deliver)
            backoff_s = self.settings.backoff_min_s
            while True:
                stream = await self._connect()
                if stream is not None:
                    connections = self._connections
                    reason = await self._session(stream, deliver)
                    await self._disconnected(reason, deliver)
                    if self._connections > connections:
                        backoff_s = self.settings.backoff_min_s
                await trio.sleep(backoff_s)
                backoff_s = min(backoff_s * 2, self.settings.backoff_max_s)

    async def _connect(self) -> trio.SocketStream | None:
        with trio.move_on_after(self.settings.connect_timeout_s):
            try:
                if isinstance(self.address, tuple):
                    return await trio.open_tcp_stream(*self.address)
                return await trio.open_unix_socket(str(self.address))
            except OSError:
                return None
        return None

    async def _session(self, stream: trio.SocketStream, deliver: Deliver) -> str:
        """Serve one connection until it is lost; the reason."""
        reason = "closed by the venue"
        self._last_heard_s = trio.current_time()
        async with stream:
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write, stream)
                    nursery.start_soon(self._guard_silence)
                    await self._read(stream, deliver)
                    nursery.cancel_scope.cancel()
            except* (ConnectionLostError, FrameError, trio.BrokenResourceError) as errors:
                reason = str(errors.exceptions[0]) or type(errors.exceptions[0]).__name__
            finally:
                self.connected = False
        return reason

    async def _read(self, stream: trio.SocketStream, deliver: Deliver) -> None:
        lines = LineBuffer()
        while data := await stream.receive_some(_READ_BYTES):
            self._last_heard_s = trio.current_time()
            for line in lines.feed(data):
                frame = decode(line)
                if isinstance(frame, Pong):
                    continue
                if isinstance(frame, (Submit, Cancel, Tick, MarketTrade, Ping)):
                    raise FrameError(f"a client takes no {type(frame).__name__} frames")
                await self._heard(frame, deliver)  # type: ignore[arg-type]

    async def _heard(self, message: VenueMessage, deliver: Deliver) -> None:
        if isinstance(message, VenueConnected):
            self.connected = True
            self._connections += 1
        keys = _answered_by(message)
        if isinstance(message, _ANSWERS) and keys[0] not in self._pending:
            self._stale_answers += 1  # answered as `Unavailable` when the connection was cut
            return
        for key in keys:
            self._pending.pop(key, None)
        await self._hand_over((message,), deliver)

    async def _write(self, stream: trio.SocketStream) -> None:
        while True:
            await self._outbound_wake.wait()
            while self._outbound:
                batch = bytearray()
                for _ in range(min(len(self._outbound), _WRITE_FRAMES)):
                    batch += encode(self._outbound.popleft())
                await stream.send_all(batch)

    async def _guard_silence(self) -> None:
        """Ping, and give up a peer that has not said anything for too long (half-open)."""
        number = 0
        while True:
            await trio.sleep(self.settings.ping_interval_s)
            silence_s = trio.current_time() - self._last_heard_s
            if not self._delivering and silence_s >= self.settings.silence_max_s:
                raise ConnectionLostError(f"nothing heard for {silence_s:.1f} s")
            number += 1
            self._outbound.append(Ping(number))
            self._outbound_wake.set()

    async def _disconnected(self, reason: str, deliver: Deliver) -> None:
        """The session is over: say so, and give every open request its answer (L3, L4)."""
        self._outbound.clear()
        lost, self._pending = self._pending, {}
        why = f"connection lost: {reason}"
        messages: list[VenueMessage] = [VenueDisconnected(reason=reason)]
        messages += [_lost(request, why) for request in lost.values()]
        await self._hand_over(messages, deliver)

    # ------------------------------------------------------------------------ own messages

    def _fail(self, request: VenueRequest, reason: str) -> None:
        self._failed_at_once += 1
        self._local.append(_lost(request, reason))
        self._local_wake.set()

    async def _deliver_local(self, deliver: Deliver) -> None:
        while True:
            await self._local_wake.wait(math.inf)
            while self._local:
                await self._hand_over((self._local.popleft(),), deliver)

    async def _hand_over(self, messages: Iterable[VenueMessage], deliver: Deliver) -> None:
        async with self._deliver_lock:
            self._delivering = True
            try:
                for message in messages:
                    await deliver(message)
            finally:
                self._delivering = False
                # While we waited for the lane nothing was read: that is not the venue's silence.
                self._last_heard_s = trio.current_time()


def _key_of(request: VenueRequest) -> PendingKey:
    if isinstance(request, Submit):
        return "submit", request.client_order_id
    if isinstance(request, Cancel):
        return "cancel", request.client_order_id
    return "query", request.request_id


def _answered_by(message: VenueMessage) -> tuple[PendingKey, ...]:
    """The requests that a message answers."""
    if isinstance(message, _ANSWERS):
        return (("query", message.request_id),)
    if isinstance(message, (OrderAccepted, OrderRejected, OrderFill)):
        return (("submit", message.client_order_id or ""),)
    if isinstance(message, (OrderCanceled, CancelRefused)):
        return (("cancel", message.client_order_id or ""),)
    if isinstance(message, CancelUnanswered):
        return (("cancel", message.client_order_id),)
    return ()


def _lost(request: VenueRequest, reason: str) -> VenueMessage:
    if isinstance(request, Submit):
        return OutcomeUnknown(client_order_id=request.client_order_id, reason=reason)
    if isinstance(request, Cancel):
        return CancelUnanswered(client_order_id=request.client_order_id, reason=reason)
    return unanswered(request, reason)
