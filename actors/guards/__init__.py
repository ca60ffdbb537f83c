"""Guards: what takes the system out of harm's way by rules that a person can read (DESIGN 5)."""
