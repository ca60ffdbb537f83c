"""The quotes and trades CSV: headers, timestamps, damage, and what is refused."""

from __future__ import annotations

import gzip
import os
from decimal import Decimal
from pathlib import Path

import pytest

from actors.feeds.files import MarketFileError, derive_instruments, open_market_file
from actors.feeds.lines import LINE_BYTES_MAX
from actors.feeds.report import PROBLEMS_MAX
from actors.feeds.timestamps import timestamp_us
from fsm.instrument import Instrument
from fsm.market import MarketTrade, Tick
from fsm.vocabulary import Side
from tests.unit.feeds.frames import BTC, write

QUOTES = "timestamp,instrument,bid,ask,bid_size,ask_size"
TRADES = "timestamp,instrument,price,size,side"


def quote(second: float, rest: str = "BTC/USDT,100.1,100.2,1,2") -> str:
    return f"{1_700_000_000 + second},{rest}"


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_quotes_are_read(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, [QUOTES, quote(0), quote(0.5)])
    file = open_market_file(path, [BTC], strict=True)
    first, second = file
    assert (
        Tick(
            instrument="BTC/USDT",
            bid=Decimal("100.1"),
            ask=Decimal("100.2"),
            bid_size=Decimal(1),
            ask_size=Decimal(2),
            event_us=1_700_000_000_000_000,
            recv_us=1_700_000_000_000_000,
        )
        == first
    )
    assert 1_700_000_000_500_000 == second.event_us
    assert ("quotes", 2, 2) == (file.report.format, file.report.rows, file.report.quotes)


def test_trades_are_read_with_free_header_order_case_and_further_columns(tmp_path: Path) -> None:
    lines = [
        'Side,PRICE,"size",note, Instrument,Timestamp',
        '"Buy",100,2,"a,b",BTC-USDT,1700000000',
    ]
    lines += [",101,1,,btcusdt,1700000001", "s,99,1,,BTCUSDT,1700000002"]
    file = open_market_file(write(tmp_path / "a", lines), [BTC], strict=True)
    trades = [item for item in file if isinstance(item, MarketTrade)]
    assert [Side.BUY, None, Side.SELL] == [trade.side for trade in trades]
    assert [Decimal(100), Decimal(101), Decimal(99)] == [trade.price for trade in trades]
    assert "trades" == file.report.format


def test_byte_order_mark_windows_line_ends_and_empty_lines_are_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f"{QUOTES}\r\n\r\n{quote(0)}\r\n\r\n".encode())
    file = open_market_file(path, [BTC], strict=True)
    assert 1 == len(list(file))
    assert 1 == file.report.rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1700000000", 1_700_000_000_000_000),
        ("1700000000.25", 1_700_000_000_250_000),
        ("1700000000250", 1_700_000_000_250_000),
        ("1700000000250.5", 1_700_000_000_250_500),
        ("1700000000250001", 1_700_000_000_250_001),
        ("1700000000250001999", 1_700_000_000_250_001),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000_000),
        ("2023-11-14 22:13:20.250001", 1_700_000_000_250_001),
        ("2023-11-14T22:13:20.250001999Z", 1_700_000_000_250_001),
        ("2023-11-15T00:13:20.25+02:00", 1_700_000_000_250_000),
        ("1.7e9", 1_700_000_000_000_000),
    ],
)
def test_timestamp_unit_is_told_by_size(text: str, expected: int) -> None:
    assert expected == timestamp_us(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "-5", "nan", "inf", "1e999999999", "yesterday", "2023-13-01", "9" * 30),
        *("9999-01-01", "20231114", "1_700_000_000", "\u0661\u0667\u0660\u0660\u0660\u0660"),
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="timestamp"):
        timestamp_us(text)


