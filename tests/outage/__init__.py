"""Half an hour of trading through outages of every shape, in simulated time."""
