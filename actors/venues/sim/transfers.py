"""Funds that come to or leave a simulated account while no venue is running."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from actors.venues.sim.store import TRANSFER
from actors.venues.sim.truth import VenueTruth
from fsm.money import ZERO


def transfer_in_record(path: Path, ref: str, amounts: Mapping[str, Decimal]) -> bool:
    """Move balances in the venue's own file, once for each `ref`; False when it was there already.

    Nobody else may have the file open. Raises ValueError when more is taken than there is, and
    sqlite3.Error when the file cannot be written.
    """
    truth = VenueTruth(path)
    try:
        state = truth.restore()
        if state is None or state.counters.get(TRANSFER + ref):
            return False
        for asset, amount in amounts.items():
            after = state.balances.get(asset, ZERO) + amount
            if after < 0:
                raise ValueError(f"the venue has {state.balances.get(asset, ZERO)} {asset}")
            state.balances[asset] = after
        state.counters[TRANSFER + ref] = 1
        truth.commit(state)
        return True
    finally:
        truth.close()
