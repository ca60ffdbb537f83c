"""The service over a real socket that is cut, slow, half open and deaf, beside a venue process."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
import trio

from actors.venues.sim import read_truth
from actors.venues.sim.server import open_listener
from tests.kill.harness import Rig
from tests.outage.proxy import Line, Proxy

pytestmark = pytest.mark.slow
#: (how the line is, seconds). The client gives up a half-open line after 15 s of silence.
_PHASES = (
    (Line.GOOD, 3),
    (Line.CUT, 3),
    (Line.GOOD, 4),
    (Line.SLOW, 4),
    (Line.GOOD, 3),
    (Line.DEAF, 4),
    (Line.GOOD, 4),
    (Line.HALF_OPEN, 4),
    (Line.GOOD, 6),
)
_START_S = 4
_RUN_S = sum(seconds for _, seconds in _PHASES) + _START_S


async def _through_the_phases(proxy: Proxy, truth: Path) -> list[int]:
    """How many submits had reached the venue at the end of each phase."""
    submits = []
    for line, seconds in _PHASES:
        proxy.becomes(line)
        await trio.sleep(seconds)
        submits.append(sum(read_truth(truth).submits.values()))
    return submits


async def test_books_equal_the_venue_after_every_kind_of_bad_line() -> None:
    with tempfile.TemporaryDirectory() as folder:
        # Twenty minutes of market data have to last for the run.
        rig = Rig(Path(folder), seed=5, speed="30", connects_to="proxy.sock")
        proxy = Proxy(rig.directory / "venue.sock")
        try:
            listener, _ = open_listener(rig.directory / "proxy.sock", None)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(proxy.serve, listener)
                engine = rig.engine("trade.toml", "--for", f"{_RUN_S}s")
                with trio.fail_after(20):
                    while not proxy.forwarded:
                        await trio.sleep(0.05)
                submits = await _through_the_phases(proxy, rig.truth)
                out, err = await trio.to_thread.run_sync(engine.communicate)
                assert 0 == engine.returncode, err[-2000:]
                settled = rig.engine("settle.toml", "--for", "4s")
                last, err = await trio.to_thread.run_sync(settled.communicate)
                assert 0 == settled.returncode, err[-2000:]
                nursery.cancel_scope.cancel()
            outcome = rig.compare(0, 0)
        finally:
            rig.close()
    assert [] == outcome.problems
    assert "ok" == json.loads(last)["truth"], (out, last)
    # How soon it connects again and is ACTIVE is the back-off's business, and the machine's.
    assert submits[-1] > submits[1] > 0, (submits, "it traded before the first cut, and after")
    assert proxy.connections >= 4
    assert proxy.refused
    assert proxy.swallowed
