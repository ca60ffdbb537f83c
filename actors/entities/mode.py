"""The system's mode as one actor: the one place that enters DEGRADED, HALTED and STOPPING.

Sources are a set: the first one moves the mode, later ones only join, each recovers by its own
test. The operator's control level is the second axis and survives restarts.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field, frozen

from actors import messages as msg
from actors.effects import Notify
from actors.runtime.actor import Decision, Refused
from actors.sweeping import is_unmarked_entry
from actors.world import World
from fsm import events as ev
from fsm import mode as machine
from fsm.mode import RUNNING, TABLE, ControlLevel, ModeState, ModeTrigger
from fsm.vocabulary import ExitReason

S, T = ModeState, ModeTrigger
#: Sources whose entries are counted: a guard that trips again and again has not understood the
#: market (N16). IDLE, wallet truth, the reconciler and people spend none (N18).
SPENDING = ("directional_drift", "inventory_corridor", "stale_feed", "venue_health")
#: IDLE as records name it, after the guard that asks for it.
ANCHOR_IDLE = "ANCHOR_IDLE"
EPISODE_LIMIT = "degraded_episode_limit_halt"


@frozen(slots=True)
class Source:
    """Who asked for DEGRADED, why, and since when."""

    source: str
    condition: str
    since_us: int


@define(slots=True)
class Mode:
    """The mode's state: the fold of its stream."""

    state: ModeState = S.STARTING
    control: ControlLevel = ControlLevel.OFF
    sources: dict[str, Source] = field(factory=dict)
    halt_reason: str | None = None
    books_verified: bool = False
    episodes: dict[str, int] = field(factory=dict)
    regime_bad: bool = False

    @property
    def address(self) -> str:
        """Its stream."""
        return "mode"

    # ------------------------------------------------------------------------------------ evolve

    def evolve(self, event: ev.Event, at_us: int) -> None:
        """Copy what happened."""
        if type(event) is ev.ControlMoved:
            self.control = event.level
        elif type(event) is ev.ModeMoved:
            self._evolve_moved(event, at_us)
        elif type(event) is ev.SessionStarted:
            self._evolve_session(event)

    def _evolve_session(self, event: ev.SessionStarted) -> None:
        """A fresh start has no halt reason and no sources (N09, N15); a recovery keeps HALTED."""
        self.state = S.STARTING
        self.sources = {}
        self.episodes = {}
        self.books_verified = False
        self.regime_bad = False
        if not event.recovery:
            self.halt_reason = None

    def _evolve_moved(self, event: ev.ModeMoved, at_us: int) -> None:
        self.state = event.state
        if event.trigger == T.DEGRADE:
            self.sources[event.source] = Source(event.source, event.condition, at_us)
            if event.state is S.DEGRADED and event.source in SPENDING:
                self.episodes[event.source] = self.episodes.get(event.source, 0) + 1
        elif event.trigger == T.RECOVERED:
            self.sources.pop(event.source, None)
        elif event.trigger in (T.HALT, T.DIVERGENCE) and event.state is S.HALTED:
            self.halt_reason = self.halt_reason or event.reason
        elif event.trigger == T.DIVERGENCE:
            self.sources[event.source] = Source(event.source, event.condition, at_us)
            self.books_verified = True
        elif event.trigger == T.BOOKS_MATCH:
            self.books_verified = True
        elif event.trigger == T.RESUME:
            self.halt_reason, self.books_verified = None, False
            self.episodes = {}
        elif event.trigger in (T.REGIME_BAD, T.REGIME_GOOD):
            self.regime_bad = event.trigger == T.REGIME_BAD

    # ------------------------------------------------------------------------------------ decide

    def decide(self, message: object, world: World) -> Decision:
        """Pure: what this message means for the mode."""
        handler: Any = _DECIDE.get(type(message))
        if handler is None:
            raise Refused(f"mode: no handling for {type(message).__name__}")
        decision: Decision = handler(self, message, world)
        return decision

    def _move(self, trigger: ModeTrigger, guard: str | None = None, **fields: Any) -> ev.ModeMoved:
        state = TABLE.next("mode", self.state, trigger, guard)
        fields.setdefault("sources", tuple(self.sources))
        return ev.ModeMoved(trigger=trigger, state=state, **fields)

    def _on_degrade(self, message: msg.Degrade, world: World) -> Decision:
        if message.source in self.sources:
            return Decision.ignore("degrade: this source stands already")
        if self.state not in (*RUNNING, S.HALTED):
            return Decision.ignore(f"degrade: not while {self.state}")
        sources = (*self.sources, message.source)
        moved = self._move(
            T.DEGRADE,
            source=message.source,
            condition=message.condition,
            sources=sources,
            by_guard=message.by_guard,
        )
        decision = Decision(events=[moved])
        if not message.by_guard:  # else its trip was the alert
            text = f"{message.source} {message.condition}".strip()
            alert = ev.AlertRaised(severity="warning", token="DEGRADED", text=text)
            decision.effects.append(Notify(alert))
        self._withdraw_entries(decision, world, "Degraded entry cancel")
        if moved.state is S.DEGRADED and self._is_spent(message.source, world):
            decision.tells.append(msg.Halt(EPISODE_LIMIT))
        return decision

    def _is_spent(self, source: str, world: World) -> bool:
        """Whether this entry of the source is one too many for the session."""
        entry = self.episodes.get(source, 0) + 1
        return source in SPENDING and entry >= world.rules.episodes_max

    def _withdraw_entries(
        self,
        decision: Decision,
        world: World,
        reason: str,
        exits: tuple[ExitReason, str] | None = None,
    ) -> None:
        """Every live entry and quote is marked CANCELLED_BY_ENGINE, then cancelled (N17)."""
        decision.tells.append(msg.Sweep(reason, tuple(world.orders), exits=exits))

    def _on_withdraw_left(self, message: msg.WithdrawLeft, world: World) -> Decision:
        decision = Decision()
        self._withdraw_entries(decision, world, "No entries allowed, withdrawn")
        return decision

    def _on_recover(self, message: msg.Recover, world: World) -> Decision:
        if message.source not in self.sources:
            return Decision.ignore("recovered: this source does not stand")
        left = tuple(name for name in self.sources if name != message.source)
        if self.state not in (S.DEGRADED, S.RECONCILING, S.HALTED):
            return Decision.ignore(f"recovered: not while {self.state}")
        guard = machine.SOURCE_STANDS if left else self._way_out()
        moved = self._move(
            T.RECOVERED,
            guard,
            source=message.source,
            sources=left,
            reason=f"{message.who}: {message.why}" if message.who else "",
        )
        decision = Decision(events=[moved])
        if guard == machine.BOOKS_UNVERIFIED and self.state is S.DEGRADED:
            decision.tells.append(msg.PassDue("start"))
        return decision

    def _way_out(self) -> str:
        """What follows when the last source has gone; a halt that waits is behind the gate."""
        if not self.books_verified or self.halt_reason is not None:
            return machine.BOOKS_UNVERIFIED
        if self.regime_bad and self.state is S.DEGRADED:
            return machine.REGIME_STANDS_BAD
        return machine.CLEAR

    def _on_regime(self, message: msg.Regime, world: World) -> Decision:
        """IDLE and back, without spending an episode (N18); elsewhere it is remembered."""
        if message.good is not self.regime_bad:
            return Decision.ignore("regime: known already")
        trigger = T.REGIME_GOOD if message.good else T.REGIME_BAD
        if not TABLE.allows(self.state, trigger):
            return Decision.ignore(f"regime: not while {self.state}")
        moved = self._move(
            trigger,
            source=message.source,
            condition=message.condition,
            reason="" if message.good else ANCHOR_IDLE,
            by_guard=True,
        )
        decision = Decision(events=[moved])
        if moved.state is S.IDLE and self.state is not S.IDLE:
            self._withdraw_entries(decision, world, "Idle entry cancel")
        return decision

    def _on_books_match(self, message: msg.BooksMatch, world: World) -> Decision:
        if self.state is S.DEGRADED and not self.books_verified:
            # Degraded before the gate was passed: the books are fine, the source still stands.
            if self.halt_reason is not None:
                return Decision(events=[self._move(T.HALT, reason=self.halt_reason)])
            return Decision(events=[self._move(T.BOOKS_MATCH, machine.SOURCE_STANDS)])
        if self.state is not S.RECONCILING:
            return Decision.ignore(f"books_match: {self.state}")
        if self.halt_reason is not None:
            return Decision(events=[self._move(T.HALT, reason=self.halt_reason)])
        guard = machine.REGIME_STANDS_BAD if self.regime_bad else machine.CLEAR
        if self.sources:
            guard = machine.SOURCE_STANDS
        return Decision(events=[self._move(T.BOOKS_MATCH, guard)])

    def _on_divergence(self, message: msg.Divergence, world: World) -> Decision:
        if self.state is not S.RECONCILING:
            return Decision.ignore(f"divergence: {self.state}")
        alert = Notify(
            ev.AlertRaised(severity="critical", token="TRUTH_DIVERGENCE", text=message.detail)
        )
        source = "wallet_truth"
        stands: dict[str, Any] = {
            "source": source,
            "condition": f"accepted by the operator: {message.detail}",
            "sources": tuple(dict.fromkeys((*self.sources, source))),
        }
        if not message.accepted:
            reason, detail = "truth_divergence", message.detail
            moved = [self._move(T.DIVERGENCE, machine.REFUSED, reason=reason, condition=detail)]
        elif self.halt_reason is None:
            moved = [self._move(T.DIVERGENCE, machine.ACCEPTED_BY_OPERATOR, **stands)]
        else:  # what was accepted is the difference, not the halt
            state = TABLE.next("mode", S.HALTED, T.DEGRADE)
            moved = [
                self._move(T.HALT, reason=self.halt_reason),
                ev.ModeMoved(trigger=T.DEGRADE, state=state, **stands),
            ]
        return Decision(events=[*moved], effects=[alert])

    def _on_halt(self, message: msg.Halt, world: World) -> Decision:
        if not TABLE.allows(self.state, T.HALT):
            return Decision.ignore(f"halt: not while {self.state}")
        if self.state is S.HALTED:
            return Decision.ignore("halt: the first cause wins")
        reason = self.halt_reason or message.reason  # one that waits behind the gate came first
        moved = self._move(T.HALT, reason=reason, by_guard=message.by_guard)
        decision = Decision(events=[moved])
        if not message.by_guard:  # else its trip was the alert
            alert = ev.AlertRaised(severity="critical", token="HALTED", text=message.reason)
            decision.effects.append(Notify(alert))
        self._withdraw_entries(decision, world, "Halt entry cancel")
        return decision

    def _on_resume(self, message: msg.Resume, world: World) -> Decision:
        decision = Decision()
        if self.control is not ControlLevel.OFF:
            decision.events.append(
                ev.ControlMoved(
                    level=ControlLevel.OFF, previous=self.control, who=message.who, why=message.why
                )
            )
        waits = self.halt_reason is not None and TABLE.allows(self.state, T.RESUME)
        if self.state is S.HALTED or waits:
            decision.events.append(self._move(T.RESUME, reason=message.why))
            decision.tells.append(msg.PassDue("start"))
        if not decision.events:
            raise Refused("nothing to resume: the system is neither halted nor paused")
        return decision

    def _on_control(self, message: msg.SetControl, world: World) -> Decision:
        if message.level is self.control:
            return Decision.ignore("control: a second press is harmless")
        decision = Decision(
            events=[
                ev.ControlMoved(
                    level=message.level, previous=self.control, who=message.who, why=message.why
                )
            ]
        )
        if message.level is ControlLevel.OFF:
            return decision
        exits = None
        if message.level is ControlLevel.FLATTEN:
            exits = ExitReason.FLATTEN, f"{message.who}: {message.why}"
        elif message.level is ControlLevel.EMERGENCY:
            exits = ExitReason.EMERGENCY, f"{message.who}: {message.why}"
        self._withdraw_entries(decision, world, f"Control {message.level} cancel", exits)
        return decision

    def _on_stop(self, message: msg.StopSession, world: World) -> Decision:
        if self.state in (S.STOPPING, S.STOPPED):
            return Decision.ignore("stop: a second press is harmless")
        decision = Decision(events=[self._move(T.STOP, reason=message.reason)])
        self._withdraw_entries(decision, world, "Shutdown cancel")
        return decision


def has_entries_left(world: World) -> bool:
    """Whether entries are live where the operator, IDLE, DEGRADED or HALTED allows none."""
    blocked = world.mode in (S.IDLE, S.DEGRADED, S.HALTED) or (
        world.mode in RUNNING and world.control is not ControlLevel.OFF
    )
    return blocked and any(map(is_unmarked_entry, world.orders.values()))


_DECIDE: dict[type, Any] = {
    msg.Degrade: Mode._on_degrade,
    msg.Recover: Mode._on_recover,
    msg.Regime: Mode._on_regime,
    msg.BooksMatch: Mode._on_books_match,
    msg.Divergence: Mode._on_divergence,
    msg.Halt: Mode._on_halt,
    msg.Resume: Mode._on_resume,
    msg.SetControl: Mode._on_control,
    msg.StopSession: Mode._on_stop,
    msg.WithdrawLeft: Mode._on_withdraw_left,
}
