"""Gateways to venues, all behind one port, and the simulated venue."""
