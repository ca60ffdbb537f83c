"""Prediction windows: the markets file, its damage, and how a price feed covers it."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.feeds.files import MarketFileError, open_market_file
from actors.feeds.windows import (
    CoverageCount,
    PredictionWindow,
    WindowFees,
    WindowOutcome,
    outcome_counts,
    read_windows,
)
from tests.market_data import market_data
from tests.unit.feeds.frames import write

START = 1_784_850_900
STRIKE = "65026457815000000000000"


def line(number: int = 0, **changes: Any) -> str:
    start = START + number * 300
    row = {"slug": f"btc-{start}", "asset": "btc", "start_sec": start, "end_sec": start + 300}
    row |= {"resolved": True, "outcome_prices": ["1", "0"], "strike_value": STRIKE}
    row |= {"raw": {"feeSchedule": {"rate": 0.07, "exponent": 1, "takerOnly": True}}}
    return json.dumps(row | changes)


def window(start: int, end: int, **changes: Any) -> PredictionWindow:
    values: dict[str, Any] = {"name": f"w{start}-{end}", "asset": "BTC", "strike": Decimal(100)}
    values |= {"start_us": start, "end_us": end, "outcome": None}
    return PredictionWindow(**(values | changes))


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_window_is_a_frozen_value_with_its_scaled_strike(tmp_path: Path, name: str) -> None:
    found = read_windows(write(tmp_path / name, [line()]), strict=True)
    assert (
        PredictionWindow(
            name=f"btc-{START}",
            asset="BTC",
            start_us=START * 1_000_000,
            end_us=(START + 300) * 1_000_000,
            strike=Decimal("65026.457815"),
            outcome=WindowOutcome.UP,
            fees=WindowFees(rate=Decimal("0.07"), exponent=1, taker_only=True),
        ),
    ) == found.windows
    assert found.is_clean


@pytest.mark.parametrize(
    ("prices", "expected"),
    [(["1", "0"], "up"), (["0", "1"], "down"), (["0.96", "0.04"], None), (None, None)],
)
def test_the_outcome_is_what_the_operator_says(
    tmp_path: Path, prices: list[str] | None, expected: str | None
) -> None:
    found = read_windows(write(tmp_path / "a", [line(outcome_prices=prices)]))
    assert expected == found.windows[0].outcome


def test_a_window_needs_neither_strike_nor_fees(tmp_path: Path) -> None:
    found = read_windows(write(tmp_path / "a", [line(strike_value=None, raw={})]), strict=True)
    assert (None, None) == (found.windows[0].strike, found.windows[0].fees)


@pytest.mark.parametrize(
    "bad",
    [
        line(1)[:-9],
        "no json",
        "[]",
        line(1, start_sec="soon"),
        line(1, start_sec=START + 700),
        line(1, start_sec=-5),
        line(1, end_sec=10**14),
        line(1, strike_value="65026.45"),
        line(1, strike_value="0"),
        line(1, strike_value="NaN"),
        line(1, outcome_prices=["1"]),
        line(1, outcome_prices=["1", "x"]),
        line(1, outcome_prices=["2", "-1"]),
        line(1, outcome_prices=["1", "NaN"]),
        json.dumps({"slug": "a", "end_sec": 5}),
    ],
)
def test_a_broken_line_is_counted_with_its_number(tmp_path: Path, bad: str) -> None:
    path = write(tmp_path / "a.jsonl", [line(0), bad, line(2)])
    found = read_windows(path)
    assert (3, 2, 1) == (found.rows, len(found.windows), found.bad_rows)
    assert [2] == [number for number, _ in found.problems]
    with pytest.raises(MarketFileError, match=r"a\.jsonl: line 2: .*without --strict") as caught:
        read_windows(path, strict=True)
    assert "\n" not in str(caught.value)


def test_repeats_disorder_and_gaps_between_windows_are_found(tmp_path: Path) -> None:
    lines = [line(0), line(0), line(5), line(1)]
    found = read_windows(write(tmp_path / "a", lines))
    assert (4, 1, 1) == (found.rows, found.duplicates, found.out_of_order)
    assert [2, 4] == [number for number, _ in found.problems]
    assert [0, 1, 5] == [(w.start_us // 1_000_000 - START) // 300 for w in found.windows]
    assert [((START + 600) * 1_000_000, (START + 1_500) * 1_000_000)] == found.gaps()


@pytest.mark.parametrize("content", ["", "\n", "[1]\n", "x\n"])
def test_a_file_without_a_window_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(content)
    with pytest.raises(MarketFileError, match=r"a\.jsonl: "):
        read_windows(path)


def test_a_compressed_file_that_is_cut_gives_what_it_holds(tmp_path: Path) -> None:
    # The names are drawn out, so that half of the file is more than one block of gzip.
    lines = [line(n, slug=f"{n * 7919**9}-{n * 104729**7}") for n in range(800)]
    whole = gzip.compress("\n".join(lines).encode())
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(whole[: len(whole) // 2])
    found = read_windows(path)
    assert 100 < len(found.windows) < 800
    assert "ends in the middle" in str(found.truncated_message)


def test_windows_are_no_market_data(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [line()])
    with pytest.raises(MarketFileError, match="hold no prices: name the price feed"):
        open_market_file(path)


# --------------------------------------------------------------------------------------- coverage


def test_prices_from_before_a_window_opens_are_not_data_for_it() -> None:
    count = CoverageCount([window(1_000, 2_000, outcome=WindowOutcome.DOWN)])
    for time, price in ((999, 50), (1_000, 99), (1_400, 101), (2_000, 100)):
        count.observe(time, Decimal(price))
    (coverage,) = count.finish()
    assert (2, 600) == (coverage.prices, coverage.longest_silence_us)
    # At its end the price is the strike, which is up; the operator says down, and down it is.
    assert WindowOutcome.UP is coverage.settled
    assert coverage.disagrees


def test_a_window_that_the_feed_never_reaches_is_all_silence() -> None:
    count = CoverageCount([window(1_000, 2_000)])
    count.observe(500, Decimal(1))
    (coverage,) = count.finish()
    assert (0, 1_000, None) == (coverage.prices, coverage.longest_silence_us, coverage.settled)
    assert not coverage.disagrees


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 30)), min_size=1, max_size=12),
    st.sets(st.integers(1, 100), max_size=60),
)
def test_each_window_counts_the_prices_inside_of_it(
    spans: list[tuple[int, int]], times: set[int]
) -> None:
    windows = sorted({(start, start + length) for start, length in spans})
    count = CoverageCount([window(start, end) for start, end in windows])
    for time in sorted(times):
        count.observe(time, Decimal(1))
    for (start, end), coverage in zip(windows, count.finish(), strict=True):
        inside = sorted(time for time in times if start <= time < end)
        edges = [start, *inside, end]
        assert len(inside) == coverage.prices
        assert max(b - a for a, b in pairwise(edges)) == (coverage.longest_silence_us)
        assert (end in times) == (coverage.settled is not None)


def test_the_recorded_windows_are_read_and_covered() -> None:
    found = read_windows(market_data("polymarket_btc_5m_markets_sample.jsonl.gz"), strict=True)
    assert (48, 48) == (found.rows, len(found.windows))
    assert {"up": 23, "down": 25, "open": 0} == outcome_counts(found.windows)
    assert [] == found.gaps()
    count = CoverageCount(found.windows)
    feed = open_market_file(market_data("polymarket_btcusd_prices_sample.csv.gz"), strict=True)
    for item in feed:
        price = getattr(item, "bid")  # noqa: B009 - the feed holds ticks only
        count.observe(item.event_us, price)
    coverages = count.finish()
    assert 0 == coverages[0].prices  # it closed when the feed began
    assert 12_936 < sum(coverage.prices for coverage in coverages) < 12_998
    assert not any(coverage.disagrees for coverage in coverages)
