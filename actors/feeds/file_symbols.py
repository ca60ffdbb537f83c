"""The symbol of a file whose rows name none: given by the user, else told by the file's name.

Binance names its dumps `BTCUSDT-trades-2024-08-08.csv`; others hold the symbol as one word too.
Only a word that is a base and a known quote asset counts, and only if it is the only one: nothing
is guessed.
"""

from __future__ import annotations

import re
from pathlib import Path

from attrs import frozen

from actors.feeds.errors import MarketFileError
from actors.feeds.symbols import meaning_key, split_symbol

_WORDS = re.compile(r"[A-Za-z0-9]+")


@frozen(slots=True)
class FileSymbol:
    """A symbol for all rows, and where it comes from (for the report)."""

    symbol: str
    origin: str


def file_symbol(path: Path, given: str | None) -> FileSymbol:
    """The symbol of every row of `path`. Raises MarketFileError when nobody tells it."""
    if given is not None:
        return FileSymbol(given, "--symbol")
    words = [word for word in _WORDS.findall(path.name) if split_symbol(word) is not None]
    if len({meaning_key(word) for word in words}) == 1:
        return FileSymbol(words[0], "the file's name")
    why = f"its name holds several ({', '.join(words)})" if words else "its name tells none"
    raise MarketFileError(
        f"{path}: its rows name no symbol and {why}: name it with --symbol, for example "
        "--symbol BTCUSDT"
    )
