"""One pass in progress: what was asked, what came back, and what is still to be done with it.

All of it is transient: a pass that is cut off by the end of its process is begun anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal

from attrs import define, field

from actors.effects import TellLater
from actors.entities.order import Order
from actors.reconciling.notes import PassGoesOn
from actors.runtime.actor import Decision
from actors.world import World
from fsm import facts
from fsm.order import OrderState
from fsm.requests import Query
from fsm.vocabulary import OrderRole

START, ORDERS, BOOKS = "start", "orders", "books"
#: What one turn of a pass does at most: messages to tell, and things only looked at (L9).
TOLD_MAX, LOOKED_MAX = 64, 1_024
Looks = tuple[OrderState, str | None, Decimal]


@define(slots=True)
class Work:
    """Something that may take many turns: `steps` gives a message to tell, or None where nothing
    follows; `done` gets the decision of the turn that takes the last step."""

    steps: Iterator[object | None]
    done: Callable[[Decision], None] = lambda decision: None


def looks(order: Order) -> Looks:
    """What a fact may have changed since a question left. Where it did, an absence is older than
    what is known, and counts for nothing: a snapshot races the stream (L3)."""
    return order.state, order.venue_order_id, order.filled_qty


@define(slots=True)
class Pass:
    """One pass: scope, what the orders looked like when it began, answers, and its stage."""

    scope: str
    number: int
    started_us: int
    begun: dict[str, Looks]
    """What each order looked like when the pass began: see `looks`."""
    states: dict[str, OrderState] = field(init=False)
    opening: bool = False
    """The books are empty: what the account did before is in its opening balances (X12)."""
    accepts_divergence: bool = False
    began: dict[str, None] = field(factory=dict)
    waiting: dict[str, Query] = field(factory=dict)
    work: deque[Work] = field(factory=deque)
    listing: tuple[facts.VenueOrder, ...] | None = None
    open_orders: dict[str, facts.VenueOrder] | None = None
    """The listing by our names, filled while it is gone through."""
    fills_answered: dict[str, None] = field(factory=dict)
    stuck: dict[str, None] = field(factory=dict)
    """Instruments with a moment of more fills than a page can hold."""
    failures: list[str] = field(factory=list)
    answered: int = 0
    missing: list[str] = field(factory=list)
    looked: dict[str, Looks] = field(factory=dict)
    """What each order looked like when the question about it left: see `looks`."""
    left_out: int = 0
    """Missing orders that are not asked for in this pass: their turn comes in the next."""
    ended: list[tuple[str, facts.VenueOrder]] = field(factory=list)
    absent: dict[str, str] = field(factory=dict)
    """Orders that the venue does not know by their id, and its words."""
    unclaimed: list[facts.VenueOrder] = field(factory=list)
    """Open orders without a client's id that may be ours, and are not adopted therefore."""
    refetch: dict[str, int] = field(factory=dict)
    """Instruments whose fills are asked for again, and since when."""
    short: dict[str, Decimal] = field(factory=dict)
    """Orders of which the venue says that more is filled than was booked, and how much."""
    vain: dict[str, int] = field(factory=dict)
    searched: dict[str, None] = field(factory=dict)
    """Orders whose fills this pass has searched for far back, as their absence would be a proof."""
    contested: dict[str, tuple[int, str]] = field(factory=dict)
    """Where something of nobody fits such an order: when that was found, in any pass, and what."""
    balances: dict[str, Decimal] | None = None
    positions: tuple[facts.PositionReport, ...] | None = None
    round_ok: bool = False
    """Orders and fills of the round were complete when the books' turn came (N21)."""
    books_seq: int = -1
    looks_at_books: int = 0
    newest_us: int = 0
    books_us: int = 0
    """When the balances were asked for."""
    """The greatest venue time of a fill in the opening pass: it is in the opening balances."""
    stage: str = "sweep"

    def __attrs_post_init__(self) -> None:
        self.states = {name: look[0] for name, look in self.begun.items()}

    @property
    def is_complete(self) -> bool:
        """Everything that was asked was answered, and everything that is missing was asked for."""
        return not self.failures and not self.left_out

    def agrees_on(self, order: Order, world: World) -> bool:
        """Open orders and fills have answered: an absence by id has its witnesses."""
        return self.open_orders is not None and self.has_fills_of(order, world)

    def has_fills_of(self, order: Order, world: World) -> bool:
        """Fills of its instrument have answered. They are not asked for where we do not trade:
        of an external order there only the lists tell."""
        elsewhere = order.role is OrderRole.EXTERNAL and order.instrument not in world.instruments
        return elsewhere or order.instrument in self.fills_answered

    def is_as_asked(self, order: Order) -> bool:
        """Whether no fact came about the order since the question left."""
        return self.looked.get(order.client_order_id) == looks(order)

    def is_as_begun(self, order: Order) -> bool:
        """Whether no fact came about the order since the pass began: the list of open orders may
        be from before it."""
        return self.begun.get(order.client_order_id) in (None, looks(order))

    def go_on(self, decision: Decision) -> bool:
        """Do what one turn may do; True when nothing is left. The rest comes behind everything
        that waits by then, when this turn is durable: a command or a fact goes first (L9)."""
        looked = 0
        while self.work:
            work = self.work[0]
            for step in work.steps:
                looked += 1
                if step is not None:
                    decision.tells.append(step)
                if looked >= LOOKED_MAX or len(decision.tells) >= TOLD_MAX:
                    decision.effects.append(TellLater(PassGoesOn(self.number)))
                    return False
            self.work.popleft()
            work.done(decision)
        return True
