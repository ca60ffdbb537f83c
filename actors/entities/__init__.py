"""Entity actors: pure, synchronous `decide` and `evolve` (L10)."""
