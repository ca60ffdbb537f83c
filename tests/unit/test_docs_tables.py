"""Generated and half-generated pages equal what they are generated from."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from sqlite_utils import Database

from storage.schema import MIGRATIONS, PROJECTIONS
from storage.schema_docs import COLUMNS, COMMON, RECORD, describe, markdown


def test_the_tables_page_is_the_generated_one(root: Path) -> None:
    page = (root / "docs/reference/tables.md").read_text(encoding="utf-8")
    assert markdown() == page, "run: python -m storage.schema_docs > docs/reference/tables.md"


def test_every_table_and_column_of_a_real_database_is_described_and_no_other() -> None:
    conn = sqlite3.connect(":memory:")
    for step in MIGRATIONS:
        step(Database(conn))
    tables = {row[0] for row in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert tables == RECORD.keys() | PROJECTIONS.keys()
    for table in tables:
        columns = [row[1] for row in conn.execute(f"PRAGMA table_info({table})")]
        if table in RECORD:
            assert list(RECORD[table][1]) == columns
        else:
            assert all(describe(table, column) for column in columns)
            assert not COLUMNS[table].keys() - set(columns), table
    used = {column for columns, _, _ in PROJECTIONS.values() for column in columns}
    assert not COMMON.keys() - used
    conn.close()


IDS = [
    *(f"N{n:02}" for n in range(1, 30)),
    *(f"P{n:02}" for n in range(1, 10)),
    *(f"M{n:02}" for n in range(1, 11)),
    *(f"X{n:02}" for n in range(1, 29)),
]
_ROW = re.compile(r"^\| (?P<id>[NPMX]\d\d) \|.*\| (?P<status>[^|]+) \|$", re.M)


def rows(root: Path) -> dict[str, str]:
    page = (root / "docs/explanation/incidents.md").read_text(encoding="utf-8")
    return {match["id"]: match["status"] for match in _ROW.finditer(page)}


def test_every_incident_has_its_row(root: Path) -> None:
    assert IDS == list(rows(root))


def status(root: Path, incident: str) -> str:
    """What the column has to say: links to the scenarios that exist, or that there is none."""
    files = sorted((root / "tests/scenarios/incidents").glob(f"{incident}*.toml"))
    links = [f"[scenario](../../tests/scenarios/incidents/{file.name})" for file in files]
    tests = sorted((root / "tests/unit").rglob(f"test_{incident.lower()}_*.py"))
    links += [f"[test](../../{file.relative_to(root).as_posix()})" for file in tests]
    return ", ".join(links) or "planned"


@pytest.mark.parametrize("incident", IDS)
def test_an_incident_claims_exactly_the_scenarios_that_exist(root: Path, incident: str) -> None:
    why = "run: python -m tests.unit.test_docs_tables"
    assert status(root, incident) == rows(root)[incident], why


def main(root: Path) -> None:
    """Write the status column anew."""
    page = root / "docs/explanation/incidents.md"

    def fresh(match: re.Match[str]) -> str:
        line = match[0][: match.start("status") - match.start()]
        return f"{line}{status(root, match['id'])} |"

    page.write_text(_ROW.sub(fresh, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(__file__).resolve().parents[2])
