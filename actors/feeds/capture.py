"""Stream captures: a line is the local time in nanoseconds, a space, and the frame as received."""

from __future__ import annotations

import re

from actors.feeds.binance import BinanceDecoder
from actors.feeds.decoding import Decoded, SymbolResolver
from actors.feeds.timestamps import EVENT_US_MAX

_CAPTURE_LINE = re.compile(rb"\d{18,19} \{")


def looks_like_capture(line: bytes) -> bool:
    """True when the line opens as a capture's line does."""
    return _CAPTURE_LINE.match(line) is not None


def split_capture_line(line: bytes) -> tuple[int, bytes]:
    """(receive time in microseconds, frame). Raises ValueError when it is no capture line."""
    local_ns, _, frame = line.partition(b" ")
    if not local_ns.isdigit() or len(local_ns) not in (18, 19):
        raise ValueError("the line does not begin with the local time in nanoseconds")
    recv_us = int(local_ns) // 1_000
    if recv_us >= EVENT_US_MAX:
        raise ValueError("the local time is behind the year 2200")
    return recv_us, frame


class CaptureDecoder:
    """Binance frames out of a capture's lines; `head` primes the decoder with the first ones."""

    def __init__(self, resolve: SymbolResolver, head: list[bytes]) -> None:
        self._frames = BinanceDecoder(resolve)
        for line in head:
            try:
                recv_us, frame = split_capture_line(line)
            except ValueError:
                continue
            self._frames.prime(frame, recv_us)

    def decode_line(self, line: bytes) -> Decoded:
        """See `LineDecoder`."""
        recv_us, frame = split_capture_line(line)
        return self._frames.decode(frame, recv_us)

    def clock_offset_us(self) -> int | None:
        """See `LineDecoder`."""
        return self._frames.clock_offset_us
