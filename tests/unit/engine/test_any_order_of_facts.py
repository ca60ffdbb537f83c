"""Any interleaving of facts for one order and its position: the books are what the venue did.

Hypothesis draws what the venue did and in which order it says so (doubled, late, lost until the
reconciler asks, with commands and kills in between); one run plays it, and a model of a few lines
says what must come out.
"""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path

from attrs import frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors import messages as msg
from fsm import events as ev
from fsm import facts
from fsm.order import TERMINAL
from fsm.position import ENDED
from fsm.vocabulary import FillStatus
from tests.unit.engine.handmade import Bench, reported

D = Decimal


@frozen
class Play:
    """What the venue did, and how we hear of it."""

    fills: tuple[int, ...]
    voided: bool
    ended: str
    script: tuple[tuple[str, int], ...]


STEPS = ("fill", "fill", "fill", "void", "settle", "accept", "end", "refuse", "cancel",
         "degrade", "restart", "pass", "wait", "quote")  # fmt: skip
PLAYS = st.builds(
    Play,
    fills=st.lists(st.integers(1, 4), max_size=4).map(tuple),
    voided=st.booleans(),
    ended=st.sampled_from(("open", "canceled", "expired")),
    script=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 3)), max_size=18).map(tuple),
)


def said(bench: Bench, play: Play, what: str, number: int) -> None:
    """One step of the script; what the venue did not do it does not say."""
    count = len(play.fills)
    if what == "fill" and number < count:
        status = FillStatus.PROVISIONAL if number == 0 and play.voided else FillStatus.SETTLED
        bench.fill(f"t{number}", str(play.fills[number]), status=status)
    elif what == "void" and play.voided and count:
        bench.say(facts.FillVoided(trade_id="t0", client_order_id="a"))
    elif what == "settle" and 0 < number < count:
        bench.say(facts.FillSettled(trade_id=f"t{number}", client_order_id="a"))
    elif what == "accept":
        bench.accept()
    elif what == "end" and play.ended != "open":
        kind = facts.OrderCanceled if play.ended == "canceled" else facts.OrderExpired
        bench.say(kind(client_order_id="a"))
    elif what == "refuse":
        bench.say(facts.CancelRefused(client_order_id="a", reason="too late"))
    elif what == "cancel":
        bench.do(msg.CancelOrder("a", "test"))
    elif what == "degrade":
        bench.tell(msg.Degrade(f"test{number}"))
    elif what == "restart":
        bench.restart()
    elif what == "pass":
        bench.tell(msg.PassDue("orders"))
    elif what == "wait":
        bench.wait(number)
    elif what == "quote":
        bench.quote(str(D("0.5") + D(number) / 5), str(D("0.6") + D(number) / 5))


def fills_everything(bench: Bench) -> None:
    """The venue fills whatever exits left, so that only the entry stays open to question."""
    for _ in range(50):
        live = [o for o in bench.engine.world.live_orders() if o.client_order_id != "a"]
        if not live:
            return
        for order in live:
            bench.fill(f"x-{order.client_order_id}", str(order.rest), order.client_order_id)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(play=PLAYS)
def test_the_books_are_what_the_venue_did_however_it_was_told(play: Play) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        bench.venue.balances = lambda: bench.engine.world.ledger.totals
        bench.place(stop=D("0.55"), qty=D(10))
        for what, number in play.script:
            said(bench, play, what, number)
        # The rest is told in the end, by the stream or by whoever asks.
        for number in range(len(play.fills)):
            said(bench, play, "fill", number)
        said(bench, play, "void", 0)
        if play.ended == "open":
            bench.venue.open = {"a": reported(filled="0")}
        else:
            said(bench, play, "end", 0)
        bench.tell(msg.PassDue("orders"))
        fills_everything(bench)

        real = [*play.fills[1:], 0 if play.voided and play.fills else (play.fills or (0,))[0]]
        order = bench.order()
        assert D(sum(real)) == order.filled_qty
        if play.ended != "open" or sum(play.fills) >= 10:
            assert order.state in TERMINAL
        out = [e for e in bench.events(ev.OrderFilled) if e.client_order_id != "a"]
        sold = sum((-e.side.sign * e.qty for e in out), D(0))
        position = bench.position()
        assert D(sum(real)) - sold == position.qty
        assert (position.qty == 0) or position.state not in ENDED
        assert D(1000) + D(sum(real)) - sold == bench.engine.world.ledger.totals["XRP"]
        assert {} == bench.engine.system.quarantine
        assert bench.engine.dispatcher.failed is None
        bench.proven()

        memory, totals = position, dict(bench.engine.world.ledger.totals)
        bench.venue.open = None
        bench.restart()
        again = bench.position()
        assert (memory.qty, memory.basis, memory.state) == (again.qty, again.basis, again.state)
        assert totals == bench.engine.world.ledger.totals
        bench.kill()
