"""The synthetic market: a function of its seed, alive, and well-formed."""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import islice

import pytest

from actors.feeds.gaps import GapDetector
from actors.feeds.synthetic import SyntheticMarket, default_start_price
from fsm.instrument import Instrument
from fsm.market import MarketData, MarketTrade, Tick
from fsm.vocabulary import InstrumentKind, Side

START_US = 1_700_000_000_000_000
XRP = Instrument(name="XRP/RLUSD", base="XRP", quote="RLUSD", qty_step=Decimal("0.01"))
BTC = Instrument(
    name="BTC/USDT",
    base="BTC",
    quote="USDT",
    price_tick=Decimal("0.1"),
    qty_step=Decimal("0.001"),
)
UP = Instrument(
    name="BTC-UP",
    base="UP",
    quote="USDC",
    kind=InstrumentKind.BINARY,
    price_tick=Decimal("0.01"),
    qty_step=Decimal(1),
)


def market(seed: int, *instruments: Instrument, activity: float = 1.0) -> SyntheticMarket:
    chosen = instruments or (XRP, BTC)
    return SyntheticMarket(chosen, random.Random(seed), START_US, activity=activity)


def first_seconds(feed: SyntheticMarket, seconds: int) -> list[MarketData]:
    items = []
    for item in feed:
        if item.event_us >= START_US + seconds * 1_000_000:
            return items
        items.append(item)
    raise AssertionError("the market ended")


def test_one_seed_one_market_and_another_seed_another() -> None:
    assert list(islice(market(1), 2_000)) == list(islice(market(1), 2_000))
    assert list(islice(market(1), 2_000)) != list(islice(market(2), 2_000))


def test_events_are_well_formed() -> None:
    last_us = START_US - 1
    last: dict[str, Tick] = {}
    for item in islice(market(3, XRP, BTC, UP), 30_000):
        assert last_us < item.event_us
        last_us = item.event_us
        instrument = {"XRP/RLUSD": XRP, "BTC/USDT": BTC, "BTC-UP": UP}[item.instrument]
        if isinstance(item, Tick):
            assert item.bid is not None
            assert item.ask is not None
            assert item.bid_size is not None
            assert 0 < item.bid < item.ask
            assert item.bid % instrument.price_tick == item.ask % instrument.price_tick == 0
            assert 0 < item.bid_size
            assert 0 == item.bid_size % instrument.qty_step
            if instrument.kind is InstrumentKind.BINARY:
                assert 1 > item.ask
            last[item.instrument] = item
        else:
            quote = last[item.instrument]
            assert (quote.ask if item.side is Side.BUY else quote.bid) == item.price
            assert 0 < item.qty
            assert 0 == item.qty % instrument.qty_step


@pytest.mark.parametrize("seed", range(10))
def test_thirty_seconds_move_enough_for_small_stops_and_targets(seed: int) -> None:
    items = first_seconds(market(seed), 30)
    for name in ("XRP/RLUSD", "BTC/USDT"):
        ticks = [i for i in items if isinstance(i, Tick) and i.instrument == name]
        prices = [tick.bid for tick in ticks if tick.bid is not None]
        assert 30 < (max(prices) / min(prices) - 1) * 10_000
        assert 200 < len(ticks) < 1_000


def test_there_are_trends_gaps_quiet_times_and_both_sides_of_trades() -> None:
    items = first_seconds(market(5, BTC), 600)
    gaps = GapDetector(2_000_000)
    found = [gap for item in items if (gap := gaps.observe(item.instrument, item.event_us))]
    assert 2 <= len(found) <= 30
    assert {Side.BUY, Side.SELL} == {i.side for i in items if isinstance(i, MarketTrade)}
    by_second = [0] * 600
    for item in items:
        by_second[(item.event_us - START_US) // 1_000_000] += 1
    assert 12_000 * 0.5 < sum(isinstance(item, Tick) for item in items) < 12_000 * 1.5
    assert max(by_second) > 4 * sorted(by_second)[60]


def test_activity_scales_the_movement_down_to_none() -> None:
    still = [i.bid for i in first_seconds(market(1, BTC, activity=0), 30) if isinstance(i, Tick)]
    middles = [bid for bid in still if bid is not None]
    assert (max(middles) / min(middles) - 1) * 10_000 < 30


def test_walk_of_one_instrument_does_not_depend_on_the_others() -> None:
    alone = [i.bid for i in islice(market(1, BTC), 200) if isinstance(i, Tick)]
    together = [
        i.bid
        for i in islice(market(1, BTC, XRP), 1_000)
        if isinstance(i, Tick) and i.instrument == "BTC/USDT"
    ]
    assert alone == together[: len(alone)]


def test_restart_goes_on_from_the_last_prices() -> None:
    feed = market(1)
    list(islice(feed, 5_000))
    prices = feed.last_prices()
    resumed = SyntheticMarket([XRP, BTC], random.Random(9), START_US, prices)
    for item in islice(resumed, 2):
        assert isinstance(item, Tick)
        assert item.bid is not None
        assert abs(item.bid / prices[item.instrument] - 1) < Decimal("0.002")


def test_default_start_prices() -> None:
    other = Instrument(name="ABC/XYZ", base="ABC", quote="XYZ")
    prices = [default_start_price(i) for i in (XRP, BTC, UP, other)]
    assert [Decimal("0.5213"), Decimal(61800), Decimal("0.5"), Decimal(100)] == prices


@pytest.mark.parametrize(
    ("instruments", "prices", "activity", "interval_us"),
    [
        ([], {}, 1.0, 50_000),
        ([BTC, BTC], {}, 1.0, 50_000),
        ([BTC], {"BTC/USDT": Decimal(0)}, 1.0, 50_000),
        ([BTC], {"BTC/USDT": Decimal("NaN")}, 1.0, 50_000),
        ([UP], {"BTC-UP": Decimal(1)}, 1.0, 50_000),
        ([BTC], {}, -1.0, 50_000),
        ([BTC], {}, 1.0, 10),
    ],
)
def test_impossible_markets_are_refused(
    instruments: list[Instrument], prices: dict[str, Decimal], activity: float, interval_us: int
) -> None:
    with pytest.raises(ValueError, match=r"."):
        SyntheticMarket(
            instruments,
            random.Random(1),
            START_US,
            prices,
            interval_us=interval_us,
            activity=activity,
        )
