"""The reference pages of commands and configuration, made from the code that they describe.

`python -m actors.cli.reference` writes them; a test makes them anew and compares.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

from cyclopts import App

from actors.cli.main import DEBUG, app
from actors.config import config_reference

FOLDER = Path("docs/reference")
_MARK = "<!-- Made from the code: `python -m actors.cli.reference`. Do not edit. -->"
_COMMON = ("--db", "--config", "--json")


def commands() -> Iterator[tuple[str, App]]:
    """Every command with its full name, subcommands after their group."""
    yield from _commands("holdfast", app)


def _commands(prefix: str, parent: App) -> Iterator[tuple[str, App]]:
    for name in sorted(name for name in parent if not name.startswith("-")):
        command = parent[name]
        if command.default_command is not None:
            yield f"{prefix} {name}", command
        yield from _commands(f"{prefix} {name}", command)


def options(command: App) -> Iterator[tuple[str, str, str, str]]:
    """(names, type, default, meaning) of every option and argument of a command."""
    for argument in command.assemble_argument_collection(parse_docstring=True):
        if not argument.show or argument.name == "*":
            continue
        default = argument.field_info.default
        shown = "required" if argument.required else _default(default)
        names = [name for name in argument.names if not name.startswith("--no-")]
        if "--no-web" in argument.names:
            names = ["--no-web"]
        if argument.index is not None:
            names = [name.lstrip("-").upper() for name in names[:1]]
        meaning = " ".join((argument.parameter.help or "").split())
        yield ", ".join(names or argument.names), _type(argument.hint), shown, meaning


def _default(value: Any) -> str:
    if value is None or value is False or value is inspect.Parameter.empty:
        return ""
    if isinstance(value, Enum):
        return str(value.value)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _type(hint: Any) -> str:
    if isinstance(hint, types.UnionType) or get_origin(hint) is not None:
        inner = [_type(part) for part in get_args(hint) if part not in (type(None), ...)]
        return " or ".join(dict.fromkeys(inner))
    if inspect.isclass(hint) and issubclass(hint, Enum):
        return ", ".join(f"`{member.value}`" for member in hint)
    names = {bool: "flag", str: "text", int: "integer", float: "number", Path: "path"}
    return names.get(hint, getattr(hint, "__name__", str(hint)))


def about(command: App) -> str:
    """What a command does: its docstring up to the parameters."""
    text = inspect.getdoc(command.default_command) or ""
    return text.partition("\nParameters\n")[0].strip()


def commands_page() -> str:
    """docs/reference/commands.md."""
    parts = [
        _MARK,
        "",
        "# Commands",
        "",
        f"Every command takes `{DEBUG}` (an error then shows its traceback) and `--help`;",
        "`holdfast --version` prints the version. Data goes to standard output, everything else",
        "to standard error. The exit codes are in [exit-codes.md](exit-codes.md).",
    ]
    for name, command in commands():
        parts += ["", f"## {name}", "", about(command)]
        rows = sorted(options(command), key=lambda row: row[0] in _COMMON)
        if rows:
            parts += ["", "| option | type | default | meaning |", "|---|---|---|---|"]
            parts += [_row(f"`{n}`", kind, shown, meaning) for n, kind, shown, meaning in rows]
    return "\n".join(parts) + "\n"


def configuration_page() -> str:
    """docs/reference/configuration.md."""
    parts = [
        _MARK,
        "",
        "# Configuration",
        "",
        "`holdfast.toml` in the working directory, or the file of `--config`. An environment",
        "variable `HOLDFAST_SECTION__KEY` overrides the file, a flag overrides both. Unknown",
        "keys, wrong types and values out of range are errors (exit code 2) that name the place,",
        "the key and the nearest valid one. `holdfast config show` prints the values in force.",
        'Decimals are written as text, for example `max_position_usd = "5"`.',
    ]
    section = ""
    for row in config_reference():
        here, _, key = row.key.rpartition(".")
        if here != section:
            section = here
            parts += ["", f"## [{section}]", "", "| key | type | default | range | meaning |"]
            parts.append("|---|---|---|---|---|")
        parts.append(_row(f"`{key}`", row.type, f"`{row.default}`", row.range, row.about))
    return "\n".join(parts) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def pages() -> dict[str, str]:
    """File name -> text of every generated page."""
    return {"commands.md": commands_page(), "configuration.md": configuration_page()}


def main() -> int:
    """Write the pages into docs/reference, from the top of the source tree."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(FOLDER / name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
