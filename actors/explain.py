"""The whole story of a position, an order, a signal or one event, from the journal alone.

Responsible for collecting and ordering; `actors.explain_text` says each event in words and
`actors.explain_pnl` redoes the arithmetic. The journal is read, never changed; the tables only
help to find which streams belong together.
"""

from __future__ import annotations

import difflib
import sqlite3
from collections.abc import Iterable
from typing import Any

import msgspec
from attrs import define, field, frozen

from actors.explain_pnl import Arithmetic, recompute
from actors.explain_text import said
from fsm import events as ev
from fsm.events import Recorded
from fsm.money import shown
from fsm.timestamps import iso_utc
from storage.codec import encode
from storage.journal import JournalReader
from storage.schema import PROJECTION_STATE

_NEAREST_FROM_MAX = 50_000
_TURN_SPAN = 10_000
_SEQ_DIGITS_MAX = 18  # what SQLite can number


class NothingFound(LookupError):
    """No order, position, signal or event has this name; the message names the nearest ones."""


@frozen(slots=True)
class Step:
    """One event in the story, in words (`text`, `lines`) and as data."""

    recorded: Recorded
    text: str
    lines: tuple[str, ...] = ()
    mark: str = ""

    def document(self) -> dict[str, Any]:
        """The step as plain data; decimals are strings."""
        return {
            "seq": self.recorded.seq,
            "turn": self.recorded.turn,
            "at": iso_utc(self.recorded.at_us),
            "stream": self.recorded.stream,
            "type": self.recorded.type,
            "text": self.text,
            "lines": list(self.lines),
            "event": msgspec.json.decode(encode(self.recorded.event)),
        } | ({"mark": self.mark} if self.mark else {})


@define(slots=True, kw_only=True)
class Story:
    """What is known of one thing. `causes` is for a single event: why it happened, oldest first."""

    kind: str
    name: str
    summary: str
    steps: list[Step]
    causes: list[Step] = field(factory=list)
    pnl: Arithmetic | None = None

    def document(self) -> dict[str, Any]:
        """The story as one JSON document."""
        return {
            "kind": self.kind,
            "id": self.name,
            "summary": self.summary,
            "causes": [step.document() for step in self.causes],
            "steps": [step.document() for step in self.steps],
            "pnl": self.pnl.document() if self.pnl else None,
        }


def explain(reader: JournalReader, name: str) -> Story:
    """The story of a position, an order (ours or the venue's id), a signal, or a seq.

    A stream (`order/ID`) names one kind exactly; a bare id means the position first, because its
    story holds its orders'. Raises NothingFound.
    """
    teller = _Teller(reader)
    kind, slash, rest = name.partition("/")
    tellers = {"position": teller.position, "order": teller.order, "signal": teller.signal}
    if slash and kind in tellers:
        story = tellers[kind](rest)
        if story is not None:
            return story
    for tell in tellers.values():
        story = tell(name)
        if story is not None:
            return story
    known = reader.client_order_id(name)
    story = teller.order(known) if known is not None else None
    if story is None and name.isascii() and name.isdigit() and len(name) <= _SEQ_DIGITS_MAX:
        story = teller.event(int(name))
    if story is None:
        raise NothingFound(_nothing(reader, name))
    return story


def _nothing(reader: JournalReader, name: str) -> str:
    head = reader.head().seq
    if name.isascii() and name.isdigit():
        return f"{name}: no such event; the journal ends at seq {head}"
    near = difflib.get_close_matches(name, _names(reader), n=3, cutoff=0.4)
    hint = f"the nearest: {', '.join(near)}" if near else "see `holdfast orders --all`"
    return f"{name}: no order, position, signal or event of this name; {hint}"


def _names(reader: JournalReader) -> list[str]:
    names: list[str] = []
    for table, column in (
        ("positions", "position_id"),
        ("orders", "client_order_id"),
        ("decisions", "signal_id"),
    ):
        sql = f"SELECT {column} FROM {table} ORDER BY rowid DESC LIMIT {_NEAREST_FROM_MAX}"
        try:
            names += [row[0] for row in reader.conn.execute(sql)]
        except sqlite3.OperationalError:
            continue  # a database of an older version: without its tables there is no hint
    return list(dict.fromkeys(names))


