"""What every command takes, and the one way in which a command fails."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from attrs import frozen
from cyclopts import Parameter

#: Exit codes of every command (docs/reference/exit-codes.md).
DONE, CHECK_FAILED, USAGE, REFUSED, UNAVAILABLE, JOURNAL_FAILED = 0, 1, 2, 3, 4, 6
INTERRUPTED = 130
#: What to do about damage, where the best backup is not named at once.
KEEP_AND_RESTORE = "keep a copy of the files, run `holdfast verify`, restore a backup"


class CommandFailed(Exception):
    """A command ends here: one line that says what is wrong and what to do, and its exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


_COUNT_MAX = 10**18
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def check_count(option: str, value: int | None, least: int) -> None:
    """Raises CommandFailed (2) when a number of an option is out of range; None is no number."""
    if value is not None and not least <= value <= _COUNT_MAX:
        what = f"at least {least}" if value < least else f"at most {_COUNT_MAX}"
        raise CommandFailed(f"{option} {value}: must be {what}", USAGE)


def duration(option: str, text: str) -> float:
    """Seconds of `30s`, `5m`, `1.5h`, `500ms` or a plain number of seconds.

    Raises CommandFailed (2), naming the option, for anything else.
    """
    number, unit = text, "s"
    for suffix in sorted(_UNITS, key=len, reverse=True):
        if text.endswith(suffix):
            number, unit = text[: -len(suffix)], suffix
            break
    try:
        seconds = float(number) * _UNITS[unit]
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise CommandFailed(f"{option} {text}: a time such as 30s, 5m or 1h", USAGE)
    return seconds


@Parameter(name="*")
@frozen(kw_only=True)
class Place:
    """Where the database and the configuration are."""

    db: Annotated[
        Path | None,
        Parameter(help="The database. Without it: `engine.db` of the configuration."),
    ] = None
    config: Annotated[
        Path | None,
        Parameter(help="The configuration file. Without it: holdfast.toml here, if there is one."),
    ] = None

    def database(self) -> Path:
        """The database that is meant; the configuration is read only when it has to say so.

        Raises ConfigError.
        """
        from actors.lock import the_file

        if self.db is not None and self.config is None:
            return the_file(self.db)
        from actors.config import load_config

        config = load_config(self.config)
        return the_file(self.db if self.db is not None else config.engine.db)


HERE = Place()
Json = Annotated[bool, Parameter(name="--json", help="Print one JSON document on standard output.")]
