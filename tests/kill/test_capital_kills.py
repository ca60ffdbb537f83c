"""A capital command that is killed has booked its event whole or not at all and may be repeated."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from actors.cli.main import main
from actors.venues.sim import read_truth
from storage.journal import JournalReader
from storage.verify import verify

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
AMOUNT = Decimal(50)
_POINTS_MAX = 30
_ROUNDS = 3


def started(module: str, *words: str, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", module, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def hold(folder: Path, *words: str) -> tuple[int, Any]:
    """One command to its end, in this process: exit code and its document, or its error."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([*words, "--db", str(folder / "book.db"), "--json"])
    return code, json.loads(out.getvalue()) if out.getvalue() else err.getvalue()


def booking(action: str, ref: str) -> tuple[str, ...]:
    return "capital", action, "USDT", str(AMOUNT), "--ref", ref, "--confirm"


@frozen
class Seen:
    """What the books and the venue say."""

    rows: int
    events: int
    balance: Decimal
    net_basis: Decimal
    at_venue: Decimal


def look(folder: Path, ref: str) -> Seen:
    """As the files have it: the journal's rows, the table's, the figures, the venue's record."""
    reader = JournalReader.open(folder / "book.db")
    booked = [at.event for at in reader.events(types=("CapitalRecorded",)) if at.event.ref == ref]
    reader.close()
    code, shown = hold(folder, "capital", "show")
    assert 0 == code, shown
    account = shown["account"]
    return Seen(
        rows=len(booked),
        events=sum(row["ref"] == ref for row in shown["events"]),
        balance=Decimal(account["balances"]["USDT"]["total"]),
        net_basis=Decimal(account["net_basis"]),
        at_venue=read_truth(folder / "book.db.venue").balances["USDT"],
    )


def all_or_nothing(before: Seen, after: Seen, amount: Decimal, basis: Decimal) -> bool:
    """Whether it is booked; nothing in between is allowed. The venue is first."""
    nothing = (0, 0, before.balance, before.net_basis)
    everything = (1, 1, before.balance + amount, before.net_basis + basis)
    found = (after.rows, after.events, after.balance, after.net_basis)
    assert found in (nothing, everything)
    assert after.at_venue in (before.at_venue, before.at_venue + amount)
    booked = found == everything
    assert not booked or after.at_venue == before.at_venue + amount, "booked, and not transferred"
    return booked


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A database that has traded a little and is flat of anything in flight."""
    assert 0 == hold(tmp_path, "run", "--for", "10s", "--speed", "max")[0]
    yield tmp_path
    problems = verify(tmp_path / "book.db").problems
    assert not problems


def test_killed_between_any_two_commits_it_is_booked_whole_or_not_at_all(
    folder: Path,
) -> None:
    outcomes = []
    for point in range(_POINTS_MAX):
        action, sign = ("deposit", 1) if point % 4 < 2 else ("withdraw", -1)
        ref = f"tx-{point}"
        before = look(folder, ref)
        words = booking(action, ref)
        killed = started(
            "tests.kill.capital_child", str(point), *words, "--db", "book.db", folder=folder
        )
        killed.communicate(timeout=60)
        basis = _basis_of(folder, words, before)
        booked = all_or_nothing(before, look(folder, ref), sign * AMOUNT, basis)
        outcomes.append(booked)
        for _ in range(2):
            assert 0 == hold(folder, *words)[0]
        assert all_or_nothing(before, look(folder, ref), sign * AMOUNT, basis)
        if killed.returncode == 0:
            break
        assert -signal.SIGKILL == killed.returncode
    assert killed.returncode == 0, "there were more commits than points"
    assert {True, False} == set(outcomes)
    assert len(outcomes) > 6, "before and after: the venue, the journal, the tables, the head"


def _basis_of(folder: Path, words: tuple[str, ...], before: Seen) -> Decimal:
    """What the command does to the basis; what it did, where it is booked."""
    code, plan = hold(folder, *words[:-1], "--dry-run")
    assert 0 == code, plan
    if "net_basis_after" in plan:
        return Decimal(plan["net_basis_after"]) - Decimal(plan["net_basis_before"])
    return look(folder, words[4]).net_basis - before.net_basis


def test_killed_at_random_it_is_booked_whole_or_not_at_all(folder: Path) -> None:
    rng = random.Random(5)
    words = booking("deposit", "whole")
    begun = time.monotonic()
    whole = started("actors.cli.main", *words, "--db", "book.db", folder=folder)
    whole.communicate(timeout=60)
    took_s = time.monotonic() - begun
    for number in range(_ROUNDS):
        ref = f"tx-{number}"
        before = look(folder, ref)
        words = booking("deposit", ref)
        killed = started("actors.cli.main", *words, "--db", "book.db", folder=folder)
        time.sleep(took_s * rng.uniform(0.5, 1.0))
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        all_or_nothing(before, look(folder, ref), AMOUNT, AMOUNT)
        assert 0 == hold(folder, *words)[0]
        assert all_or_nothing(before, look(folder, ref), AMOUNT, AMOUNT)


def test_a_service_that_is_killed_meanwhile_has_booked_it_whole_or_not_at_all(
    folder: Path,
) -> None:
    rng = random.Random(6)
    (folder / "still.toml").write_text(
        '[strategies.momentum]\ninstrument = "XRP/RLUSD"\nenabled = false\n'
    )
    for number in range(_ROUNDS):
        ref = f"tx-{number}"
        service = started(
            "actors.cli.main", "run", "--db", "book.db", "--config", "still.toml", folder=folder
        )
        _until_it_answers(folder, service)
        before = _told(folder)
        words = booking("deposit", ref)
        command = started("actors.cli.main", *words, "--db", "book.db", folder=folder)
        time.sleep(rng.uniform(0.6, 1.1))
        service.send_signal(signal.SIGKILL)
        service.communicate()
        command.communicate(timeout=60)
        for _ in range(2):
            code, said = hold(folder, *words)
            assert 0 == code, said
        after = look(folder, ref)
        assert (1, 1, before + AMOUNT) == (after.rows, after.events, after.net_basis)
        assert after.balance == after.at_venue


def _told(folder: Path) -> Decimal:
    return Decimal(hold(folder, "account")[1]["net_basis"])


def _until_it_answers(folder: Path, service: subprocess.Popen[bytes]) -> None:
    """Until the service is past its start."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and service.poll() is None:
        code, status = hold(folder, "status")
        if code == 0 and status["mode"]["state"] == "ACTIVE":
            return
    raise AssertionError(f"no service: {service.poll()}")
