"""The page about guards names every guard and key, and its table of defaults is the settings'."""

from __future__ import annotations

import re
from pathlib import Path

from actors.config import config_reference
from actors.guards.desk import KINDS

_TABLE = re.compile(r"(<!-- defaults: begin[^>]*-->\n).*?(<!-- defaults: end -->)", re.S)


def table() -> str:
    lines = ["| key | default | range | meaning |", "|---|---|---|---|"]
    for row in config_reference():
        section, _, key = row.key.removeprefix("guards.").rpartition(".")
        if row.key.startswith("guards.") and key != "enabled":
            name = f"{section}.{key}" if section else key
            lines.append(f"| `{name}` | `{row.default}` | {row.range} | {row.about} |")
    return "\n".join(lines) + "\n"


def test_the_table_of_defaults_is_the_settings(root: Path) -> None:
    page = (root / "docs/explanation/guards.md").read_text(encoding="utf-8")
    why = "run: python -m tests.unit.guards.test_documented"
    assert _TABLE.sub(lambda m: f"{m[1]}{table()}{m[2]}", page) == page, why


def test_every_guard_is_on_the_page(root: Path) -> None:
    page = (root / "docs/explanation/guards.md").read_text(encoding="utf-8")
    for name in KINDS:
        assert f"| `{name}` |" in page
        assert f"**{name}**" in page


if __name__ == "__main__":
    path = Path("docs/explanation/guards.md")
    text = path.read_text(encoding="utf-8")
    path.write_text(_TABLE.sub(lambda m: f"{m[1]}{table()}{m[2]}", text), encoding="utf-8")
