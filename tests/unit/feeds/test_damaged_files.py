"""Any damage to any format is refused in one line or counted row by row; it never crashes."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.feeds.files import MarketFileError, open_market_file
from actors.feeds.recognition import FORMATS
from actors.feeds.windows import read_windows
from tests.unit.feeds import test_dump_files as dumps
from tests.unit.feeds import test_parquet_files as parquet
from tests.unit.feeds import test_windows as windows
from tests.unit.feeds.frames import capture_line, usdm_book, usdm_trade

QUOTES = "timestamp,instrument,bid,ask,bid_size,ask_size"


def text(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def parquet_bytes(folder: Path) -> bytes:
    return parquet.quotes(folder / "whole.parquet", 300).read_bytes()


GOOD: dict[str, tuple[str, bytes]] = {
    "quotes": ("a.csv", text(QUOTES, *(f"{1_700_000_000 + n},BTCUSDT,1,2,3,4" for n in range(9)))),
    "trades": ("a.csv", text("timestamp,instrument,price,size,side", "1700000000,BTCUSDT,1,2,buy")),
    "capture": ("a", text(capture_line(usdm_book(1, 1), 1), capture_line(usdm_trade(1, 2), 2))),
    "binance-aggtrades": ("BTCUSDT.csv", text(dumps.AGG_HEADER, dumps.AGG.format(time=dumps.MS))),
    "binance-trades": ("BTCUSDT.csv", text(dumps.TRADE.format(time=dumps.MS))),
    "binance-bookticker": (
        "BTCUSDT.csv",
        text(dumps.BOOK_HEADER, dumps.BOOK.format(time=dumps.US)),
    ),
    "tardis-quotes": ("a.csv", text(dumps.TARDIS_QUOTES, dumps.tardis("10,101,100,20"))),
    "tardis-trades": ("a.csv", text(dumps.TARDIS_TRADES, dumps.tardis("id-1,buy,8531.5,1"))),
    "kraken-trades": ("a.json", text(dumps.kraken([dumps.kraken_row(n) for n in range(4)]))),
    "prices": ("btcusd.csv", text(dumps.PRICES, *(dumps.price(n) for n in range(6)))),
    "windows": ("m.jsonl", text(*(windows.line(n) for n in range(3)))),
}


def test_there_is_a_good_file_of_every_format_and_it_is_recognised(tmp_path: Path) -> None:
    assert {*FORMATS} == {*GOOD, "parquet"}
    for name, (file, content) in GOOD.items():
        path = tmp_path / file
        for packed in (content, gzip.compress(content)):
            path.write_bytes(packed)
            if name == "windows":
                assert read_windows(path, strict=True).windows
                continue
            found = open_market_file(path, own_names=True, strict=True)
            assert list(found)
            assert (
                name
                == found.report.format
                == open_market_file(path, own_names=True, format=name).report.format
            )


def read_anyhow(path: Path) -> None:
    """Every row counted once, or one line that says why not."""
    try:
        if path.suffix == ".jsonl":
            found = read_windows(path)
            assert found.rows == len(found.windows) + found.bad_rows + found.duplicates
            return
        file = open_market_file(path, own_names=True)
        items = list(file)
    except MarketFileError as error:
        message = str(error)
        assert message.startswith(str(path))
        assert "\n" not in message
        return
    report = file.report
    assert report.quotes + report.trades == len(items)
    counted = report.quotes + report.trades + sum(report.other.values())
    assert report.rows == counted + report.unmatched + report.duplicates + report.bad_rows


EDITS = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 12),
        st.one_of(
            st.binary(max_size=4),
            st.sampled_from(
                [b"NaN", b"-", b"1e999", b"inf", b"\n", b",", b'"', b"null", b"{", b"[]"]
            ),
        ),
    ),
    min_size=1,
    max_size=6,
)


def damaged(content: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    data = bytearray(content)
    for where, cut, put in edits:
        at = int(where * len(data))
        data[at : at + cut] = put
    return bytes(data)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.parametrize("name", sorted(GOOD))
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@given(edits=EDITS, keep=st.floats(0.2, 1))
def test_text_that_was_tampered_with_is_refused_or_counted(
    tmp_path: Path, name: str, packed: bool, edits: list[tuple[float, int, bytes]], keep: float
) -> None:
    file, content = GOOD[name]
    path = tmp_path / file
    if packed:
        whole = damaged(gzip.compress(content, mtime=0), edits[:1])
    else:
        whole = damaged(content, edits)
    path.write_bytes(whole[: max(1, int(len(whole) * keep))])
    read_anyhow(path)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(edits=EDITS)
def test_parquet_that_was_tampered_with_is_refused_or_counted(
    tmp_path: Path, edits: list[tuple[float, int, bytes]]
) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(damaged(parquet_bytes(tmp_path), edits))
    read_anyhow(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04....", "zip archive"),
        (b"\x28\xb5\x2f\xfd....", "zstd"),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh91AY", "bzip2"),
        (gzip.compress(b"PAR1....PAR1"), "parquet file inside of gzip"),
        (gzip.compress(b""), "no line"),
        (bytes(range(256)) * 8, "not recognised"),
        (b'{"error": [], "result": {}}', "no trade"),
        (b"12,13,14\n15,16,17\n", "no header"),
        (
            b"exchange,symbol,timestamp,local_timestamp,price\n",
            "as tardis-trades its header has no",
        ),
        (b"feed_ts_ms,value\n", "as prices its header has no column full_accuracy_value, recv_ms"),
    ],
)
def test_what_no_format_is_gets_one_line_that_says_what_it_is(
    tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(MarketFileError, match=says) as caught:
        open_market_file(path, own_names=True)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("name", sorted({*GOOD} - {"windows", "kraken-trades"}))
def test_a_header_without_a_row_gives_no_data_and_no_complaint(tmp_path: Path, name: str) -> None:
    file, content = GOOD[name]
    head = content.splitlines()[0]
    path = tmp_path / file
    path.write_bytes(head + b"\n")
    found = open_market_file(path, own_names=True, format=name)
    if head[:1].isalpha():
        assert [] == list(found)
        assert found.report.is_clean
    else:
        assert 1 == len(list(found))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("wanted", FORMATS)
def test_a_format_that_the_content_does_not_bear_out_is_refused(
    tmp_path: Path, name: str, wanted: str
) -> None:
    if name == wanted:
        return
    file, content = GOOD.get(name, ("a.parquet", parquet_bytes(tmp_path)))
    path = tmp_path / file
    path.write_bytes(content)
    with pytest.raises(MarketFileError) as caught:
        open_market_file(path, own_names=True, format=wanted)
    assert "\n" not in str(caught.value)
