"""Risk and size of what is held: now and from a report.

`risk_metrics` is cheap enough for every second; its formulas are in `stats.risk`.

`portfolio`  exposure, VaR, drawdown, stress: RiskMetrics
`book`       what is held and what surrounds it
`stress`     scenarios on position, book and orders
`grade`      how far a desk is from its limits, as one number
`sizing`     Kelly, volatility targets, sizes by inventory
"""
