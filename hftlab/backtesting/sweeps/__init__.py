"""Many backtests of one tape: grids, searches, walk-forward, and what is found among their points."""
