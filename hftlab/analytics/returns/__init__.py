"""Returns of a P&L curve and the figures made of them, by one set of conventions. Each has its interval, and how many returns it is of.

`returns`      by period; CAGR, Sortino, Calmar, drawdown
`sharpe`       the Sharpe ratio with its interval
`deflated`     what is left of it after many trials
`benchmark`    alpha, beta, information ratio
`trades`       round trips, win rate, profit factor
`performance`  the table of it all
"""
