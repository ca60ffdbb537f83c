"""What the reconciler tells itself: the pieces of a pass, in their order."""

from __future__ import annotations

from attrs import frozen

from fsm.facts import VenueOrder


@frozen(slots=True)
class PassGoesOn:
    """The next piece of a pass that takes many turns (L9)."""

    number: int


@frozen(slots=True)
class PassEvidenceApplied:
    """What this pass has learned up to here has been decided on."""

    number: int


@frozen(slots=True)
class AdoptExternal:
    """The venue has an order that is not ours."""

    client_order_id: str
    order: VenueOrder
