"""Printing: one JSON document for scripts, aligned lines and tables for people.

Data goes to standard output, everything else to standard error.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fsm.money import shown

_WIDE = 240
#: A figure with more decimals than a person reads; every digit is in the JSON.
_LONG = re.compile(r"-?\d+\.\d{9,}")


def print_json(document: object) -> None:
    """One document and a line end."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def note(line: str) -> None:
    """A remark that is not data."""
    print(line, file=sys.stderr)


def console() -> Console:
    """As wide as the terminal; wide enough for every column when a file or a pipe reads."""
    out = Console(file=sys.stdout, highlight=False)
    return out if out.is_terminal else Console(file=sys.stdout, highlight=False, width=_WIDE)


def print_table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, empty: str, title: str = ""
) -> None:
    """Rows under their columns; numbers to the right. Without rows the sentence `empty`."""
    out = console()
    if title:
        out.print(Text(title, style="bold"))
    if not rows:
        out.print(Text(empty))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        numeric = all(_numeric(row.get(column)) for row in rows)
        table.add_column(Text(column), justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell(row.get(column))) for column in columns))
    out.print(table)


def cell(value: object) -> str:
    """A value as a person reads it."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items()) or "-"
    text = str(value)
    return shown(Decimal(text)) if _LONG.fullmatch(text) else text


def _numeric(value: object) -> bool:
    text = cell(value).lstrip("-")
    return text == "" or text.replace(".", "", 1).isdigit()


def visible(text: str) -> str:
    """Control characters spelled out: what a data file holds must not steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def print_fields(title: str, fields: Iterable[tuple[str, object]]) -> None:
    """A block of `name  value` lines under a title."""
    out = console()
    pairs = [(name, visible(cell(value))) for name, value in fields]
    width = max((len(name) for name, _ in pairs), default=0)
    out.print(Text(title, style="bold"))
    for name, value in pairs:
        out.print(Text(f"  {name.ljust(width)}  {value}"), soft_wrap=True)
