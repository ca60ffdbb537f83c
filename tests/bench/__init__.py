"""What docs/explanation/speed.md reports: `python -m tests.bench`. Never a timed test."""
