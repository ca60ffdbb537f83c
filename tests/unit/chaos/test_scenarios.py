"""Every scenario file passes, and running it twice gives the same journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.chaos.reading import read_scenario
from actors.cli.chaos_commands import run
from tests.unit.chaos.runs import FILES, HEADER, ROOT, run_file, run_text, shown

REQUIRED = ("N17", "X04", "X05", "X13", "X15", "X24", "X25", "M03", "N26")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.scenario
@pytest.mark.parametrize("path", FILES, ids=_name)
def test_the_scenario_passes(path: Path) -> None:
    outcome = run_file(path)
    assert outcome.passed, shown(outcome)


@pytest.mark.parametrize("path", FILES[::6], ids=_name)
def test_the_same_file_gives_the_same_journal(path: Path) -> None:
    assert run_file(path).journal == run_file(path).journal


def test_another_seed_gives_another_journal() -> None:
    steps = '[[step]]\nexpect = { "mode.state" = "ACTIVE" }\n'
    first, second = (run_text(steps, f"seed = {seed}\n{HEADER}") for seed in (1, 2))
    assert first.journal != second.journal


@pytest.mark.parametrize("incident", REQUIRED)
def test_required_incidents_say_what_a_naive_build_does(incident: str) -> None:
    scenario = read_scenario(ROOT / "incidents" / f"{incident}.toml")
    assert incident == scenario.incident
    assert scenario.naive


@pytest.mark.parametrize("path", sorted((ROOT / "incidents").glob("*.toml")), ids=_name)
def test_every_incident_file_is_named_by_its_id(path: Path) -> None:
    scenario = read_scenario(path)
    assert path.stem.rstrip("abcde") == scenario.incident
    assert scenario.naive


def test_a_failed_expectation_is_reported(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(HEADER + '[[step]]\nexpect = { "mode.state" = "HALTED", "no.such" = 1 }\n')
    assert 1 == run(path, json_=True)
    document = json.loads(capsys.readouterr().out)
    assert {"name", "passed", "steps", "failures", "state", "journal"} == set(document)
    assert [
        {"step": 1, "path": "mode.state", "expected": "HALTED", "actual": "ACTIVE"},
        {"step": 1, "path": "no.such", "expected": 1, "actual": "missing"},
    ] == document["failures"]


def test_a_folder_is_run_as_a_whole(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name, state in (("a", "ACTIVE"), ("b", "IDLE")):
        (tmp_path / f"{name}.toml").write_text(
            HEADER + f'[[step]]\nexpect = {{ "mode.state" = "{state}" }}\n'
        )
    assert 1 == run(tmp_path)
    assert "1 passed, 1 failed" in capsys.readouterr().out
    (tmp_path / "b.toml").unlink()
    assert 0 == run(tmp_path)


def test_jsonl_says_the_same_as_toml(tmp_path: Path) -> None:
    rows = [
        {
            "name": "a test",
            "instrument": [{"name": "XRP/RLUSD", "base": "XRP", "quote": "RLUSD"}],
            "balances": {"XRP": "100", "RLUSD": "100"},
        },
        {"degrade": {"source": "x"}},
        {"expect": {"mode.state": "DEGRADED"}},
    ]
    path = tmp_path / "test.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    as_toml = run_text(
        '[[step]]\ndegrade = { source = "x" }\n[[step]]\nexpect = { "mode.state" = "DEGRADED" }\n'
    )
    outcome = run_file(path)
    assert outcome.passed
    assert as_toml.journal == outcome.journal


def test_a_kept_database_stays(tmp_path: Path) -> None:
    path = tmp_path / "kept.toml"
    path.write_text(HEADER + '[[step]]\nexpect = { "mode.state" = "ACTIVE" }\n')
    assert 0 == run(path, keep=tmp_path / "db")
    assert (tmp_path / "db" / "kept.db").exists()
