"""Beside a running service: snapshots at intervals, and the chain's older part checked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from actors import fold, snapshot_process
from actors import messages as msg
from actors.engine import Engine
from actors.snapshot import snapshot_path, snapshot_seq
from actors.upkeep import Upkeep
from storage.journal import Head
from tests.engines import run_synthetic, simulated_engine

PATIENCE_S = 60


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    running = simulated_engine(tmp_path)
    run_synthetic(running, 30)
    assert running.engine.writer.head.seq > 20
    yield running.engine
    running.engine.close()


async def until(done: trio.Event, upkeep: Upkeep) -> None:
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(upkeep.run)
            await done.wait()
            nursery.cancel_scope.cancel()


def _told(upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch, times: int = 1) -> trio.Event:
    """Set when so many processes of the upkeep have ended."""
    ended, count, real = trio.Event(), 0, Upkeep._process

    async def watched(self: Upkeep, command: list[str]) -> object:
        nonlocal count
        done = await real(self, command)
        count += 1
        if count == times:
            ended.set()
        return done

    monkeypatch.setattr(Upkeep, "_process", watched)
    return ended


async def test_a_snapshot_is_made_when_enough_has_happened(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    upkeep = Upkeep(engine, snapshot_events=20)
    await until(_told(upkeep, monkeypatch), upkeep)

    assert engine.writer.head.seq == snapshot_seq(engine.settings.database)


async def test_without_an_interval_none_is_made(engine: Engine) -> None:
    await Upkeep(engine, snapshot_events=0).run()

    assert not snapshot_path(engine.settings.database).exists()


@pytest.mark.parametrize("command", [["/nowhere/python"], ["python3", "-c", "raise SystemExit(3)"]])
async def test_a_snapshot_that_fails_is_tried_again_later_and_hurts_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr(snapshot_process, "command", lambda database: command)
    upkeep = Upkeep(engine, snapshot_events=1)
    waiting = len(engine.inbox)
    await until(_told(upkeep, monkeypatch), upkeep)

    assert waiting == len(engine.inbox)
    assert not snapshot_path(engine.settings.database).exists()


@pytest.mark.parametrize("damaged", [False, True])
async def test_damage_in_the_older_part_of_the_chain_halts(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    database, head = engine.settings.database, engine.writer.head
    if damaged:
        engine.writer.conn.execute("UPDATE journal SET at_us = at_us + 1 WHERE seq = 5")
    engine.fold = fold.Folded(head, Head(head.seq, head.hash, head.turn))
    upkeep = Upkeep(engine, snapshot_events=0)
    with trio.fail_after(PATIENCE_S):
        await upkeep.run()

    assert ([msg.Halt("journal_damaged")] if damaged else []) == list(engine.inbox.local)
    told = [alert.text for alert in engine.release.alerts if alert.token == "JOURNAL_DAMAGED"]
    assert (["journal: the hash chain breaks at seq 5"] if damaged else []) == told
    assert database.exists()
    with sqlite3.connect(database) as conn:
        conn.execute("UPDATE journal SET at_us = at_us - ? WHERE seq = 5", (int(damaged),))
    conn.close()
