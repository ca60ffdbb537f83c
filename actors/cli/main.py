"""The `holdfast` command: what commands there are, and how every one of them fails.

A failure is one line on standard error that says what is wrong and what to do, and an exit code
(docs/reference/exit-codes.md); `--debug` adds the traceback. Commands are imported when they are
used, so that `holdfast --help` is quick.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

from actors.cli import run_command
from actors.cli.options import (
    CHECK_FAILED,
    DONE,
    INTERRUPTED,
    JOURNAL_FAILED,
    KEEP_AND_RESTORE,
    REFUSED,
    UNAVAILABLE,
    USAGE,
    CommandFailed,
)

DEBUG = "--debug"


def _version() -> str:
    from fsm.version import VERSION

    return VERSION


app = App(
    name="holdfast",
    help="Trading execution: what the books say is what the venue did.",
    help_epilogue="Every command takes --debug: an error then shows its traceback.",
    help_format="plaintext",
    version=_version,
    default_parameter=Parameter(negative=()),
    suppress_keyboard_interrupt=False,
)

run_command.register(app)
#: Name, where it is, and its line in the overview (kept here so that nothing is imported for it).
COMMANDS = (
    ("status", "read_commands:status", "What it is doing, and why."),
    ("orders", "read_commands:orders", "Orders of this session, and every live one."),
    ("positions", "read_commands:positions", "Positions of this session, and every open one."),
    ("fills", "read_commands:fills", "Executions."),
    ("account", "read_commands:account", "Capital, balances, PnL and fees."),
    ("guards", "guards_command:guards", "How near each guard is to its limit, and its trips."),
    ("sessions", "read_commands:sessions", "Every session, and why it ended."),
    ("events", "events_command:events", "The journal, once or as it grows."),
    ("explain", "explain_command:explain", "The whole story of an order, a position or an event."),
    ("capital", "capital_command:capital_app", "Deposits, withdrawals and the basis of returns."),
    ("control", "control_command:control", "Pause, flatten, stop or resume the running service."),
    ("audit", "audit_command:audit", "An account statement against our arithmetic."),
    ("record", "record_command:record", "Record a feed, without trading."),
    ("verify", "upkeep_commands:verify", "Prove that record, tables and laws hold."),
    ("rebuild", "upkeep_commands:rebuild", "Drop the tables and fold the journal anew."),
    ("backup", "backup_commands:backup", "A whole, proved copy of the database."),
    ("restore", "backup_commands:restore", "Put a backup in the database's place."),
    ("doctor", "upkeep_commands:doctor", "Is this machine fit to hold a position?"),
    ("config", "config_commands:config_app", "The configuration: values, sources, meaning."),
    ("data", "data_commands:data_app", "Market data files: look before trading on them."),
    ("chaos", "chaos_commands:chaos_app", "Scenarios, faults and exploration."),
    ("fsm", "fsm_commands:fsm_app", "The state machines: export them, check the export."),
)
for _name, _where, _about in COMMANDS:
    app.command(f"actors.cli.{_where}", name=_name, help=_about)


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Never raises."""
    given = list(sys.argv[1:] if tokens is None else tokens)
    debug = DEBUG in given
    given = [token for token in given if token != DEBUG]
    from actors.logs import to_stderr

    to_stderr("DEBUG" if debug else "WARNING")  # `run` and others say more for themselves
    try:
        result = app(given, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else USAGE
    except BrokenPipeError:
        # The reader of our output went away (`| head`): nothing is left to say, to nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except BaseException as problem:
        return _failed(problem, debug)
    return result if isinstance(result, int) else DONE


def _failed(problem: BaseException, debug: bool) -> int:
    """One line and the exit code; the traceback when it is asked for."""
    while isinstance(problem, BaseExceptionGroup) and len(problem.exceptions) == 1:
        problem = problem.exceptions[0]
    message, code = described(problem)
    if debug:
        import traceback

        traceback.print_exception(problem)
    from actors.cli.output import visible

    print(f"holdfast: {visible(' '.join(message.split()))}", file=sys.stderr)
    return code


def described(problem: BaseException) -> tuple[str, int]:
    """What to tell about an error, and its exit code."""
    if isinstance(problem, CommandFailed):
        return str(problem), problem.exit_code
    if isinstance(problem, CycloptsError):
        return f"{problem} See `holdfast --help`.", USAGE
    if isinstance(problem, KeyboardInterrupt):
        return "interrupted", INTERRUPTED
    known = _known(problem)
    if known is not None:
        return _with_advice(str(problem), known), known
    if isinstance(problem, sqlite3.DatabaseError) and "malformed" in str(problem):
        return f"the database is damaged: {problem}; {KEEP_AND_RESTORE}", REFUSED
    if isinstance(problem, sqlite3.Error):
        return f"the database cannot be used: {problem}; run `holdfast doctor`", UNAVAILABLE
    if isinstance(problem, OSError):
        where = f"{problem.filename}: " if problem.filename else ""
        return f"{where}{problem.strerror or problem}; run `holdfast doctor`", UNAVAILABLE
    name = type(problem).__name__
    return f"a defect of holdfast: {name}: {problem}; report it with {DEBUG}", CHECK_FAILED


def _with_advice(message: str, code: int) -> str:
    """What to do about damage, where the message does not say it itself."""
    if code == REFUSED and message.startswith("journal: "):
        return f"{message}; {KEEP_AND_RESTORE}"
    return message


def _known(problem: BaseException) -> int | None:
    """Exit codes of our own errors; imported only now that something went wrong."""
    from actors.config import ConfigError
    from storage.backup import BackupFailed
    from storage.capital import CapitalUnreadable
    from storage.codec import UnknownEventType
    from storage.journal import JournalDamaged
    from storage.schema import ForeignDatabase, SchemaTooNew
    from storage.writer import JournalFailed

    if isinstance(problem, ConfigError):
        return USAGE
    if isinstance(problem, JournalDamaged | SchemaTooNew | UnknownEventType | CapitalUnreadable):
        return REFUSED
    if isinstance(problem, BackupFailed | ForeignDatabase):
        return UNAVAILABLE
    if isinstance(problem, JournalFailed):
        return JOURNAL_FAILED
    return None


if __name__ == "__main__":
    sys.exit(main())
