"""What a run, a session or a market was like, in figures with their intervals: a room for each subject.

Each room says in its docstring what its files do.

From the ground up: a room imports, when it is loaded, only from those above it in this table (tests/test_layers.py). Methods of `Report`
load the rooms below when they are called.

`stats`       bands, tests and bootstraps on plain arrays
`drawing`     pictures and words
`facts`       a run as it was, read off its rows
`markouts`    what a fill cost a moment later
`returns`     returns, Sharpe ratio, performance
`luck`        how much of it is luck
`costs`       costs, quality of quotes, whose P&L
`report`      the Report
`portfolio`   risk and size of what is held
`sheets`      tear sheet, session summary
`estimators`  a market measured: estimate, calibrate
`signals`     order flow, impact, signal studies
`queues`      queue models against the true queue
`fit_fills`   what a session's fills teach
`divergence`  a session against its backtest
`theory`      what papers say

Two files belong to every room: `exact` (integer sums that cannot overflow unseen) and `grow` (rows that grow and spill to a file).

Where a change belongs: a new figure of a run starts in `facts` if it is read off rows and in `costs`, `markouts` or `returns` if it is
computed from them; it gets a method in a mixin of `report` and a line in `sheets`. A new estimator goes into `estimators` (what a market
is like) or `signals` (where it goes next). A formula without a market in it goes into `stats`.
"""
