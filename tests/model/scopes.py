"""What is explored, by name: each fault alone and with the ones that it meets in practice."""

from __future__ import annotations

from tests.model.core import ASSUMING, FINE
from tests.model.steps import Scope
from tests.model.venue import Budget

#: Within seconds, for every run of the tests.
QUICK = (
    Scope("calm", Budget(fills=1, times=1)),
    Scope("cancelled by the engine", Budget(fills=1, degrades=1, times=0)),
)
#: Within a minute, for CI.
SMALL = (
    Scope("killed", Budget(fills=1, crashes=1, times=1)),
    Scope("cancelled", Budget(fills=1, cancels=1, times=0)),
    Scope("cancelled by the engine, slowly", Budget(fills=0, degrades=1, times=2)),
    Scope("partial fills", Budget(fills=2, times=1)),
    Scope("commits take time", Budget(fills=1, times=0, crashes=1), commits_at_once=False),
    Scope("inferred fills", Budget(fills=0, degrades=1, forgets=1, times=1), ASSUMING),
    Scope("failing queries", Budget(fills=1, unavailable=1, times=1)),
)
#: By hand: hours of it, if one wants.
FULL = (
    Scope("a forgetful venue", Budget(fills=1, forgets=1, times=2)),
    Scope("partial fills, slowly", Budget(fills=3, times=2)),
    Scope("cancelled by the engine and filled, slowly", Budget(fills=1, degrades=1, times=1)),
    Scope("cancelled and filled, slowly", Budget(fills=1, cancels=1, times=1)),
    Scope("cancelled and filled in parts", Budget(fills=3, cancels=1, times=2)),
    Scope("both cancels", Budget(fills=1, cancels=1, degrades=1, times=2)),
    Scope("killed and cancelled", Budget(fills=1, crashes=1, degrades=1, times=2)),
    Scope("a lagging venue", Budget(fills=2, stale=1, cancels=1, times=2)),
    Scope("told twice", Budget(fills=2, duplicates=1, cancels=1, times=2)),
    Scope("cut", Budget(fills=1, unanswered=1, unavailable=1, reconnects=1, degrades=1, times=2)),
    Scope("ended by the venue", Budget(fills=2, expires=1, rejects=1, degrades=1, times=2)),
    Scope("fine times", Budget(fills=1, degrades=1, times=4), FINE),
    Scope("late commits", Budget(fills=1, degrades=1, crashes=1, times=1), commits_at_once=False),
)
#: Never exhausted: answers that are older than their questions, of orders the engine cancelled.
#: No violation is known; the first ones were found within two minutes.
OPEN = (
    Scope("a lagging venue and an engine cancel", Budget(fills=2, stale=1, degrades=1, times=2)),
)
SETS = {"quick": QUICK, "small": (*QUICK, *SMALL), "full": (*QUICK, *SMALL, *FULL), "open": OPEN}
