"""Instruments out of a file: for the symbols in its head, with the steps that its numbers need.

Only symbols that are a base and a known quote asset become instruments; a file without any is
refused, so that nothing is invented.
"""

from __future__ import annotations

from decimal import Decimal

from actors.feeds.binance import market_kind
from actors.feeds.capture import split_capture_line
from actors.feeds.decoding import Skipped
from actors.feeds.errors import MarketFileError
from actors.feeds.lines import DamagedEndError
from actors.feeds.recognition import CAPTURE, Recognised
from actors.feeds.sources import SourceMaker
from actors.feeds.symbols import derive_instrument
from fsm.instrument import Instrument
from fsm.market import Tick
from fsm.vocabulary import InstrumentKind


def derive_from(maker: SourceMaker) -> list[Instrument]:
    """Decode the head with every symbol standing for itself, and look at the numbers.

    Raises MarketFileError when no symbol can be split, or no row can be read.
    """
    path = maker.path
    prices: dict[str, list[Decimal]] = {}
    sizes: dict[str, list[Decimal]] = {}
    try:
        for item in maker.source(lambda symbol: symbol).sample():
            if isinstance(item, Skipped):
                continue  # reading the file counts it, with its line number
            seen = (item.bid, item.ask) if isinstance(item, Tick) else (item.price,)
            moved = (item.bid_size, item.ask_size) if isinstance(item, Tick) else (item.qty,)
            prices.setdefault(item.instrument, []).extend(n for n in seen if n is not None)
            sizes.setdefault(item.instrument, []).extend(n for n in moved if n is not None)
    except DamagedEndError:
        pass  # the same: what came before it is enough, or is not there
    if not prices:
        raise MarketFileError(f"{path}: no readable quote or trade in its first rows")
    kinds = _kinds(maker.found)
    derived: dict[str, Instrument] = {}
    for symbol, seen_prices in prices.items():
        kind = kinds.get(symbol, InstrumentKind.SPOT)
        instrument = derive_instrument(symbol, seen_prices, sizes[symbol], kind)
        if instrument is not None:
            derived.setdefault(instrument.name, instrument)
    if not derived:
        raise MarketFileError(
            f"{path}: cannot tell base and quote of {', '.join(list(prices)[:5])}: "
            "name the instruments in the configuration"
        )
    return list(derived.values())


def _kinds(found: Recognised) -> dict[str, InstrumentKind]:
    kinds: dict[str, InstrumentKind] = {}
    if found.format == CAPTURE:
        for line in found.head:
            try:
                told = market_kind(split_capture_line(line)[1])
            except ValueError:
                continue
            if told is not None:
                kinds.setdefault(*told)
    return kinds
