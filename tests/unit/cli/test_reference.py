"""Every command, option and key is documented; the pages equal the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.cli import options as exits
from actors.cli.reference import about, commands, options, pages


@pytest.mark.parametrize("name", ["commands.md", "configuration.md"])
def test_the_page_equals_the_code(root: Path, name: str) -> None:
    written = (root / "docs/reference" / name).read_text(encoding="utf-8")
    assert pages()[name] == written, "run `python -m actors.cli.reference`, then look at the diff"


def test_every_command_and_option_says_what_it_does(root: Path) -> None:
    page = (root / "docs/reference/commands.md").read_text(encoding="utf-8")
    for name, command in commands():
        assert f"\n## {name}\n" in page
        assert about(command), name
        for names, _, _, meaning in options(command):
            assert meaning, f"{name} {names}"


def test_every_exit_code_is_explained(root: Path) -> None:
    page = (root / "docs/reference/exit-codes.md").read_text(encoding="utf-8")
    codes = [
        value for name, value in vars(exits).items() if name[0].isupper() and type(value) is int
    ]
    assert codes
    assert all(f"\n| {code} |" in page for code in codes)
