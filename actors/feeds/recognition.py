"""Which format a market data file has, by its content; the formats that are still to come.

Recognising a format that cannot be read yet is worth a line of its own: "comes later" spares the
user a search for what is wrong with the file.
"""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

from attrs import frozen

from actors.feeds import quotes_csv, trades_csv
from actors.feeds.capture import looks_like_capture
from actors.feeds.csv_rows import BOM, header_columns
from actors.feeds.errors import MarketFileError
from actors.feeds.lines import DamagedEndError, open_bytes, read_lines

CAPTURE, QUOTES, TRADES = "capture", "quotes", "trades"
FORMATS = (CAPTURE, QUOTES, TRADES)

_BINANCE, _TARDIS, _KRAKEN = "Binance dump", "Tardis CSV", "Kraken Trades response"
_PARQUET, _PREDICTION = "Parquet", "prediction windows"
LATER = {
    "binance": _BINANCE,
    "tardis": _TARDIS,
    "kraken": _KRAKEN,
    "parquet": _PARQUET,
    "prediction": _PREDICTION,
}
#: Header columns that belong to one later format only.
_LATER_HEADERS = (
    ({"exchange", "symbol", "local_timestamp"}, _TARDIS),
    ({"agg_trade_id", "transact_time"}, _BINANCE),
    ({"id", "price", "qty", "quote_qty"}, _BINANCE),
    ({"update_id", "best_bid_price"}, _BINANCE),
    ({"feed_ts_ms", "full_accuracy_value"}, _PREDICTION),
)
#: Binance's older dumps have no header: numbers and truth values only.
_HEADERLESS_DUMP = re.compile(r"\d+(,[\d.]+){4,6}(,(true|false)){1,2}", re.IGNORECASE)
_PREDICTION_FIELDS = (b'"start_sec"', b'"strike_value"')

#: Lines read ahead: to recognise, to learn the clock offset, to derive instruments.
HEAD_LINES = 1_000


@frozen(slots=True, kw_only=True)
class Recognised:
    """The format, its first lines, and for CSV the header's columns and line number."""

    format: str
    head: list[bytes]
    header: list[str]
    header_line: int


def recognise(path: Path, wanted: str | None = None) -> Recognised:
    """The file's format, or `wanted` if its content bears it out.

    Raises MarketFileError: not usable at all, unknown, still to come, or not what was wanted.
    """
    if wanted is not None and wanted not in FORMATS:
        if wanted in LATER:
            raise _later(path, LATER[wanted])
        raise MarketFileError(
            f"{path}: there is no format {wanted!r}: use one of {', '.join(FORMATS)}"
        )
    _refuse_binary(path)
    numbered: list[tuple[int, bytes]] = []
    lines = read_lines(path)
    try:
        for number, line in islice(lines, HEAD_LINES):
            if line is not None:
                numbered.append((number, line))
    except DamagedEndError as damage:
        if not numbered:
            raise MarketFileError(f"{path}: {damage}") from None
    finally:
        lines.close()
    if not numbered:
        raise MarketFileError(f"{path}: the file holds no line: nothing to read")
    head = [line for _, line in numbered]
    header_line, first = numbered[0]
    is_capture = wanted in (None, CAPTURE) and any(map(looks_like_capture, head[:20]))
    if is_capture:
        return Recognised(format=CAPTURE, head=head, header=[], header_line=0)
    if wanted == CAPTURE:
        raise MarketFileError(
            f"{path}: not a capture: its first lines are not '<local ns> <json frame>'"
        )
    header = _header(path, first, wanted)
    found = wanted or _csv_format(path, first, header)
    return Recognised(format=found, head=head[1:], header=header, header_line=header_line)


def _later(path: Path, name: str) -> MarketFileError:
    return MarketFileError(
        f"{path}: {name} files are known but cannot be read yet, that comes later: "
        "convert it to the quotes or trades CSV"
    )


def _refuse_binary(path: Path) -> None:
    try:
        with open_bytes(path) as stream:
            magic = stream.read(4)
    except (EOFError, OSError):
        return  # a damaged gzip: reading its lines tells more
    if magic == b"PAR1":
        raise _later(path, _PARQUET)
    if magic[:2] == b"PK":
        raise MarketFileError(f"{path}: this is a zip archive: unpack it first")


def _header(path: Path, first: bytes, wanted: str | None) -> list[str]:
    if first.removeprefix(BOM)[:1] in (b"{", b"["):
        if wanted is None:
            raise _json_refusal(path, first)
        raise MarketFileError(f"{path}: line 1: JSON where the {wanted} CSV has its header")
    try:
        return header_columns(first)
    except ValueError:
        raise _unknown(path, "it is no text") from None


def _json_refusal(path: Path, first: bytes) -> MarketFileError:
    if all(name in first for name in _PREDICTION_FIELDS):
        return _later(path, _PREDICTION)
    # Pretty-printed JSON has one brace on its first line, so the question goes to the beginning.
    with open_bytes(path) as stream:
        beginning = stream.read(512)
    if b'"error"' in beginning and b'"result"' in beginning:
        return _later(path, _KRAKEN)
    return _unknown(path, "it is JSON of no kind that we know")


def _csv_format(path: Path, first: bytes, header: list[str]) -> str:
    columns = set(header)
    for wanted, name in _LATER_HEADERS:
        if wanted <= columns:
            raise _later(path, name)
    if _HEADERLESS_DUMP.fullmatch(first.decode("utf-8", "replace")):
        raise _later(path, _BINANCE)
    if columns.issuperset(quotes_csv.COLUMNS):
        return QUOTES
    if columns.issuperset(trades_csv.COLUMNS):
        return TRADES
    nearest = quotes_csv.COLUMNS if {"bid", "ask"} & columns else trades_csv.COLUMNS
    missing = [name for name in nearest if name not in columns]
    if len(missing) < len(nearest):
        raise _unknown(path, f"its header has no column {', '.join(missing)}")
    raise _unknown(path, "its first line is neither a known header nor a capture's line")


def _unknown(path: Path, why: str) -> MarketFileError:
    return MarketFileError(
        f"{path}: the format is not recognised: {why}; a quotes CSV has the header "
        f"{','.join(quotes_csv.COLUMNS)}, a trades CSV {','.join(trades_csv.COLUMNS)}"
    )
