"""What the engine and its writer process say to each other: framed MessagePack over a socket.

Responsible for the bytes on the way; what is done with them is `process_journal`'s (the engine's
side) and `writer_process`'s.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

from storage.codec import decode
from storage.writer import TurnBatch

_LENGTH = struct.Struct("<I")
_CHUNK = 1 << 20
T = TypeVar("T")


class TurnFrame(msgspec.Struct, array_like=True, gc=False):
    """One turn on its way to the writer; see `TurnBatch`."""

    turn: int
    first_seq: int
    at_us: int
    types: list[str]
    streams: list[str]
    payloads: list[bytes]
    dedup_keys: list[tuple[str, int]]
    identities: list[tuple[str, str, int]]

    def batch(self) -> TurnBatch:
        """The turn as the writer takes it. Raises ValueError for a type that it does not know."""
        return TurnBatch(
            turn=self.turn,
            first_seq=self.first_seq,
            at_us=self.at_us,
            events=tuple(map(decode, self.types, self.payloads)),
            payloads=tuple(self.payloads),
            dedup_keys=tuple(self.dedup_keys),
            identities=tuple(self.identities),
            streams=tuple(self.streams),
        )


class Report(msgspec.Struct, array_like=True, gc=False):
    """What the writer says after each commit: the head, and its counters since its start."""

    turn: int
    seq: int
    hash: bytes
    failed: str
    """Why nothing can be committed any more; empty as long as all is well."""
    projected_seq: int
    tables_failed: str
    commits: int
    turns: int
    events: int
    busy_s: float
    last_commit_s: float
    ballast_released: bool
    head_failures: int
    projection_failures: int
    last_problem: str


def turn_frame(batch: TurnBatch) -> bytes:
    """A turn as bytes, its length in front."""
    data = msgspec.msgpack.encode(
        TurnFrame(
            batch.turn,
            batch.first_seq,
            batch.at_us,
            [type(event).__name__ for event in batch.events],
            list(batch.streams) or [event.stream for event in batch.events],
            list(batch.payloads),
            list(batch.dedup_keys),
            list(batch.identities),
        )
    )
    return _LENGTH.pack(len(data)) + data


def report_frame(report: Report) -> bytes:
    """A report as bytes, its length in front."""
    data = msgspec.msgpack.encode(report)
    return _LENGTH.pack(len(data)) + data


class FrameReader(Generic[T]):
    """Takes whole frames of one kind off a socket; a frame that was cut short is never seen."""

    def __init__(self, sock: socket.socket, kind: type[T]) -> None:
        self._sock = sock
        self._decode = msgspec.msgpack.Decoder(kind).decode
        self._buffer = bytearray()

    def receive(self) -> bool:
        """Wait for bytes and keep them; False when the other side is gone."""
        try:
            data = self._sock.recv(_CHUNK)
        except ConnectionResetError:
            return False
        self._buffer += data
        return bool(data)

    def frames(self) -> Iterator[T]:
        """The whole frames among what was received. Raises msgspec's error on a damaged one."""
        buffer, start = self._buffer, 0
        while len(buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, start)
            end = start + _LENGTH.size + length
            if len(buffer) < end:
                break
            yield self._decode(bytes(buffer[start + _LENGTH.size : end]))
            start = end
        del buffer[:start]
