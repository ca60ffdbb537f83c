"""What is told about a file before anyone trades on it: counts, rhythm, outages, the verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.feeds import decoding, files
from actors.feeds.check import Verdict, check_file, judge
from actors.feeds.files import MarketFileError
from actors.feeds.matching import unfed_position
from actors.feeds.silences import KEPT_MAX, RHYTHM_MIN, Silences
from actors.feeds.windows import read_windows
from fsm.instrument import Instrument
from tests.market_data import market_data
from tests.unit.feeds.frames import BTC, write

QUOTES = "timestamp,instrument,bid,ask,bid_size,ask_size"
TRADES = "timestamp,instrument,price,size,side"
START = 1_700_000_000


def quote(second: float, rest: str = "BTCUSDT,100,101,1,2") -> str:
    return f"{START + second},{rest}"


def quotes(path: Path, *rows: str) -> Path:
    return write(path / "a.csv", [QUOTES, *rows])


# --------------------------------------------------------------------------------------- verdicts


def test_a_clean_file_is_good(tmp_path: Path) -> None:
    check = check_file(quotes(tmp_path, *(quote(n / 2) for n in range(20))))
    judged = judge(check)
    assert (Verdict.GOOD, ()) == (judged.verdict, judged.reasons)
    assert {"BTCUSDT": 20} == check.instruments
    assert [] == check.outages()


@pytest.mark.parametrize(
    ("rows", "verdict", "why"),
    [
        (["bad"], Verdict.DAMAGED, "1 unreadable row"),
        ([quote(90), quote(0.5)], Verdict.DAMAGED, "1 row too late to be put in order"),
        ([quote(1)], Verdict.USABLE, "1 duplicate dropped"),
        ([quote(0.5)], Verdict.USABLE, "1 row out of order, put in order"),
        ([quote(60)], Verdict.USABLE, "1 outage of the whole file"),
        ([quote(2, "BTCUSDT,102,101,1,2")], Verdict.USABLE, "1 quote with a bid above the ask"),
        ([quote(2, "BTCUSDT,,101,,2")], Verdict.USABLE, "33% of the quotes lack a side"),
    ],
)
def test_the_verdict_names_what_was_found(
    tmp_path: Path, rows: list[str], verdict: Verdict, why: str
) -> None:
    judged = judge(check_file(quotes(tmp_path, quote(0), quote(1), *rows)))
    assert verdict is judged.verdict
    assert why in judged.reasons


def test_nothing_in_it_is_damage(tmp_path: Path) -> None:
    judged = judge(check_file(quotes(tmp_path)))
    assert (Verdict.DAMAGED, ("no quote and no trade in it",)) == (judged.verdict, judged.reasons)


def test_trades_alone_are_usable_and_their_pauses_are_no_outages(tmp_path: Path) -> None:
    rows = [f"{START + n * 60},BTCUSDT,1,1,buy" for n in range(5)]
    judged = judge(check_file(write(tmp_path / "a.csv", [TRADES, *rows])))
    assert Verdict.USABLE is judged.verdict
    assert ("trades only: entries and stops go by quotes",) == judged.reasons


def test_a_gap_of_one_instrument_is_no_outage_while_another_speaks(tmp_path: Path) -> None:
    other = [quote(n, "ETHUSDT,1,2,1,1") for n in range(1, 20)]
    check = check_file(quotes(tmp_path, quote(0), *other, quote(20)))
    assert (1, []) == (check.report.gaps, check.outages())
    assert ("1 gap of single instruments",) == judge(check).reasons


def test_a_source_with_a_rhythm_has_outages_only_beyond_it(tmp_path: Path) -> None:
    """A collector that asks every two minutes, and misses one round."""
    rounds = [n for n in range(10) if n != 6]
    rows = [quote(n * 124, f"{s}USDT,1,2,1,1") for n in rounds for s in ("A", "B", "C")]
    check = check_file(quotes(tmp_path, *rows))
    assert (124, 124) == (check.own.usual_s(), check.whole.usual_s())
    assert [(START + 5 * 124) * 1_000_000] == [silence.from_us for silence in check.outages()]
    # To each instrument every round is a gap of five seconds; three are longer than usual.
    assert (24, 3) == (check.report.gaps, check.beyond_rhythm())


def test_instruments_that_fall_silent_together_are_told_though_others_speak(tmp_path: Path) -> None:
    """A collector that lost most of its sources for a while, and never stopped writing."""
    rows = []
    for minute in range(0, 120, 2):
        lost = 40 <= minute < 70
        names = range(2 if lost else 30)
        rows += [quote(400 + minute * 60, f"s{n},1,2,1,1") for n in names]
    check = check_file(quotes(tmp_path, *rows))
    (thin,) = check.presence.thinnings()
    assert (30, 2) == (check.presence.usual(), thin.heard_most)
    edges = (START + 400 + 40 * 60, START + 400 + 70 * 60)
    assert all(
        abs(found // 1_000_000 - edge) <= 300
        for found, edge in zip((thin.from_us, thin.to_us), edges, strict=True)
    )
    assert [] == check.outages()
    assert "1 stretch in which most instruments fell silent" in judge(check).reasons


def test_a_few_instruments_may_be_silent_together(tmp_path: Path) -> None:
    rows = [quote(minute * 60, f"s{n},1,2,1,1") for minute in range(60) for n in range(5)]
    rows += [quote(3_600 + minute * 60, "s1,1,2,1,1") for minute in range(60)]
    assert [] == check_file(quotes(tmp_path, *rows)).presence.thinnings()


def test_progress_is_told_and_ends_at_the_end(tmp_path: Path) -> None:
    heard: list[tuple[int, int, int]] = []
    path = quotes(tmp_path, *(quote(n / 10) for n in range(10_000)))
    check_file(path, on_progress=lambda *told: heard.append(told))
    assert [4_096, 8_192, 10_000] == [rows for rows, _, _ in heard]
    size = path.stat().st_size
    assert [size] * 3 == [total for _, _, total in heard]
    assert size == heard[-1][1]


def test_more_symbols_than_can_be_counted_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SYMBOLS_MAX", 10)
    rows = [quote(n / 10, f"s{n},1,2,1,1") for n in range(15)]
    check = check_file(quotes(tmp_path, *rows))
    assert (10, 5) == (len(check.instruments), check.report.unmatched)
    assert "5 rows of more symbols than can be counted" in judge(check).reasons
    assert decoding.SYMBOLS_MAX == 200_000


@given(st.lists(st.integers(1, 20_000_000_000), max_size=200), st.integers(1, 4_000))
def test_silences_are_counted_by_length_and_the_longest_are_kept(
    lengths: list[int], seconds: int
) -> None:
    silences = Silences(keep_us=5_000_000)
    now = 0
    for length in lengths:
        silences.observe(now, now + length)
        now += length
    whole = sorted(length // 1_000_000 for length in lengths)
    exact = sum(1 for s in whole if s >= seconds)
    if seconds < 3_600:
        assert exact == silences.at_least(seconds)
        usual = whole[(len(whole) - 1) // 2] if len(whole) >= RHYTHM_MIN else 0
        assert usual // 60 * 60 <= silences.usual_s() <= usual
    kept = sorted((x for x in lengths if x >= 5_000_000), reverse=True)[:KEPT_MAX]
    assert kept == [silence.length_us for silence in silences.longest(5_000_000)]


# ------------------------------------------------------------- a symbol with an open position


FET = Instrument(name="FET/USDT", base="FET", quote="USDT")


@pytest.mark.parametrize("symbol", ["FET-USDT", "FETUSDT", "FET/USDT", "fetusdt"])
def test_an_open_position_is_fed_by_every_spelling_of_its_symbol(
    tmp_path: Path, symbol: str
) -> None:
    file = files.open_market_file(quotes(tmp_path, quote(0, f"{symbol},1,2,1,1")), [FET])
    assert None is unfed_position(file, {"p1": "FET/USDT"})
    assert ["FET/USDT"] == [item.instrument for item in file]


def test_an_open_position_whose_symbol_matches_nothing_is_an_error(tmp_path: Path) -> None:
    file = files.open_market_file(quotes(tmp_path, quote(0, "FETUSD,1,2,1,1")), [FET])
    problem = unfed_position(file, {"p1": "FET/USDT"})
    assert problem is not None
    assert "position p1 is open on FET/USDT, and no symbol of this file answers" in problem
    assert "it has FETUSD" in problem
    assert None is unfed_position(file, {})


def test_an_instrument_that_is_not_in_the_first_rows_may_still_come(tmp_path: Path) -> None:
    file = files.open_market_file(quotes(tmp_path, quote(0)), [BTC, FET])
    assert None is unfed_position(file, {"p1": "FET/USDT"})
    unknown = unfed_position(file, {"p1": "SOL/USDT"})
    assert unknown is not None


# --------------------------------------------------------------------------------- recorded files


def test_the_recorded_windows_and_their_feed_are_checked_together() -> None:
    windows = read_windows(market_data("polymarket_btc_5m_markets_sample.jsonl.gz"))
    path = market_data("polymarket_btcusd_prices_sample.csv.gz")
    check = check_file(path, windows=windows)
    judged = judge(check)
    assert Verdict.USABLE is judged.verdict
    assert "12 outages of the whole file" in judged.reasons
    assert "1 window without any price" in judged.reasons
    assert 2 == sum(1 for window in windows.windows if window.strike is None)
    assert 120_000_000 == check.outages()[0].length_us


def test_a_file_that_cannot_be_opened_raises_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(MarketFileError, match="no such file"):
        check_file(tmp_path / "none.csv")
