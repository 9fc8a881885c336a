"""Statistics that know nothing of trading: arrays in, numbers out.

Every other room takes its bands, tests and bootstraps from here, so that there is one of each.

`distributions`  normal, chi-square, Student, F: tails and quantiles
`bands`          of a mean, a share, a rate, a variance, of draws
`tests`          p-values that data follow a law
`regression`     a line through time, Newey-West, RESET
`resample`       blocks of a session drawn anew
`stationary`     the stationary bootstrap and its block length
`interval`       a mean over fills that hang together in time
`equity`         drawdown and rolling Sharpe ratio of a P&L curve
`risk`           EWMA covariance, VaR, expected shortfall
"""
