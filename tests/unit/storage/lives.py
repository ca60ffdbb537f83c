"""Drawn lives: random but legal sequences of orders, fills, voids and ends over both kinds."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st

from fsm.order import LIVE, TABLE, TERMINAL, OrderState, OrderTrigger
from fsm.vocabulary import OrderRole, Side
from tests import strategies
from tests.unit.storage.stories import PERP, SPOT, Story

ORDERS_MAX = 6


@st.composite
def lives(draw: st.DrawFn) -> Story:
    """A story of up to 30 steps, each legal where it stands."""
    story = Story.begun()
    for _ in range(draw(st.integers(1, 30))):
        live = [name for name, order in story.orders.items() if order.state in LIVE]
        if len(story.orders) < ORDERS_MAX and (not live or draw(st.booleans())):
            _intend(draw, story)
        else:
            _step(draw, story, draw(st.sampled_from(sorted(story.orders))))
    return story


def _intend(draw: st.DrawFn, story: Story) -> None:
    instrument = draw(st.sampled_from([SPOT, PERP]))
    owners = sorted({o.position_id for o in story.orders.values() if o.instrument is instrument})
    owner = draw(st.sampled_from([None, *owners]))
    name = f"o{len(story.orders)}"
    story.intend(
        name,
        draw(st.sampled_from(Side)),
        draw(strategies.quantities),
        draw(st.one_of(st.none(), strategies.prices)),
        position_id=owner,
        role=OrderRole.ENTRY if owner is None else draw(st.sampled_from(OrderRole)),
        instrument=instrument,
        leverage=draw(st.sampled_from(["1", "3", "7"])),
    )


def _step(draw: st.DrawFn, story: Story, name: str) -> None:
    """One step that the order's machine allows now."""
    order = story.orders[name]
    choices = ["fill"]
    choices += ["sent"] if order.state is OrderState.INTENDED else []
    choices += ["acknowledged"] if order.state in (OrderState.SUBMITTED, OrderState.UNKNOWN) else []
    choices += ["void"] if order.trades and order.state not in _QUIET else []
    choices += [t for t in _MOVES if TABLE.allows(order.state, t) and order.state not in TERMINAL]
    what = draw(st.sampled_from(choices))
    if what == "fill":
        rest = order.qty - order.filled
        qty = draw(st.sampled_from([rest, rest / 2])) if rest > 0 else Decimal(1)
        fee_asset = draw(st.sampled_from([None, order.instrument.base]))
        story.fill(name, qty, draw(strategies.prices), fee="0.0123", fee_asset=fee_asset)
    elif what == "void":
        story.void(name, draw(st.sampled_from(sorted(order.trades))))
    elif what == "sent":
        story.sent(name)
    elif what == "acknowledged":
        story.acknowledged(name)
    else:
        story.moved(name, OrderTrigger(what))


_MOVES = (
    OrderTrigger.CANCEL_REQUESTED,
    OrderTrigger.ENGINE_CANCEL,
    OrderTrigger.CANCELED,
    OrderTrigger.EXPIRED,
    OrderTrigger.HELD,
    OrderTrigger.OUTCOME_UNKNOWN,
)
_QUIET = (OrderState.INTENDED, OrderState.SUBMITTED, OrderState.WORKING)
