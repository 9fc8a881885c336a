"""The numbers of the gateway's policy, each with its reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """How long the gateway waits for what. Seconds, if not said otherwise.

    `scope`: "own" touches nothing but orders of this run; "account" lets a halt cancel every order in the instruments, whoever
    placed it, and must be asked for in words.
    """

    scope: str = "own"
    answer_s: float = 5.0  # without any answer for so long the fate of a request is unknown
    wait_s: float = 1.0  # a new order or amend that found no budget for so long is refused: it was decided on an older market
    gone_s: float = 5.0  # "no such order" counts after so long: what a venue has accepted may take a while to be seen
    gone_looks: int = 3  # and after so many times
    worry_s: float = 30.0  # what is not resolved by then is said as an error
    fills_wait_s: float = 0.25  # the fills that a terminal report promises may be on their way: asked for after so long
    recancel_s: float = 1.0  # an order that still rests is cancelled again after so long
    query_s_max: float = 2.0  # an order of unknown fate is asked for at least so often, until it is worrying
    retry_min_s: float = 0.25
    retry_max_s: float = 5.0
    reconcile_s: float = 30.0
    reconcile_down_s: float = 2.0  # while the user stream is down
    disagree_s: float = 1.0  # a disagreement is looked at again after so long
    overlap_s: float = 60.0  # executions are asked for from so long before the last look: they may become visible late
    queries_max: int = 4  # at the same time
    reserve: float = 0.2  # part of every budget kept for cancels
    clock_s: float = 10.0
    clock_ms_max: float = 500.0  # beyond it the venue's clock and ours disagree too much
    dead_man_s: float = 60.0
