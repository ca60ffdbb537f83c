"""Strategies: one class each; they see data up to now and answer with a signal or None."""
