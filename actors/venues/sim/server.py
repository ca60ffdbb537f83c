"""The simulated venue as a process of its own, over a Unix socket or loopback TCP.

    python -m actors.venues.sim.server --socket PATH --truth FILE --config-json TEXT_OR_@FILE

The venue outlives its clients: when a connection drops, orders and market stay as they are. One
client at a time has the stream; a newer connection takes over and the older one is closed. What is
said while nobody is connected is lost, as on any stream: who connects has to ask.
"""

from __future__ import annotations

import argparse
import math
import random
import signal
import socket
import sqlite3
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import trio

from actors.runtime.clock import SystemClock
from actors.venues.realtime import Wake
from actors.venues.sim.config import SimConfig, parse_config
from actors.venues.sim.truth import VenueTruth
from actors.venues.sim.venue import SimVenue
from actors.venues.wire import FrameError, LineBuffer, Ping, Pong, decode, encode
from fsm.facts import (
    BalancesAnswer,
    FillsAnswer,
    OpenOrdersAnswer,
    OrderAnswer,
    PositionsAnswer,
    Unavailable,
    VenueConnected,
    VenueMessage,
)
from fsm.market import MarketTrade, Tick
from fsm.requests import (
    Cancel,
    QueryBalances,
    QueryFills,
    QueryOpenOrders,
    QueryOrder,
    QueryPositions,
    Submit,
)

_READ_BYTES = 65_536
_REQUESTS = (
    Submit,
    Cancel,
    QueryOrder,
    QueryOpenOrders,
    QueryFills,
    QueryBalances,
    QueryPositions,
)
_ANSWERS = (OrderAnswer, OpenOrdersAnswer, FillsAnswer, BalancesAnswer, PositionsAnswer)


