"""The tutorial and the pages on data are run as written; the README names commands that exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import define, field

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


@define
class Step:
    """One command and the output lines that must come, in order."""

    command: str
    expected: list[str] = field(factory=list)


def steps_of(page: Path) -> list[Step]:
    found: list[Step] = []
    for block in _BLOCK.findall(page.read_text()):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Step(line[2:]))
            elif line.startswith("> ") or line == ">":
                found[-1].command += "\n" + line[2:]
            else:
                found[-1].expected.append(line)
    return found


def matches(expected: str, line: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in expected.split("..."))
    return re.fullmatch(pattern, line) is not None


def missing(step: Step, output: str) -> list[str]:
    """Expected lines that do not come, in order; a line of dots stands for any lines."""
    lines, at = output.splitlines(), 0
    for expected in step.expected:
        if expected == "...":
            continue
        found = next((i for i in range(at, len(lines)) if matches(expected, lines[i])), None)
        if found is None:
            return [expected]
        at = found + 1
    return []


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    steps = steps_of(ROOT / "docs/tutorial.md")
    assert len(steps) > 15
    for step in steps:
        done = run(step.command, tmp_path)
        assert 0 == done.returncode, f"{step.command}\n{done.stdout}\n{done.stderr}"
        assert [] == missing(step, done.stdout), f"{step.command}\n{done.stdout}"


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs/how-to").glob("data-*.md")), ids=lambda page: page.stem
)
def test_the_pages_on_data_do_what_they_say(page: Path, tmp_path: Path) -> None:
    steps = steps_of(page)
    assert any("data check" in step.command for step in steps)
    for step in steps:
        done = run(step.command, tmp_path)
        assert 0 == done.returncode, f"{step.command}\n{done.stdout}\n{done.stderr}"
        assert [] == missing(step, done.stdout), f"{step.command}\n{done.stdout}"


def test_the_page_on_statements_does_what_it_says(tmp_path: Path) -> None:
    steps = steps_of(ROOT / "docs/how-to/audit.md")
    assert len(steps) > 2
    for step in steps:
        done = run(step.command, tmp_path)
        assert 0 == done.returncode, f"{step.command}\n{done.stdout}\n{done.stderr}"
        assert [] == missing(step, done.stdout), f"{step.command}\n{done.stdout}"


@pytest.mark.slow
def test_the_page_on_capital_does_what_it_says(tmp_path: Path) -> None:
    steps = steps_of(ROOT / "docs/how-to/capital.md")
    for command in ("deposit", "withdraw", "convert", "init-basis", "show"):
        assert any(step.command.startswith(f"holdfast capital {command}") for step in steps)
    for step in steps:
        done = run(step.command, tmp_path)
        assert 0 == done.returncode, f"{step.command}\n{done.stdout}\n{done.stderr}"
        assert [] == missing(step, done.stdout), f"{step.command}\n{done.stdout}"


@pytest.mark.parametrize("step", steps_of(ROOT / "README.md"), ids=lambda step: step.command[:40])
def test_the_readme_names_commands_that_exist(step: Step) -> None:
    words = step.command.split()
    if words[0].startswith("scripts/"):
        assert os.access(ROOT / words[0], os.X_OK)
        return
    command = [word for word in words[:3] if not word.startswith("-")]
    last = 3 if command[1] in ("chaos", "fsm", "config", "data") else 2
    done = run(f"{' '.join(command[:last])} --help", ROOT)
    assert 0 == done.returncode, done.stderr
    for option in re.findall(r"--[a-z-]+", step.command):
        assert option in done.stdout, f"{step.command}: {option} is not an option"


def test_a_missing_line_is_noticed() -> None:
    step = Step("x", ["a ... c", "...", "z"])
    assert [] == missing(step, "a b c\nmore\nz\n")
    assert ["z"] == missing(step, "a b c\nmore\n")
    assert ["a ... c"] == missing(step, "z\n")
