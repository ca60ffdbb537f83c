"""Where rows come from: what a reader of any format gives, and the reader of line formats.

A source numbers its rows as its file does (lines, or rows), decodes them and says how far it is.
Counting, order and gaps are `files.py`'s business.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol

from actors.feeds.decoding import Decoded, LineDecoder, Skipped, SkipReason
from actors.feeds.errors import MarketFileError
from actors.feeds.lines import LINE_BYTES_MAX, Lines

#: Rows read ahead: to recognise, to learn the clock offset, to derive instruments.
HEAD_ROWS = 1_000

#: A generator, so that whoever stops early can close it, and with it the file.
Rows = Generator[tuple[int, Decoded], None, None]


class RowSource(Protocol):
    """The rows of one file. Made for one pass."""

    @property
    def is_ordered(self) -> bool:
        """True when the rows come in event-time order whatever the file's order is; known once
        they are being read."""
        ...

    @property
    def streams_cross(self) -> bool:
        """True when streams of one file may cross each other without damage."""
        ...

    def rows(self) -> Rows:
        """(number, what it holds) of each row; what is unreadable comes as `Skipped`.

        Raises DamagedEndError where the readable part ends, MarketFileError when the file cannot
        be used at all.
        """
        ...

    def sample(self) -> Iterator[Decoded]:
        """Some rows from which instruments can be derived."""
        ...

    def symbols(self) -> list[str] | None:
        """Every symbol of the file; None where only reading all of it would tell."""
        ...

    def clock_offset_us(self) -> int | None:
        """The source's clock minus the local one; None where the file shows one clock only."""
        ...

    def progress(self) -> tuple[int, int]:
        """(done, all) in whatever unit the source advances."""
        ...


class LineSource:
    """Rows of a text file, a line each."""

    is_ordered = False

    def __init__(
        self, path: Path, decoder: LineDecoder, header_line: int, *, streams_cross: bool = False
    ) -> None:
        """`header_line` is the number of the line that is no row; 0 when there is none."""
        self.streams_cross = streams_cross
        self._path = path
        self._decoder = decoder
        self._header_line = header_line
        self._lines = Lines(path)

    def rows(self) -> Rows:
        """See `RowSource`."""
        decode_line, header_line = self._decoder.decode_line, self._header_line
        for number, line in self._lines:
            if number == header_line:
                continue
            if line is None:
                why = f"the line has more than {LINE_BYTES_MAX} bytes"
                yield number, Skipped(SkipReason.UNREADABLE, why)
                continue
            try:
                item = decode_line(line)
            except MarketFileError as error:  # a symbol that fits several instruments
                raise MarketFileError(f"{self._path}: line {number}: {error}") from None
            except ValueError as error:
                item = Skipped(SkipReason.UNREADABLE, str(error))
            yield number, item

    def sample(self) -> Iterator[Decoded]:
        """See `RowSource`."""
        return (item for _, item in islice(self.rows(), HEAD_ROWS))

    def symbols(self) -> list[str] | None:
        """See `RowSource`: lines tell theirs one by one."""
        return None

    def clock_offset_us(self) -> int | None:
        """See `RowSource`."""
        return self._decoder.clock_offset_us()

    def progress(self) -> tuple[int, int]:
        """See `RowSource`: bytes of the file as it lies on the disk."""
        return self._lines.progress()
