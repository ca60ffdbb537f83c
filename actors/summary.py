"""The session's summary: what `run` prints at its end, for people and as one JSON document."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from actors.engine import Engine
from actors.state import figures_document
from fsm.figures import SessionFigures
from fsm.money import shown, shown_pct
from fsm.position import ENDED


@frozen(slots=True, kw_only=True)
class Summary:
    """Figures of one session, all from durable facts."""

    session: str
    mode: str
    halt_reason: str
    ticks: int
    orders: int
    fills: int
    positions_closed: int
    positions_open: int
    figures: SessionFigures
    truth: str
    truth_deltas: dict[str, str]
    seq: int
    hash: str
    exits_by_reason: dict[str, int]
    feed: dict[str, Any] | None = None
    recorder: dict[str, Any] | None = None
    """The recorder's last figures, where one ran."""
    tables_stopped: str = ""
    """Why the projections could not follow the journal; empty when they did."""

    def to_json(self) -> dict[str, Any]:
        """The document of `run --json`. The ten assertions are not evaluated by this version and
        count as unknown, never as passed."""
        document: dict[str, Any] = {
            "session": self.session,
            "mode": self.mode,
            "halt_reason": self.halt_reason,
            "ticks": self.ticks,
            "orders": self.orders,
            "fills": self.fills,
            "positions_closed": self.positions_closed,
            "positions_open": self.positions_open,
            **figures_document(self.figures),
            "assertions": {"passed": 0, "failed": 0, "unknown": 10},
            "truth": self.truth,
            "truth_deltas": self.truth_deltas,
            "exits": self.exits_by_reason,
            "journal": {"seq": self.seq, "hash": self.hash},
        }
        if self.tables_stopped:
            document["tables_stopped"] = self.tables_stopped
        if self.feed is not None:
            document["feed"] = self.feed
        if self.recorder is not None:
            names = ("folder", "received", "recorded", "lost", "shed", "problem")
            document["recorder"] = {name: self.recorder[name] for name in names}
        return document

    def lines(self) -> list[str]:
        """For people."""
        exits = ", ".join(f"{reason} {count}" for reason, count in self.exits_by_reason.items())
        lines = [
            f"session {self.session} ({self.mode}) ended: {self.halt_reason}",
            f"  market data {self.ticks:,}   orders {self.orders}   fills {self.fills}   "
            f"positions closed {self.positions_closed}, open {self.positions_open}",
            *_money_lines(self.figures),
            f"  exits: {exits or 'none'}",
            f"  books against the venue: {self.truth}"
            + "".join(f", {name} {delta}" for name, delta in self.truth_deltas.items()),
            f"  journal seq {self.seq}, hash {self.hash[:16]}...",
        ]
        if self.tables_stopped:
            lines.append(f"  tables: stopped ({self.tables_stopped}): run `holdfast rebuild`")
        if self.recorder is not None:
            lost = f", LOST {self.recorder['lost']}" if self.recorder["lost"] else ""
            rows, folder = self.recorder["recorded"], self.recorder["folder"]
            lines.append(f"  recorded {rows:,} rows in {folder}{lost}")
        if self.feed is not None:
            counts = ", ".join(f"{k} {v}" for k, v in self.feed.items() if isinstance(v, int) and v)
            lines.append(f"  data: {self.feed.get('format', '')} {counts}")
            place = self.feed.get("place", "line")
            lines += [
                f"    {place} {number}: {text}"
                for number, text in self.feed.get("problems", [])[:10]
            ]
        return lines


def _money_lines(figures: SessionFigures) -> list[str]:
    """Gross to net, slippage, return, and how much of it may still change."""
    converted = f", conversions {shown(figures.converted)}" if figures.converted else ""
    percent, unknown = figures.return_pct, figures.slippage_unknown_fills
    lines = [
        f"  realized {shown(figures.realized_pnl)} gross, fees {shown(figures.fees)}, "
        f"funding {shown(figures.funding)}{converted}, net {shown(figures.net_pnl)}",
        f"  slippage {shown(figures.slippage_quote)}"
        + (f" ({unknown} fills unknown)" if unknown else "")
        + (
            f"   no return: {figures.return_note}"
            if percent is None
            else f"   return {shown_pct(percent)} of {shown(figures.basis)}"
        ),
    ]
    uncertain = {
        "estimated": figures.realized_estimate,
        "inferred": figures.realized_inferred,
        "provisional": figures.realized_provisional,
    }
    parts = ", ".join(f"{shown(part)} {name}" for name, part in uncertain.items() if part)
    return [*lines, f"  of what was realized: {parts}"] if parts else lines


def summarise(engine: Engine, halt_reason: str, feed: dict[str, Any] | None = None) -> Summary:
    """Read the session's figures off the projections, which must be caught up."""
    conn, world = engine.reader.conn, engine.world
    session = world.session.session_id
    orders, fills, closed, ticks = conn.execute(
        "SELECT orders, fills, positions_closed, ticks FROM sessions WHERE session_id = ?",
        (session,),
    ).fetchone() or (0, 0, 0, 0)
    exits = conn.execute(
        "SELECT exit_reason, count(*) FROM positions WHERE state = 'CLOSED' AND exit_reason IS NOT "
        "NULL AND position_id IN (SELECT position_id FROM orders WHERE session_id = ? AND "
        "role = 'exit') GROUP BY exit_reason ORDER BY exit_reason",
        (session,),
    ).fetchall()
    reconciler = engine.books.reconciler
    return Summary(
        session=session,
        mode=str(world.session.mode),
        halt_reason=halt_reason,
        # The market goes on until the process ends: a session's figure is the one of its end.
        ticks=ticks or world.market_seen(),
        orders=orders,
        fills=fills,
        positions_closed=closed,
        positions_open=sum(1 for p in world.positions.values() if p.state not in ENDED),
        figures=world.account.session,
        truth=_truth(engine),
        truth_deltas=dict(reconciler.truth.suspected or reconciler.truth.deltas),
        seq=engine.writer.head.seq,
        hash=engine.writer.head.hash.hex(),
        exits_by_reason=dict(exits),
        feed=feed,
        recorder=_recorded(engine),
        tables_stopped=str(engine.writer.projector.failed or ""),
    )


def _recorded(engine: Engine) -> dict[str, Any] | None:
    figures = engine.recorder() if engine.recorder is not None else {}
    return figures if "recorded" in figures else None


def _truth(engine: Engine) -> str:
    """What the session's own last comparison found; a journal that failed leaves it unverified."""
    if engine.writer.failed is not None:
        return "unverified"
    return engine.books.reconciler.truth.at_end
