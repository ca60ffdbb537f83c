"""wallet_truth: the books are not what the venue has, in the reconciler's own judgement.

The reconciler finds out and says so; this guard keeps the latch and the record, so that it shows
among the others. Switched off, a difference in a running session degrades nothing; the gate at a
start holds whatever is configured.
"""

from __future__ import annotations

from actors import messages as msg
from actors.guards.base import Gauge, Guard, Trip
from actors.runtime.actor import Decision
from actors.world import World


class WalletTruth(Guard):
    """Told by the reconciler."""

    name = "wallet_truth"
    breaker = "wallet_truth_guard"
    token = "WALLET_TRUTH"
    reported = True

    def told(self, what: object, world: World) -> Decision:
        """A difference, or its end."""
        if isinstance(what, msg.Recover):
            if self.is_manual:
                return Decision.ignore("wallet truth: recovers by hand")
            return self._opened("recovered")
        return super().told(what, world)

    def hear(self, what: object, world: World) -> Trip | None:
        """The reconciler asks for DEGRADED."""
        assert isinstance(what, msg.Degrade)
        self.observations += 1
        return Trip(what.condition, {"detail": what.condition})

    def trips(self, world: World) -> Trip | None:
        """Never by itself."""
        return None

    def is_well(self, world: World) -> bool:
        """When the reconciler says so, not at a tick."""
        return False

    def gauge(self, world: World) -> Gauge:
        """What the reconciler found is in the state document's `venue.truth`."""
        return Gauge("the reconciler compares; see venue.truth", None, None)
