"""kill -9 at any moment: what was told durable is there, and the next start goes on from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from actors.lock import DatabaseLock
from storage.journal import JournalReader, check_head
from storage.verify import verify
from storage.writer import JournalWriter

KILLS = 4


def test_nothing_that_was_acknowledged_is_lost_by_a_kill(tmp_path: Path, root: Path) -> None:
    path, last = tmp_path / "a.db", 0
    for round_ in range(KILLS):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.unit.storage.killed_child", str(path)],
            stdout=subprocess.PIPE,
            cwd=root,
            text=True,
        ) as child:
            assert child.stdout is not None
            told = [child.stdout.readline() for _ in range(5 + 11 * round_)]
            child.kill()
            told += child.stdout.read().splitlines(keepends=True)
        _wait_for_its_writer(path)
        whole = [line.split() for line in told if line.endswith("\n")]
        turn, seq = (int(word) for word in whole[-1])
        reader = JournalReader.open(path)
        check_head(reader, path)
        assert reader.head().seq >= seq > last
        assert reader.head().turn >= turn
        reader.close()
        assert () == verify(path).problems
        last = seq
    writer = JournalWriter(path)
    writer.project_all()
    assert 0 == writer.projection_lag
    writer.close()


def _wait_for_its_writer(path: Path) -> None:
    """What the killed one had sent is committed before anybody else may write."""
    lock = DatabaseLock(path)
    assert lock.acquire()
    lock.release()
