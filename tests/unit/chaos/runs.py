"""Running scenario files in tests, quietly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from actors.chaos.outcome import Outcome
from actors.chaos.reading import parse_scenario, read_scenario
from actors.chaos.runner import run_scenario

ROOT = Path(__file__).resolve().parents[2] / "scenarios"
FILES = sorted([*ROOT.rglob("*.toml"), *ROOT.rglob("*.jsonl")])

HEADER = """
name = "a test"
[[instrument]]
name = "XRP/RLUSD"
base = "XRP"
quote = "RLUSD"
[balances]
XRP = "100"
RLUSD = "100"
"""


def run_file(path: Path) -> Outcome:
    return run_scenario(read_scenario(path))


def fails_with(path: Path, naive: Callable[[], None], *, raises: bool = False) -> None:
    """The scenario passes, and fails on a naive build: by what it does, not because it broke down,
    unless to raise is what is naive about it."""
    assert run_file(path).passed
    naive()
    outcome = run_file(path)
    assert not outcome.passed
    broke = outcome.state.get("counters", {}).get("unprocessed") or any(
        failure.path == "engine" for failure in outcome.failures
    )
    assert bool(broke) is raises, shown(outcome)


def run_text(steps: str, header: str = HEADER, name: str = "test.toml") -> Outcome:
    return run_scenario(parse_scenario(header + steps, Path(name)))


def shown(outcome: Outcome) -> str:
    return "\n".join(
        f"step {f.step}: {f.path} is {f.actual!r}, expected {f.expected!r}"
        for f in outcome.failures
    )
