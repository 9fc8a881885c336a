"""Something to show without a network: a session on a simulated market, and a small search over the shipped sample."""

from pathlib import Path

from hftlab.assumptions import Fees
from hftlab.backtesting.gallery import save_backtest
from hftlab.backtesting.run import backtest
from hftlab.data.samples import sample
from hftlab.engine.process import start
from hftlab.engine.view import Session
from hftlab.instrument import Instrument
from hftlab.params import AvellanedaStoikov, Limits
from hftlab.venues.feeds import PaperVenue, SynthFeed


def demo_run(directory: Path, *, seed: int = 7) -> Session:
    """Start a paper session on the simulated market and return its handle. Raises RunInUse when one runs there already."""
    btc = Instrument.bundled("binance:BTC/USDT")
    return start(
        SynthFeed(btc, seed=seed, options={"activity": 2.0}),
        PaperVenue(btc, fees=Fees(maker_bps=0.0, taker_bps=5.0)),
        AvellanedaStoikov(risk_aversion=0.1, order_qty="0.01"),
        Limits(position_qty_max="0.05", loss_quote_max=200),
        run=directory,
        replace=True,
    )


def demo_gallery(folder: Path) -> list[Path]:
    """Keep six backtests of the shipped sample in `folder`: two quoting sizes, three aversions to risk. Returns their paths."""
    tape = sample()
    return [
        save_backtest(
            backtest(
                tape,
                None,
                AvellanedaStoikov(risk_aversion=aversion, order_qty=qty),
                Limits(position_qty_max="0.05", loss_quote_max=200),
                fees=Fees(maker_bps=-0.5, taker_bps=5),
            ),
            f"sample, aversion {aversion:g}, {qty}",
            folder,
        )
        for qty in ("0.005", "0.01")
        for aversion in (0.05, 0.1, 0.4)
    ]
