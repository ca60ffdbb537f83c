"""Scenario files: TOML for people, JSONL for machines (the header first, then one step a line).

Every error is one line that names file, line and key; the values are in `scenario.py`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import define, field

from actors.chaos import scenario as sc
from actors.chaos.expectations import parse_expectations
from actors.chaos.scenario import Scenario, ScenarioError, Step
from actors.chaos.strict import Wrong, duration_us, nearest, structure
from actors.config import Config, ConfigError, config_reference, with_overrides
from actors.guards.desk import KINDS
from actors.toml_lines import toml_path
from fsm.instrument import REFUSED_KINDS
from fsm.vocabulary import InstrumentKind

_STEPS: dict[str, type] = {
    "submit": sc.SubmitStep,
    "signal": sc.SignalStep,
    "exit": sc.ExitStep,
    "cancel": sc.CancelStep,
    "tick": sc.TickStep,
    "answer": sc.AnswerStep,
    "control": sc.ControlStep,
    "degrade": sc.SourceStep,
    "recover": sc.SourceStep,
    "resolve": sc.ResolveStep,
    "reset": sc.ResetStep,
    "capital": sc.CapitalStep,
    "fault": sc.FaultStep,
}
_OTHER_STEPS = ("venue", "restart", "reconcile", "wait", "expect")
_HEADER = (
    "name",
    "incident",
    "naive",
    "seed",
    "guards",
    "venue",
    "instrument",
    "balances",
    "config",
)
_TABLE = re.compile(r"\s*(\[{1,2})([^\[\]]+)\]{1,2}\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_SIM_ONLY = (
    "latency_ms",
    "latency_jitter_ms",
    "maker_fee_bps",
    "taker_fee_bps",
    "partial_fill",
    "fills_lateness_ms",
)


@define
class _File:
    """The raw document and where its keys stand."""

    path: Path
    header: dict[str, Any] = field(factory=dict)
    steps: list[dict[str, Any]] = field(factory=list)
    lines: dict[tuple[Any, ...], int] = field(factory=dict)

    def wrong(self, key: str, message: str, at: tuple[Any, ...]) -> ScenarioError:
        return ScenarioError(f"{self.path}:{self.line(at)}: {key}: {message}")

    def line(self, at: tuple[Any, ...]) -> int:
        for length in range(len(at), 0, -1):
            if at[:length] in self.lines:
                return self.lines[at[:length]]
        return 1


def read_scenario(path: Path) -> Scenario:
    """Read one file. Raises ScenarioError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise ScenarioError(f"{path}: cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise ScenarioError(f"{path}: is not UTF-8 text") from None
    return parse_scenario(text, path)


def parse_scenario(text: str, path: Path) -> Scenario:
    """A scenario from its text; the path's suffix says which of the two forms it has."""
    file = _read_jsonl(text, path) if path.suffix == ".jsonl" else _read_toml(text, path)
    steps = tuple(_step(file, n, raw) for n, raw in enumerate(file.steps))
    if not any(step.kind == "expect" for step in steps):
        raise file.wrong("expect", "a scenario without any expect cannot fail: add one", ())
    scenario = _header(file, steps)
    _check_instruments(file, scenario)
    return scenario


def _check_instruments(file: _File, scenario: Scenario) -> None:
    """A quote or a signal on something that is not declared is a slip of the pen."""
    names = [section.name for section in scenario.instruments]
    for step in scenario.steps:
        if step.kind in ("tick", "signal") and step.action.instrument not in names:
            wrong = step.action.instrument
            raise file.wrong(
                f"{step.kind}.instrument",
                f"{wrong!r} is not declared; {nearest(wrong, names)}",
                ("step", step.number - 1, step.kind),
            )


# ---------------------------------------------------------------------------------------- raw text


def _read_toml(text: str, path: Path) -> _File:
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as problem:
        found = re.search(r"\(at line (\d+)", str(problem))
        line = found[1] if found else len(text.splitlines())
        raise ScenarioError(f"{path}:{line}: not valid TOML: {problem}") from None
    file = _File(path, header=document, lines=_toml_lines(text))
    steps = document.pop("step", [])
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise file.wrong("step", "write every step as [[step]]", ("step",))
    file.steps = steps
    return file


def _toml_lines(text: str) -> dict[tuple[Any, ...], int]:
    """Where each key stands; the n-th `[[table]]` counts as (table, n)."""
    lines: dict[tuple[Any, ...], int] = {}
    counts: dict[tuple[str, ...], int] = {}
    table: tuple[Any, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.match(line):
            name = toml_path(header[2].strip())
            table = name
            if header[1] == "[[":
                table = (*name, counts.get(name, 0))
                counts[name] = counts.get(name, 0) + 1
            elif counts.get(name[:1]):
                table = (name[0], counts[name[:1]] - 1, *name[1:])
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *toml_path(key[1])), number)
    return lines


