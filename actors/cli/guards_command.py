"""`holdfast guards`: how near each guard is to its limit, and what its trips have led to."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from actors.cli.options import HERE, Json, Place


def guards(*, history: bool = False, json: Json = False, place: Place = HERE) -> int:
    """Each guard: armed, tripped, cooling, quarantined or off; how near its limit; what followed.

    `value`, `distance` and `observations` are the running service's own; without one they are
    empty, and a guard that has not tripped is in state `no service`: nobody looks. `trips` counts
    every trip in this database, and `after` what became of them: recovered by itself (with the
    median of seconds), halted, ended by a person, over with its session, or standing. `breakers`
    counts them by condition, false alarms among them.

    Parameters
    ----------
    history
        Every trip with what the guard saw and how it ended, oldest first.
    """
    from actors.cli import output

    database = place.database()
    rows = _trips(database)
    if history:
        if json:
            output.print_json(rows)
        else:
            columns = "triggered_at breaker condition action ended_at outcome session_id"
            output.print_table(rows, columns.split(), empty="No guard has tripped.")
        return 0
    found = _guards(place, database, rows)
    if json:
        output.print_json(found)
    else:
        columns = "guard state breaker since about value threshold distance observations trips"
        shown = [row | {"after": _after(row["after"])} for row in found]
        output.print_table(shown, [*columns.split(), "after", "last_trip"], empty="No guards.")
    return 0


def _trips(database: Path) -> list[dict[str, Any]]:
    """The rows of guards, with their context as an object; other sources are in `events`."""
    import json as json_lib

    from actors.cli.database import reading_tables, rows
    from actors.guards.desk import KINDS

    names = ",".join("?" * len(KINDS))
    with reading_tables(database) as conn:
        where = f"source IN ({names}) AND action IS NOT NULL"
        found = rows(conn, "circuit_breaker_events", where=where, params=tuple(KINDS))
    for row in found:
        row["context"] = json_lib.loads(row["context"] or "{}")
        row["manual_reset_required"] = bool(row["manual_reset_required"])
    return found


def _guards(place: Place, database: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry a guard, those that are off included."""
    from actors.cli.read_commands import live_state, state_of
    from actors.guards.desk import KINDS

    live = live_state(database)
    views = (live or state_of(database, everything=False))["guards"]
    configured = views if live is not None else _configured(place)
    return [
        _entry(
            name,
            name in configured,
            configured.get(name, {}) | (views.get(name, {}) if live else _resting(views, name)),
            [row for row in rows if row["source"] == name],
        )
        for name in KINDS
    ]


def _resting(views: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """A guard that no service asks: its latch is in the database, and nothing is armed."""
    view = views.get(name, {})
    return view if view.get("state") == "tripped" else view | {"state": "no service"}


def _configured(place: Place) -> dict[str, dict[str, Any]]:
    """The guards that are configured on, with their thresholds: what a run would begin with."""
    from actors.config import load_config
    from actors.guards.desk import GuardDesk
    from actors.guards.latch import Latches
    from actors.runtime.ids import IdSource
    from actors.settings import rules_from
    from actors.world import World

    world = World(rules=rules_from(load_config(place.config)), ids=IdSource(""))
    views = GuardDesk(world, Latches()).views()
    return {
        name: {"about": view["about"], "threshold": view["threshold"]}
        for name, view in views.items()
    }


def _entry(
    name: str, is_on: bool, view: dict[str, Any], rows: list[dict[str, Any]]
) -> dict[str, Any]:
    latch = ("breaker", "condition", "since", "context")
    is_shut = view.get("state") in ("tripped", "cooling")
    breakers: dict[str, int] = {}
    for row in rows:
        breakers[row["breaker"]] = breakers.get(row["breaker"], 0) + 1
    figures = ("about", "value", "threshold", "distance", "observations", "now")
    return {
        "guard": name,
        "state": view.get("state", "armed") if is_on else "off",
        **{key: view.get(key) if is_shut else None for key in latch},
        **{key: view.get(key) for key in figures},
        "strategies_off": view.get("strategies_off", {}),
        "trips": len(rows),
        "breakers": breakers,
        "after": _outcomes(rows),
        "last_trip": rows[-1]["triggered_at"] if rows else None,
    }


_KINDS = {
    "recovered": "recovered",
    "halted": "halted",
    "operator": "by operator",
    "resumed:": "by operator",
    "session": "session over",
}


def _outcomes(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How many trips ended how; the median of seconds of those that recovered by themselves."""
    from fsm.timestamps import SECOND_US, micros_from_iso

    counts: dict[str, Any] = {}
    seconds = []
    for row in rows:
        word = (row["outcome"] or "").partition(" ")[0]
        kind = _KINDS.get(word, "standing")
        counts[kind] = counts.get(kind, 0) + 1
        if kind == "recovered":
            lasted_us = micros_from_iso(row["ended_at"]) - micros_from_iso(row["triggered_at"])
            seconds.append(lasted_us / SECOND_US)
    if seconds:
        counts["recovered_median_s"] = median(seconds)
    return counts


def _after(counts: dict[str, Any]) -> str:
    told = [
        f"{kind} {count}"
        + (f" (median {counts['recovered_median_s']:g} s)" if kind == "recovered" else "")
        for kind, count in counts.items()
        if kind != "recovered_median_s"
    ]
    return ", ".join(told)
