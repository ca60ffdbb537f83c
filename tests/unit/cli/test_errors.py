"""Every failure is one line on standard error and the contract's exit code."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.cli import main as main_module
from actors.cli.main import described
from storage.journal import JournalDamaged
from storage.schema import SCHEMA_VERSION, SchemaTooNew
from storage.writer import JournalFailed
from tests.unit.cli.conftest import Hold

COMMANDS = (
    ("status",),
    ("orders",),
    ("positions",),
    ("fills",),
    ("account",),
    ("sessions",),
    ("events",),
    ("explain", "1"),
    ("verify",),
    ("rebuild",),
)


def _missing(path: Path) -> None:
    pass


def _folder(path: Path) -> None:
    path.mkdir()


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database\n" * 200)


def _empty(path: Path) -> None:
    path.touch()


def _foreign(path: Path) -> None:
    conn = sqlite3.connect(path)
    conn.execute("CREATE TABLE notes (text)")
    conn.commit()
    conn.close()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("make", [_missing, _folder, _garbage, _empty, _foreign])
def test_what_is_no_database_is_unavailable(
    hold: Hold, tmp_path: Path, make: Callable[[Path], None], command: tuple[str, ...]
) -> None:
    path = tmp_path / "x.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    outcome = hold(*command, "--db", path)
    assert 4 == outcome.code
    assert str(path) in outcome.error
    assert before == (path.read_bytes() if path.is_file() else None)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_newer_schema_is_refused(hold: Hold, database: Path, command: tuple[str, ...]) -> None:
    conn = sqlite3.connect(database)
    conn.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    conn.close()
    outcome = hold(*command, "--db", database)
    assert 3 == outcome.code
    assert "newer" in outcome.error


@pytest.mark.parametrize(
    "tokens",
    [
        ("statsu",),
        ("status", "--jsno"),
        ("status", "--db"),
        ("explain",),
        ("orders", "extra"),
        ("status", "--config", "missing.toml"),
        ("config", "explain", "risk.stop_pc"),
    ],
)
def test_wrong_usage_is_one_line_and_2(hold: Hold, tokens: tuple[str, ...]) -> None:
    outcome = hold(*tokens)
    assert 2 == outcome.code
    assert outcome.error.startswith("holdfast: ")


def test_usage_errors_name_what_was_meant(hold: Hold) -> None:
    assert "status" in hold("statsu").error
    assert "risk.stop_pct" in hold("config", "explain", "risk.stop_pc").error


def test_a_broken_configuration_names_file_and_line(hold: Hold) -> None:
    Path("holdfast.toml").write_text("[risk]\nstop_pc = 1\n")
    outcome = hold("status")
    assert 2 == outcome.code
    assert "holdfast.toml:2" in outcome.error
    assert "risk.stop_pct" in outcome.error


def test_debug_shows_the_traceback(hold: Hold, tmp_path: Path) -> None:
    outcome = hold("status", "--db", tmp_path / "none.db", "--debug")
    assert 4 == outcome.code
    assert "Traceback" in outcome.err


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (JournalDamaged("x"), 3),
        (SchemaTooNew("x"), 3),
        (JournalFailed("x"), 6),
        (KeyboardInterrupt(), 130),
        (PermissionError(13, "Permission denied", "x.db"), 4),
        (sqlite3.OperationalError("unable to open"), 4),
        (RuntimeError("two\nlines"), 1),
    ],
)
def test_each_error_has_its_exit_code(
    hold: Hold, monkeypatch: pytest.MonkeyPatch, problem: BaseException, code: int
) -> None:
    def fails(*_: object, **__: object) -> int:
        raise problem

    monkeypatch.setattr(main_module, "app", fails)
    outcome = hold("status")
    assert code == outcome.code == described(problem)[1]
    assert outcome.error


@pytest.mark.parametrize("tokens", [(), ("--help",), ("status", "--help"), ("--version",)])
def test_help_and_version_are_no_errors(hold: Hold, tokens: tuple[str, ...]) -> None:
    outcome = hold(*tokens)
    assert (0, "") == (outcome.code, outcome.err)
    assert outcome.out


# ------------------------------------------------------------------------------- as a process


def _command(root: Path, *tokens: object) -> list[str]:
    return [sys.executable, "-m", "actors.cli.main", *(str(token) for token in tokens)]


def _environment(root: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(root)}


def test_a_process_reports_on_the_right_streams(root: Path, history: Path, tmp_path: Path) -> None:
    for tokens, code in (
        (("orders", "--db", history, "--json"), 0),
        (("status", "--db", tmp_path / "none.db"), 4),
        (("nonsense",), 2),
    ):
        done = subprocess.run(
            _command(root, *tokens), cwd=tmp_path, env=_environment(root), capture_output=True
        )
        assert code == done.returncode
        assert (b"" if code else done.stdout) == done.stdout
        assert (1 if code else 0) == len(done.stderr.splitlines())


def test_following_ends_with_ctrl_c(root: Path, history: Path, tmp_path: Path) -> None:
    command = _command(root, "events", "--follow", "--json", "--db", history)
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=_environment(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A background job of a plain shell hands its children SIGINT as ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"{")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (0, b"") == (process.returncode, err)


def test_a_reader_that_goes_away_is_no_error(root: Path, history: Path, tmp_path: Path) -> None:
    command = _command(root, "events", "--json", "--db", history)
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=_environment(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"" == process.stderr.read()
    assert 0 == process.returncode


def test_help_imports_no_engine(root: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from actors.cli.main import main; main(['--help']);"
        "print([m for m in ('trio', 'transitions', 'sqlite_utils', 'actors.engine')"
        " if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=_environment(root), capture_output=True
    )
    assert b"[]" == done.stderr.strip()


def test_control_characters_of_a_data_file_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "odd.csv"
    row = "1700000000,\x1b[2JBTC,100,101,1,1"
    path.write_text(f"timestamp,instrument,bid,ask,bid_size,ask_size\n{row}\n")
    main_module.main(["data", "check", str(path)])
    assert 2 == main_module.main(
        ["run", "--data", str(path), "--speed", "max", "--db", str(tmp_path / "a.db")]
    )
    told = capsys.readouterr()

    assert "\x1b" not in told.out + told.err
    assert "\\x1b[2JBTC" in told.out
