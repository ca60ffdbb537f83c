"""Symbols: spellings of one instrument, venues' own codes, and nothing invented."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.feeds.errors import MarketFileError
from actors.feeds.symbols import SymbolIndex, split_symbol
from fsm.instrument import Instrument


def instrument(name: str, *aliases: str) -> Instrument:
    base, _, quote = name.partition("/")
    return Instrument(name=name, base=base, quote=quote or "USD", aliases=aliases)


@pytest.mark.parametrize(
    ("name", "symbols"),
    [
        ("FET/USDT", ["FET-USDT", "FETUSDT", "FET/USDT", "fet_usdt", "fetusdt", "FET:USDT"]),
        ("BTC/USD", ["XXBTZUSD", "XBTUSD", "XBT/USD", "xbt-usd", "BTC-USD", "btcusd"]),
        ("BTC/USDT", ["XBTUSDT", "XBT/USDT", "BTCUSDT"]),
        ("ETH/BTC", ["XETHXXBT", "ETHXBT", "ETHBTC"]),
        ("DOGE/USD", ["XDGUSD", "XXDGZUSD", "DOGEUSD"]),
        ("XBT/USD", ["XBTUSD", "BTCUSD", "XXBTZUSD"]),
        ("window-up-2026-07-22", ["window-up-2026-07-22", "WINDOW-UP-2026-07-22"]),
    ],
)
def test_every_spelling_of_an_instrument_finds_it(name: str, symbols: list[str]) -> None:
    index = SymbolIndex([instrument(name), instrument("OTHER/JPY")])
    assert dict.fromkeys(symbols, name) == {s: index.resolve(s) for s in symbols}


@pytest.mark.parametrize(
    "symbol", ["FET", "USDT", "FETUSD", "FET-EUR", "", "/", "XFETZUSDT", "FETUSDTX", "XBTFETUSDT"]
)
def test_what_is_another_symbol_finds_nothing(symbol: str) -> None:
    assert None is SymbolIndex([instrument("FET/USDT")]).resolve(symbol)


def test_the_own_spelling_goes_before_the_meaning() -> None:
    index = SymbolIndex([instrument("BTC/USD"), instrument("XBT/USD")])
    assert ("XBT/USD", "BTC/USD") == (index.resolve("XBTUSD"), index.resolve("BTCUSD"))
    with pytest.raises(MarketFileError, match=r"fits several instruments \(BTC/USD, XBT/USD\)"):
        index.resolve("XXBTZUSD")


@pytest.mark.parametrize(
    "symbol",
    ["atc-els-aal-vik-2026-07-26-draw", "GOLD", "USD", "XETHZZZZ", "btc-updown-5m-1784850900", ""],
)
def test_what_has_no_two_assets_is_not_split(symbol: str) -> None:
    assert None is split_symbol(symbol)


@given(
    st.from_regex(r"[A-Z]{3,5}", fullmatch=True),
    st.sampled_from(["USDT", "USDC", "USD", "EUR", "BTC"]),
    st.sampled_from(["", "/", "-", "_", ":"]),
    st.booleans(),
)
def test_a_pair_is_one_whatever_stands_between_its_assets(
    base: str, quote: str, between: str, lower: bool
) -> None:
    symbol = f"{base}{between}{quote}"
    found = SymbolIndex([instrument(f"{base}/{quote}")]).resolve(
        symbol.lower() if lower else symbol
    )
    assert f"{base}/{quote}" == found
