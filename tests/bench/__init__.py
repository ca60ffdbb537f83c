"""The measurements behind docs/explanation/speed.md: `python -m tests.bench`. Never a timed test."""
