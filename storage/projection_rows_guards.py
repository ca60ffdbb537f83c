"""Which rows trips of guards, the mode and its other sources write; and what became of them.

One row a trip, whatever else happens in the turn. A row is open until its source has recovered, the
system halted while it stood, or its session was over; one that only a person ends stays open beyond
an unclean end, as its latch does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsm import events as ev
from fsm.events import Recorded
from fsm.mode import ModeState, ModeTrigger
from fsm.timestamps import SECOND_US
from storage.projection_rows import compact_json, on, when

if TYPE_CHECKING:
    from storage.projections import Batch

_TABLE = "circuit_breaker_events"
_TAKEN = (ModeTrigger.DEGRADE, ModeTrigger.HALT, ModeTrigger.DIVERGENCE, ModeTrigger.REGIME_BAD)


@on(ev.GuardTripped)
def _tripped(batch: Batch, at: Recorded, e: ev.GuardTripped) -> None:
    _row(
        batch,
        at,
        {
            "source": e.guard,
            "breaker": e.breaker,
            "condition": e.condition,
            "action": e.action,
            "cooldown_seconds": e.cooldown_us // SECOND_US,
            "manual_reset_required": int(e.manual_reset),
            "context": compact_json(e.context),
        },
    )


@on(ev.GuardCleared)
def _cleared(batch: Batch, at: Recorded, e: ev.GuardCleared) -> None:
    outcome = f"{e.how} {e.detail}".strip()
    if e.how == "operator":
        _close(batch, at, outcome, {"source": e.guard})
    else:
        _close_guards(batch, at, outcome, e.guard)


@on(ev.SessionStarted)
def _session_began(batch: Batch, at: Recorded, e: ev.SessionStarted) -> None:
    """What the sessions before have left open is over."""
    over: dict[str, Any] = {"manual_reset_required": 0} if e.recovery else {}
    _close(batch, at, "session over", over)


@on(ev.ModeMoved)
def _mode_moved(batch: Batch, at: Recorded, e: ev.ModeMoved) -> None:
    if e.trigger == ModeTrigger.RECOVERED:
        _close_guards(batch, at, f"recovered {e.reason}".strip(), e.source)
    elif e.trigger == ModeTrigger.RESUME:
        _close(batch, at, f"resumed: {e.reason}", {"action": "halt"})
    halts = e.state is ModeState.HALTED and e.trigger in (ModeTrigger.HALT, ModeTrigger.DIVERGENCE)
    if halts:
        for action in ("degrade", "idle"):
            _close(batch, at, f"halted {e.reason}", {"action": action})
    if e.trigger not in _TAKEN or e.by_guard:
        return
    _row(
        batch,
        at,
        {
            "source": e.source or None,
            "breaker": e.source or e.reason,
            "condition": e.condition,
            "action": "halt" if halts else "degrade",
            "cooldown_seconds": 0,
            "manual_reset_required": int(halts),
            "context": compact_json({"state": e.state, "reason": e.reason, "sources": e.sources}),
        },
    )


def _row(batch: Batch, at: Recorded, row: dict[str, Any]) -> None:
    own = {"seq": at.seq, "triggered_at": when(at.at_us), "session_id": batch.session_id}
    batch.insert(_TABLE, at.seq, own | row)


def _close_guards(batch: Batch, at: Recorded, outcome: str, source: str) -> None:
    """What kept the whole system back; a strategy that is off waits for a person."""
    for action in ("degrade", "idle", "halt"):
        _close(batch, at, outcome, {"source": source, "action": action})


def _close(batch: Batch, at: Recorded, outcome: str, wanted: dict[str, Any]) -> None:
    """What became of those that are still open."""
    for seq in batch.keys_where(_TABLE, wanted | {"outcome": None}):
        batch.update(_TABLE, seq, {"ended_at": when(at.at_us), "outcome": outcome})
