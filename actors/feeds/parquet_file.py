"""Market data from parquet: quotes or trades, streamed in bounded memory, Decimal at the edge.

Rows are numbered from 1 as they lie in the file. Which columns count is `parquet_columns.py`'s
business, in which order they are read `parquet_slices.py`'s. A row whose time is missing or
impossible, or whose numbers are none, is a bad row like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from actors.feeds.decoding import (
    ClockOffset,
    Decoded,
    Names,
    Numbers,
    PositiveNumbers,
    RecentIds,
    Skipped,
    SkipReason,
    SymbolResolver,
    book_side,
)
from actors.feeds.errors import MarketFileError
from actors.feeds.parquet_columns import ParquetColumns
from actors.feeds.parquet_slices import TIME, ParquetScan, Survey
from actors.feeds.row_sources import HEAD_ROWS, Rows
from actors.feeds.trades_csv import taker_side
from fsm.market import MarketTrade, Tick
from fsm.vocabulary import Side

#: One instant of a polled source holds every instrument: repeats may lie that far apart.
_RECENT_ROWS = 50_000
_MAKERS = {"true": Side.SELL, "1": Side.SELL, "false": Side.BUY, "0": Side.BUY}


class ParquetSource:
    """The rows of one parquet file."""

    streams_cross = True

    def __init__(
        self, path: Path, columns: ParquetColumns, symbol: str, resolve: SymbolResolver
    ) -> None:
        """`symbol` stands for every row of a file without a symbol column."""
        self._path = path
        self._columns = columns
        self._symbol = symbol
        self._names = Names(resolve)
        self._scan = ParquetScan(path, columns)
        self._book_numbers = [Numbers(name) for name in ("bid", "ask", "bid_size", "ask_size")]
        self._trade_numbers = [PositiveNumbers(name) for name in ("price", "quantity")]
        self._offset = ClockOffset()
        self._recent = RecentIds(_RECENT_ROWS)
        self._survey: Survey | None = None
        self._done = 0
        self._total = 0

    @property
    def is_ordered(self) -> bool:
        """Known once the rows are being read: in order as it lies, or sorted by stretches."""
        survey = self._survey
        return survey is not None and (not survey.step_back_us or not survey.is_streamable)

    def rows(self) -> Rows:
        """See `RowSource`."""
        self._survey = survey = self._scan.survey()
        self._total = survey.rows
        if survey.is_streamable:
            batches = self._scan.in_file_order()
        else:
            for behind in survey.behind:
                why = f"out of order: {behind.behind_us} us behind an earlier row of its instrument"
                yield behind.row, Skipped(SkipReason.DISORDER, why)
            for _ in range(survey.behind_total - len(survey.behind)):
                yield 0, Skipped(SkipReason.DISORDER, "out of order: further rows")
            batches = self._scan.in_time_order(survey)
        for batch in batches:
            try:
                yield from self._decode(batch)
            except MarketFileError as error:  # a symbol that fits several instruments
                raise MarketFileError(f"{self._path}: {error}") from None
            self._done += batch.height

    def sample(self) -> Iterator[Decoded]:
        """See `RowSource`."""
        return (item for _, item in self._decode(self._scan.sample(HEAD_ROWS)))

    def symbols(self) -> list[str] | None:
        """See `RowSource`."""
        return self._scan.symbols() if "symbol" in self._columns.names else [self._symbol]

    def clock_offset_us(self) -> int | None:
        """See `RowSource`."""
        return self._offset.median_us()

    def progress(self) -> tuple[int, int]:
        """See `RowSource`: rows."""
        return self._done, self._total

    def _decode(self, batch: pl.DataFrame) -> Rows:
        return self._quotes(batch) if self._columns.has_quotes else self._trades(batch)

    def _values(self, batch: pl.DataFrame, name: str) -> list[object]:
        return batch[name].to_list() if name in batch.columns else [None] * batch.height

    def _identities(self, batch: pl.DataFrame) -> list[int]:
        """What a row is known by: its trade's id where it has one, else all that it says.

        64 bits of hash instead of the values: two rows of the `_RECENT_ROWS` that are remembered
        share one by chance once in a hundred thousand billion.
        """
        whole = pl.struct(pl.exclude("row")).hash()
        if "trade_id" in batch.columns:
            names = [name for name in ("symbol", "trade_id") if name in batch.columns]
            own = pl.struct(names).hash()
            whole = pl.when(pl.col("trade_id").is_null()).then(whole).otherwise(own)
        return batch.select(whole.alias("identity"))["identity"].to_list()

    def _symbols(self, batch: pl.DataFrame) -> list[str | None]:
        if "symbol" in batch.columns:
            return batch["symbol"].to_list()
        return [self._symbol] * batch.height

    def _quotes(self, batch: pl.DataFrame) -> Rows:
        names, recent = self._names, self._recent
        bids, asks, bid_sizes, ask_sizes = self._book_numbers
        columns = (
            batch["row"].to_list(),
            batch[TIME].to_list(),
            self._symbols(batch),
            *(self._values(batch, n) for n in ("bid", "ask", "bid_size", "ask_size", "local")),
            self._identities(batch),
        )
        for row, event_us, symbol, bid_in, ask_in, bid_n, ask_n, recv, identity in zip(
            *columns, strict=True
        ):
            if event_us is None or not symbol:
                yield row, _incomplete(event_us)
                continue
            try:
                bid, bid_size = book_side(bids[bid_in], bid_sizes[bid_n])
                ask, ask_size = book_side(asks[ask_in], ask_sizes[ask_n])
                instrument = names[symbol]
            except ValueError as error:
                yield row, Skipped(SkipReason.UNREADABLE, str(error))
                continue
            if instrument is None:
                yield row, Skipped(SkipReason.UNMATCHED, symbol)
                continue
            if not recent.add(identity):
                yield row, Skipped(SkipReason.DUPLICATE, f"quote of {symbol}")
                continue
            if recv is not None:
                self._offset.observe(event_us, recv)
            yield (
                row,
                Tick(
                    instrument=instrument,
                    bid=bid,
                    ask=ask,
                    bid_size=bid_size,
                    ask_size=ask_size,
                    event_us=event_us,
                    recv_us=event_us if recv is None else recv,
                ),
            )

    def _trades(self, batch: pl.DataFrame) -> Rows:
        names, recent = self._names, self._recent
        prices, sizes = self._trade_numbers
        columns = (
            batch["row"].to_list(),
            batch[TIME].to_list(),
            self._symbols(batch),
            *(
                self._values(batch, n)
                for n in ("price", "quantity", "side", "buyer_maker", "trade_id", "local")
            ),
            self._identities(batch),
        )
        for (
            row,
            event_us,
            symbol,
            price_in,
            size_in,
            side_in,
            maker,
            trade_id,
            recv,
            identity,
        ) in zip(*columns, strict=True):
            if event_us is None or not symbol:
                yield row, _incomplete(event_us)
                continue
            try:
                price, qty, side = prices[price_in], sizes[size_in], _side(side_in, maker)
                instrument = names[symbol]
            except ValueError as error:
                yield row, Skipped(SkipReason.UNREADABLE, str(error))
                continue
            assert price is not None
            assert qty is not None
            if instrument is None:
                yield row, Skipped(SkipReason.UNMATCHED, symbol)
                continue
            if not recent.add(identity):
                what = f"trade {trade_id or 'row'} of {symbol}"
                yield row, Skipped(SkipReason.DUPLICATE, what)
                continue
            if recv is not None:
                self._offset.observe(event_us, recv)
            yield (
                row,
                MarketTrade(
                    instrument=instrument,
                    price=price,
                    qty=qty,
                    side=side,
                    event_us=event_us,
                    recv_us=event_us if recv is None else recv,
                    trade_id=trade_id or None,
                ),
            )


def _incomplete(event_us: int | None) -> Skipped:
    if event_us is None:
        why = "its timestamp is missing or not between 1970 and 2200"
        return Skipped(SkipReason.UNREADABLE, why)
    return Skipped(SkipReason.UNREADABLE, "its symbol is missing")


def _side(side: str | None, buyer_maker: str | None) -> Side | None:
    """The taker's side from either column. Raises ValueError for what is neither."""
    if side is not None:
        return None if side.lower() == "unknown" else taker_side(side)
    if buyer_maker is None:
        return None
    found = _MAKERS.get(buyer_maker.lower())
    if found is None:
        raise ValueError(f"buyer_maker {buyer_maker[:40]!r} is neither true nor false")
    return found
