"""`holdfast guards`: distances, states, and what became of trips; live parts are the service's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from actors.chaos.reading import read_scenario
from actors.chaos.runner import run_scenario
from actors.cli.main import main
from actors.guards.desk import KINDS
from tests.unit.chaos.runs import ROOT


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three trips of the drift guard: two recovered, the third one halted."""
    folder = tmp_path_factory.mktemp("guards")
    run_scenario(read_scenario(ROOT / "incidents/N16.toml"), keep=folder)
    return folder / "N16.db"


def told(capsys: pytest.CaptureFixture[str], *tokens: str) -> Any:
    assert 0 == main(["guards", *tokens, "--json"])
    return json.loads(capsys.readouterr().out)


def test_every_guard_has_its_line_also_when_nobody_runs(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = told(capsys, "--db", str(database))
    assert list(KINDS) == [row["guard"] for row in rows]
    drift = next(row for row in rows if row["guard"] == "directional_drift")
    assert (3, {"directional_drift_guard_A": 3}) == (drift["trips"], drift["breakers"])
    assert {"recovered": 2, "halted": 1, "recovered_median_s": 262.0} == drift["after"]
    assert "2026-01-01T00:10:00.000000Z" == drift["last_trip"]


def test_a_guard_that_is_configured_off_says_so(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "holdfast.toml"
    file.write_text("[guards.heartbeat]\nenabled = false\n")
    rows = told(capsys, "--db", str(database), "--config", str(file))
    states = {row["guard"]: row["state"] for row in rows}
    assert ("off", "no service") == (states["heartbeat"], states["drawdown"])


def test_the_history_lists_every_trip_with_what_it_saw(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = told(capsys, "--db", str(database), "--history")
    assert ["recovered", "recovered", "halted degraded_episode_limit_halt"] == [
        row["outcome"] for row in rows
    ]
    assert 3 == rows[0]["context"]["burst_count"]
    assert 0 == main(["guards", "--history", "--db", str(database)])
    assert "directional_drift_guard_A" in capsys.readouterr().out


def test_the_table_tells_what_followed(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["guards", "--db", str(database)])
    assert "recovered 2 (median 262 s), halted 1" in capsys.readouterr().out
