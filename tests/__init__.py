"""The tests; `tests.bench` is run by `scripts/bench`."""
