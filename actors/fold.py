"""From a database to folded books: from its snapshot where it has one, else from the first event.

The hash chain is checked on the way. Where much is to be checked, another process does it at the
same time; the history before a snapshot is left to whoever can wait for it (`unchecked`).
"""

from __future__ import annotations

from pathlib import Path

from attrs import field, frozen
from loguru import logger

from actors.registry import Books
from actors.runtime.ids import IdSource
from actors.snapshot import (
    SnapshotUnusable,
    captured,
    code_fingerprint,
    read_snapshot,
    restored,
    snapshot_path,
)
from actors.world import Rules, World
from fsm.money import ZERO, plain
from storage.capital import CapitalDelta
from storage.chain_check import ChainCheck
from storage.journal import GENESIS, Head, JournalReader

#: Fewer events than this are checked in less time than a process needs to start.
AT_ONCE_MAX = 100_000
_NOTHING = Head(0, GENESIS)


@frozen(slots=True)
class Folded:
    """The head that was reached, and the row up to which nobody has checked the chain yet."""

    head: Head
    unchecked: Head
    snapshot_seq: int = 0
    """Where the snapshot stood that was used; 0: none was."""
    capital: CapitalDelta = field(factory=lambda: CapitalDelta(0, 0, {}))
    """What capital events after the snapshot did to the balances, zeros included."""

    @property
    def is_checked(self) -> bool:
        """Whether the whole chain was looked at."""
        return self.unchecked.seq == 0


def folded(
    reader: JournalReader, books: Books, database: Path | None = None, *, leave_older: bool = True
) -> Folded:
    """Fold the journal into empty books; with `database` its snapshot may be used. A long chain
    before a snapshot is checked too unless it is left to somebody (`leave_older`).

    Raises JournalDamaged where the chain breaks.
    """
    start = unchecked = _NOTHING
    code_fingerprint()  # of the code that folds now, whatever lies in its place afterwards
    if database is not None:
        try:
            start, state = read_snapshot(database, reader)
            restored(state, books, start.seq)
            unchecked = start
        except SnapshotUnusable as reason:
            logger.debug("NO_SNAPSHOT {}: {}", database, reason)
            start = _NOTHING
    if unchecked.seq and (unchecked.seq <= AT_ONCE_MAX or not leave_older):
        reader.check_chain(_NOTHING, unchecked.seq)
        unchecked = _NOTHING
    funds = books.world.ledger.funds
    before, deltas_before = funds.events, dict(funds.deltas)
    head = reader.head()
    if database is not None and head.seq - start.seq > AT_ONCE_MAX:
        _fold_beside_a_check(reader, books, database, start, head)
    else:
        for recorded in reader.verified(start):
            books.fold(recorded.event, recorded.seq, recorded.turn, recorded.at_us)
    books.world.account = books.world.ledger.view()
    delta = CapitalDelta(
        boundary=start.seq,
        events=funds.events - before,
        deltas={
            asset: funds.deltas.get(asset, ZERO) - deltas_before.get(asset, ZERO)
            for asset in sorted(books.world.ledger.totals)
        },
    )
    logger.info(
        "REBUILD_CAPITAL_DELTA boundary={} events={} deltas={}",
        delta.boundary,
        delta.events,
        {asset: plain(amount) for asset, amount in delta.deltas.items()},
    )
    return Folded(reader.head(), unchecked, start.seq, delta)


def snapshot_difference(reader: JournalReader, database: Path) -> str | None:
    """What is wrong with the snapshot, found by folding up to its row from nothing; None: it is
    the fold's, or there is none that a start would use. Raises JournalDamaged."""
    try:
        head, kept = read_snapshot(database, reader)
    except SnapshotUnusable:
        return None
    books = Books(World(rules=Rules(), ids=IdSource("")), None)
    for recorded in reader.verified():
        books.fold(recorded.event, recorded.seq, recorded.turn, recorded.at_us)
        if recorded.seq == head.seq:
            break
    if captured(books) == kept:
        return None
    return f"snapshot: differs from the fold at seq {head.seq}; delete {snapshot_path(database)}"


def _fold_beside_a_check(
    reader: JournalReader, books: Books, database: Path, start: Head, head: Head
) -> None:
    check = ChainCheck(database, start, head.seq)
    try:
        fold = books.fold
        for seq, turn, at_us, event in reader.unchecked(start.seq, head.seq):
            fold(event, seq, turn, at_us)
    except Exception:
        check.result()  # damage explains whatever the fold stumbled over
        raise
    except BaseException:
        check.stop()
        raise
    check.result()
