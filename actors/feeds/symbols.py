"""From the symbols that sources write to the instruments that we trade, and back.

Responsible for matching (names, aliases, punctuation, case and the venues' own asset codes aside)
and for deriving an instrument from a symbol and the numbers seen with it. Never invents a match.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from actors.feeds.errors import MarketFileError
from fsm.instrument import Instrument, symbol_key
from fsm.vocabulary import InstrumentKind

#: Quote assets that a symbol without punctuation may end in, the longest first. BUSD
#: and TUSD are left out: they would make AR/BUSD of ARBUSD.
QUOTE_ASSETS = (
    "FDUSD",
    "RLUSD",
    "USDT",
    "USDC",
    "USD",
    "EUR",
    "GBP",
    "TRY",
    "JPY",
    "BRL",
    "DAI",
    "BTC",
    "XBT",
    "ETH",
    "BNB",
    "XRP",
)
#: Asset codes that say what another one says: Kraken and BitMEX write XBT, Kraken XDG too.
ASSET_CODES = {"XBT": "BTC", "XDG": "DOGE"}
#: Kraken's first assets carry a letter for their class: XXBT, ZUSD. Later ones do not.
_KRAKEN_COINS = frozenset(
    ["ETC", "ETH", "LTC", "MLN", "REP", "XBT", "XDG", "XLM", "XMR", "XRP", "ZEC"]
)
_KRAKEN_MONEY = frozenset(["AUD", "CAD", "EUR", "GBP", "JPY", "USD"])
_SEPARATORS = "/-_: "
#: No venue trades in finer steps; 1e-9999 is damage.
_EXPONENT_MIN = -18


class SymbolIndex:
    """Finds the instrument that answers to a symbol: exactly written first, then by its key, then
    by the key of what the venue's spelling means (XXBTZUSD is BTC/USD)."""

    __slots__ = ("_by_key", "_by_meaning", "_exact")

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._exact: dict[str, str] = {}
        self._by_key: dict[str, list[str]] = {}
        self._by_meaning: dict[str, list[str]] = {}
        for instrument in instruments:
            for symbol in (instrument.name, *instrument.aliases):
                self._exact.setdefault(symbol, instrument.name)
                for found, key in (
                    (self._by_key, symbol_key(symbol)),
                    (self._by_meaning, meaning_key(symbol)),
                ):
                    names = found.setdefault(key, [])
                    if instrument.name not in names:
                        names.append(instrument.name)

    def resolve(self, symbol: str) -> str | None:
        """The instrument's name, or None. Raises MarketFileError when several answer to it."""
        exact = self._exact.get(symbol)
        if exact is not None:
            return exact
        names = self._by_key.get(symbol_key(symbol))
        if names is None:
            names = self._by_meaning.get(meaning_key(symbol), [])
        if len(names) > 1:
            raise MarketFileError(
                f"symbol {symbol!r} fits several instruments ({', '.join(names)}): "
                f"give the right one the alias {symbol!r}, exactly written"
            )
        return names[0] if names else None


def split_symbol(symbol: str) -> tuple[str, str] | None:
    """(base, quote) of BTCUSDT, BTC/USDT, btc-usdt, XXBTZUSD; None when it cannot be told.

    Venues' own asset codes come out as everybody else's: XBT as BTC.
    """
    text = symbol.upper()
    for separator in _SEPARATORS:
        base, found, quote = text.partition(separator)
        if found and base.isalnum() and quote.isalpha():
            return _asset(base), _asset(quote)
    if len(text) == 8 and text[0] == "X" and text[1:4] in _KRAKEN_COINS:
        coin, kind, quote = text[1:4], text[4], text[5:]
        if (kind == "Z" and quote in _KRAKEN_MONEY) or (kind == "X" and quote in _KRAKEN_COINS):
            return _asset(coin), _asset(quote)
    for quote in QUOTE_ASSETS:
        if text.endswith(quote) and text[: -len(quote)].isalnum():
            return _asset(text[: -len(quote)]), _asset(quote)
    return None


def meaning_key(symbol: str) -> str:
    """The key of base and quote where the symbol can be split, else of the symbol itself."""
    parts = split_symbol(symbol)
    return symbol_key(symbol) if parts is None else symbol_key("".join(parts))


def _asset(code: str) -> str:
    return ASSET_CODES.get(code, code)


def derive_instrument(
    symbol: str,
    prices: Sequence[Decimal],
    sizes: Sequence[Decimal],
    kind: InstrumentKind = InstrumentKind.SPOT,
) -> Instrument | None:
    """An instrument with the steps that the numbers need; None when the symbol has no two parts.

    The steps are powers of ten: the venue's real ones may be coarser (0.5) but never finer than
    what was seen. Leverage stays at 1: a file does not tell what the venue would lend.
    """
    parts = split_symbol(symbol)
    if parts is None:
        return None
    base, quote = parts
    name = f"{base}/{quote}"
    aliases: tuple[str, ...] = (symbol,) if symbol != name else ()
    return Instrument(
        name=name,
        base=base,
        quote=quote,
        kind=kind,
        price_tick=finest_step(prices),
        qty_step=finest_step(sizes),
        aliases=aliases,
    )


def finest_step(numbers: Iterable[Decimal]) -> Decimal:
    """The power of ten (at most 1) of which all numbers are multiples; 0.0001 when there are none.

    Trailing zeros say nothing: 61837.63000000 needs a step of 0.01.
    """
    exponent: int | None = None
    for number in numbers:
        seen = number.normalize().as_tuple().exponent
        assert isinstance(seen, int), "decoders let finite numbers through only"
        exponent = max(min(seen, exponent or 0), _EXPONENT_MIN)
    return Decimal("0.0001") if exponent is None else Decimal(1).scaleb(exponent)
