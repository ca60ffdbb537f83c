"""Turns, lanes, timers, supervision: how messages reach actors. Knows nothing of trading."""
