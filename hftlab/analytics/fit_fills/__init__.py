"""What a session's own fills teach: its latencies and its queue model, fitted on the first of its orders and judged on the rest.

`hl.fit_fills` is in `backtesting`.

`trips`    what was asked, done and learned when
`latency`  how long it took, as `hl.Latency`
`stays`    our stays in the queues of the venue
`play`     the same orders through the modelled exchange
`queue`    the queue model that the fills speak for
`races`    what latency lost
`result`   the Fit
`page`     how it looks
"""
