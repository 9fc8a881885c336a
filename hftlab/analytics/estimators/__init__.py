"""What a market is like, measured.

`hl.estimate` runs every estimator in one pass over the rows, `hl.calibrate` turns them into the parameters of a quoter. Each has
`update(rows)` and `estimate(level)` and says how sure it is.

`estimate`           `hl.estimate`
`estimate_picture`   how it looks
`calibrate`          `hl.calibrate`
`calibrate_picture`  how it looks
`result`             Estimate: value, band, fit, flag
`walk`               the pass over the rows that all share
`intensity`          how often a depth is reached
`fills`              how often our own orders there are filled
`flow`               trades, volume, VPIN, spread
`profiles`           by level, time of day, horizon
`volatility`         by half-life, and the realised kernel
`market_state`       spread, volatility and activity just now
"""
