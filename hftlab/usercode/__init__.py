"""A quoter of the user's own: checked, compiled, run, carried to an engine, and explained when it fails."""
