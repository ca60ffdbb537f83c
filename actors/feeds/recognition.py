"""Which format a market data file has: by its content, or as the user says if it bears that out.

Recognition looks at the first bytes and at the first lines, never at the file's name. What it
refuses gets one line that says what the file is and what to do with it.
"""

from __future__ import annotations

import re
import zlib
from contextlib import closing
from itertools import islice
from pathlib import Path

from attrs import frozen

from actors.feeds import binance_dumps, price_feed, quotes_csv, tardis_csv, trades_csv
from actors.feeds.capture import looks_like_capture
from actors.feeds.csv_rows import BOM, header_columns
from actors.feeds.errors import MarketFileError
from actors.feeds.kraken_json import looks_like_kraken
from actors.feeds.lines import DamagedEndError, Lines, open_bytes
from actors.feeds.row_sources import HEAD_ROWS
from actors.feeds.windows import looks_like_windows

CAPTURE, QUOTES, TRADES = "capture", "quotes", "trades"
BINANCE_AGG_TRADES, BINANCE_TRADES = "binance-aggtrades", "binance-trades"
BINANCE_BOOK = "binance-bookticker"
TARDIS_QUOTES, TARDIS_TRADES = "tardis-quotes", "tardis-trades"
KRAKEN, PARQUET, PRICES, WINDOWS = "kraken-trades", "parquet", "prices", "windows"
#: What `--format` takes. `windows` holds no market data: it is read beside its `prices`.
FORMATS = (
    QUOTES,
    TRADES,
    CAPTURE,
    BINANCE_AGG_TRADES,
    BINANCE_TRADES,
    BINANCE_BOOK,
    TARDIS_QUOTES,
    TARDIS_TRADES,
    KRAKEN,
    PARQUET,
    PRICES,
    WINDOWS,
)

#: The columns that make a CSV what it is; the first that fits wins, so the narrower ones lead.
CSV_COLUMNS = {
    TARDIS_QUOTES: ("exchange", *tardis_csv.QUOTE_COLUMNS),
    TARDIS_TRADES: ("exchange", *tardis_csv.TRADE_COLUMNS),
    BINANCE_AGG_TRADES: binance_dumps.AGG_TRADE_COLUMNS,
    BINANCE_BOOK: binance_dumps.BOOK_COLUMNS,
    BINANCE_TRADES: binance_dumps.TRADE_COLUMNS,
    PRICES: price_feed.COLUMNS,
    QUOTES: quotes_csv.COLUMNS,
    TRADES: trades_csv.COLUMNS,
}
_HEADERLESS = {
    "aggTrades": BINANCE_AGG_TRADES,
    "trades": BINANCE_TRADES,
    "bookTicker": BINANCE_BOOK,
}
_MAGICS = {
    b"PK\x03\x04": "a zip archive: unpack it first",
    b"PK\x05\x06": "an empty zip archive: nothing to read",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: unpack it first, or use gzip",
    b"\xfd7zX": "compressed with xz: unpack it first, or use gzip",
    b"BZh": "compressed with bzip2: unpack it first, or use gzip",
}
_HEAD_BYTES_MAX = 16 * 1024 * 1024
_ROW = re.compile(rb"[\w.:+-]*\d[\w.:+-]*(,[^,]*)+")


@frozen(slots=True, kw_only=True)
class Recognised:
    """The format, its first lines, and for CSV the header's columns and line number.

    `header_line` is 0 for a dump without a header; `header` then holds the columns that it must
    have.
    """

    format: str
    head: list[bytes]
    header: list[str]
    header_line: int


def recognise(path: Path, wanted: str | None = None) -> Recognised:
    """The file's format, or `wanted` if its content bears it out.

    Raises MarketFileError: not usable at all, unknown, or not what was wanted.
    """
    if wanted is not None and wanted not in FORMATS:
        raise MarketFileError(
            f"{path}: there is no format {wanted!r}: use one of {', '.join(FORMATS)}"
        )
    binary = _binary_format(path)
    if binary is not None or wanted == PARQUET:
        if binary != (wanted or binary):
            raise _not_wanted(path, wanted, "its first bytes say otherwise")
        return Recognised(format=PARQUET, head=[], header=[], header_line=0)
    numbered = _first_lines(path)
    head = [line for _, line in numbered]
    header_line, first = numbered[0]
    first = first.removeprefix(BOM)
    if wanted in (None, CAPTURE) and any(map(looks_like_capture, head[:20])):
        return Recognised(format=CAPTURE, head=head, header=[], header_line=0)
    if first[:1] in (b"{", b"["):
        return Recognised(
            format=_json_format(path, first, wanted), head=[], header=[], header_line=0
        )
    if wanted in (CAPTURE, KRAKEN, WINDOWS):
        needed = {CAPTURE: "'<local ns> <json frame>'"}.get(wanted, "JSON")
        raise _not_wanted(path, wanted, f"its first lines are not {needed}")
    dump = binance_dumps.headerless_kind(first)
    if dump is not None and wanted in (None, _HEADERLESS[dump]):
        header = binance_dumps.headerless_columns(dump, first)
        return Recognised(format=_HEADERLESS[dump], head=head, header=header, header_line=0)
    try:
        header = header_columns(first)
    except ValueError:
        raise _unknown(path, "it is no text") from None
    found = wanted or _csv_format(path, first, header)
    return Recognised(format=found, head=head[1:], header=header, header_line=header_line)


