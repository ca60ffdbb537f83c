"""The published account: one frozen view, swapped by one reference, as of durable state only.

A view is taken when a turn that moved the account was handed to the journal, while its commit is
under way, and takes the place of the last one when that turn is durable. A turn whose commit
failed is never published. Under load at most one view is waiting: turns that follow meanwhile are
in the next one.
"""

from __future__ import annotations

from actors.world import World
from storage.account_view import AccountView


class Publishing:
    """Takes the views and swaps them in; who reads looks at `World.account`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: tuple[int, AccountView] | None = None

    def handed_over(self, seq: int) -> None:
        """A turn that ends with this event is on its way to the journal."""
        if self._waiting is None and self._has_moved:
            self._waiting = seq, self._world.ledger.view()

    def durable(self, seq: int) -> None:
        """Everything up to this event is durable."""
        if self._waiting is not None and self._waiting[0] <= seq:
            self._world.account = self._waiting[1]
            self._waiting = None
        if self._waiting is None and seq == self._world.seq and self._has_moved:
            # Nothing was decided since: the ledger is what is durable.
            self._world.account = self._world.ledger.view()

    @property
    def _has_moved(self) -> bool:
        return self._world.account.event_seq != self._world.ledger.seq
