"""Real processes, real kills: the engine against a venue that outlives it."""
