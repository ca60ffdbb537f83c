"""A proxy between two Unix sockets that can cut, slow down, and go silent in either direction."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

import trio
from attrs import define, field

_READ_BYTES = 16_384
_SLOW_BYTES_A_S = 20_000
_SLOW_DELAY_S = 0.3


class Line(Enum):
    """How the line is at the moment."""

    GOOD = "good"
    CUT = "cut"
    """Connections are closed, new ones at once."""
    SLOW = "slow"
    """20 kB a second, 0.3 s late, in both directions."""
    HALF_OPEN = "half open"
    """Connections stand and take what is sent; nothing arrives."""
    DEAF = "deaf"
    """What the client sends arrives; nothing of what the venue says does."""


_SILENT = {Line.HALF_OPEN: ("out", "in"), Line.DEAF: ("in",)}


@define
class Proxy:
    """Forwards connections to `target`. What a line swallowed is gone: its connections end."""

    target: Path
    line: Line = Line.GOOD
    connections: int = 0
    refused: int = 0
    swallowed: int = 0
    forwarded: int = 0
    _open: list[trio.CancelScope] = field(factory=list)

    def becomes(self, line: Line) -> None:
        """The line changes. One that was silent does not come back to life: it is closed."""
        was, self.line = self.line, line
        if line is Line.CUT or was in _SILENT:
            for scope in self._open:
                scope.cancel()

    async def serve(self, listener: trio.SocketListener) -> None:
        """Until cancelled."""
        await trio.serve_listeners(self._connection, [listener])

    async def _connection(self, client: trio.SocketStream) -> None:
        if self.line is Line.CUT:
            self.refused += 1
            await trio.aclose_forcefully(client)
            return
        self.connections += 1
        with trio.CancelScope() as scope:
            self._open.append(scope)
            try:
                venue = await trio.open_unix_socket(str(self.target))
                async with client, venue, trio.open_nursery() as nursery:
                    nursery.start_soon(self._pump, client, venue, "out", scope)
                    nursery.start_soon(self._pump, venue, client, "in", scope)
            finally:
                self._open.remove(scope)

    async def _pump(
        self, source: trio.SocketStream, sink: trio.SocketStream, way: str, scope: trio.CancelScope
    ) -> None:
        try:
            while data := await source.receive_some(_READ_BYTES):
                if self.line is Line.SLOW:
                    await trio.sleep(_SLOW_DELAY_S + len(data) / _SLOW_BYTES_A_S)
                if way in _SILENT.get(self.line, ()):
                    self.swallowed += len(data)
                    continue
                self.forwarded += len(data)
                await sink.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # one end is gone: so is the other
        scope.cancel()
