"""Reading a parquet file in order of time with bounded memory, whatever its own order is.

A survey reads times and symbols once, batch by batch. A file that is in order, or out of it by no
more than the reorder window, is then streamed as it lies. Any other file (sorted by instrument, for
example) is read a stretch of time after the other: each stretch holds at most `SLICE_ROWS` rows,
is found by scanning the time column, and sorted by itself. That costs one scan of the file for
every `SLICE_ROWS` rows and needs no disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
from attrs import define, field, frozen

from actors.feeds.decoding import SYMBOLS_MAX
from actors.feeds.errors import MarketFileError
from actors.feeds.lines import DamagedEndError
from actors.feeds.parquet_columns import PARQUET_ERRORS, ParquetColumns, damaged
from actors.feeds.reorder import WINDOW_US_DEFAULT

BATCH_ROWS = 50_000
SLICE_ROWS = 250_000
#: The survey counts rows by stretches of time, of which it keeps no more than this.
_BUCKETS_MAX = 20_000
#: Rows behind an earlier one of their own stream that are named; all are counted.
_NAMED_MAX = 1_000
ROW, TIME, SYMBOL = "row", "timestamp", "symbol"

_Batches = Iterator[pl.DataFrame]


@frozen(slots=True)
class Behind:
    """A row that lies behind an earlier one of its own instrument, by `behind_us`."""

    row: int
    behind_us: int


@define(slots=True)
class Survey:
    """What one pass over times and symbols shows."""

    rows: int = 0
    step_back_us: int = 0
    behind: list[Behind] = field(factory=list)
    behind_total: int = 0
    width_us: int = 1_000_000
    buckets: dict[int, int] = field(factory=dict)

    @property
    def is_streamable(self) -> bool:
        """True when the reorder window can put the file in order as it lies."""
        return self.step_back_us <= WINDOW_US_DEFAULT


class ParquetScan:
    """One parquet file as batches of rows, `row` counting from 1."""

    def __init__(self, path: Path, columns: ParquetColumns) -> None:
        self._path = path
        self._columns = columns
        self._frame = pl.scan_parquet(path, row_index_name=ROW, row_index_offset=1, glob=False)

    def survey(self) -> Survey:
        """Read times and symbols once. Raises DamagedEndError, MarketFileError."""
        survey = Survey()
        has_symbol = "symbol" in self._columns.names
        newest = _Newest()
        chosen = [pl.col(ROW), *(e for e in self._columns.select() if _is_key(e))]
        before_us: int | None = None
        for batch in self._batches(self._frame.select(chosen)):
            survey.rows += batch.height
            times = batch.drop_nulls(TIME)
            if times.is_empty():
                continue
            before_us = self._look_back(times, before_us, survey)
            if has_symbol:
                newest.look(times, survey)
            self._count(times, survey)
        return survey

    def in_file_order(self) -> _Batches:
        """Every row as the file has it."""
        return self._batches(self._frame.select(pl.col(ROW), *self._columns.select()))

    def in_time_order(self, survey: Survey) -> _Batches:
        """Every row by time, rows of one time by their place in the file; without a time last."""
        for first_us, last_us in _stretches(survey):
            yield from self._stretch(first_us, last_us)
        without = self._frame.filter(self._columns.time().is_null())
        yield from self._batches(without.select(pl.col(ROW), *self._columns.select()))

    def symbols(self) -> list[str]:
        """Every symbol, at most `SYMBOLS_MAX` of them."""
        column = self._frame.select(self._columns.select()).select(pl.col(SYMBOL).drop_nulls())
        try:
            found = column.unique().head(SYMBOLS_MAX).sort(SYMBOL).collect(engine="streaming")
        except PARQUET_ERRORS as error:
            raise damaged(self._path, error) from None
        return found[SYMBOL].cast(pl.String).to_list()

    def sample(self, each: int) -> pl.DataFrame:
        """The first `each` rows of every symbol, of at most `SYMBOLS_MAX / 20` symbols."""
        frame = self._frame.select(pl.col(ROW), *self._columns.select())
        try:
            if "symbol" not in self._columns.names:
                return frame.head(each).collect(engine="streaming")
            symbols = frame.select(pl.col(SYMBOL).n_unique()).collect(engine="streaming").item()
            if symbols > SYMBOLS_MAX // 20:
                raise MarketFileError(
                    f"{self._path}: {symbols:,} symbols are too many to derive instruments from: "
                    "name those that you want in the configuration"
                )
            each = max(each // max(symbols, 1), 20)
            return frame.group_by(SYMBOL, maintain_order=True).head(each).collect()
        except PARQUET_ERRORS as error:
            raise damaged(self._path, error) from None

    def _look_back(self, times: pl.DataFrame, before_us: int | None, survey: Survey) -> int:
        """The greatest step back so far, and the greatest time."""
        column = times[TIME]
        greatest = column.cum_max()
        if before_us is not None:
            greatest = greatest.clip(lower_bound=before_us)
        back = (greatest - column).max()
        assert isinstance(back, int)
        survey.step_back_us = max(survey.step_back_us, back)
        last = greatest[-1]
        assert isinstance(last, int)
        return last

    def _count(self, times: pl.DataFrame, survey: Survey) -> None:
        counted = times.group_by((pl.col(TIME) // survey.width_us).alias("bucket")).len()
        for bucket, count in counted.iter_rows():
            survey.buckets[bucket] = survey.buckets.get(bucket, 0) + count
        while len(survey.buckets) > _BUCKETS_MAX:
            survey.width_us *= 4
            wider: dict[int, int] = {}
            for bucket, count in survey.buckets.items():
                wider[bucket // 4] = wider.get(bucket // 4, 0) + count
            survey.buckets = wider

    def _stretch(self, first_us: int, last_us: int) -> _Batches:
        """The rows from `first_us` to `last_us` by time, narrowed down until they fit."""
        inside = self._frame.filter(self._columns.time().is_between(first_us, last_us))
        counted = inside.select(pl.len())
        try:
            rows = counted.collect(engine="streaming").item()
            if rows > 2 * SLICE_ROWS and first_us < last_us:
                middle_us = (first_us + last_us) // 2
                yield from self._stretch(first_us, middle_us)
                yield from self._stretch(middle_us + 1, last_us)
                return
            chosen = inside.select(pl.col(ROW), *self._columns.select())
            if first_us == last_us:  # one instant: the file's order is the order
                yield from self._batches(chosen)
                return
            frame = chosen.collect(engine="streaming").sort(TIME, ROW)
        except PARQUET_ERRORS as error:
            raise damaged(self._path, error) from None
        yield from frame.iter_slices(BATCH_ROWS)

    def _batches(self, frame: pl.LazyFrame) -> _Batches:
        row = 0
        batches = frame.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True, lazy=True)
        try:
            for batch in batches:
                row = batch[ROW][-1] if batch.height else row
                yield from batch.iter_slices(BATCH_ROWS)
        except PARQUET_ERRORS as error:
            why = " ".join(str(error).split())[:160]
            raise DamagedEndError(
                row + 1,
                f"the parquet file is damaged behind row {row} ({why}): everything before it was "
                "read; fetch the file again for the rest",
            ) from None


class _Newest:
    """The greatest time of each symbol so far, to find rows behind their own stream."""

    def __init__(self) -> None:
        self._seen: pl.DataFrame | None = None

    def look(self, times: pl.DataFrame, survey: Survey) -> None:
        """Add one batch."""
        own = times.with_columns(
            pl.col(TIME).cum_max().over(SYMBOL).alias("own"), pl.col(SYMBOL).cast(pl.String)
        )
        if self._seen is not None:
            own = own.join(self._seen, on=SYMBOL, how="left", maintain_order="left")
            own = own.with_columns(pl.max_horizontal("own", "newest"))
        late = own.filter(pl.col(TIME) < pl.col("own"))
        survey.behind_total += late.height
        room = _NAMED_MAX - len(survey.behind)
        if late.height and room > 0:
            named = late.head(room).select(ROW, pl.col("own") - pl.col(TIME))
            survey.behind += [Behind(row, behind) for row, behind in named.iter_rows()]
        newest = own.group_by(SYMBOL).agg(pl.col("own").max().alias("newest"))
        if self._seen is not None:
            newest = pl.concat([self._seen, newest]).group_by(SYMBOL).agg(pl.col("newest").max())
        # More symbols than exist: the oldest knowledge goes, and with it only this remark.
        self._seen = newest.head(SYMBOLS_MAX)


def _is_key(expression: pl.Expr) -> bool:
    return expression.meta.output_name() in (TIME, SYMBOL)


def _stretches(survey: Survey) -> Iterator[tuple[int, int]]:
    """(first, last) microseconds of stretches with about `SLICE_ROWS` rows each, in order."""
    first: int | None = None
    held, last = 0, 0
    width = survey.width_us
    for bucket in sorted(survey.buckets):
        count = survey.buckets[bucket]
        if first is not None and held + count > SLICE_ROWS:
            yield first * width, last * width + width - 1
            first, held = None, 0
        if first is None:
            first = bucket
        held, last = held + count, bucket
    if first is not None:
        yield first * width, last * width + width - 1
