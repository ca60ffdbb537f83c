"""Checks the hash chain in a process of its own, beside a fold or a running service.

`python -P -m storage.chain_check DATABASE FROM TO`: exit 0 when every row from the first to the
last is there and hangs on the one before, 3 with one line on standard error when not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from storage.journal import Head, JournalDamaged, JournalReader

DAMAGED = 3


def command(database: Path, start: Head, last_seq: int) -> list[str]:
    """What to run to check the rows behind `start` up to `last_seq`."""
    module = [sys.executable, "-P", "-m", "storage.chain_check", str(database)]
    return [*module, str(start.seq), start.hash.hex(), str(last_seq)]


class ChainCheck:
    """One check that goes on while the caller does something else."""

    def __init__(self, database: Path, start: Head, last_seq: int) -> None:
        self._process = subprocess.Popen(
            command(database, start, last_seq),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def result(self) -> None:
        """Wait for its end. Raises JournalDamaged when the chain breaks, or was not looked at."""
        _, told = self._process.communicate()
        code = self._process.returncode
        if code:
            raise JournalDamaged(what_it_told(code, told))

    def stop(self) -> None:
        """End it without a result."""
        self._process.kill()
        self._process.communicate()


def what_it_told(code: int, told: bytes) -> str:
    """The one line of a check that did not end well."""
    lines = told.decode(errors="replace").splitlines()
    if code == DAMAGED and lines:
        return lines[-1]
    return f"journal: the check of its chain ended with {code}: {lines[-1] if lines else 'no word'}"


def main(arguments: list[str]) -> int:
    """Check, and say what breaks."""
    database, seq, hash_, last_seq = arguments
    os.nice(5)
    reader = JournalReader.open(Path(database))
    try:
        reader.check_chain(Head(int(seq), bytes.fromhex(hash_)), int(last_seq))
    except JournalDamaged as damage:
        print(damage, file=sys.stderr)
        return DAMAGED
    finally:
        reader.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