@define(slots=True)
class _Teller:
    """Finds the events that belong together."""

    reader: JournalReader

    # ------------------------------------------------------------------------------- by kind

    def position(self, name: str) -> Story | None:
        own = self._stream(f"position/{name}")
        opened = _first(own, ev.PositionOpened)
        if opened is None:
            return None
        found = own + self._signal_of(opened.signal_id)
        orders = self._orders_of(name)
        for order_id in orders:
            found += self._stream(f"order/{order_id}")
        found += self._remarks(name, orders) + self._account_after(own)
        events = _in_order(found)
        pnl = recompute(events, name, self._session(opened.session_id))
        return Story(
            kind="position",
            name=name,
            summary=_position_summary(opened, own, pnl),
            steps=[_step(recorded) for recorded in events],
            pnl=pnl,
        )

    def order(self, name: str) -> Story | None:
        own = self._stream(f"order/{name}")
        intended = _first(own, ev.OrderIntended)
        if intended is None:
            return None
        found = own + self._signal_of(intended.signal_id) + self._remarks(None, [name])
        seqs = [recorded.seq for recorded in own]
        if intended.position_id is not None:
            of_position = self._stream(f"position/{intended.position_id}")
            found += [
                r
                for r in of_position
                if isinstance(r.event, ev.PositionOpened)
                or getattr(r.event, "client_order_id", None) == name
            ]
            found += _decision_before(of_position, seqs[0])
        steps = [_step(recorded) for recorded in _in_order(found)]
        return Story(kind="order", name=name, summary=_order_summary(intended, own), steps=steps)

    def signal(self, name: str) -> Story | None:
        own = self._stream(f"signal/{name}")
        decided = _first(own, ev.SignalDecided)
        if not own:
            return None
        answer = "is not decided yet"
        if decided is not None and decided.approved:
            answer = f"became order {decided.client_order_id} of position {decided.position_id}"
        elif decided is not None:
            answer = f"was refused by the rule {decided.rule}"
        steps = [_step(recorded) for recorded in own]
        return Story(kind="signal", name=name, summary=f"signal {name} {answer}", steps=steps)

    def event(self, seq: int) -> Story | None:
        """The event, its neighbours in the turn, and the chain of its causes."""
        wanted = next(self.reader.events(seq - 1, limit=1), None)
        if wanted is None or wanted.seq != seq:
            return None
        steps = [_step(r, mark="this" if r.seq == seq else "") for r in self._turn(wanted)]
        causes = [_step(r) for r in self._causes(wanted)]
        summary = f"seq {seq}: {said(wanted.event)[0]}"
        return Story(kind="event", name=str(seq), summary=summary, steps=steps, causes=causes)

    # ------------------------------------------------------------------------------- pieces

    def _stream(self, stream: str) -> list[Recorded]:
        return list(self.reader.events(stream=stream))

    def _signal_of(self, signal_id: str | None) -> list[Recorded]:
        return self._stream(f"signal/{signal_id}") if signal_id else []

    def _session(self, session_id: str) -> ev.SessionStarted | None:
        found: ev.SessionStarted | None = _first(
            self._stream(f"session/{session_id}"), ev.SessionStarted
        )
        return found

    def _projected(self) -> int:
        """Up to where the tables can be asked; 0 when there are none."""
        try:
            row = self.reader.conn.execute(f"SELECT seq FROM {PROJECTION_STATE}").fetchone()
        except sqlite3.OperationalError:
            return 0
        return row[0] if row else 0

    def _orders_of(self, position_id: str) -> list[str]:
        projected, found = self._projected(), list[str]()
        if projected:
            sql = "SELECT client_order_id FROM orders WHERE position_id = ? ORDER BY rowid"
            found = [row[0] for row in self.reader.conn.execute(sql, (position_id,))]
        for recorded in self.reader.events(projected, types=("OrderIntended",)):
            event = recorded.event
            if isinstance(event, ev.OrderIntended) and event.position_id == position_id:
                found.append(event.client_order_id)
        return found

    def _remarks(self, position_id: str | None, orders: Iterable[str]) -> list[Recorded]:
        """Anomalies that name the position or one of its orders, and facts that were placed there
        after nobody had known whose they are."""
        orders, found = list(orders), list[Recorded]()
        placed = {f"order/{order_id}" for order_id in orders}
        kinds = ("AnomalyRecorded", "FactResolved")
        for recorded in self.reader.events(stream="reconciler", types=kinds):
            event = recorded.event
            if isinstance(event, ev.FactResolved):
                theirs = event.resolved_as in placed
            else:
                assert isinstance(event, ev.AnomalyRecorded)
                theirs = position_id is not None and event.position_id == position_id
                theirs = theirs or event.client_order_id in orders
            if theirs:
                found.append(recorded)
        return found

    def _account_after(self, own: list[Recorded]) -> list[Recorded]:
        """The account as published in the turn that closed the position."""
        closed = [
            r
            for r in own
            if isinstance(r.event, ev.PositionChanged | ev.PositionMoved)
            and r.event.state == "CLOSED"
        ]
        found: list[Recorded] = []
        for recorded in closed:
            after = self.reader.events(recorded.seq, types=("AccountSnapshotTaken",), limit=1)
            found += [r for r in after if r.turn == recorded.turn]
        return found

    def _turn(self, wanted: Recorded) -> list[Recorded]:
        first = max(wanted.seq - _TURN_SPAN, 1)
        sql = "SELECT min(seq), max(seq) FROM journal WHERE turn = ? AND seq BETWEEN ? AND ?"
        span = (wanted.turn, first, wanted.seq + _TURN_SPAN)
        low, high = self.reader.conn.execute(sql, span).fetchone()
        return list(self.reader.events(low - 1, limit=high - low + 1))

    def _causes(self, wanted: Recorded) -> list[Recorded]:
        """Signal, decision, opening, intent: whatever of it lies before the event."""
        event = wanted.event
        order_id = getattr(event, "client_order_id", None)
        position_id = getattr(event, "position_id", None)
        signal_id = getattr(event, "signal_id", None)
        found: list[Recorded] = []
        if order_id is not None:
            own = self._stream(f"order/{order_id}")
            intended = _first(own, ev.OrderIntended)
            found += own
            if intended is not None:
                position_id = position_id or intended.position_id
                signal_id = signal_id or intended.signal_id
        if position_id is not None:
            of_position = self._stream(f"position/{position_id}")
            opened = _first(of_position, ev.PositionOpened)
            found += [r for r in of_position if not isinstance(r.event, ev.ProtectionMoved)]
            signal_id = signal_id or (opened.signal_id if opened else None)
        found += self._signal_of(signal_id)
        return _in_order(r for r in found if r.seq < wanted.seq)


