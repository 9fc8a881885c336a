"""The engine: one process that trades, and the handles that a notebook holds on it."""
