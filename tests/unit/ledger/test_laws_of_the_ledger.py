"""What no sequence of facts may break: rebuild = live, conservation, a basis without a market.

Hypothesis draws what the venue did and what the operator booked; a real engine plays it, with kills
and duplicates in between. The sums that the account is held against are made here, from the
journal's own events and in another way.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors import messages as msg
from fsm import events as ev
from fsm import facts
from fsm.instrument import Instrument
from fsm.vocabulary import CapitalKind, FillStatus, OrderRole, Side
from tests.unit.ledger.rigs import PAIR, PERP, SPOT, Account, D, rebuilt, remembered

#: Bases are divided at 28 digits; amounts here have less than nine.
ROUNDING = D("1e-15")
PRICES = ("0.7", "0.9", "1", "1.0001", "1.3")
PARTS = st.integers(0, 4)
PARTS_AND_PRICE = PARTS, st.sampled_from(PRICES)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("place"), st.sampled_from(list(Side)), st.integers(1, 9), PARTS, PARTS),
        st.tuples(st.just("fill"), st.integers(0, 5), *PARTS_AND_PRICE),
        st.tuples(st.just("exit"), st.integers(0, 5), *PARTS_AND_PRICE),
        st.tuples(st.just("exit"), st.integers(0, 5), *PARTS_AND_PRICE),
        st.tuples(st.just("exit"), st.integers(0, 5), PARTS, st.none()),
        st.tuples(st.just("void"), st.integers(0, 9)),
        st.tuples(st.just("void"), st.integers(0, 9)),
        st.tuples(st.just("settle"), st.integers(0, 9), st.sampled_from(["", "pnl", "fee"])),
        st.tuples(st.just("capital"), st.sampled_from(["deposit", "withdrawal", "realignment"]),
                  st.sampled_from(["USD", "XRP"]), st.integers(1, 300)),
        st.tuples(st.just("commit")),
        st.tuples(st.just("convert"), st.booleans(), st.integers(1, 20)),
        st.tuples(st.just("funding"), st.integers(-3, 3)),
        st.tuples(st.just("wallet"), st.integers(-2, 9)),
        st.tuples(st.just("quote"), st.sampled_from(PRICES)),
        st.tuples(st.just("again"), st.integers(0, 20)),
        st.tuples(st.just("restart")),
    ),
    max_size=30,
)  # fmt: skip
QUIET = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


class Life:
    """One account and what was said about it."""

    def __init__(self, folder: Path, instrument: Instrument) -> None:
        self.account = Account(folder, instrument, {"USD": D(1000), "XRP": D(100)})
        self.bench, self.said = self.account.bench, list[Any]()
        self.count = 0

    @property
    def ledger(self) -> Any:
        return self.bench.engine.world.ledger

    def say(self, fact: Any) -> None:
        self.said.append(fact)
        self.bench.say(fact)

    def orders(self) -> list[str]:
        return [event.client_order_id for event in self.bench.events(ev.OrderIntended)]

    def fills(self) -> list[Any]:
        return [fact for fact in self.said if isinstance(fact, facts.OrderFill)]

    def do(self, step: tuple[Any, ...]) -> None:
        """One step; what is not possible where it stands is left out."""
        getattr(self, f"_{step[0]}")(*step[1:])

    def _place(self, side: Side, qty: int, first: int, second: int) -> None:
        self.count += 1
        name = f"o{self.count}"
        self.bench.place(name, side=side, qty=D(qty), role=OrderRole.ENTRY)
        self._filled(name, first, PRICES[first])
        self._filled(name, second, PRICES[second])

    def _fill(self, number: int, quarters: int, price: str) -> None:
        names = self.orders()
        if names:
            self._filled(names[number % len(names)], quarters, price)

    def _filled(self, name: str, quarters: int, price: str | None) -> None:
        if not quarters or name not in self.orders():
            return
        order = self.bench.order(name)
        self.count += 1
        fact = facts.OrderFill(
            trade_id=f"t{self.count}",
            client_order_id=order.client_order_id,
            qty=order.qty * quarters / 4,
            price=None if price is None else D(price),
            fee=D("0.01") * (quarters - 2),
            fee_asset="USD" if quarters % 2 else None,
            status=FillStatus.PROVISIONAL if quarters == 3 else FillStatus.SETTLED,
            venue_us=self.bench.clock.now_us(),
        )
        self.say(fact)

    def _exit(self, number: int, quarters: int, price: str | None) -> None:
        held = [p for p in self.bench.engine.world.positions.values() if p.qty]
        if not held:
            return
        position = held[number % len(held)]
        self.count += 1
        name = f"x{self.count}"
        self.bench.do(
            msg.PlaceExit(
                position_id=position.position_id,
                client_order_id=name,
                type=msg.OrderType.LIMIT,
                qty=abs(position.qty) * (quarters or 1) / 4,
                limit_price=D(1),
            )
        )
        self._filled(name, 4, price)

    def _void(self, number: int) -> None:
        fills = self.fills()
        if fills:
            fill = fills[number % len(fills)]
            self.say(facts.FillVoided(trade_id=fill.trade_id, client_order_id=fill.client_order_id))

    def _settle(self, number: int, what: str) -> None:
        fills = self.fills()
        if fills:
            fill = fills[number % len(fills)]
            self.say(
                facts.FillSettled(
                    trade_id=fill.trade_id,
                    client_order_id=fill.client_order_id,
                    realized_pnl=D("0.5") if what == "pnl" else None,
                    fee=D("0.03") if what == "fee" else None,
                )
            )

    def _capital(self, kind: str, asset: str, amount: int) -> None:
        signed = -amount if kind == "realignment" and amount % 2 else amount
        self.count += 1
        self.account.book(
            CapitalKind(kind),
            asset,
            str(signed),
            "1.1" if asset == "XRP" else None,
            ref=f"c{self.count}",
            accept_breaches=True,
        )

    def _commit(self) -> None:
        self.account.book(CapitalKind.BASIS_COMMIT)

    def _convert(self, sells: bool, amount: int) -> None:
        self.count += 1
        legs = ("XRP", str(amount), "USD", "5") if sells else ("USD", "5", "XRP", str(amount))
        self.account.convert(*legs, ref=f"c{self.count}", accept_breaches=True)

    def _funding(self, amount: int) -> None:
        if self.bench.instrument.is_margined:
            self.count += 1
            self.say(
                facts.FundingPaid(
                    instrument=PAIR,
                    amount=D(amount) / 10,
                    funding_id=f"f{self.count}",
                    venue_us=self.bench.clock.now_us(),
                )
            )

    def _wallet(self, more: int) -> None:
        total = self.account.total() + more if more >= 0 else D(1 + more)
        self.bench.say(
            facts.BalanceReport(asset="USD", total=total, venue_us=self.bench.clock.now_us())
        )

    def _quote(self, bid: str) -> None:
        self.bench.wait(1)
        self.bench.quote(bid, bid)

    def _again(self, number: int) -> None:
        if self.said:
            self.bench.say(self.said[number % len(self.said)])

    def _restart(self) -> None:
        self.bench.restart()

    # ---------------------------------------------------------------------------------- the laws

    def check(self) -> None:
        """Every law, as of now."""
        assert remembered(self.bench.engine.books) == rebuilt(self.bench.database)
        ledger = self.ledger
        assert ledger.recomputed() == ledger.running()
        assert [] == list(self.bench.engine.system.quarantine)
        events = self.bench.events(*ev.EVENT_TYPES.values())
        self._check_sums(events)
        self._check_conserved(events)

    def _check_sums(self, events: list[Any]) -> None:
        """Each figure once more, as a plain sum over its events."""
        view = self.account.view
        changed = [e for e in events if isinstance(e, ev.PositionChanged)]
        capital = [e for e in events if isinstance(e, ev.CapitalRecorded)]
        assert sum((e.realized_delta for e in changed), D(0)) == view.realized_pnl
        assert sum((e.fee_quote for e in changed), D(0)) == view.fees_paid
        assert sum(view.realized_by.values(), D(0)) == view.realized_pnl
        paid = [e.amount for e in events if isinstance(e, ev.FundingBooked)]
        assert sum(paid, D(0)) == view.funding
        assert sum((e.basis_delta or D(0) for e in capital), D(0)) == view.net_basis

    def _check_conserved(self, events: list[Any]) -> None:
        """Cash is what came, what trades paid, and what they cost; holdings stand at cost."""
        came = {"USD": D(0), "XRP": D(0)}
        for e in events:
            if isinstance(e, ev.CapitalRecorded):
                came[e.asset] += e.amount
            elif isinstance(e, ev.ConversionBooked):
                came[e.from_asset] -= e.from_amount
                came[e.to_asset] += e.to_amount
        ledger, view = self.ledger, self.account.view
        names = {e.position_id for e in events if isinstance(e, ev.PositionOpened)}
        found = [self.bench.engine.books.position(name) for name in sorted(names)]
        positions = [position for position in found if position is not None]
        if any(position.unpriced for position in positions):
            return  # what it brought nobody knows yet
        held = sum((p.qty for p in positions), D(0))
        earned = view.realized_pnl + view.funding - view.fees_paid
        if self.bench.instrument.is_margined:
            assert came["XRP"] == ledger.totals.get("XRP", D(0))
            net = ledger.net(PAIR)
            assert held == net.qty
            at_cost = sum((p.qty * p.basis for p in positions if p.basis is not None), D(0))
            ours = net.qty * net.basis if net.basis is not None else D(0)
            # What the venue has realized over ours it holds at another cost.
            assert abs(ledger.totals["USD"] - came["USD"] - earned - (ours - at_cost)) < ROUNDING
            return
        assert came["XRP"] + held == ledger.totals.get("XRP", D(0))
        at_cost = sum((p.qty * p.basis for p in positions if p.basis is not None), D(0))
        assert abs(ledger.totals["USD"] + at_cost - came["USD"] - earned) < ROUNDING


@pytest.mark.slow
@pytest.mark.parametrize("instrument", [SPOT, PERP], ids=["spot", "perpetual"])
@QUIET
@given(steps=STEPS)
def test_a_rebuild_is_the_live_state_and_value_is_conserved(
    instrument: Instrument, steps: list[tuple[Any, ...]]
) -> None:
    with tempfile.TemporaryDirectory(prefix="holdfast-ledger-") as folder:
        life = Life(Path(folder), instrument)
        for step in steps:
            basis = life.account.view.net_basis
            life.do(step)
            if step[0] not in ("capital", "commit"):
                assert basis == life.account.view.net_basis, step
        life.check()
        before = attrs.evolve(life.account.view, event_seq=0)
        for fact in list(life.said):
            life.bench.say(fact)
        assert before == attrs.evolve(life.account.view, event_seq=0)
        life.bench.restart()
        life.check()
        life.bench.proven()
        life.bench.kill()
