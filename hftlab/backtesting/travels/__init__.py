"""Any moment of a run again: from a backtest, a journal or a recording."""