def _first(found: Iterable[Recorded], kind: type[Any]) -> Any:
    return next((r.event for r in found if isinstance(r.event, kind)), None)


def _in_order(found: Iterable[Recorded]) -> list[Recorded]:
    return sorted({r.seq: r for r in found}.values(), key=lambda r: r.seq)


def _decision_before(of_position: list[Recorded], seq: int) -> list[Recorded]:
    """The exit decision that an exit order carries out."""
    before = [r for r in of_position if r.seq < seq and isinstance(r.event, ev.ExitDecided)]
    return before[-1:]


def _step(recorded: Recorded, mark: str = "") -> Step:
    text, lines = said(recorded.event)
    return Step(recorded, text, tuple(lines), mark)


def _position_summary(
    opened: ev.PositionOpened, own: list[Recorded], pnl: Arithmetic | None
) -> str:
    last = [r for r in own if isinstance(r.event, ev.PositionChanged | ev.PositionMoved)]
    state = str(getattr(last[-1].event, "state", "ENTRY")) if last else "ENTRY"
    exits = [r.event for r in own if isinstance(r.event, ev.ExitDecided)]
    why = f", left because of {exits[-1].reason}" if exits else ""
    net = f", net {shown(pnl.realized - pnl.fees)}" if pnl else ""
    side = "long" if opened.side == "buy" else "short"
    return f"position {opened.position_id}: {side} {opened.instrument}, {state}{why}{net}"


def _order_summary(intended: ev.OrderIntended, own: list[Recorded]) -> str:
    states = [r.event.state for r in own if hasattr(r.event, "state")]
    fills = sum(1 for r in own if isinstance(r.event, ev.OrderFilled))
    state = states[-1] if states else "INTENDED"
    of = f" of position {intended.position_id}" if intended.position_id else ""
    return f"order {intended.client_order_id}: {intended.role}{of}, {state}, fills {fills}"
