"""What a run was, read off its rows once and kept: nothing here judges.

`Collector` makes the `Facts` that all figures of a report are computed from, in integers where money is concerned.

`collector`  rows of a run in, Facts out
`path`       the mid of one market in a moving window, inventory carry
`prices`     best prices and mid at any time of the run
`journeys`   what became of each order
`segments`   when and where our orders rested, what traded there
`prints`     the public prints, and the flow at any moment
`pnl`        the P&L identity, to the last unit
`accounts`   one account a market, one of the desk
`figures`    fill ratios, uptime, inventory, latencies
"""
