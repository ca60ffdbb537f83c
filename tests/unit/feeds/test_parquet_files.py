"""Parquet: columns and types, order, damage, bounded slices, and the recorded day in full."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.feeds import parquet_slices
from actors.feeds.files import MarketFileError, derive_instruments, open_market_file
from fsm.instrument import Instrument
from fsm.market import MarketTrade, Tick
from fsm.vocabulary import Side
from tests.market_data import market_data
from tests.unit.feeds.frames import BTC

START = dt.datetime(2024, 8, 8, 12, tzinfo=dt.UTC)
START_US = int(START.timestamp()) * 1_000_000


def quotes(path: Path, rows: int = 3, **columns: Any) -> Path:
    """A file of quotes, a second apart; a column given as None is left away."""
    frame = {
        "timestamp": [START + dt.timedelta(seconds=n) for n in range(rows)],
        "symbol": ["BTCUSDT"] * rows,
        "bid": [100.1] * rows,
        "ask": [100.2] * rows,
        "bid_size": [1.5] * rows,
        "ask_size": [0.1 + 0.2] * rows,
    } | columns
    data = {name: values for name, values in frame.items() if values is not None}
    pl.DataFrame(data, strict=False).write_parquet(path)
    return path


def trades(path: Path, rows: int = 3, **columns: Any) -> Path:
    defaults = {"bid": None, "ask": None, "bid_size": None, "ask_size": None}
    defaults |= {"price": [100.1] * rows, "quantity": [0.5 + n for n in range(rows)]}
    return quotes(path, rows, **(defaults | columns))


def test_quotes_become_decimals_as_they_were_meant(tmp_path: Path) -> None:
    file = open_market_file(quotes(tmp_path / "a.parquet"), [BTC], strict=True)
    first = next(iter(file))
    assert (
        Tick(
            instrument="BTC/USDT",
            bid=Decimal("100.1"),
            ask=Decimal("100.2"),
            bid_size=Decimal("1.5"),
            ask_size=Decimal("0.3"),  # not 0.30000000000000004
            event_us=START_US,
            recv_us=START_US,
        )
        == first
    )


@pytest.mark.parametrize(
    "values",
    [
        [START.replace(tzinfo=None)],
        [START.astimezone(dt.timezone(dt.timedelta(hours=2)))],
        [START_US // 1_000_000],
        [START_US // 1_000],
        [START_US],
        [START_US * 1_000],
        [float(START_US // 1_000_000)],
        [START.isoformat()],
        [str(START_US // 1_000)],
    ],
)
def test_times_are_read_from_every_type_that_holds_one(tmp_path: Path, values: list[Any]) -> None:
    path = quotes(tmp_path / "a.parquet", 1, timestamp=values)
    assert [START_US] == [item.event_us for item in open_market_file(path, [BTC], strict=True)]


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([0.1], dtype=pl.Float32),
        pl.Series([Decimal("0.1")], dtype=pl.Decimal(12, 4)),
        pl.Series(["0.1"]),
        pl.Series(["0.1"], dtype=pl.Categorical),
    ],
)
def test_numbers_are_read_from_every_type_that_holds_one(tmp_path: Path, values: pl.Series) -> None:
    path = quotes(tmp_path / "a.parquet", 1, bid=values)
    (tick,) = open_market_file(path, [BTC], strict=True)
    assert isinstance(tick, Tick)
    assert Decimal("0.1") == tick.bid


def test_empty_and_zero_sides_are_missing_and_sizes_may_be_unknown(tmp_path: Path) -> None:
    path = quotes(
        tmp_path / "a.parquet",
        bid=[None, 0.0, 100.1],
        ask=[100.2, 100.2, None],
        bid_size=None,
        ask_size=None,
    )
    ticks = [item for item in open_market_file(path, [BTC], strict=True) if isinstance(item, Tick)]
    assert [None, None, Decimal("100.1")] == [tick.bid for tick in ticks]
    assert [True, True, False] == [tick.ask is not None for tick in ticks]
    assert {None} == {tick.bid_size for tick in ticks}


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, [None] * 3),
        ({"side": ["buy", "SELL", "unknown"]}, [Side.BUY, Side.SELL, None]),
        ({"buyer_maker": [True, False, None]}, [Side.SELL, Side.BUY, None]),
        ({"buyer_maker": ["True", "False", None]}, [Side.SELL, Side.BUY, None]),
    ],
)
def test_trades_are_read_with_the_side_that_the_file_tells(
    tmp_path: Path, columns: dict[str, Any], expected: list[Side | None]
) -> None:
    path = trades(tmp_path / "a.parquet", trade_id=[1, 2, 3], **columns)
    file = open_market_file(path, [BTC], strict=True)
    found = [item for item in file if isinstance(item, MarketTrade)]
    assert expected == [trade.side for trade in found]
    assert ["1", "2", "3"] == [trade.trade_id for trade in found]


def test_a_file_without_symbols_takes_its_name_or_the_one_given(tmp_path: Path) -> None:
    path = trades(tmp_path / "binance_btcusdt-trades.parquet", symbol=None)
    assert ["BTC/USDT"] == [spec.name for spec in derive_instruments(path)]
    other = trades(tmp_path / "day.parquet", symbol=None)
    with pytest.raises(MarketFileError, match="--symbol"):
        open_market_file(other)
    assert 3 == len(list(open_market_file(other, [BTC], symbol="BTCUSDT")))


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"bid": [100.1, math.nan, 100.1]}, "bid 'nan' is not a number"),
        ({"bid": [100.1, math.inf, 100.1]}, "bid 'inf' is not a number"),
        ({"ask": [100.1, -1.0, 100.1]}, "ask '-1' is not a number"),
        ({"bid": ["1", "much", "1"]}, "bid 'much' is not a number"),
        ({"symbol": ["BTCUSDT", None, "BTCUSDT"]}, "its symbol is missing"),
        ({"symbol": ["BTCUSDT", "B" * 300, "BTCUSDT"]}, "symbol 'BBBB"),
        ({"timestamp": [START_US, None, START_US]}, "its timestamp is missing"),
        ({"timestamp": [START_US, -5, START_US + 1]}, "its timestamp is missing"),
        ({"timestamp": [START_US, 2**63 - 1, START_US + 1]}, "its timestamp is missing"),
        ({"timestamp": ["2024-08-08T12:00:00", "x", "2024-08-08T12:00:01"]}, "its timestamp is"),
    ],
)
def test_a_bad_row_is_counted_with_its_number(
    tmp_path: Path, columns: dict[str, Any], why: str
) -> None:
    columns.setdefault("ask_size", [1.0, 2.0, 3.0])  # so that no row repeats another
    path = quotes(tmp_path / "a.parquet", **columns)
    file = open_market_file(path, [BTC])
    assert 2 == len(list(file))
    assert (3, 1) == (file.report.rows, file.report.bad_rows)
    row, message = file.report.problems[0]
    assert 2 == row
    assert message.startswith(why)
    with pytest.raises(MarketFileError, match=r"a\.parquet: row 2: .*without --strict"):
        list(open_market_file(path, [BTC], strict=True))


@pytest.mark.parametrize(
    "columns",
    [{"quantity": [0.5, 0.0, 0.7]}, {"price": [1.0, None, 1.0]}, {"side": ["b", "?", "s"]}],
)
def test_a_bad_trade_is_counted_with_its_number(tmp_path: Path, columns: dict[str, Any]) -> None:
    file = open_market_file(trades(tmp_path / "a.parquet", **columns), [BTC])
    assert 2 == len(list(file))
    assert [2] == [row for row, _ in file.report.problems]


def test_repeated_rows_are_dropped_and_strangers_counted(tmp_path: Path) -> None:
    symbols = ["BTCUSDT", "BTCUSDT", "XYZUSDT"]
    path = quotes(tmp_path / "a.parquet", symbol=symbols, timestamp=[START] * 3)
    file = open_market_file(path, [BTC])
    assert 1 == len(list(file))
    assert (1, {"XYZUSDT": 1}) == (file.report.duplicates, file.report.unmatched_symbols)


@pytest.mark.parametrize("kind", [None, pl.Categorical], ids=["text", "categorical"])
def test_a_row_that_comes_again_in_a_later_batch_is_a_duplicate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    monkeypatch.setattr(parquet_slices, "BATCH_ROWS", 8)
    sizes = [1.0 + n for n in range(40)]
    sizes[35] = sizes[2]
    symbols = pl.Series(["BTCUSDT", "ETHUSDT"] * 20)[0:40]
    symbols[35] = "BTCUSDT"
    path = quotes(
        tmp_path / "a.parquet",
        40,
        timestamp=[START] * 40,
        bid_size=sizes,
        symbol=symbols.cast(kind or pl.String),
    )
    file = open_market_file(path, own_names=True)
    assert 39 == len(list(file))
    assert [(36, "duplicate: quote of BTCUSDT")] == file.report.problems


def test_trades_with_an_id_repeat_by_it_and_others_by_all_that_they_say(tmp_path: Path) -> None:
    ids = [7, 7, None, None, 8]
    times = [START, START + dt.timedelta(seconds=1), START, START, START]
    path = trades(
        tmp_path / "a.parquet", 5, trade_id=ids, timestamp=times, quantity=[1.0, 2.0, 3.0, 3.0, 3.0]
    )
    file = open_market_file(path, [BTC])
    assert 3 == len(list(file))
    assert [2, 4] == [row for row, text in file.report.problems if text.startswith("duplicate")]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"bid": None}, "no column bid "),
        ({"timestamp": None}, "no column timestamp "),
        ({"bid": None, "ask": None}, "no column price, quantity"),
        ({"bid": [True, False, True]}, "column bid is of type Boolean, which is no number"),
        ({"bid": [[1.0], [2.0], [3.0]]}, "column bid is of type List"),
        (
            {"timestamp": [True, True, True]},
            "column timestamp is of type Boolean, which is no time",
        ),
    ],
)
def test_columns_that_cannot_be_used_are_told_at_once(
    tmp_path: Path, columns: dict[str, Any], says: str
) -> None:
    path = quotes(tmp_path / "a.parquet", **columns)
    with pytest.raises(MarketFileError, match=says) as caught:
        open_market_file(path, [BTC])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: data[: len(data) // 2], "cut off"),
        (lambda data: data[:6], "cut off"),
        (lambda data: data[:4] + b"\0" * (len(data) - 8) + b"PAR1", "cut off or damaged"),
        (lambda data: b"PAR1" + b"\xff" * 64 + b"PAR1", "cut off or damaged"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, damage: Any, says: str) -> None:
    path = quotes(tmp_path / "a.parquet", 500)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(MarketFileError, match=says) as caught:
        open_market_file(path, [BTC])
    assert "\n" not in str(caught.value)


def test_damaged_pages_end_the_file_or_refuse_it_but_never_pass_for_data(tmp_path: Path) -> None:
    path = quotes(tmp_path / "a.parquet", 5_000, bid=[100 + n / 7 for n in range(5_000)])
    data = bytearray(path.read_bytes())
    data[200 : len(data) // 2] = b"\xa5" * (len(data) // 2 - 200)
    path.write_bytes(data)
    file = open_market_file(path, [BTC])
    rows = len(list(file))
    assert file.report.truncated
    assert rows < 5_000
    assert "damaged" in str(file.report.truncated_message)


def test_a_file_without_rows_gives_none(tmp_path: Path) -> None:
    path = quotes(tmp_path / "a.parquet", 0, bid=pl.Series([], dtype=pl.Float64))
    pl.read_parquet(path).clear().write_parquet(path)
    pl.DataFrame(
        schema={"timestamp": pl.Int64, "symbol": pl.String, "bid": pl.Float64, "ask": pl.Float64}
    ).write_parquet(path)
    assert [] == list(open_market_file(path, [BTC]))
    with pytest.raises(MarketFileError, match="no readable quote or trade"):
        open_market_file(path)


# ----------------------------------------------------------------------------------------- order


def by_instrument(path: Path, per_symbol: int = 300) -> Path:
    """Sorted by instrument, as some collectors leave it: each reaches over the whole day."""
    names = ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
    times = [START_US + n * 60_000_000 for n in range(per_symbol)]
    return quotes(
        path,
        per_symbol * 3,
        timestamp=times * 3,
        symbol=[name for name in names for _ in range(per_symbol)],
    )


def test_a_file_sorted_by_instrument_comes_out_in_time_order_without_complaint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_slices, "SLICE_ROWS", 50)
    monkeypatch.setattr(parquet_slices, "BATCH_ROWS", 16)
    file = open_market_file(by_instrument(tmp_path / "a.parquet"), own_names=True, strict=True)
    times = [item.event_us for item in file]
    assert 900 == len(times)
    assert sorted(times) == times
    assert file.report.is_clean


def test_a_row_behind_its_own_instrument_is_told_with_its_number(tmp_path: Path) -> None:
    times = [START_US + n * 10_000_000 for n in range(6)]
    times[4] = START_US + 5_000_000
    path = quotes(tmp_path / "a.parquet", 6, timestamp=times)
    file = open_market_file(path, [BTC])
    assert sorted(times) == [item.event_us for item in file]
    assert 1 == file.report.out_of_order
    row, message = file.report.problems[0]
    assert 5 == row
    assert "25000000 us behind" in message
    with pytest.raises(MarketFileError, match="row 5: out of order"):
        list(open_market_file(path, [BTC], strict=True))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from(["AUSDT", "BUSDT", "CUSDT"])),
        min_size=1,
        max_size=80,
    ),
    st.integers(1, 20),
)
def test_whatever_the_order_every_row_comes_once_and_in_time_order(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str]], slice_rows: int
) -> None:
    path = tmp_path_factory.mktemp("order") / "a.parquet"
    times = [START_US + second * 1_000_000 for second, _ in rows]
    symbols = [symbol for _, symbol in rows]
    # Sizes differ, so that no row repeats another one.
    sizes = [1.0 + n for n in range(len(rows))]
    quotes(path, len(rows), timestamp=times, symbol=symbols, bid_size=sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_slices, "SLICE_ROWS", slice_rows)
        patch.setattr(parquet_slices, "BATCH_ROWS", 7)
        file = open_market_file(path, own_names=True)
        items = [item for item in file if isinstance(item, Tick)]
    assert sorted(times) == [item.event_us for item in items]
    assert sorted(sizes) == sorted(float(item.bid_size or 0) for item in items)
    newest: dict[str, int] = {}
    behind = 0
    for time, symbol in zip(times, symbols, strict=True):
        behind += time < newest.get(symbol, 0)
        newest[symbol] = max(newest.get(symbol, 0), time)
    assert behind == file.report.out_of_order


def test_many_rows_of_one_instant_are_read_without_sorting_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_slices, "SLICE_ROWS", 20)
    monkeypatch.setattr(parquet_slices, "BATCH_ROWS", 16)
    times = [START_US + 60_000_000] * 200 + [START_US]
    sizes = [1.0 + n for n in range(201)]
    path = quotes(tmp_path / "a.parquet", 201, timestamp=times, bid_size=sizes)
    items = [i for i in open_market_file(path, own_names=True) if isinstance(i, Tick)]
    assert [201, *range(1, 201)] == [int(item.bid_size or 0) for item in items]


# --------------------------------------------------------------------------------- recorded files

DAY = "polymarket_us_quotes_2026-07-22.parquet"


def test_symbols_that_cannot_be_split_become_no_instruments() -> None:
    path = market_data(DAY)
    with pytest.raises(MarketFileError, match=r"19,526 symbols are too many to derive") as caught:
        open_market_file(path)
    assert "name those that you want in the configuration" in str(caught.value)


@pytest.mark.slow
def test_the_recorded_day_passes_in_time_order_and_in_full() -> None:
    name = "aachc-mlb-2026-09-27-wr-cin"
    path = market_data(DAY)
    file = open_market_file(path, own_names=True, strict=True, gap_us=250_000_000)
    last_us, no_bid, own = 0, 0, 0
    for item in file:
        assert last_us <= item.event_us
        last_us = item.event_us
        assert isinstance(item, Tick)
        no_bid += item.bid is None
        own += item.instrument == name
    report = file.report
    assert (4_444_613, 4_444_613) == (report.rows, report.quotes)
    assert (2_249_633, 360) == (no_bid, own)
    assert report.is_clean
    # The outage of 23:04:35 is a gap of everything that was quoted before and after it.
    assert report.gaps > 10_000
    chosen = Instrument(name=name, base="CIN", quote="USD")
    some = open_market_file(path, [chosen], strict=True)
    assert {name} == {item.instrument for item in some}
    assert (360, 4_444_253) == (some.report.quotes, some.report.unmatched)
