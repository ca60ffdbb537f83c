"""Runs one scenario: an engine on a real temporary database, in simulated time, step by step.

Responsible for what each step means; the engine, the venue and the clock are the real parts. What
an `expect` finds different is a failure; so is a submit that left twice. Raises ScenarioError only
for what the file itself got wrong.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import evolve
from loguru import logger

from actors import messages as msg
from actors.chaos import scenario as sc
from actors.chaos.commands import KINDS, Commands
from actors.chaos.expectations import holds, shown
from actors.chaos.faults import Faults, FaultyVenue
from actors.chaos.observed import LogTokens, observed
from actors.chaos.outcome import Failure, Outcome
from actors.chaos.scenario import Scenario, ScenarioError, Step
from actors.chaos.stream import Speaker
from actors.config import Config, ConfigError, refuse, with_overrides
from actors.engine import Engine, EngineSettings
from actors.guards.checks import unknown_names
from actors.runtime.clock import SimulatedClock
from actors.settings import rules_from
from actors.simulation import Simulation
from actors.venues.scripted import ScriptedVenue
from actors.venues.sim import SimSettings, SimVenue
from actors.world import Rules
from fsm.mode import ModeState
from fsm.timestamps import SECOND_US
from fsm.vocabulary import OrderRole, TradingMode

EPOCH_US = 1_767_225_600_000_000
"""Where scenario time begins: 2026-01-01T00:00:00Z."""
_START_MAX_US = 60 * SECOND_US
_CAPS = (
    "max_position_usd",
    "max_session_loss",
    "daily_drawdown",
    "orders_per_minute_max",
    "price_sanity_pct",
    "stop_pct",
    "target_pct",
)
_NEVER_US = 10**15


def rules_of(scenario: Scenario) -> Rules:
    """The configured rules; a cap, a default stop and staleness hold only where they are named.

    Raises ScenarioError for a key that the configuration does not know.
    """
    try:
        config = with_overrides(Config(), scenario.config, scenario.file)
        kind = scenario.venue.kind
        traded = {spec.name: spec.to_instrument(kind) for spec in scenario.instruments}
        refuse(config, unknown_names(config.guards, traded))
        rules = rules_from(config)
    except ConfigError as problem:
        raise ScenarioError(f"{problem}") from None
    _check_guards(scenario)
    off: dict[str, Any] = {k: None for k in _CAPS if f"risk.{k}" not in scenario.config}
    if "feed.stale_after_s" not in scenario.config and "stale_feed" not in scenario.guards:
        off["stale_after_us"] = _NEVER_US
    guards = {name: getattr(config.guards, name) for name in scenario.guards}
    corridor = guards.get("inventory_corridor")
    if corridor is not None and not corridor.instruments:
        # Nothing need be quoted first: the file is about it.
        guards["inventory_corridor"] = evolve(corridor, instruments=tuple(traded))
    return evolve(rules, guards=guards, **off)


def _check_guards(scenario: Scenario) -> None:
    """A setting of a guard that is not on, or a switch beside `guards`, would change nothing."""
    for key in scenario.config:
        section, _, rest = key.partition(".")
        guard, _, name = rest.partition(".")
        if section != "guards" or not name or key == "guards.wallet_truth.enabled":
            continue  # that one also says whether the reconciler degrades
        if guard not in scenario.guards:
            raise ScenarioError(f"config {key}: changes nothing, `guards` does not name {guard}")
        if name == "enabled":
            raise ScenarioError(f"config {key}: changes nothing, `guards` names {guard}")


def run_scenario(scenario: Scenario, keep: Path | None = None) -> Outcome:
    """Run it on a database of its own: in `keep` when given, else deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="holdfast-scenario-") as folder:
        directory = Path(folder) if keep is None else keep
        directory.mkdir(parents=True, exist_ok=True)
        database = directory / f"{Path(scenario.file).stem}.db"
        if keep is not None:
            for old in directory.glob(f"{database.name}*"):
                old.unlink()
        return Runner(scenario, database).run()