def _first_lines(path: Path) -> list[tuple[int, bytes]]:
    """The first lines with their numbers: at most `HEAD_ROWS` and `_HEAD_BYTES_MAX`."""
    numbered: list[tuple[int, bytes]] = []
    size = 0
    try:
        with closing(iter(Lines(path))) as lines:
            for number, line in islice(lines, HEAD_ROWS):
                if line is not None:
                    numbered.append((number, line))
                    size += len(line)
                if size > _HEAD_BYTES_MAX:
                    break
    except DamagedEndError as damage:
        if not numbered:
            raise MarketFileError(f"{path}: {damage}") from None
    if not numbered:
        raise MarketFileError(f"{path}: the file holds no line: nothing to read")
    return numbered


def _binary_format(path: Path) -> str | None:
    """PARQUET, or None for text. Raises MarketFileError for what is known and cannot be read."""
    try:
        with open_bytes(path) as stream:
            magic = stream.read(4)
            if magic != b"PAR1":
                why = next((why for sign, why in _MAGICS.items() if magic.startswith(sign)), None)
                if why is not None:
                    raise MarketFileError(f"{path}: this is {why}")
                return None
    except (EOFError, OSError, zlib.error):
        return None  # a damaged gzip: reading its lines tells more
    with path.open("rb") as raw:
        if raw.read(4) != magic:
            raise MarketFileError(f"{path}: a parquet file inside of gzip: unpack it first")
        size = path.stat().st_size
        raw.seek(max(size - 4, 0))
        if size < 12 or raw.read(4) != magic:
            raise MarketFileError(
                f"{path}: the parquet file is cut off: its end, which says where everything is, "
                "is missing: fetch it again"
            )
    return PARQUET


def _json_format(path: Path, first: bytes, wanted: str | None) -> str:
    # Pretty-printed JSON has one brace on its first line, so the question goes to the beginning.
    try:
        with open_bytes(path) as stream:
            beginning = stream.read(512)
    except (EOFError, OSError, zlib.error):
        beginning = first
    if looks_like_windows(first):
        found = WINDOWS
    elif looks_like_kraken(beginning):
        found = KRAKEN
    elif wanted in (KRAKEN, WINDOWS):
        found = wanted
    else:
        raise _unknown(path, "it is JSON of no kind that we know")
    if wanted not in (None, found):
        raise _not_wanted(path, wanted, "it is JSON")
    return found


def _csv_format(path: Path, first: bytes, header: list[str]) -> str:
    columns = set(header)
    for name, wanted in CSV_COLUMNS.items():
        if columns.issuperset(wanted):
            return name
    if _ROW.match(first) and not columns & {"timestamp", "price", "bid", "ask"}:
        raise _unknown(path, "it has no header, and its first row is not that of a Binance dump")
    nearest = max(CSV_COLUMNS, key=lambda name: len(columns & set(CSV_COLUMNS[name])))
    missing = [name for name in CSV_COLUMNS[nearest] if name not in columns]
    if len(missing) < len(CSV_COLUMNS[nearest]):
        raise _unknown(path, f"as {nearest} its header has no column {', '.join(missing)}")
    raise _unknown(path, "its first line is neither a known header nor a capture's line")


def _not_wanted(path: Path, wanted: str | None, why: str) -> MarketFileError:
    article = "a capture" if wanted == CAPTURE else f"a {wanted} file"
    return MarketFileError(
        f"{path}: not {article}: {why}: leave --format away, and it is recognised"
    )


def _unknown(path: Path, why: str) -> MarketFileError:
    return MarketFileError(
        f"{path}: the format is not recognised: {why}; a quotes CSV has the header "
        f"{','.join(quotes_csv.COLUMNS)}, a trades CSV {','.join(trades_csv.COLUMNS)}"
    )
