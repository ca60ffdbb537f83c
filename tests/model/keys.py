"""When are two states the same? When nothing that any part may read differs.

Everything in the core's graph counts unless it is named in `_IGNORED` with the reason. Times count
by their distance from now, up to a horizon beyond every configured time; ids that are only names
count by the order in which they appear. So two states with one key have the same futures.
"""

from __future__ import annotations

import hashlib
import marshal
import re
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Any

from attrs import fields, has

from actors.reconciling.link import Link
from fsm.requests import QueryFills
from fsm.timestamps import SECOND_US
from tests.model.core import ORDER, PAIR, Core, folded_order
from tests.model.venue import Network

_EPOCH_US = 10**15
_NAME = re.compile(r"s\d+-([oq])\d+")
#: Nobody decides by these; by `asked` only where there are more orders than a pass may ask for, and
#: by `vain` only how far back fills are looked for, which is always far enough here.
_IGNORED = {
    "Order": {"turn", "session_id"},
    "Position": {"turn", "session_id"},
    "Reconciler": {"passes", "last_at_us", "venue_open_orders", "watermarks", "counters"}
    | {"asked", "questions", "vain"},
    "Pass": {"books_seq", "number", "vain"},
    "Source": {"since_us"},
    "Ledger": {"seq", "instruments"},
}
_FAILURES_MAX = 3


class _Walk:
    """Turns values into tuples of plain things."""

    def __init__(self, core: Core, trades: tuple[Any, ...]) -> None:
        self.now_us, self.trades = core.clock.now_us(), trades
        self.far_us = core.world.rules.age_threshold_us
        self.names: dict[str, str] = {}

    def time(self, at_us: int) -> str:
        return f"@{max(-self.far_us, min(self.far_us, at_us - self.now_us))}"

    def text(self, text: str) -> str:
        if "-" not in text:
            return text
        return _NAME.sub(lambda m: self.names.setdefault(m[0], f"{m[1]}#{len(self.names)}"), text)

    def value(self, value: Any) -> Any:
        kind = type(value)
        turn = _TURNS.get(kind)
        if turn is None:
            turn = _TURNS[kind] = _turn_of(kind)
        return turn(self, value)

    def number(self, value: int) -> Any:
        return self.time(value) if value > _EPOCH_US else value

    def items(self, value: Any) -> Any:
        return tuple([self.value(item) for item in value])

    def pairs(self, value: dict[Any, Any]) -> Any:
        return tuple([(self.value(k), self.value(v)) for k, v in value.items()])

    def query(self, value: QueryFills) -> Any:
        """Which trades it asks for is all that its time is for."""
        seen = tuple(trade.venue_us >= value.since_us for trade in self.trades)
        return ("QueryFills", self.text(value.request_id), seen, value.limit)

    def record(self, value: Any) -> Any:
        kind = type(value)
        return (kind.__name__, *[self.value(getattr(value, name)) for name in _FIELDS[kind]])


def _link(walk: _Walk, link: Link) -> Any:
    """Beyond a few failures in a row the pause is the longest, and an outage is an outage."""
    return (str(link.state), min(link.failures, _FAILURES_MAX), min(link.silent, _FAILURES_MAX))


def _turn_of(kind: type) -> Callable[[_Walk, Any], Any]:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if issubclass(kind, Enum):
        return lambda walk, value: str(value)
    if has(kind):
        ignored = _IGNORED.get(kind.__name__, set())
        _FIELDS[kind] = [a.name for a in fields(kind) if a.name not in ignored]
        return _Walk.record
    raise TypeError(f"{kind.__name__}: say in keys.py what it means that two of it are equal")


_FIELDS: dict[type, list[str]] = {}
_TURNS: dict[type, Callable[[_Walk, Any], Any]] = {}
_PLAIN: dict[type, Callable[[_Walk, Any], Any]] = {
    type(None): lambda walk, value: value,
    bool: lambda walk, value: value,
    str: _Walk.text,
    int: _Walk.number,
    Decimal: lambda walk, value: f"{value.normalize()}",
    tuple: _Walk.items,
    list: _Walk.items,
    deque: _Walk.items,
    dict: _Walk.pairs,
    set: lambda walk, value: tuple(sorted(map(str, value))),
    frozenset: lambda walk, value: tuple(sorted(map(str, value))),
    QueryFills: _Walk.query,
    Link: _link,
    type: lambda walk, value: value.__name__,
}


def key(core: Core, network: Network) -> bytes:
    """The state's name: 128 bits of everything that counts."""
    world, books, system = core.world, core.books, core.system
    trades = network.truth.trades
    walk = _Walk(core, trades)
    timers = sorted((due, count, name) for due, count, name in core.timers._heap)
    armed = core.timers._armed
    live = [(due, name, armed[name][1]) for due, n, name in timers if armed.get(name, (0,))[0] == n]
    reconciler, run = books.reconciler, books.reconciler.current
    watermark = reconciler.watermarks.get(PAIR, 0)
    mark = [t.venue_us - watermark <= -3 * SECOND_US for t in trades]
    parts = (
        walk.value(world.orders),
        walk.value(world.positions),
        walk.value(books.mode),
        walk.value(reconciler),
        None if run is None else world.money_version - run.books_seq,
        tuple(mark),
        sum(trade.venue_us <= watermark for trade in trades),
        walk.value(world.ledger),
        walk.value(live),
        walk.value(books.venue_ids),
        walk.value(sorted(books.seen_orders)),
        walk.value(books.unprocessed),
        walk.value(system.quarantine),
        walk.value(system.facts.unresolved.waiting),
        [(key, len(seqs)) for key, seqs in system.books.unresolved.items()],
        tuple(walk.value(list(lane)) for lane in core.inbox._lanes),
        system.releasing.connected,
        _ended(core, walk),
        walk.value(core.journal.keys),
        walk.value(core.journal.identities),
        walk.value([(p.events, len(p.dedup_keys)) for p in core.journal.pending]),
        _network(network, walk),
    )
    return hashlib.blake2b(marshal.dumps(parts, 2), digest_size=16).digest()


def _ended(core: Core, walk: _Walk) -> Any:
    """What the journal would fold back of the order once it has left memory."""
    return None if ORDER in core.world.orders else walk.value(folded_order(core))


def _network(network: Network, walk: _Walk) -> Any:
    truth = network.truth
    return (
        walk.value(network.budget),
        truth.state,
        walk.value([(t.trade_id, t.order_id, t.qty) for t in truth.trades]),
        [(past.state, len(past.trades), walk.time(end_us)) for past, end_us in network.past]
        if network.budget.stale
        else [(past.state, len(past.trades)) for past, _ in network.past],
        walk.value(network.submit_until_us),
        walk.value(network.cancel_until_us),
        network.facts,
        walk.value(network.queries),
        len(network.submits),
    )
