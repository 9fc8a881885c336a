"""What trading cost and how good the quotes were.

Spreads, slippage and shortfall, uptime and lives of quotes, whose P&L it was, and what latency cost.

`tca`          effective and realised spread, impact, slippage
`shortfall`    implementation shortfall in four parts
`quality`      spread capture, uptime, hit rate, requests a fill
`stays`        quotes as stretches of time at one price
`attribution`  P&L by quoter, hour, side, the market's state
`latency`      what latency cost a run
`advice`       where the time goes, and what to do about it
"""
