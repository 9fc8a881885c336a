"""One small picture: a line over time, drawn as SVG so that a report shows it anywhere, without a script."""

import html

import numpy as np

_WIDTH, _HEIGHT, _PAD = 520, 120, 16


def curve(seconds: np.ndarray, values: np.ndarray, title: str, *, steps: bool = False, points: int = 600) -> str:
    """Return SVG text of `values` (float, shape (n,)) over `seconds`; of many, every point kept is a real one."""
    keep = np.unique(np.linspace(0, len(values) - 1, min(points, len(values))).astype(int))
    x, y = seconds[keep], values[keep]
    low, high = min(0.0, float(y.min())), max(0.0, float(y.max()))
    span = (high - low) or 1.0
    px = x / (x[-1] or 1.0) * (_WIDTH - 60)
    py = _PAD + (high - y) / span * (_HEIGHT - 2 * _PAD)
    zero = _PAD + high / span * (_HEIGHT - 2 * _PAD)
    path = f"M{px[0]:.1f},{py[0]:.1f}" + "".join(
        f"H{a:.1f}V{b:.1f}" if steps else f"L{a:.1f},{b:.1f}" for a, b in zip(px[1:], py[1:], strict=True)
    )
    return (
        f"<svg width='{_WIDTH}' height='{_HEIGHT}' style='display:block' font-size='10' fill='currentColor'>"
        f"<text x='0' y='10' font-weight='600'>{html.escape(title)}</text>"
        f"<line x1='0' x2='{_WIDTH - 60}' y1='{zero:.1f}' y2='{zero:.1f}' stroke='currentColor' stroke-opacity='.35' stroke-dasharray='2 3'/>"
        f"<path d='{path}' fill='none' stroke='currentColor' stroke-width='1.2'/>"
        f"<text x='{_WIDTH - 55}' y='{_PAD + 3}'>{high:,.4g}</text><text x='{_WIDTH - 55}' y='{_HEIGHT - _PAD + 3}'>{low:,.4g}</text>"
        f"<text x='0' y='{_HEIGHT - 3}'>0 s</text><text x='{_WIDTH - 90}' y='{_HEIGHT - 3}'>{x[-1]:,.0f} s</text></svg>"
    )
