"""Drills: the live path is broken on purpose, and what is left is held against the venue's own truth. See `python -m benchmarks.drills`."""
