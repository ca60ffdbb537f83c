"""Lines of a file, plain or gzip, streamed; damage of the container is told, not hidden.

Responsible for opening, for line numbers and for what a broken gzip still holds. What a line
means is the decoders' business.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO, cast

from actors.feeds.errors import MarketFileError

GZIP_MAGIC = b"\x1f\x8b"
#: A longer line is no row of any format (a book snapshot of 5,000 levels has 300 KB) (L9).
LINE_BYTES_MAX = 1 << 20


#: A generator, so that whoever stops early can close it, and with it the file.
NumberedLines = Generator[tuple[int, bytes | None], None, None]


class DamagedEndError(Exception):
    """The file ends too early or turns unreadable at `line`; the lines before were good."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def open_bytes(path: Path) -> BinaryIO:
    """The file's content, unpacked when it is gzip (by its first bytes, not by its name).

    Raises MarketFileError for what is missing, no file, not permitted, or empty.
    """
    try:
        if not path.exists():
            raise MarketFileError(f"{path}: no such file: check the path")
        if not path.is_file():
            raise MarketFileError(f"{path}: not a file: name one market data file")
        raw = path.open("rb")
        magic = raw.read(2)
        raw.seek(0)
    except PermissionError:
        raise MarketFileError(f"{path}: no permission to read it: check its mode") from None
    except OSError as error:
        raise MarketFileError(f"{path}: cannot be read: {error.strerror or error}") from None
    if not magic:
        raw.close()
        raise MarketFileError(f"{path}: the file is empty: nothing to read")
    if magic == GZIP_MAGIC:
        # GzipFile does not own the file object that it is given, so it gets the path instead.
        raw.close()
        return cast(BinaryIO, gzip.open(path, "rb"))
    return raw


class Lines:
    """The lines of one file, read once; says meanwhile how far it is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._raw: BinaryIO | None = None
        self._bytes_total = 0

    def progress(self) -> tuple[int, int]:
        """(bytes read, bytes in all) of the file as it lies on the disk."""
        raw = self._raw
        if raw is None or raw.closed:
            return self._bytes_total, self._bytes_total
        return raw.tell(), self._bytes_total

    def __iter__(self) -> NumberedLines:
        """(line number from 1, line without its end) of every line that is not empty.

        A line above `LINE_BYTES_MAX` comes as None. Raises DamagedEndError after the last readable
        line of a gzip that is cut off or corrupt, and MarketFileError when the disk fails.
        """
        number = 0
        with open_bytes(self.path) as stream:
            self._raw = getattr(stream, "fileobj", None) or stream
            self._bytes_total = self.path.stat().st_size
            # GzipFile's own readline: a BufferedReader around it would lose what was unpacked
            # before the damage. Plain files have one already.
            readline = stream.readline
            while True:
                try:
                    line = readline(LINE_BYTES_MAX)
                    if not line:
                        return
                    number += 1
                    too_long = len(line) >= LINE_BYTES_MAX and not line.endswith(b"\n")
                    while too_long and line and not line.endswith(b"\n"):
                        line = readline(LINE_BYTES_MAX)
                except EOFError:
                    raise DamagedEndError(
                        number + 1,
                        f"the compressed file ends in the middle of line {number + 1}: "
                        "everything before it was read; fetch the file again for the rest",
                    ) from None
                except (zlib.error, gzip.BadGzipFile) as error:
                    raise DamagedEndError(
                        number + 1,
                        f"the compressed file is corrupt behind line {number} ({error}): "
                        "everything before it was read; fetch the file again for the rest",
                    ) from None
                except OSError as error:
                    raise MarketFileError(
                        f"{self.path}: line {number + 1}: cannot be read: {error.strerror or error}"
                    ) from None
                if too_long:
                    yield number, None
                elif line := line.strip():
                    yield number, line
