"""From a recognised file to the source that reads it: which format is read by what.

A source is made anew for each pass; what is the same for all of them (columns, symbol) is looked
at once, so that a file that cannot be read is refused before anything begins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from actors.feeds import recognition as known
from actors.feeds.binance_dumps import BinanceBookDecoder, BinanceTradesDecoder
from actors.feeds.capture import CaptureDecoder
from actors.feeds.decoding import LineDecoder, Skipped, SymbolResolver
from actors.feeds.errors import MarketFileError
from actors.feeds.file_symbols import FileSymbol, file_symbol
from actors.feeds.kraken_json import KrakenSource
from actors.feeds.lines import DamagedEndError
from actors.feeds.price_feed import PriceFeedDecoder, PriceFeedSource
from actors.feeds.quotes_csv import QuotesDecoder
from actors.feeds.recognition import CSV_COLUMNS, Recognised
from actors.feeds.report import FeedReport
from actors.feeds.row_sources import LineSource, RowSource
from actors.feeds.tardis_csv import TardisQuotesDecoder, TardisTradesDecoder
from actors.feeds.trades_csv import TradesDecoder

if TYPE_CHECKING:
    from actors.feeds.parquet_columns import ParquetColumns

_WITH_SYMBOLS: dict[str, Callable[[SymbolResolver, Sequence[str]], LineDecoder]] = {
    known.QUOTES: QuotesDecoder,
    known.TRADES: TradesDecoder,
    known.TARDIS_QUOTES: TardisQuotesDecoder,
    known.TARDIS_TRADES: TardisTradesDecoder,
}
_WITHOUT_SYMBOLS: dict[str, Callable[[str, SymbolResolver, Sequence[str]], LineDecoder]] = {
    known.BINANCE_AGG_TRADES: BinanceTradesDecoder,
    known.BINANCE_TRADES: BinanceTradesDecoder,
    known.BINANCE_BOOK: BinanceBookDecoder,
    known.PRICES: PriceFeedDecoder,
}


class SourceMaker:
    """Makes sources of one file. Raises MarketFileError when the file cannot be read at all."""

    def __init__(self, path: Path, found: Recognised, symbol: str | None = None) -> None:
        """`symbol` is what the user says the rows are of; refused where the rows say it."""
        self.path = path
        self.found = found
        self._symbol: FileSymbol | None = None
        self._parquet: ParquetColumns | None = None
        if found.format == known.WINDOWS:
            raise MarketFileError(
                f"{path}: prediction windows hold no prices: name the price feed that they settle "
                f"on instead, or look at both with `holdfast data check PRICES --windows {path}`"
            )
        names_symbol = found.format not in _WITHOUT_SYMBOLS
        if found.format == known.PARQUET:
            # Imported here: its library is large, and a service without such a file needs none.
            from actors.feeds.parquet_columns import parquet_columns

            self._parquet = parquet_columns(path)
            names_symbol = "symbol" in self._parquet.names
        elif found.format in CSV_COLUMNS:
            missing = [c for c in CSV_COLUMNS[found.format] if c not in found.header]
            if missing:
                raise MarketFileError(
                    f"{path}: line {found.header_line}: the header of a {found.format} file has "
                    f"no column {', '.join(missing)}: leave --format away, and it is recognised"
                )
        if not names_symbol:
            self._symbol = file_symbol(path, symbol)
        elif symbol is not None:
            raise MarketFileError(
                f"{path}: its rows name their symbols, so --symbol {symbol} is not for it: "
                "leave it away"
            )
        self.source(lambda name: name)

    def report(self) -> FeedReport:
        """An empty report on this file."""
        symbol = self._symbol
        place = "row" if self.found.format in (known.PARQUET, known.KRAKEN) else "line"
        told = None if symbol is None else f"{symbol.symbol} (from {symbol.origin})"
        return FeedReport(format=self.found.format, place=place, symbol_from=told)

    def symbols(self) -> tuple[list[str], bool]:
        """The symbols that the file writes, and whether these are all of them; a file that can
        only be read from its beginning tells those of its first rows."""
        if self._symbol is not None:
            return [self._symbol.symbol], True
        source = self.source(lambda name: name)
        found = source.symbols()
        if found is not None:
            return found, True
        seen: dict[str, None] = {}
        try:
            for item in source.sample():
                if not isinstance(item, Skipped):
                    seen[item.instrument] = None
        except DamagedEndError:
            pass  # reading the file tells it
        return list(seen), False

    def source(self, resolve: SymbolResolver) -> RowSource:
        """A source for one pass. Raises MarketFileError."""
        found = self.found
        if found.format == known.CAPTURE:
            decoder: LineDecoder = CaptureDecoder(resolve, found.head)
            return LineSource(self.path, decoder, 0, streams_cross=True)
        if found.format == known.KRAKEN:
            return KrakenSource(self.path, resolve)
        symbol = "" if self._symbol is None else self._symbol.symbol
        if self._parquet is not None:
            from actors.feeds.parquet_file import ParquetSource

            return ParquetSource(self.path, self._parquet, symbol, resolve)
        try:
            decoder = _csv_decoder(found.format, symbol, resolve, found.header)
        except ValueError as error:
            raise MarketFileError(f"{self.path}: line {found.header_line}: {error}") from None
        made = PriceFeedSource if found.format == known.PRICES else LineSource
        return made(self.path, decoder, found.header_line)


def _csv_decoder(
    name: str, symbol: str, resolve: SymbolResolver, header: Sequence[str]
) -> LineDecoder:
    if name in _WITH_SYMBOLS:
        return _WITH_SYMBOLS[name](resolve, header)
    return _WITHOUT_SYMBOLS[name](symbol, resolve, header)
