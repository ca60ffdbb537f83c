"""Stream captures: decoding, times, order, duplicates, and the recorded ones in full."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest

from actors.feeds.binance import BinanceDecoder
from actors.feeds.decoding import Skipped, SkipReason
from actors.feeds.files import MarketFileError, derive_instruments, open_market_file
from actors.feeds.report import FeedReport
from actors.feeds.symbols import SymbolIndex
from fsm.instrument import Instrument
from fsm.market import MarketTrade, Tick
from fsm.vocabulary import InstrumentKind, Side
from tests.market_data import market_data
from tests.unit.feeds.frames import (
    BTC,
    LAG_US,
    START_MS,
    capture_line,
    combined,
    spot_book,
    spot_depth,
    usdm_book,
    usdm_trade,
    write,
)

START_US = START_MS * 1_000


def assert_every_row_counted(report: FeedReport) -> None:
    counted = report.quotes + report.trades + sum(report.other.values())
    counted += report.unmatched + report.duplicates + report.bad_rows
    assert report.rows == counted


@pytest.mark.parametrize("name", ["a.capture", "a.capture.gz", "misnamed.csv"])
def test_capture_is_recognised_by_content_and_decoded(tmp_path: Path, name: str) -> None:
    lines = [capture_line(usdm_book(1, 10), 12), capture_line(usdm_trade(7, 20), 22)]
    file = open_market_file(write(tmp_path / name, lines), [BTC])
    tick, trade = file
    assert isinstance(tick, Tick)
    assert isinstance(trade, MarketTrade)
    assert "capture" == file.report.format
    assert ("BTC/USDT", Decimal("61800.2"), Decimal("61800.3")) == (
        tick.instrument,
        tick.bid,
        tick.ask,
    )
    assert (Decimal("2.507"), Decimal("2.51")) == (tick.bid_size, tick.ask_size)
    assert (START_US + 10_000, START_US + 12_000 - LAG_US) == (tick.event_us, tick.recv_us)
    assert (Side.BUY, "7", START_US + 20_000) == (trade.side, trade.trade_id, trade.event_us)
    assert (START_US + 10_000, START_US + 20_000) == (file.report.first_us, file.report.last_us)
    assert_every_row_counted(file.report)


def test_each_pass_reads_the_file_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [capture_line(usdm_book(1, 10), 12)])
    file = open_market_file(path, [BTC])
    assert list(file) == list(file)
    assert 1 == file.report.quotes


def test_streams_that_cross_are_put_in_event_time_order_without_complaint(tmp_path: Path) -> None:
    lines = [
        capture_line(usdm_book(1, 100), 101),
        capture_line(usdm_trade(1, 40), 102),
        capture_line(usdm_book(2, 110), 111),
    ]
    file = open_market_file(write(tmp_path / "a", lines), [BTC], strict=True)
    assert [40, 100, 110] == [item.event_us // 1_000 - START_MS for item in file]
    assert (1, 0) == (file.report.reordered, file.report.out_of_order)


def test_row_behind_its_own_stream_is_out_of_order_and_sorted(tmp_path: Path) -> None:
    lines = [capture_line(usdm_book(u, ms), ms) for u, ms in [(1, 0), (3, 50), (2, 20)]]
    file = open_market_file(write(tmp_path / "a", lines), [BTC])
    assert [0, 20, 50] == [item.event_us // 1_000 - START_MS for item in file]
    assert (1, 0) == (file.report.out_of_order, file.report.late)
    assert 3 == file.report.problems[0][0]


def test_row_behind_the_window_is_delivered_late_with_its_true_time(tmp_path: Path) -> None:
    times = [0, 1_000, 5_000, 500, 6_000]
    lines = [capture_line(usdm_book(u, ms), ms) for u, ms in enumerate(times)]
    file = open_market_file(write(tmp_path / "a", lines), [BTC])
    assert [0, 1_000, 500, 5_000, 6_000] == [i.event_us // 1_000 - START_MS for i in file]
    assert (1, 1) == (file.report.out_of_order, file.report.late)


def test_repeated_ids_are_counted_and_dropped(tmp_path: Path) -> None:
    frames = [usdm_book(1, 0), usdm_book(1, 0), usdm_trade(1, 5), usdm_trade(1, 5)]
    path = write(tmp_path / "a", [capture_line(f, n) for n, f in enumerate(frames)])
    file = open_market_file(path, [BTC])
    assert 2 == len(list(file))
    assert 2 == file.report.duplicates
    assert [2, 4] == [line for line, _ in file.report.problems]
    assert_every_row_counted(file.report)
    with pytest.raises(MarketFileError, match=r"a: line 2: duplicate: book update 1 of BTCUSDT"):
        list(open_market_file(path, [BTC], strict=True))


def test_spot_quotes_get_the_exchange_clock_even_before_the_first_frame_with_a_time(
    tmp_path: Path,
) -> None:
    lines = [
        capture_line(spot_book(1), 0),
        capture_line(spot_depth(10), 10),
        capture_line(spot_book(2), 20),
    ]
    file = open_market_file(write(tmp_path / "a", lines), [BTC])
    assert [START_US, START_US + 20_000] == [item.event_us for item in file]
    assert LAG_US == file.report.clock_offset_us
    assert {"depthUpdate": 1} == file.report.other


def test_one_delayed_frame_moves_no_quote(tmp_path: Path) -> None:
    lines = [capture_line(spot_depth(ms), ms) for ms in range(0, 900, 100)]
    lines += [capture_line(spot_depth(500), 950), capture_line(spot_book(1), 1_000)]
    (tick,) = open_market_file(write(tmp_path / "a", lines), [BTC])
    assert START_US + 1_000_000 == tick.event_us


@pytest.mark.parametrize(
    ("changes", "bid", "ask"),
    [
        ({"b": "", "B": ""}, None, Decimal("61800.3")),
        ({"b": "0.00", "B": "0.000"}, None, Decimal("61800.3")),
        ({"a": "0", "A": "0"}, Decimal("61800.2"), None),
        ({"A": "0.000"}, Decimal("61800.2"), None),
    ],
)
def test_missing_side_is_none(changes: dict[str, str], bid: Decimal, ask: Decimal) -> None:
    decoder = BinanceDecoder(SymbolIndex([BTC]).resolve)
    frame = json.dumps(usdm_book(1, 0) | {"data": usdm_book(1, 0)["data"] | changes}).encode()
    tick = decoder.decode(frame, START_US)
    assert isinstance(tick, Tick)
    assert (bid, ask) == (tick.bid, tick.ask)
    assert (bid is None, ask is None) == (tick.bid_size is None, tick.ask_size is None)


@pytest.mark.parametrize(
    "line",
    [
        "not a capture line",
        capture_line('{"stream":"btcusdt@bookTicker","data":{"e":"boo', 1),
        capture_line(usdm_book(9, 0, bid="NaN"), 1),
        capture_line(usdm_book(9, 0, bid="-5"), 1),
        capture_line(usdm_book(9, 0, bid="abc"), 1),
        capture_line(usdm_book(9, 0, bid="Infinity"), 1),
        capture_line(usdm_trade(9, 0, p="-1"), 1),
        capture_line(usdm_trade(9, 0, m="yes"), 1),
        capture_line(usdm_trade(9, 86_400_000), 1),
        capture_line("[1]", 1),
        "1723161255 {}",
    ],
)
def test_unreadable_row_is_counted_with_its_line(tmp_path: Path, line: str) -> None:
    good = [capture_line(usdm_book(u, u), u) for u in (1, 2)]
    path = write(tmp_path / "a", [good[0], line, good[1]])
    file = open_market_file(path, [BTC])
    assert 2 == len(list(file))
    assert 1 == file.report.bad_rows
    assert 2 == file.report.problems[0][0]
    assert_every_row_counted(file.report)
    with pytest.raises(MarketFileError, match=r"a: line 2: .*without --strict") as caught:
        list(open_market_file(path, [BTC], strict=True))
    assert "\n" not in str(caught.value)


def test_truncated_gzip_gives_all_that_is_readable(tmp_path: Path) -> None:
    lines = [capture_line(usdm_book(u, u, bid=f"6{u * 7919 % 9999:04}"), u) for u in range(2_000)]
    whole = write(tmp_path / "a.gz", lines).read_bytes()
    path = tmp_path / "cut.gz"
    path.write_bytes(whole[: len(whole) // 2])
    file = open_market_file(path, [BTC])
    count = len(list(file))
    assert 500 < count < 1_999
    assert file.report.truncated
    assert f"line {count + 1}" in str(file.report.truncated_message)
    assert 0 == file.report.bad_rows
    with pytest.raises(MarketFileError, match=f"line {count + 1}: the compressed file ends"):
        list(open_market_file(path, [BTC], strict=True))


def test_corrupt_gzip_is_told_and_what_came_before_is_delivered(tmp_path: Path) -> None:
    lines = [capture_line(usdm_book(u, u, bid=f"6{u * 7919 % 9999:04}"), u) for u in range(5_000)]
    data = bytearray(write(tmp_path / "a.gz", lines).read_bytes())
    data[-4:] = b"\0\0\0\0"
    (tmp_path / "a.gz").write_bytes(data)
    file = open_market_file(tmp_path / "a.gz", [BTC])
    assert 5_000 == len(list(file))
    assert "corrupt" in str(file.report.truncated_message)


def test_symbols_match_through_aliases_and_strangers_are_counted(tmp_path: Path) -> None:
    perpetual = Instrument(name="FET-PERP", base="FET", quote="USDT", aliases=["FET-USDT"])
    lines = [
        capture_line(usdm_book(1, 1, s="FETUSDT"), 1),
        capture_line(usdm_book(2, 2, s="XYZUSDT"), 2),
    ]
    file = open_market_file(write(tmp_path / "a", lines), [perpetual], strict=True)
    assert ["FET-PERP"] == [item.instrument for item in file]
    assert (1, {"XYZUSDT": 1}) == (file.report.unmatched, file.report.unmatched_symbols)


def test_symbol_that_fits_two_instruments_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    both = [BTC, Instrument(name="perp", base="BTC", quote="USDT", aliases=["BTC-USDT"])]
    path = write(tmp_path / "a", [capture_line(usdm_book(1, 1), 1)])
    with pytest.raises(MarketFileError, match=r"a: line 1: .*several.*alias 'BTCUSDT'"):
        list(open_market_file(path, both))
    exact = [BTC, Instrument(name="perp", base="BTC", quote="USDT", aliases=["BTCUSDT"])]
    assert ["perp"] == [item.instrument for item in open_market_file(path, exact)]


def test_aggregate_trades_count_only_where_single_trades_do_not_come(tmp_path: Path) -> None:
    data = {"e": "aggTrade", "E": START_MS, "T": START_MS, "s": "BTCUSDT", "a": 5, "f": 1, "l": 2}
    aggregate = combined("aggTrade", data | {"p": "1", "q": "2", "m": True})
    alone = open_market_file(write(tmp_path / "a", [capture_line(aggregate, 0)]), [BTC])
    (trade,) = alone
    assert isinstance(trade, MarketTrade)
    assert (Side.SELL, "5") == (trade.side, trade.trade_id)
    lines = [capture_line(aggregate, 0), capture_line(usdm_trade(1, 1), 1)]
    both = open_market_file(write(tmp_path / "b", lines), [BTC])
    assert ["1"] == [item.trade_id for item in both if isinstance(item, MarketTrade)]
    assert {"aggTrade": 1} == both.report.other


def test_frames_without_an_envelope_are_decoded_by_their_fields() -> None:
    decoder = BinanceDecoder(SymbolIndex([BTC]).resolve)
    for frame in (usdm_book(1, 0), usdm_trade(1, 0), spot_book(2)):
        item = decoder.decode(json.dumps(frame["data"]).encode(), START_US)
        assert isinstance(item, (Tick, MarketTrade))
    answer = decoder.decode(b'{"result":null,"id":1}', START_US)
    assert Skipped(SkipReason.OTHER, "unrecognised") == answer


def test_insurance_fund_prints_of_zero_are_no_trades() -> None:
    decoder = BinanceDecoder(SymbolIndex([BTC]).resolve)
    frame = json.dumps(usdm_trade(1, 0, p="0", q="0", X="NA")).encode()
    assert Skipped(SkipReason.OTHER, "zeroTrade") == decoder.decode(frame, START_US)


@pytest.mark.parametrize(
    ("name", "rows", "quotes", "trades", "other", "kind", "tick", "step"),
    [
        (
            "binance_usdm_btcusdt_20240808.capture.gz",
            93_954,
            66_089,
            21_313,
            {"depthUpdate": 6_551, "depthSnapshot": 1},
            InstrumentKind.PERPETUAL,
            Decimal("0.1"),
            Decimal("0.001"),
        ),
        (
            "binance_spot_btcusdt_20240808.capture.gz",
            41_249,
            28_040,
            9_757,
            {"depthUpdate": 3_451, "depthSnapshot": 1},
            InstrumentKind.SPOT,
            Decimal("0.01"),
            Decimal("0.00001"),
        ),
    ],
)
def test_recorded_capture_is_read_in_full_and_in_time_order(
    name: str,
    rows: int,
    quotes: int,
    trades: int,
    other: dict[str, int],
    kind: InstrumentKind,
    tick: Decimal,
    step: Decimal,
) -> None:
    path = market_data(name)
    (instrument,) = derive_instruments(path)
    assert ("BTC/USDT", kind, tick, step) == (
        instrument.name,
        instrument.kind,
        instrument.price_tick,
        instrument.qty_step,
    )
    file = open_market_file(path, strict=True)
    last_us = 0
    items = 0
    for item in file:
        assert last_us <= item.event_us
        last_us = item.event_us
        items += 1
    report = file.report
    assert (rows, quotes, trades, other) == (
        report.rows,
        report.quotes,
        report.trades,
        report.other,
    )
    assert quotes + trades == items
    assert report.is_clean
    assert report.clock_offset_us is not None
    assert 1_150_000 < report.clock_offset_us < 1_350_000
    assert_every_row_counted(report)


def test_recorded_capture_cut_short_is_read_up_to_the_cut(tmp_path: Path) -> None:
    data = market_data("binance_spot_btcusdt_20240808.capture.gz").read_bytes()
    path = tmp_path / "cut.gz"
    path.write_bytes(data[:300_000])
    file = open_market_file(path)
    assert 5_000 < len(list(file))
    assert file.report.truncated
    with gzip.open(path) as stream, pytest.raises(EOFError):
        for count, _ in enumerate(stream, start=1):  # noqa: B007 - the count so far is wanted
            pass
    assert count == file.report.rows