class Runner:
    """One run of one scenario."""

    def __init__(self, scenario: Scenario, database: Path) -> None:
        self.scenario, self.database = scenario, database
        self.rules = rules_of(scenario)
        kind = scenario.venue.kind
        self.instruments = {s.name: s.to_instrument(kind) for s in scenario.instruments}
        self.clock = SimulatedClock(EPOCH_US)
        self.origin_us = EPOCH_US
        self.faults = Faults(self.clock)
        self.matching = self._matching_engine()
        self.scripted = ScriptedVenue(self._books_balances, self.matching)
        self.venue = FaultyVenue(self.scripted, self.faults, self.clock)
        self.speaker = Speaker(
            self.instruments, self._newest_order, self._instrument_of, self.clock.now_us
        )
        self.tokens = LogTokens()
        self.alerts_before: dict[str, int] = {}
        self.outcome = Outcome(scenario.name, len(scenario.steps))
        self.restarts = 0
        self.engine = self._engine()
        self.simulation = Simulation(self.engine, self.clock, self.venue)

    def _matching_engine(self) -> SimVenue | None:
        section = self.scenario.venue
        if section.mode is not sc.VenueMode.SIMULATED:
            return None
        settings = SimSettings(
            latency_us=section.latency_ms * 1_000,
            latency_jitter_us=section.latency_jitter_ms * 1_000,
            maker_fee_bps=section.maker_fee_bps,
            taker_fee_bps=section.taker_fee_bps,
            partial_fill=section.partial_fill,
            fills_lateness_us=section.fills_lateness_ms * 1_000,
        )
        rng = random.Random(self.scenario.seed)
        venue = SimVenue(self.instruments.values(), self.scenario.balances, settings, rng)
        venue.advance(EPOCH_US)
        return venue

    def _engine(self) -> Engine:
        settings = EngineSettings(
            database=self.database,
            mode=TradingMode.PAPER,
            rules=self.rules,
            instruments=tuple(self.instruments.values()),
            # Two sessions may begin in the same simulated moment: their ids must differ.
            seed=self.scenario.seed + 1_000_003 * self.restarts,
            opening=self.scenario.balances or None,
        )
        engine = Engine(settings, self.clock, self.venue)
        engine.journal_inline()
        engine.restarts = self.restarts
        engine.release.connected = True
        engine.release.answer = self._replied
        engine.writer.before_commit = self.faults.before_commit
        engine.system.before_decide = self.faults.before_decide
        return engine

    def _replied(self, token: object, answer: dict[str, object]) -> None:
        if not answer.get("accepted"):
            logger.info("COMMAND_REFUSED step={} {}", token, answer.get("error"))

    def _books_balances(self) -> Mapping[str, Decimal]:
        return self.engine.world.ledger.totals

    # ----------------------------------------------------------------------------------- the run

    def run(self) -> Outcome:
        """Start, run every step, look at the end. Raises ScenarioError."""
        try:
            with self.tokens.listening():
                self._begin()
                self._run_steps()
                self._end()
        finally:
            self._abandon()
        return self.outcome

    def _run_steps(self) -> None:
        """Every step in order. What the engine lets out ends the run as a failure of that step."""
        for step in self.scenario.steps:
            try:
                self._step(step)
            except ScenarioError:
                raise
            except Exception as problem:
                logger.opt(exception=problem).error("SCENARIO_ENGINE_RAISED step={}", step.number)
                what = f"{type(problem).__name__}: {problem}"
                self._fail(step.number, "engine", "no exception", what)
                return

    def _begin(self) -> None:
        self.scripted.empty_account = True
        self.engine.start()
        self.simulation.settle()
        while self.engine.world.mode is ModeState.RECONCILING:
            if self.clock.now_us() >= EPOCH_US + _START_MAX_US:
                break
            self.simulation.run_until(self.clock.now_us() + SECOND_US // 10)
        self.scripted.empty_account = False
        self.origin_us = self.clock.now_us()
        if self.engine.world.mode is not ModeState.ACTIVE:
            self._fail(0, "mode.state", "ACTIVE", str(self.engine.world.mode))

    def _end(self) -> None:
        if not any(failure.path == "engine" for failure in self.outcome.failures):
            self.simulation.settle()
        for order_id, count in self.venue.submits.items():
            if count > 1:
                self._fail(len(self.scenario.steps), f"submits.{order_id}", 1, count)
        self.outcome.state = self._document()
        head = self.engine.writer.head
        self.outcome.journal = {"seq": head.seq, "hash": head.hash.hex()}

    def _step(self, step: Step) -> None:
        if step.at_us is not None:
            self._move_to(step)
        elif not step.together or step.kind in ("expect", "restart", "wait"):
            self.simulation.settle()
        if step.kind in KINDS:
            funds = self.matching
            Commands(self.engine, self.venue, self._newest_position, funds).take(step)
        else:
            _STEP[step.kind](self, step)

    def _move_to(self, step: Step) -> None:
        assert step.at_us is not None
        target_us = self.origin_us + step.at_us
        if target_us < self.clock.now_us():
            passed_s = Decimal(self.clock.now_us() - self.origin_us) / SECOND_US
            raise ScenarioError(
                f"{self.scenario.file}:{step.line}: at: step {step.number} lies in the past; "
                f"{passed_s.normalize():f} s have passed when it comes"
            )
        self.simulation.run_until(target_us)

    def _fail(self, step: int, path: str, expected: Any, actual: Any) -> None:
        self.outcome.failures.append(Failure(step, path, expected, actual))

    # -------------------------------------------------------------------------- time, ends, faults

    def _venue(self, step: Step) -> None:
        try:
            self.scripted.say(self.speaker.message(step.action))
        except LookupError as problem:
            self._fail(step.number, "venue", "an order", str(problem.args[0]))
            return
        for message in self.venue.advance(self.clock.now_us()):
            self.engine.inbox.facts.offer(message)

    def _answer(self, step: Step) -> None:
        self.scripted.answer(self.speaker.answer(step.action), step.action.times)

    def _fault(self, step: Step) -> None:
        self.faults.add(step.action)

    def _wait(self, step: Step) -> None:
        self.simulation.run_until(self.clock.now_us() + step.action)

    def _reconcile(self, step: Step) -> None:
        for scope in ("orders", "books"):
            self.engine.inbox.command(msg.PassDue(scope))
            self.simulation.settle()

    def _restart(self, step: Step) -> None:
        if step.action is sc.Restart.CLEAN:
            self._stop_cleanly()
        for token, count in self.engine.release.alert_counts.items():
            self.alerts_before[token] = self.alerts_before.get(token, 0) + count
        self._abandon(clean=step.action is sc.Restart.CLEAN)
        self.restarts += 1
        self.engine = self._engine()
        self.simulation = Simulation(self.engine, self.clock, self.venue)
        self.engine.start()
        self.simulation.settle()

    def _stop_cleanly(self) -> None:
        """Withdraw what works, read what the venue says about it, write the session's end."""
        inbox = self.engine.inbox
        inbox.command(msg.StopSession("restart"))
        self.simulation.settle()
        for scope in ("orders", "books"):
            inbox.command(msg.PassDue(scope))
            self.simulation.settle()
        ticks = self.engine.world.market_seen()
        inbox.command(msg.EndSession(reason="restart", clean=True, ticks=ticks))
        self.simulation.settle()

    def _abandon(self, *, clean: bool = False) -> None:
        """Let go of the engine. A kill writes nothing more: no projection, no head."""
        if clean and self.engine.writer.failed is None:
            self.engine.close()
            return
        self.engine.reader.close()
        self.engine.writer.conn.close()

    # ------------------------------------------------------------------------------------ looking

    def _expect(self, step: Step) -> None:
        self.simulation.settle()
        document = self._document()
        log = self.tokens.counts | {
            token: max(count, self.tokens.counts.get(token, 0))
            for token, count in self.engine.world.log_counts.items()
        }
        for expectation in step.action.expectations:
            actual = observed(expectation, document, self.engine.reader.conn, log, self._alerts())
            if not holds(expectation.expected, actual):
                self._fail(step.number, expectation.path, expectation.expected, shown(actual))

    def _document(self) -> dict[str, Any]:
        self.engine.writer.project_all()
        return self.engine.document(everything=True)

    def _alerts(self) -> dict[str, int]:
        counts = dict(self.alerts_before)
        for token, count in self.engine.release.alert_counts.items():
            counts[token] = counts.get(token, 0) + count
        return counts

    def _intents(self, kind: str) -> list[dict[str, Any]]:
        """Events of one type, newest first, as their journal rows."""
        rows = self.engine.reader.conn.execute(
            "SELECT payload FROM journal WHERE type = ? ORDER BY seq DESC", (kind,)
        )
        return [json.loads(row[0]) for row in rows]

    def _newest_order(self, role: OrderRole, position: str | None) -> str | None:
        for event in self._intents("OrderIntended"):
            if event["role"] == role and position in (None, event["position_id"]):
                return str(event["client_order_id"])
        return None

    def _newest_position(self) -> str:
        opened = self._intents("PositionOpened")
        return str(opened[0]["position_id"]) if opened else ""

    def _instrument_of(self, order_id: str | None, venue_order_id: str | None) -> str | None:
        if order_id is None and venue_order_id is not None:
            order_id = self.engine.books.client_order_id(venue_order_id)
        order = self.engine.world.orders.get(order_id or "")
        if order is not None:
            return order.instrument
        names = [
            e["instrument"]
            for e in self._intents("OrderIntended")
            if e["client_order_id"] == order_id
        ]
        return names[0] if names else None


_STEP: dict[str, Any] = {
    "venue": Runner._venue,
    "answer": Runner._answer,
    "fault": Runner._fault,
    "wait": Runner._wait,
    "reconcile": Runner._reconcile,
    "restart": Runner._restart,
    "expect": Runner._expect,
}
