"""A model check of one order: the real core against a small venue that may do anything."""