@pytest.mark.parametrize(
    ("rest", "bid", "ask"),
    [
        ("BTC/USDT,,100.2,,2", None, Decimal("100.2")),
        ("BTC/USDT,0,100.2,0,2", None, Decimal("100.2")),
        ("BTC/USDT,100.1,100.2,1,0", Decimal("100.1"), None),
        ("BTC/USDT,100.1,100.2,,", Decimal("100.1"), Decimal("100.2")),
        ("BTC/USDT,,,,", None, None),
    ],
)
def test_missing_side_is_none(
    tmp_path: Path, rest: str, bid: Decimal | None, ask: Decimal | None
) -> None:
    path = write(tmp_path / "a", [QUOTES, quote(0, rest)])
    (tick,) = open_market_file(path, [BTC], strict=True)
    assert isinstance(tick, Tick)
    assert (bid, ask) == (tick.bid, tick.ask)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (QUOTES, "1700000001,BTC/USDT,100,101,1"),
        (QUOTES, "1700000001,BTC/USDT,100,101,1,2,3"),
        (QUOTES, "1700000001,BTC/USDT,abc,101,1,2"),
        (QUOTES, "1700000001,BTC/USDT,-1,101,1,2"),
        (QUOTES, "1700000001,BTC/USDT,NaN,101,1,2"),
        (QUOTES, "noon,BTC/USDT,100,101,1,2"),
        (QUOTES, '1700000001,"BTC/USDT,100,101,1,2'),
        (QUOTES, "\udcff"),
        (TRADES, "1700000001,BTC/USDT,0,1,buy"),
        (TRADES, "1700000001,BTC/USDT,100,,buy"),
        (TRADES, "1700000001,BTC/USDT,100,1,both"),
        (TRADES, "x" * (LINE_BYTES_MAX + 10)),
        # What is remembered has to be short: thousands of these would fill the memory.
        (QUOTES, f"1700000001,BTC/USDT,100.{'0' * 100},101,1,2"),
        (QUOTES, f"1700000001,{'B' * 300},100,101,1,2"),
    ],
)
def test_unreadable_row_is_counted_with_its_line(tmp_path: Path, header: str, row: str) -> None:
    good = quote(0) if header == QUOTES else "1700000000,BTC/USDT,100,1,buy"
    later = good.replace("1700000000", "1700000002")
    path = tmp_path / "a.csv"
    path.write_bytes("\n".join([header, good, row, later]).encode("utf-8", "surrogateescape"))
    file = open_market_file(path, [BTC])
    assert 2 == len(list(file))
    assert (3, 1) == (file.report.rows, file.report.bad_rows)
    assert [3] == [line for line, _ in file.report.problems]
    with pytest.raises(MarketFileError, match=r"a\.csv: line 3: "):
        list(open_market_file(path, [BTC], strict=True))


def test_out_of_order_rows_are_counted_reported_and_delivered(tmp_path: Path) -> None:
    lines = [QUOTES, quote(0), quote(1), quote(0.5), quote(9), quote(2)]
    path = write(tmp_path / "a.csv", lines)
    file = open_market_file(path, [BTC])
    seconds = [item.event_us / 1e6 - 1_700_000_000 for item in file]
    assert [0, 0.5, 1, 2, 9] == seconds
    assert (2, 0) == (file.report.out_of_order, file.report.late)
    assert [4, 6] == [line for line, _ in file.report.problems]
    with pytest.raises(MarketFileError, match="line 4: out of order: 500000 us behind"):
        list(open_market_file(path, [BTC], strict=True))


def test_rows_that_repeat_are_counted_and_dropped(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [QUOTES, quote(0), quote(0), quote(1)])
    file = open_market_file(path, [BTC])
    assert 2 == len(list(file))
    assert 1 == file.report.duplicates
    with pytest.raises(MarketFileError, match="line 3: duplicate"):
        list(open_market_file(path, [BTC], strict=True))


def test_long_rows_are_known_by_a_digest(tmp_path: Path) -> None:
    notes = ["x" * 1_000, "x" * 1_000, "x" * 999 + "y"]
    rows = [f"{quote(0)},{note}" for note in notes]
    file = open_market_file(write(tmp_path / "a.csv", [f"{QUOTES},note", *rows]), [BTC])
    assert 2 == len(list(file))
    assert [(3, "duplicate: quote of BTC/USDT at 1700000000")] == file.report.problems


