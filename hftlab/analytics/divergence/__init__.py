"""A session held against its own backtest, order by order: where they part, why, and what it made. `hl.attribute` is in `backtesting`.

`tape`    the market of a session without what was ours
`twins`   each order with its twin in the other run
`causes`  the one cause of each difference
`states`  where positions and orders part and meet
`result`  the Attribution
`shadow`  three exchanges beside a live desk
"""
