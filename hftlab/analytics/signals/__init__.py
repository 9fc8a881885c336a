"""What says something about the next move: streaming estimators of order flow and impact, and the study of any signal.

`player`          rows in, what was known at fixed times out
`hawkes`          arrivals that excite arrivals
`imbalance`       order flow and queue imbalance
`microprice`      Stoikov's micro-price
`kyle`            Kyle's lambda
`square_root`     the square-root law, fitted
`impact`          impact measured on a report
`study`           `hl.study_signal`
`study_result`    what it found
`study_stats`     drawn blocks, sign flips
`study_pictures`  its page
"""
