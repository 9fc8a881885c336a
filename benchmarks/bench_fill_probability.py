"""How good the chance of a fill is that the quoting decisions go by: against the matching engine's truth, over 20 seeds, plain and toxic.

Forecasts at placement of a fill within 2 s, of the orders of `hl.calibrate_queue`; see `hftlab.analytics.queues.fill_probability`.
"""

import time

from hftlab.analytics.queues.fill_probability import MODEL, FillForecasts, fill_forecasts

SEEDS, MINUTES, HORIZON_S = 20, 10.0, 2.0


def run() -> dict[str, object]:
    """Return scores with standard errors over seeds, by distance from the best price, and the reliability of the model's own forecast."""
    fill_forecasts(seeds=range(2), minutes=0.5)
    began = time.perf_counter()
    plain = fill_forecasts(seeds=range(SEEDS), minutes=MINUTES, horizon_s=HORIZON_S)
    took_s = time.perf_counter() - began
    toxic = fill_forecasts(seeds=range(SEEDS), minutes=MINUTES, horizon_s=HORIZON_S, toxic=0.5)
    sizes = {"seeds": SEEDS, "minutes": MINUTES, "horizon_s": HORIZON_S, "took_s": round(took_s, 1)}
    return sizes | {"plain": _said(plain), "toxic": _said(toxic)}


def _said(found: FillForecasts) -> dict[str, object]:
    by = {f"{behind} ticks behind": found.table(behind).round(4).to_dict("index") for behind in (0, 1)}
    return {
        "orders": len(found.filled),
        "filled_share": round(float(found.filled.mean()), 4),
        "all": found.table().round(4).to_dict("index"),
        **by,
        "reliability": found.reliability(MODEL).round(4).to_dict("records"),
    }
