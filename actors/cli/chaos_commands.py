"""`holdfast chaos`: scenario files, run in simulated time.

Responsible for finding files and for printing; what a scenario means is `actors.chaos`' business.
Exit codes: 0 every scenario passed, 1 one failed, 2 a file cannot be run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from actors.chaos.outcome import Outcome
from actors.chaos.reading import read_scenario
from actors.chaos.runner import run_scenario
from actors.chaos.scenario import Scenario, ScenarioError
from actors.logs import to_stderr

chaos_app = App(name="chaos", help="Scenario files: rehearse what can go wrong.")


@chaos_app.command
def run(
    path: Path,
    *,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
    keep: Path | None = None,
) -> int:
    """Run one scenario file, or every one below a folder.

    Parameters
    ----------
    path
        A .toml or .jsonl file, or a folder that is searched for both.
    json_
        Print one JSON document instead of lines: the result, or a list of results for a folder.
    keep
        Keep the databases in this folder instead of deleting them.
    """
    to_stderr("CRITICAL")  # what a scenario provokes on purpose is no news for the terminal
    try:
        scenarios = [read_scenario(file) for file in scenario_files(path)]
        outcomes = []
        for scenario in scenarios:
            outcomes.append(run_scenario(scenario, keep))
            if not json_:
                _print(scenario, outcomes[-1])
    except ScenarioError as problem:
        print(f"holdfast: {problem}", file=sys.stderr)
        return problem.exit_code
    if json_:
        documents = [outcome.document() for outcome in outcomes]
        document: Any = documents if path.is_dir() else documents[0]
        print(json.dumps(document, indent=2, default=str))
    elif path.is_dir():
        failed = sum(not outcome.passed for outcome in outcomes)
        print(f"{len(outcomes) - failed} passed, {failed} failed")
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def scenario_files(path: Path) -> list[Path]:
    """The file itself, or all scenario files below a folder, sorted. Raises ScenarioError."""
    if path.is_dir():
        found = sorted([*path.rglob("*.toml"), *path.rglob("*.jsonl")])
        if not found:
            raise ScenarioError(f"{path}: no *.toml or *.jsonl below this folder")
        return found
    if not path.exists():
        raise ScenarioError(f"{path}: there is no such file or folder")
    return [path]


def _print(scenario: Scenario, outcome: Outcome) -> None:
    incident = f"{scenario.incident}: " if scenario.incident else ""
    word = "passed" if outcome.passed else "FAILED"
    print(f"{word}  {incident}{scenario.name}  ({outcome.steps} steps)")
    for failure in outcome.failures:
        where = f"step {failure.step}" if failure.step else "start"
        print(
            f"        {where}: {failure.path} is {failure.actual!r}, expected {failure.expected!r}"
        )
