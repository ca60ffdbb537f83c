"""What is recorded comes back as it was, to the last digit; what is damaged is said to be."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.feeds.errors import MarketFileError
from actors.feeds.files import derive_instruments, open_market_file
from actors.feeds.recording import RecordedFeed, is_recording
from actors.feeds.synthetic import SyntheticMarket
from actors.recording import rows
from fsm.instrument import Instrument
from fsm.market import MarketData, MarketTrade, Tick
from fsm.vocabulary import InstrumentKind, Side
from tests.unit.recording.rigs import OTHER, SPEC, START_US, inline, record, tick, trade

numbers = st.decimals(0, Decimal("1e17"), allow_nan=False, allow_infinity=False, places=None)
times = st.integers(1, 7_000_000_000_000_000)
sides = st.none() | numbers
quotes = st.builds(
    Tick,
    instrument=st.text(max_size=12),
    bid=sides,
    ask=sides,
    bid_size=sides,
    ask_size=sides,
    event_us=times,
    recv_us=times,
)
trades = st.builds(
    MarketTrade,
    instrument=st.text(max_size=12),
    price=numbers,
    qty=numbers,
    side=st.none() | st.sampled_from(Side),
    event_us=times,
    recv_us=times,
    trade_id=st.none() | st.text(max_size=12),
)


@given(st.lists(quotes | trades, max_size=5))
@settings(max_examples=200, deadline=None)
def test_rows_come_back_to_the_last_digit(data: list[MarketData]) -> None:
    text = rows.encode_rows([rows.row_of("a feed", each) for each in data])
    lines = text.split(b"\n")
    assert b"" == lines.pop()
    assert len(data) == len(lines)
    for each, line in zip(data, lines, strict=True):
        back = rows.decode_row(line)
        assert "a feed" == back.feed
        for name in ("instrument", "event_us", "recv_us", *_numbers(each)):
            assert str(getattr(each, name)) == str(getattr(back, name))


def _numbers(data: MarketData) -> tuple[str, ...]:
    if isinstance(data, Tick):
        return ("bid", "ask", "bid_size", "ask_size")
    return ("price", "qty", "side", "trade_id")


def test_a_market_comes_back_in_its_order_with_both_kinds_and_both_times(tmp_path: Path) -> None:
    market = SyntheticMarket([SPEC, OTHER], random.Random(7), START_US)
    data = [next(market) for _ in range(5_000)]
    feed = open_market_file(record(tmp_path / "r", *data))

    assert data == list(feed)
    assert (5_000, 0) == (feed.report.rows, feed.report.problems_total)
    assert feed.report.quotes + feed.report.trades == 5_000
    assert feed.report.trades > 500
    assert feed.report.is_clean


def test_the_order_of_arrival_stays_where_the_sources_times_cross(tmp_path: Path) -> None:
    """A reorder window of two seconds would have turned all of them around."""
    late = [tick(n, ahead_us=-n * 2_000) for n in range(100)]
    feed = RecordedFeed(record(tmp_path / "r", *late))

    assert late == list(feed)
    assert 99 == feed.report.out_of_order
    assert feed.report.is_clean, "it came like that"


def test_the_instruments_are_the_recordings_own(tmp_path: Path) -> None:
    recorder = inline(tmp_path / "r")
    recorder.tap("here").take(tick(1))
    recorder.close()
    assert [SPEC, OTHER] == derive_instruments(tmp_path / "r")
    perpetual = Instrument(
        name="P/USD", base="P", quote="USD", kind=InstrumentKind.PERPETUAL, aliases=(SPEC.name,)
    )
    mine = open_market_file(tmp_path / "r", [perpetual])
    assert ["P/USD"] == [each.instrument for each in mine]


def test_how_far_a_pass_is_and_which_symbols_come(tmp_path: Path) -> None:
    record(tmp_path / "r", *(tick(n) for n in range(1, 10)))
    record(tmp_path / "r", tick(10, OTHER.name))
    feed = RecordedFeed(tmp_path / "r", (), own_names=True)
    assert ([SPEC.name, OTHER.name], True) == feed.symbols()
    seen = []
    for item in feed:
        done, total = feed.progress()
        assert 0 <= done < total
        seen.append(item.instrument)
    assert [SPEC.name] * 9 + [OTHER.name] == seen
    assert feed.progress() == (total, total)
    assert done > 0


def test_a_symbol_that_nobody_answers_to_is_counted(tmp_path: Path) -> None:
    feed = open_market_file(record(tmp_path / "r", tick(1), tick(2, OTHER.name)), [SPEC])
    assert [tick(1)] == list(feed)
    assert {OTHER.name: 1} == feed.report.unmatched_symbols


HEADER = rows.encode_header(
    rows.Header(session="s", number=1, opened_at_us=1, feeds=("f",), instruments=(SPEC,))
)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'["q","f",1,1,"ABC/USD"]', "unreadable row"),
        (b'["q","f",1,1,"ABC/USD","-1","2","3","4"]', "-1 is not from 0"),
        (b'["q","f",1,1,"ABC/USD","NaN","2","3","4"]', "unreadable row"),
        (b'["q","f",1,1,"ABC/USD","Infinity","2","3","4"]', "is not from 0"),
        (b'["q","f",0,1,"ABC/USD","1","2","3","4"]', "between 1970 and 2200"),
        (b'["t","f",1,9999999999999999,"ABC/USD","1","2","buy",null]', "between 1970 and 2200"),
        (b'["t","f",1,1,"ABC/USD","1","2","up",null]', "unreadable row"),
        (b'["z","f",1,1,"ABC/USD"]', "unreadable row"),
        (b"nonsense", "unreadable row"),
        (b"\xff\xfe", "unreadable row"),
    ],
)
def test_a_damaged_row_costs_itself_and_is_named_by_its_line(
    tmp_path: Path, line: bytes, words: str
) -> None:
    good = rows.encode_rows([rows.row_of("f", tick(1)), rows.row_of("f", trade(2))])
    path = tmp_path / "plain"
    path.write_bytes(HEADER + line + b"\n" + good)
    feed = open_market_file(path)

    assert [tick(1), trade(2)] == list(feed)
    assert 1 == feed.report.bad_rows
    ((number, message),) = feed.report.problems
    assert 2 == number
    assert words in message
    with pytest.raises(MarketFileError, match=r"plain: line 2: .*--strict"):
        list(open_market_file(path, strict=True))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (HEADER.replace(b'"version":1', b'"version":2'), "version 2"),
        (HEADER.replace(b'"instruments"', b'"things"'), "first line"),
        (HEADER.replace(b'"price_tick":"0.01"', b'"price_tick":"0"'), "impossible steps"),
        (HEADER.replace(b"}]}", b"}"), "first line"),
    ],
)
def test_a_header_that_cannot_be_read_refuses_the_file_in_one_line(
    tmp_path: Path, header: bytes, words: str
) -> None:
    path = tmp_path / "r"
    path.write_bytes(header)
    assert is_recording(path)
    with pytest.raises(MarketFileError) as caught:
        open_market_file(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_recording_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "quotes.csv").write_text("timestamp,instrument,bid,ask,bid_size,ask_size\n")
    assert not is_recording(tmp_path / "quotes.csv")
    assert not is_recording(tmp_path)
    assert not is_recording(tmp_path / "missing")