def _read_jsonl(text: str, path: Path) -> _File:
    file = _File(path)
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_float=Decimal)
        except json.JSONDecodeError as problem:
            raise ScenarioError(f"{path}:{number}: not valid JSON: {problem.msg}") from None
        if not isinstance(row, dict):
            raise ScenarioError(f"{path}:{number}: a line must hold one JSON object")
        if not file.lines:
            file.header = row
            file.lines[("",)] = number
        else:
            file.lines[("step", len(file.steps))] = number
            file.steps.append(row)
    if not file.lines:
        raise ScenarioError(f"{path}:1: name: the file is empty")
    return file


# ------------------------------------------------------------------------------------------ header


def _header(file: _File, steps: tuple[Step, ...]) -> Scenario:
    raw = file.header
    for key in raw:
        if key not in _HEADER:
            raise file.wrong(key, f"unknown key; {nearest(key, (*_HEADER, 'step'))}", (key,))
    venue = _venue(file, raw.get("venue", {}))
    rows = raw.get("instrument", [])
    if not isinstance(rows, list) or not rows:
        raise file.wrong("instrument", "name at least one [[instrument]]", ("instrument",))
    instruments = tuple(
        _built(file, sc.InstrumentSection, row, "instrument", ("instrument", n))
        for n, row in enumerate(rows)
    )
    values: dict[str, Any] = {
        key: raw[key] for key in ("name", "incident", "naive", "seed", "guards") if key in raw
    }
    for name in values.get("guards", ()):
        if name not in KINDS:
            raise file.wrong(
                "guards", f"no guard {name!r}; {nearest(str(name), KINDS)}", ("guards",)
            )
    values.setdefault("name", file.path.stem)
    values["file"] = str(file.path)
    values["balances"] = raw.get("balances", {})
    head = _built(file, Scenario, values, "", ())
    config = _flat_config(file, raw.get("config", {}))
    return Scenario(
        name=head.name,
        file=head.file,
        incident=head.incident,
        naive=head.naive,
        seed=head.seed,
        venue=venue,
        instruments=instruments,
        balances=head.balances,
        config=config,
        guards=head.guards,
        steps=steps,
    )


def _venue(file: _File, raw: Any) -> sc.VenueSection:
    kind = raw.get("kind") if isinstance(raw, Mapping) else None
    if isinstance(kind, str) and kind in REFUSED_KINDS:
        raise file.wrong("venue.kind", REFUSED_KINDS[kind], ("venue", "kind"))
    venue = _built(file, sc.VenueSection, raw, "venue", ("venue",))
    if venue.kind is InstrumentKind.BINARY and venue.mode is sc.VenueMode.SIMULATED:
        why = 'simulated binary windows come with a later version; use mode = "scripted"'
        raise file.wrong("venue.kind", why, ("venue", "kind"))
    if venue.mode is sc.VenueMode.SCRIPTED:
        for key in _SIM_ONLY:
            if key in raw:
                raise file.wrong(
                    f"venue.{key}", 'only the "simulated" venue has it', ("venue", key)
                )
    return venue


def _flat_config(file: _File, raw: Any) -> dict[str, Any]:
    """Dotted keys and tables alike: `"risk.stop_pct" = 3` or `[config.risk]`."""
    if not isinstance(raw, Mapping):
        raise file.wrong("config", f"must be a table, not {raw!r}", ("config",))
    flat = dict(_flattened(raw, {row.key for row in config_reference()}))
    checked = Config()
    for key, value in flat.items():
        where = f"{file.path}:{file.line(('config', *key.split('.')))}"
        if ("config", key) in file.lines:
            where = f"{file.path}:{file.lines['config', key]}"
        try:
            checked = with_overrides(checked, {key: value}, where, together=False)
        except ConfigError as problem:
            raise ScenarioError(str(problem)) from None
    return flat


