"""The simulated venue: a matching engine with its own truth, in simulated or real time."""

from actors.venues.sim.settings import SimSettings
from actors.venues.sim.truth import VenueTruth
from actors.venues.sim.truth_record import TruthRecord, read_truth
from actors.venues.sim.venue import SimVenue

__all__ = ["SimSettings", "SimVenue", "TruthRecord", "VenueTruth", "read_truth"]
