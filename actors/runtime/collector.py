"""The cyclic garbage collector, told what this program is like.

Almost everything dies by reference count; what lives, lives long. Collecting the young generation
at every 700 allocations costs a tenth of the time of a busy turn, and each full collection walks
every live order. What the fold of the journal built is taken out of its sight for good.
"""

from __future__ import annotations

import gc

_YOUNG, _MIDDLE, _OLD = 50_000, 20, 100


def settle_in() -> None:
    """Call once, after the start's fold and before the first turn."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
