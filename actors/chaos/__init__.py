"""Scenario files and the machinery that runs them in simulated time."""
