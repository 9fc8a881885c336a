"""How wrong a queue model is, where the truth is known: the same small orders in the matching engine and in the modelled exchange.

`calibrate`         `hl.calibrate_queue`
`probes`            the orders whose fate is known
`scores`            scores of fill forecasts
`result`            errors of each model, with intervals
`picture`           how it looks
`fill_probability`  how good the chance of a fill is that quoters go by
"""