def test_trade_ids_tell_equal_trades_from_repeated_ones(tmp_path: Path) -> None:
    rows = [f"1700000000,BTC/USDT,100,1,buy,{trade_id}" for trade_id in (1, 2, 2)]
    file = open_market_file(write(tmp_path / "a", [f"{TRADES},trade_id", *rows]), [BTC])
    assert ["1", "2"] == [item.trade_id for item in file if isinstance(item, MarketTrade)]
    assert 1 == file.report.duplicates


def test_problems_are_bounded_and_counted_all(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [QUOTES, *["bad"] * (PROBLEMS_MAX + 50)])
    file = open_market_file(path, [BTC])
    assert [] == list(file)
    assert PROBLEMS_MAX == len(file.report.problems)
    assert PROBLEMS_MAX + 50 == file.report.problems_total == file.report.bad_rows


def test_gaps_are_reported_by_instrument(tmp_path: Path) -> None:
    eth = Instrument(name="ETH/USDT", base="ETH", quote="USDT")
    lines = [QUOTES, quote(0), *(quote(s, "ETH/USDT,1,2,1,1") for s in range(8)), quote(7)]
    file = open_market_file(write(tmp_path / "a", lines), [BTC, eth])
    list(file)
    (gap,) = file.report.gap_list
    assert 1 == file.report.gaps
    assert ("BTC/USDT", 7_000_000) == (gap.instrument, gap.to_us - gap.from_us)


def test_instruments_are_derived_with_the_decimals_seen(tmp_path: Path) -> None:
    rows = ["FET-USDT,0.8,0.81230,10,0.5", "btcusdt,60000,60001.50,1,2", "SOLFDUSD,1,2,100,200"]
    path = write(tmp_path / "a", [QUOTES, *(quote(n, row) for n, row in enumerate(rows))])
    derived = {i.name: (i.price_tick, i.qty_step) for i in derive_instruments(path)}
    assert {
        "FET/USDT": (Decimal("0.0001"), Decimal("0.1")),
        "BTC/USDT": (Decimal("0.1"), Decimal(1)),
        "SOL/FDUSD": (Decimal(1), Decimal(1)),
    } == derived
    file = open_market_file(path)
    assert 3 == len(list(file))
    assert 0 == file.report.unmatched


def test_symbol_without_two_parts_is_refused_when_deriving(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [QUOTES, quote(0, "GOLD,1,2,3,4")])
    with pytest.raises(MarketFileError, match="base and quote of GOLD"):
        open_market_file(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\n\n", "no line"),
        (b"hello world\n", "not recognised"),
        (b"timestamp,instrument,bid,ask\n", "no column bid_size, ask_size"),
        (b"\x00\xff\xfe\x80\n", "not recognised"),
        (b'{"a": 1}\n', "JSON"),
        (b"PK\x03\x04zip", "unpack"),
        (gzip.compress(b"hello" * 100)[:12], "compressed file"),
    ],
)
def test_unusable_file_is_refused_in_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(content)
    with pytest.raises(MarketFileError, match=says) as caught:
        open_market_file(path, [BTC])
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_file_and_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MarketFileError, match="no such file"):
        open_market_file(tmp_path / "none.csv", [BTC])
    with pytest.raises(MarketFileError, match="not a file"):
        open_market_file(tmp_path, [BTC])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [QUOTES])
    path.chmod(0)
    with pytest.raises(MarketFileError, match="permission"):
        open_market_file(path, [BTC])


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("xml", "no format 'xml'"),
        ("trades", "no column price"),
        ("capture", "not a capture"),
    ],
)
def test_wanted_format_must_fit(tmp_path: Path, wanted: str, says: str) -> None:
    path = write(tmp_path / "a.csv", [QUOTES, quote(0)])
    assert 1 == len(list(open_market_file(path, [BTC], format="quotes")))
    with pytest.raises(MarketFileError, match=says):
        open_market_file(path, [BTC], format=wanted)
