"""hftlab: make markets and trade intraday from a notebook.

The names below are the public face. They load on first use, so that `import hftlab` costs next to nothing.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_WHERE = {
    "AvellanedaStoikov": "params",
    "Fees": "assumptions",
    "FixedSpread": "params",
    "Instrument": "instrument",
    "Latency": "assumptions",
    "Limits": "params",
    "LiveFeed": "venues.live.spec",
    "LiveVenue": "venues.live.spec",
    "LoopbackVenue": "venues.server.serve",
    "PaperVenue": "venues.feeds",
    "Queue": "assumptions",
    "ReplayFeed": "venues.feeds",
    "Report": "analytics.report.report",
    "Session": "engine.view",
    "SynthFeed": "venues.feeds",
    "Tape": "data.tape",
    "UserQuoter": "params",
    "View": "engine.view",
    "WorkTarget": "params",
    "ZScoreReversion": "strategies.zscore",
    "at": "backtesting.travels.travel",
    "attach": "engine.process",
    "backtest": "backtesting.run",
    "attribute": "backtesting.attribute",
    "bundle": "backtesting.bundle",
    "calibrate": "analytics.estimators.calibrate",
    "calibrate_queue": "analytics.queues.calibrate",
    "check_bundle": "backtesting.bundle",
    "check_lookahead": "backtesting.lookahead",
    "dashboard": "widgets.dashboard",
    "estimate": "analytics.estimators.estimate",
    "fields": "usercode.fields",
    "fit_fills": "backtesting.fit_fills",
    "grid": "backtesting.sweeps.grid",
    "holdout": "backtesting.holdout",
    "load": "data.recordings",
    "replay": "backtesting.replay",
    "resume": "engine.process",
    "risk_drill": "backtesting.drills.risk_drill",
    "run_file": "engine.config",
    "sample": "data.samples",
    "start": "engine.process",
    "study_signal": "analytics.signals.study",
    "stream": "data.streaming",
    "sweep": "backtesting.sweeps.sweep",
    "try_decide": "backtesting.attempt",
    "validate": "data.validate",
    "walk_forward": "backtesting.sweeps.walk_forward",
}

__all__ = sorted(_WHERE)  # noqa: PLE0605  # the table above is the one list of public names


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        from hftlab.errors import did_you_mean

        raise AttributeError(f"hftlab has no name {name!r}.{did_you_mean(name, _WHERE)}")
    value = getattr(importlib.import_module(f"hftlab.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
