"""Are the books what the venue has? A pure comparison of balances and positions (wallet truth)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from actors.world import World
from fsm.facts import PositionReport
from fsm.money import ZERO, plain

#: Below this an asset's difference is rounding.
NOISE = Decimal("0.000001")


def tolerance(total: Decimal) -> Decimal:
    """The larger of 1e-4 and 5 bps: beyond it the books are wrong."""
    return max(Decimal("0.0001"), abs(total) * Decimal("0.0005"))


def compare_books(
    balances: Mapping[str, Decimal] | None,
    positions: tuple[PositionReport, ...] | None,
    world: World,
    *,
    raced: bool,
) -> tuple[str, dict[str, str], str] | None:
    """(status, deltas venue minus books, one line), or None when the books moved meanwhile.

    `ok`; `warn` for a difference within tolerance; `halt` beyond it; `unverified` without answer.
    """
    margined = any(spec.is_margined for spec in world.instruments.values())
    if balances is None or (margined and positions is None):
        return "unverified", {}, "the venue did not answer"
    if raced:
        return None
    deltas: dict[str, Decimal] = {}
    status = "ok"
    for asset in sorted(set(world.ledger.totals) | set(balances)):
        ours, theirs = world.ledger.totals.get(asset, ZERO), balances.get(asset, ZERO)
        if abs(theirs - ours) > NOISE:
            deltas[asset] = theirs - ours
            wrong = abs(theirs - ours) > tolerance(ours)
            status = "halt" if wrong or status == "halt" else "warn"
    for name, delta in _position_deltas(positions or (), world).items():
        deltas[name] = delta
        status = "halt"
    texts = {name: plain(delta) for name, delta in deltas.items()}
    detail = ", ".join(
        f"{name} {text} at the venue against the books" for name, text in texts.items()
    )
    return status, texts, detail or "books equal the venue"


def _position_deltas(positions: tuple[PositionReport, ...], world: World) -> dict[str, Decimal]:
    ours: dict[str, Decimal] = {}
    for position in world.positions.values():
        spec = world.instruments.get(position.instrument)
        if spec is not None and spec.is_margined:
            ours[position.instrument] = ours.get(position.instrument, ZERO) + position.qty
    theirs = {report.instrument: report.qty for report in positions}
    names = sorted(set(ours) | set(theirs))
    deltas = {name: theirs.get(name, ZERO) - ours.get(name, ZERO) for name in names}
    return {name: delta for name, delta in deltas.items() if delta != 0}