def _flattened(
    table: Mapping[str, Any], known: Collection[str], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and key not in known:
            yield from _flattened(value, known, f"{key}.")
        else:
            yield key, value


def _built(file: _File, cls: type, raw: Any, key: str, at: tuple[Any, ...]) -> Any:
    try:
        return structure(cls, raw, key)
    except Wrong as wrong:
        name = wrong.key.removeprefix(".")
        parts = tuple(re.sub(r"\[\d+\]", "", name).split("."))
        where = (*at, *parts[1:]) if key else parts
        raise file.wrong(name, str(wrong), where) from None


# ------------------------------------------------------------------------------------------- steps


def _step(file: _File, index: int, raw: dict[str, Any]) -> Step:
    at = ("step", index)
    rest = {key: value for key, value in raw.items() if key not in ("at", "together")}
    for key in rest:
        if key not in _STEPS and key not in _OTHER_STEPS:
            words = (*_STEPS, *_OTHER_STEPS, "at", "together")
            raise file.wrong(key, f"unknown step; {nearest(key, words)}", (*at, key))
    if len(rest) != 1:
        what = " and ".join(rest) or "nothing"
        raise file.wrong("step", f"a step does one thing, this one has {what}", at)
    kind, value = next(iter(rest.items()))
    at_us = None
    if "at" in raw:
        try:
            at_us = duration_us(raw["at"])
        except ValueError as problem:
            raise file.wrong("at", str(problem), (*at, "at")) from None
    together = raw.get("together", False)
    if not isinstance(together, bool) or (together and at_us is not None):
        raise file.wrong("together", "true or false, and not beside `at`", (*at, "together"))
    try:
        action = _action(kind, value)
    except Wrong as wrong:
        raise file.wrong(wrong.key, str(wrong), (*at, *wrong.key.split("."))) from None
    return Step(
        number=index + 1,
        line=file.line((*at, kind)),
        kind=kind,
        action=action,
        at_us=at_us,
        together=together,
    )


def _action(kind: str, value: Any) -> Any:
    if kind == "venue":
        return _venue_event(value)
    if kind == "restart":
        return _word(sc.Restart, kind, value)
    if kind == "reconcile":
        if value is not True:
            raise Wrong(kind, f"must be true, not {value!r}")
        return value
    if kind == "wait":
        try:
            return duration_us(value)
        except ValueError as problem:
            raise Wrong(kind, str(problem)) from None
    if kind == "expect":
        return sc.ExpectStep(parse_expectations(value))
    if kind == "control" and isinstance(value, Mapping) and {"key", "value"} & set(value):
        raise Wrong("control.key", "runtime controls come with a later version; give a level")
    action: Any = structure(_STEPS[kind], value, kind)
    _check(kind, action)
    return action


def _word(words: type[sc.Restart], kind: str, value: Any) -> Any:
    if value not in [str(word) for word in words]:
        raise Wrong(kind, f"{value!r}; {nearest(str(value), [str(word) for word in words])}")
    return words(value)


def _venue_event(value: Any) -> Any:
    if not isinstance(value, Mapping) or "event" not in value:
        raise Wrong("venue.event", "is missing")
    event = value["event"]
    if event not in sc.VENUE_EVENTS:
        raise Wrong("venue.event", f"{event!r}; {nearest(str(event), sc.VENUE_EVENTS)}")
    return structure(sc.VENUE_EVENTS[event], value, "venue")


_POINTS = ("submit", "cancel", "query", "stream", "disk", "clock", "actor:NAME")
_MESSAGES = ("submit", "cancel", "query", "stream")
_WHERE: dict[sc.FaultKind, tuple[str, ...]] = {
    **dict.fromkeys(
        (sc.FaultKind.DROP, sc.FaultKind.DELAY, sc.FaultKind.DUPLICATE, sc.FaultKind.REORDER,
         sc.FaultKind.CORRUPT), _MESSAGES,
    ),
    **dict.fromkeys(
        (sc.FaultKind.SLOW_DISK, sc.FaultKind.DISK_FULL, sc.FaultKind.DISK_ERROR), ("disk",)
    ),
    sc.FaultKind.CLOCK_JUMP: ("clock",),
    sc.FaultKind.ACTOR_CRASH: ("actor:NAME",),
}  # fmt: skip
_STATES = ("open", "filled", "canceled", "expired", "rejected")
_RESULTS: dict[sc.QueryKind, tuple[str, ...]] = {
    sc.QueryKind.SUBMIT: ("found", "rejected", "unavailable", "timeout"),
    sc.QueryKind.CANCEL: ("found", "rejected", "unavailable", "timeout"),
    sc.QueryKind.ORDER: ("found", "absent", "rejected", "unavailable", "timeout"),
    **dict.fromkeys(
        (sc.QueryKind.OPEN_ORDERS, sc.QueryKind.FILLS, sc.QueryKind.POSITIONS),
        ("found", "absent", "unavailable", "timeout"),
    ),
    sc.QueryKind.BALANCES: ("found", "unavailable", "timeout"),
}


def _check(kind: str, action: Any) -> None:
    """What single keys cannot say."""
    if kind == "fault":
        _check_fault(action)
    elif kind == "signal" and (action.qty is None) == (action.notional is None):
        raise Wrong("signal.qty", "give either qty or notional")
    elif kind == "answer":
        if action.result not in _RESULTS[action.query]:
            raise Wrong(
                "answer.result",
                f"{action.query} cannot be answered {str(action.result)!r}; "
                f"{nearest(action.result, _RESULTS[action.query])}",
            )
        if action.state is not None and action.state not in _STATES:
            raise Wrong("answer.state", f"{action.state!r}; {nearest(action.state, _STATES)}")
        if action.times is not None and action.times < 1:
            raise Wrong("answer.times", "must be 1 or more")


def _check_fault(fault: sc.FaultStep) -> None:
    point = "actor:NAME" if re.fullmatch(r"actor:.+", fault.on) else fault.on
    if fault.on.startswith("feed:"):
        raise Wrong("fault.on", "faults of a feed come with a later version")
    if point not in _POINTS:
        raise Wrong("fault.on", f"{fault.on!r} is no fault point; {nearest(fault.on, _POINTS)}")
    if point not in _WHERE[fault.kind]:
        raise Wrong("fault.on", f"{fault.kind} works on {', '.join(_WHERE[fault.kind])}")
    if fault.times is not None and fault.times < 1:
        raise Wrong("fault.times", "must be 1 or more")