class VenueServer:
    """Serves one `SimVenue` to one client at a time, on a clock of UTC microseconds."""

    def __init__(self, venue: SimVenue, clock_us: Callable[[], int]) -> None:
        self.venue = venue
        self.connections = 0
        self.dropped = 0
        self.last_error = ""
        self._clock_us = clock_us
        self._client: trio.SocketStream | None = None
        self._wake = Wake()
        # Whoever writes holds the lock from taking messages to sending them, so that they leave
        # in order. A reader pumps too: a client that does not read is not read from.
        self._writing = trio.Lock()

    async def run(self, listener: trio.SocketListener) -> None:
        """Serve until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._run_clock)
            await trio.serve_listeners(self._serve, [listener], handler_nursery=nursery)

    async def _run_clock(self) -> None:
        while True:
            await self._pump()
            due_us = self.venue.next_due_us()
            wait_s = math.inf if due_us is None else (due_us - self._clock_us()) / 1_000_000
            await self._wake.wait(wait_s)

    async def _serve(self, stream: trio.SocketStream) -> None:
        await self._close_client()  # it may hold the lock, in a write that nobody reads
        lines = LineBuffer()
        try:
            async with self._writing:
                await self._close_client()
                self._client = stream
                self.connections += 1
                await stream.send_all(encode(VenueConnected(venue_us=self._clock_us())))
            while data := await stream.receive_some(_READ_BYTES):
                if self._client is not stream:
                    break
                await self._take(stream, lines.feed(data))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client went away: the venue stays as it is
        except FrameError as error:
            self.last_error = str(error)
            print(f"closing a connection: {error}", file=sys.stderr, flush=True)
        finally:
            if self._client is stream:
                self._client = None
            await trio.aclose_forcefully(stream)

    async def _close_client(self) -> None:
        """Close the connection that has the stream; this ends its reader and its write."""
        older, self._client = self._client, None
        if older is not None:
            await trio.aclose_forcefully(older)

    async def _take(self, stream: trio.SocketStream, lines: list[bytes]) -> None:
        """Handle the frames of one read, then answer: one commit for all of them."""
        for line in lines:
            frame = decode(line)
            if isinstance(frame, _REQUESTS):
                self.venue.send(frame, self._clock_us())
            elif isinstance(frame, (Tick, MarketTrade)):
                self.venue.market(frame, self._clock_us())
            elif isinstance(frame, Ping):
                async with self._writing:
                    await stream.send_all(encode(Pong(frame.number)))
            else:
                raise FrameError(f"a venue takes no {type(frame).__name__} frames")
        await self._pump()
        self._wake.set()  # the clock may have to sleep less long now

    async def _pump(self) -> None:
        """Commit, then say what is due; nobody there, or gone meanwhile: it is lost."""
        async with self._writing:
            messages = self.venue.advance(self._clock_us())
            client = self._client
            if not messages:
                return
            if client is None:
                self.dropped += len(messages)
                return
            try:
                await client.send_all(b"".join(map(_encode_message, messages)))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self.dropped += len(messages)


def _encode_message(message: VenueMessage) -> bytes:
    try:
        return encode(message)
    except FrameError as error:
        if not isinstance(message, _ANSWERS):
            raise
        kind = type(message)
        fields: dict[str, object] = {"request_id": message.request_id}
        if isinstance(message, OrderAnswer):
            fields["client_order_id"] = message.client_order_id
        elif isinstance(message, FillsAnswer):
            fields["instrument"] = message.instrument
        return encode(kind(**fields, result=Unavailable(str(error))))  # type: ignore[arg-type]


def open_listener(unix_path: Path | None, port: int | None) -> tuple[trio.SocketListener, str]:
    """A listening socket and its address in words: a Unix path (mode 0600) or 127.0.0.1:port.

    Raises OSError; a socket file whose owner is gone is replaced, one in use is not.
    """
    if unix_path is None:
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind(("127.0.0.1", port or 0))
        tcp.listen(16)
        address = f"127.0.0.1:{tcp.getsockname()[1]}"
        return trio.SocketListener(trio.socket.from_stdlib_socket(tcp)), address
    if unix_path.exists() and stat.S_ISSOCK(unix_path.stat().st_mode):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(unix_path))
            except ConnectionRefusedError:
                unix_path.unlink()
            else:
                raise OSError(f"{unix_path}: another venue listens there")
    unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    unix.bind(str(unix_path))
    unix_path.chmod(0o600)
    unix.listen(16)
    return trio.SocketListener(trio.socket.from_stdlib_socket(unix)), str(unix_path)


async def serve(
    config: SimConfig, truth_path: Path | None, unix_path: Path | None, port: int | None
) -> None:
    """Run the venue until SIGTERM or SIGINT, then close its truth."""
    truth = VenueTruth(truth_path) if truth_path is not None else None
    venue = SimVenue(
        config.instruments, config.balances, config.settings, random.Random(config.seed), truth
    )
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        listener, address = open_listener(unix_path, port)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(VenueServer(venue, SystemClock().now_us).run, listener)
                print(f"listening {address}", file=sys.stderr, flush=True)
                async for _ in signals:
                    break
                nursery.cancel_scope.cancel()
        finally:
            if unix_path is not None:
                unix_path.unlink(missing_ok=True)
            venue.close()


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0 after a signal, 2 for wrong usage, 4 when socket or truth is unavailable."""
    parser = argparse.ArgumentParser(prog="venue", description="The simulated venue.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", type=Path, help="Unix socket to listen on")
    where.add_argument("--port", type=int, help="port on 127.0.0.1 to listen on (0: any)")
    parser.add_argument("--truth", type=Path, help="the venue's own file; without, memory only")
    parser.add_argument("--config-json", required=True, help="JSON text, or @FILE")
    options = parser.parse_args(arguments)
    try:
        text: str = options.config_json
        config = parse_config(Path(text[1:]).read_text() if text.startswith("@") else text)
    except (ValueError, OSError) as error:
        print(f"venue: {error}", file=sys.stderr)
        return 2
    code = 0
    try:
        trio.run(serve, config, options.truth, options.socket, options.port)
    except* (OSError, sqlite3.Error, ValueError) as errors:
        print(f"venue: {errors.exceptions[0]}", file=sys.stderr)
        code = 4
    return code


if __name__ == "__main__":
    sys.exit(main())
