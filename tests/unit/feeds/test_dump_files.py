"""Formats of exchanges and vendors: Binance dumps, Tardis CSV, Kraken JSON, the price feed."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.feeds.files import MarketFile, MarketFileError, derive_instruments, open_market_file
from fsm.instrument import Instrument
from fsm.market import MarketTrade, Tick
from fsm.vocabulary import Side
from tests.market_data import market_data
from tests.unit.feeds.frames import BTC, write

AGG_HEADER = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
TRADE_HEADER = "id,price,qty,quote_qty,time,is_buyer_maker"
BOOK_HEADER = (
    "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time"
)
TARDIS_QUOTES = (
    "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount"
)
TARDIS_TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
PRICES = "feed_ts_ms,value,full_accuracy_value,server_ts_ms,recv_ms"
BTC_USD = Instrument(name="BTC/USD", base="BTC", quote="USD")

AGG = "7,61800.1,0.5,100,102,{time},true"
TRADE = "7,61800.1,0.5,30900.05,{time},false"
BOOK = "7,61800.1,0.5,61800.2,0.25,{time},{time}"
MS, US = "1723161256000", "1735689600010866"


def counts(file: MarketFile) -> tuple[int, int, int, int]:
    report = file.report
    return report.rows, report.quotes, report.trades, report.bad_rows


# ---------------------------------------------------------------------------------------- Binance


@pytest.mark.parametrize("time", [MS, US], ids=["ms", "us"])
@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("binance-aggtrades", [AGG_HEADER, AGG]),
        ("binance-aggtrades", [AGG]),
        ("binance-aggtrades", [f"{AGG},True"]),
        ("binance-trades", [TRADE_HEADER, TRADE]),
        ("binance-trades", [TRADE]),
        ("binance-trades", [f"{TRADE},True"]),
        ("binance-trades", [f"{TRADE_HEADER},is_best_match", f"{TRADE},true"]),
        ("binance-bookticker", [BOOK_HEADER, BOOK]),
        ("binance-bookticker", [BOOK]),
    ],
)
def test_a_binance_dump_is_read_with_and_without_a_header(
    tmp_path: Path, kind: str, lines: list[str], time: str, ending: str
) -> None:
    path = tmp_path / f"BTCUSDT-something-2024-08-08.{ending}"
    write(path, [line.format(time=time) for line in lines])
    file = open_market_file(path, [BTC], strict=True)
    (item,) = file
    assert kind == file.report.format
    assert int(time) * (1_000 if time == MS else 1) == item.event_us
    assert "BTC/USDT" == item.instrument
    assert "BTCUSDT (from the file's name)" == file.report.symbol_from
    if isinstance(item, Tick):
        assert (Decimal("61800.1"), Decimal("61800.2")) == (item.bid, item.ask)
        assert (Decimal("0.5"), Decimal("0.25")) == (item.bid_size, item.ask_size)
    else:
        assert (Decimal("61800.1"), Decimal("0.5"), "7") == (item.price, item.qty, item.trade_id)
        # The buyer was the maker in the aggregate: the taker sold.
        assert (Side.SELL if kind == "binance-aggtrades" else Side.BUY) is item.side


@pytest.mark.parametrize(
    ("header", "good", "bad"),
    [
        (TRADE_HEADER, TRADE, "8,61800.1,0.5,30900.05"),
        (TRADE_HEADER, TRADE, "8,NaN,0.5,30900.05,{time},true"),
        (TRADE_HEADER, TRADE, "8,-1,0.5,30900.05,{time},true"),
        (TRADE_HEADER, TRADE, "8,inf,0.5,30900.05,{time},true"),
        (TRADE_HEADER, TRADE, "8,61800.1,,30900.05,{time},true"),
        (TRADE_HEADER, TRADE, "8,61800.1,0.5,30900.05,{time},perhaps"),
        (TRADE_HEADER, TRADE, "8,61800.1,0.5,30900.05,noon,true"),
        (TRADE_HEADER, TRADE, "x,61800.1,0.5,30900.05,{time},true"),
        (AGG_HEADER, AGG, "8,61800.1,many,100,102,{time},true"),
        (BOOK_HEADER, BOOK, "8,61800.1,0.5,61800.2,-0.25,{time},{time}"),
        (BOOK_HEADER, BOOK, "x,61800.1,0.5,61800.2,0.25,{time},{time}"),
        (BOOK_HEADER, BOOK, "8,61800.1,0.5,61800.2,0.25"),
    ],
)
def test_a_broken_line_of_a_dump_is_counted_with_its_number(
    tmp_path: Path, header: str, good: str, bad: str
) -> None:
    lines = [line.format(time=MS) for line in (header, good, bad)]
    path = write(tmp_path / "BTCUSDT.csv", [*lines, good.replace("7,", "9,", 1).format(time=MS)])
    file = open_market_file(path, [BTC])
    assert 2 == len(list(file))
    assert 1 == file.report.bad_rows
    assert 3 == file.report.problems[0][0]
    with pytest.raises(MarketFileError, match=r"BTCUSDT\.csv: line 3: .*without --strict"):
        list(open_market_file(path, [BTC], strict=True))


def test_repeated_ids_of_a_dump_are_dropped_and_transfers_of_nothing_are_no_trades(
    tmp_path: Path,
) -> None:
    rows = [TRADE, TRADE, "8,0,0,0,{time},true", "9,61800.1,0.5,1,{time},true"]
    path = write(tmp_path / "BTCUSDT.csv", [row.format(time=MS) for row in rows])
    file = open_market_file(path, [BTC])
    assert 2 == len(list(file))
    assert (1, {"zeroTrade": 1}) == (file.report.duplicates, file.report.other)


@pytest.mark.parametrize("name", ["dump.csv", "BTCUSDT-ETHUSDT.csv"])
def test_a_symbol_that_the_name_does_not_tell_has_to_be_given(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, [TRADE.format(time=MS)])
    with pytest.raises(MarketFileError, match="--symbol BTCUSDT"):
        open_market_file(path, [BTC])
    file = open_market_file(path, [BTC], symbol="btc-usdt")
    assert ["BTC/USDT"] == [item.instrument for item in file]
    assert "btc-usdt (from --symbol)" == file.report.symbol_from


def test_a_symbol_is_refused_where_the_rows_name_theirs(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [TARDIS_TRADES, "x,XBTUSD,1,1,a,buy,1,1"])
    with pytest.raises(MarketFileError, match="--symbol BTCUSDT is not for it"):
        open_market_file(path, [BTC], symbol="BTCUSDT")


def test_a_dump_of_a_stranger_is_counted_by_its_symbol(tmp_path: Path) -> None:
    path = write(tmp_path / "SOLUSDT.csv", [TRADE.format(time=MS)])
    file = open_market_file(path, [BTC])
    assert [] == list(file)
    assert {"SOLUSDT": 1} == file.report.unmatched_symbols


# ----------------------------------------------------------------------------------------- Tardis


def tardis(rest: str, ms: int = 0) -> str:
    return f"bitmex,XBTUSD,{1583020803145000 + ms * 1_000},{1583020803307160 + ms * 1_000},{rest}"


def test_tardis_quotes_have_two_clocks_and_perhaps_one_side(tmp_path: Path) -> None:
    lines = [TARDIS_QUOTES, tardis("10,101,100,20"), tardis(",,100,20", 5)]
    file = open_market_file(write(tmp_path / "a.csv.gz", lines), [BTC_USD], strict=True)
    first, second = file
    assert isinstance(first, Tick)
    assert isinstance(second, Tick)
    assert (Decimal(100), Decimal(20), Decimal(101), Decimal(10)) == (
        first.bid,
        first.bid_size,
        first.ask,
        first.ask_size,
    )
    assert (1583020803145000, 1583020803307160) == (first.event_us, first.recv_us)
    assert (None, None) == (second.ask, second.ask_size)
    assert -162_160 == file.report.clock_offset_us
    assert "BTC/USD" == first.instrument


@pytest.mark.parametrize(
    ("side", "expected"), [("buy", Side.BUY), ("sell", Side.SELL), ("unknown", None), ("", None)]
)
def test_tardis_trades_name_the_takers_side(
    tmp_path: Path, side: str, expected: Side | None
) -> None:
    path = write(tmp_path / "a.csv", [TARDIS_TRADES, tardis(f"id-1,{side},8531.5,2152")])
    (trade,) = open_market_file(path, [BTC_USD], strict=True)
    assert isinstance(trade, MarketTrade)
    assert (expected, "id-1", Decimal(2152)) == (trade.side, trade.trade_id, trade.qty)


@pytest.mark.parametrize(
    ("header", "bad"),
    [
        (TARDIS_QUOTES, tardis("10,NaN,100,20")),
        (TARDIS_QUOTES, tardis("10,101,-100,20")),
        (TARDIS_QUOTES, tardis("10,101,100")),
        (TARDIS_QUOTES, "bitmex,XBTUSD,soon,later,1,2,3,4"),
        (TARDIS_TRADES, tardis("id-2,both,8531.5,1")),
        (TARDIS_TRADES, tardis("id-2,buy,0,1")),
        (TARDIS_TRADES, tardis("id-2,buy,,1")),
        (TARDIS_TRADES, tardis("id-2,buy,8531.5,inf")),
    ],
)
def test_a_broken_tardis_line_is_counted_with_its_number(
    tmp_path: Path, header: str, bad: str
) -> None:
    good = tardis("10,101,100,20" if header == TARDIS_QUOTES else "id-1,buy,8531.5,1")
    file = open_market_file(write(tmp_path / "a.csv", [header, good, bad]), [BTC_USD])
    assert 1 == len(list(file))
    assert [3] == [line for line, _ in file.report.problems]


# ----------------------------------------------------------------------------------------- Kraken


def kraken(rows: list[Any], pair: str = "XXBTZUSD", **changes: Any) -> str:
    return json.dumps({"error": [], "result": {pair: rows, "last": "17"}} | changes, indent=4)


def kraken_row(number: int, **changes: Any) -> list[Any]:
    row = {"price": "30243.40000", "volume": "0.5", "time": 1688669597.8277369 + number}
    row |= {"side": "b", "type": "m", "misc": "", "id": 61044952 + number} | changes
    return list(row.values())


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_kraken_trades_are_read_under_its_own_asset_codes(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, [kraken([kraken_row(0), kraken_row(1, side="s")])])
    file = open_market_file(path, [BTC_USD], strict=True)
    first, second = file
    assert isinstance(first, MarketTrade)
    assert isinstance(second, MarketTrade)
    assert ("BTC/USD", Decimal("30243.4"), Decimal("0.5")) == (
        first.instrument,
        first.price,
        first.qty,
    )
    assert (1688669597827736, "61044952") == (first.event_us, first.trade_id)
    assert (Side.BUY, Side.SELL) == (first.side, second.side)
    assert ["BTC/USD"] == [spec.name for spec in derive_instruments(path)]


@pytest.mark.parametrize(
    "bad",
    [
        kraken_row(1, price="NaN"),
        kraken_row(1, price="-1"),
        kraken_row(1, price=None),
        kraken_row(1, volume="0"),
        kraken_row(1, time="noon"),
        kraken_row(1, side="x"),
        kraken_row(1)[:4],
        {"price": 1},
        "row",
        None,
    ],
)
def test_a_broken_kraken_trade_is_counted_with_its_row(tmp_path: Path, bad: Any) -> None:
    path = write(tmp_path / "a.json", [kraken([kraken_row(0), bad, kraken_row(2)])])
    file = open_market_file(path, [BTC_USD])
    assert 2 == len(list(file))
    assert (3, 0, 2, 1) == counts(file)
    assert [2] == [row for row, _ in file.report.problems]
    with pytest.raises(MarketFileError, match=r"a\.json: row 2: "):
        list(open_market_file(path, [BTC_USD], strict=True))


def test_kraken_repeats_and_disorder_are_counted_and_time_is_put_in_order(tmp_path: Path) -> None:
    rows = [kraken_row(5), kraken_row(1), kraken_row(5), kraken_row(9)]
    file = open_market_file(write(tmp_path / "a.json", [kraken(rows)]), [BTC_USD])
    ids = [item.trade_id for item in file if isinstance(item, MarketTrade)]
    assert ["61044953", "61044957", "61044961"] == ids
    assert (1, 1) == (file.report.duplicates, file.report.out_of_order)
    assert [2, 3] == [row for row, _ in file.report.problems]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            kraken([], error=["EQuery:Unknown asset pair"]),
            "error instead of trades: EQuery:Unknown",
        ),
        (json.dumps({"error": ["EGeneral:Too many requests"]}), "Too many requests"),
        (kraken([kraken_row(0)])[:-40], "not a whole Kraken Trades response"),
        (kraken([]), "no trade"),
        (json.dumps({"error": [], "result": {}}), "no trade"),
        (json.dumps({"error": [], "result": {"XXBTZUSD": 7}}), "not a whole Kraken"),
        (json.dumps({"error": [], "result": [1]}), "not a whole Kraken"),
    ],
)
def test_what_is_no_kraken_answer_is_refused_in_one_line(
    tmp_path: Path, content: str, says: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(MarketFileError, match=says) as caught:
        open_market_file(path, [BTC_USD])
    assert "\n" not in str(caught.value)


def test_a_compressed_kraken_answer_that_is_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    whole = gzip.compress(kraken([kraken_row(n) for n in range(200)]).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MarketFileError, match="cut off or corrupt"):
        open_market_file(path, [BTC_USD])


# ------------------------------------------------------------------------------------- price feed


def price(second: int, scaled: str = "65048078902260626000000", recv: int = 377) -> str:
    ms = 1784851200000 + second * 1_000
    value = f"{int(scaled) / 1e18}" if scaled.isdigit() else "1"
    return f"{ms},{value},{scaled},{ms + 160},{ms + recv}"


def test_a_price_of_the_feed_is_a_tick_without_a_spread(tmp_path: Path) -> None:
    file = open_market_file(write(tmp_path / "btcusd.csv.gz", [PRICES, price(0)]), [BTC_USD])
    (tick,) = file
    assert isinstance(tick, Tick)
    exact = Decimal("65048.078902260626")
    assert (exact, exact, None, None) == (tick.bid, tick.ask, tick.bid_size, tick.ask_size)
    assert (1784851200000000, 1784851200377000) == (tick.event_us, tick.recv_us)
    assert ("prices", -377_000) == (file.report.format, file.report.clock_offset_us)


@pytest.mark.parametrize("received", [(500, 900), (900, 500)])
def test_of_two_prices_of_one_second_the_later_received_one_counts(
    tmp_path: Path, received: tuple[int, int]
) -> None:
    values = {500: "65000" + "0" * 18, 900: "65001" + "0" * 18}
    rows = [price(0, values[recv], recv) for recv in received]
    path = write(tmp_path / "btcusd.csv", [PRICES, *rows, price(1)])
    file = open_market_file(path, [BTC_USD], strict=True)
    first, _ = file
    assert isinstance(first, Tick)
    assert Decimal(65001) == first.bid
    assert {"superseded": 1} == file.report.other
    assert (3, 2, 0, 0) == counts(file)


@pytest.mark.parametrize(
    "bad",
    [
        price(1, "0"),
        price(1, "-5"),
        price(1, "1.5"),
        price(1, "nan"),
        price(1, ""),
        price(1, "9" * 40),
        f"{1784851201000},64000,65048078902260626000000,1784851201160,1784851201377",
        "1784851201000,1",
        "later,65048.07,65048070000000000000000,1784851201160,1784851201377",
    ],
)
def test_a_broken_price_is_counted_with_its_line(tmp_path: Path, bad: str) -> None:
    path = write(tmp_path / "btcusd.csv", [PRICES, price(0), bad, price(2)])
    file = open_market_file(path, [BTC_USD])
    assert 2 == len(list(file))
    assert [3] == [line for line, _ in file.report.problems]


# --------------------------------------------------------------------------------- recorded files


@pytest.mark.parametrize(
    ("name", "rows", "quotes", "trades", "format_", "instrument"),
    [
        ("binance_btcusdt-quotes.parquet", 451, 451, 0, "parquet", "BTC/USDT"),
        ("binance_btcusdt-trades.parquet", 2_001, 0, 2_001, "parquet", "BTC/USDT"),
        ("kraken_http_trades.json", 1_000, 0, 1_000, "kraken-trades", "BTC/USDT"),
        ("tardis_bitmex_trades_XBTUSD.csv", 10, 0, 10, "tardis-trades", "BTC/USD"),
        ("tardis_huobi-dm-swap_quotes_BTC-USD.csv", 10, 10, 0, "tardis-quotes", "BTC/USD"),
        ("polymarket_btcusd_prices_sample.csv.gz", 12_997, 12_997, 0, "prices", "BTC/USD"),
    ],
)
def test_recorded_files_are_read_in_full_and_in_time_order(
    name: str, rows: int, quotes: int, trades: int, format_: str, instrument: str
) -> None:
    file = open_market_file(market_data(name), strict=True)
    items = list(file)
    assert (rows, quotes, trades, 0) == counts(file)
    assert (format_, [instrument]) == (file.report.format, [s.name for s in file.instruments])
    times = [item.event_us for item in items]
    assert sorted(times) == times
    assert (times[0], times[-1]) == (file.report.first_us, file.report.last_us)
    assert file.report.is_clean
    assert (rows, rows) == file.progress() or file.progress()[0] == file.progress()[1] > 0
