"""Whether a data file speaks about what is held: a position without its prices has no stop.

A symbol that matches nothing is only counted, until a position is open that it may be about. Then
the run does not begin, because the position would look protected and be blind.
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.feeds.files import MarketFile, RecordedFeed
from actors.feeds.symbols import SymbolIndex

_NAMED_MAX = 5


def unfed_position(file: MarketFile | RecordedFeed, held: Mapping[str, str]) -> str | None:
    """What to tell when an open position gets no data from `file`; None when all of them do.

    `held` maps position ids to instruments. Files that can only be read from their beginning are
    judged by their first rows: an instrument that is known, and absent there while every symbol
    matches, may still come.
    """
    if not held:
        return None
    symbols, complete = file.symbols()
    resolve = SymbolIndex(file.instruments).resolve
    answers = {symbol: resolve(symbol) for symbol in symbols}
    strangers = [symbol for symbol, name in answers.items() if name is None]
    known = {spec.name for spec in file.instruments}
    for position_id, instrument in held.items():
        if instrument in answers.values():
            continue
        if instrument in known and not complete and not strangers:
            continue
        shown = ", ".join((strangers or symbols)[:_NAMED_MAX])
        return (
            f"{file.path}: position {position_id} is open on {instrument}, and no symbol of this "
            f"file answers to it (it has {shown}): give the instrument the right one as an alias, "
            "or name a file that has it"
        )
    return None
