"""The tape and the quoter that the benchmarks of one desk share."""

from pathlib import Path
from typing import Any

import hftlab as hl

RECORDING = Path(__file__).resolve().parents[2] / "shared" / "data" / "binance_usdm_btcusdt_20240808.gz"
LIMITS = hl.Limits(position_qty_max="0.05", loss_quote_max=200)


def tape() -> tuple[hl.Tape, dict[str, str]]:
    """Return the recording, its clock corrected, or the shipped sample where there is none; and what to say of it."""
    if RECORDING.is_file():
        return hl.load(RECORDING, clock="correct"), {"tape": RECORDING.name}
    return hl.sample(), {
        "tape": "hl.sample()",
        "instead": f"../shared/data/{RECORDING.name} is not beside this clone; the sample stands in",
    }


def quoter() -> Any:
    """Return an Avellaneda-Stoikov quoter of one level."""
    return hl.AvellanedaStoikov(risk_aversion=0.1, order_qty="0.01")
