"""A quoter of your own: one function. docs/guides/own_quoter.md takes it from here to a live session; run this file to backtest it."""

import math

import hftlab as hl


def decide(desk, market, params, quote):
    """Quote around the fair price, wider where it moves more, and lower the longer we are."""
    sigma_ticks = math.sqrt(market.variance_ticks2_per_s)  # of one second
    half_ticks = max(params.user0, params.user1 * sigma_ticks)
    orders_held = market.position_lots / params.order_lots
    middle_ticks = market.fair_ticks - params.user2 * half_ticks * orders_held
    quote.bid_ticks = math.floor(middle_ticks - half_ticks)
    quote.ask_ticks = math.ceil(middle_ticks + half_ticks)
    quote.bid_lots = quote.ask_lots = int(params.order_lots)
    quote.levels = 1
    quote.reservation_ticks, quote.half_spread_ticks = middle_ticks, half_ticks  # for the screen


# The names are yours; decide reads them in this order as user0, user1, user2.
VALUES = {"half_ticks": 1.0, "sigmas": 0.5, "lean": 0.2}


if __name__ == "__main__":
    quoter = hl.UserQuoter(decide=decide, order_qty="0.01", values=VALUES)
    print(hl.backtest(hl.sample().slice(0, 120), None, quoter, hl.Limits(position_qty_max="0.05", loss_quote_max=200)))
