"""How much of a good result is the luck of having tried often.

The count of runs on the same data, and the published tests of the best of many.

`luck`           what the count of runs says of one of them
`ledger`         each backtest leaves a line
`runs_file`      where the lines are kept
`overfit`        the probability of overfitting (CSCV)
`reality_check`  White's and Hansen's tests
`purged`         folds over time that do not leak
"""
