"""Showing a run to others: Voila on its own, a gate in front of its kernels, and processes that hold nothing worth having."""
