"""The control socket: a Unix socket beside the database carries commands to the service.

One JSON object a line each way, mode 0600. `ask` is the client's side, for the command line;
`serve` is the service's. A slow or silent client is dropped and holds nothing up.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import SocketListener, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from loguru import logger

_LINE_MAX = 64 * 1024
_CLIENT_TIMEOUT_S = 30.0
_CLIENTS_MAX = 16
_PATH_MAX = 100

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class ControlUnavailable(Exception):
    """No service answers on this socket."""


def socket_path(database: Path | str) -> Path:
    """Where the socket of a database is."""
    return Path(f"{database}.sock")


def ask(database: Path | str, request: dict[str, Any], timeout_s: float = 5.0) -> dict[str, Any]:
    """Send one request and wait for its answer. Raises ControlUnavailable."""
    path = socket_path(database)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(timeout_s)
            client.connect(str(_bindable(path)))
            client.sendall(json.dumps(request).encode() + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                chunk = client.recv(65_536)
                if not chunk:
                    break
                data += chunk
    except OSError as problem:
        raise ControlUnavailable(f"{path}: no service answers ({problem})") from problem
    try:
        answer: dict[str, Any] = json.loads(data)
    except ValueError as problem:
        raise ControlUnavailable(f"{path}: the service gave no answer") from problem
    return answer


async def serve(database: Path | str, handler: Handler) -> None:
    """Serve until cancelled. The caller holds the database's lock, so a socket left by a killed
    process is nobody's and is replaced. Raises OSError when the path cannot be bound."""
    await anyio.lowlevel.checkpoint()  # who starts beside us is ready when the socket appears
    path = _bindable(socket_path(database))
    path.unlink(missing_ok=True)
    listener = await SocketListener.from_socket(_bound(path))
    limiter = anyio.CapacityLimiter(_CLIENTS_MAX)

    async def client(stream: SocketStream) -> None:
        async with limiter, stream:
            await _converse(stream, handler)

    try:
        async with listener:
            await listener.serve(client)
    finally:
        path.unlink(missing_ok=True)


def _bound(path: Path) -> socket.socket:
    """A listening socket that is private from its first moment: the mode is set before the bind
    makes it visible."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        os.fchmod(made.fileno(), stat.S_IRUSR | stat.S_IWUSR)
        made.bind(str(path))
        made.listen(_CLIENTS_MAX)
    except BaseException:
        made.close()
        raise
    return made


def _bindable(path: Path) -> Path:
    """The path, or where it is too long for a socket (about a hundred bytes) one of its own in a
    private folder of the user, the same for the service and for whoever asks it."""
    if len(os.fsencode(path)) <= _PATH_MAX:
        return path
    folder = Path(tempfile.gettempdir()) / f"holdfast-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o077:
        raise OSError(f"{folder}: not private to this user; use a shorter --db path")
    digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:24]
    return folder / f"{digest}.sock"


async def _converse(stream: SocketStream, handler: Handler) -> None:
    """Requests and answers until the client leaves, sends nonsense, or takes too long."""
    lines = BufferedByteReceiveStream(stream)
    with anyio.move_on_after(_CLIENT_TIMEOUT_S):
        try:
            while True:
                line = await lines.receive_until(b"\n", _LINE_MAX)
                answer = await _answer(line, handler)
                await stream.send(json.dumps(answer).encode() + b"\n")
        except (anyio.EndOfStream, anyio.IncompleteRead):
            return  # the client is done
        except anyio.DelimiterNotFound:
            logger.warning("CONTROL_LINE_TOO_LONG limit={}", _LINE_MAX)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as problem:
            logger.debug("CONTROL_CLIENT_GONE {}", type(problem).__name__)


async def _answer(line: bytes, handler: Handler) -> dict[str, Any]:
    try:
        request = json.loads(line)
        if not isinstance(request, dict):
            raise TypeError("not an object")
    except (ValueError, TypeError, RecursionError) as problem:
        return {"ok": False, "error": f"not a request: {problem}"}
    return await handler(request)
