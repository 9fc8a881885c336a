"""The tiles in JupyterLab's launcher: the pages of `hftlab serve`, for the owner of the lab, through jupyter-server-proxy.

The proxy lets in who is logged in to the lab, and starts the pages at the first click. It alone knows their token: that goes to them
in their environment, and with every request in a header. What the lab's own server knows its user by (cookies) does not go to the pages,
whose processes are shut in, and none of theirs comes back: it would have the same name.
"""

import functools
import secrets
import sys
from pathlib import Path
from typing import Any

PAGES = Path(__file__).resolve().parents[2] / "notebooks" / "dashboards"
ICON = Path(__file__).with_name("icon.svg")
NAME = "hftlab"
READY_S = 300.0  # where the kernels have never been compiled, the demo compiles them first
TOKEN = "HFTLAB_PAGES_TOKEN"  # noqa: S105  # the name of the variable


def keep_cookies(response: Any) -> None:
    """Take the cookies out of an answer of the pages."""
    response.headers.pop("Set-Cookie", None)


def _tile(title: str, page: str) -> dict[str, Any]:
    return {
        "enabled": (PAGES / f"{page}.ipynb").exists(),  # an installed wheel has no pages
        "title": title,
        "icon_path": str(ICON),
        "path_info": f"{NAME}/voila/render/{page}.ipynb",
        "category": "Notebook",  # tiles of other categories are drawn without the picture
    }


def desk() -> dict[str, Any]:
    """Return how the pages are started and reached, and the tile of the trading desk."""
    token = secrets.token_urlsafe(24)
    return {
        "command": [sys.executable, "-m", "hftlab", "serve", "--lab", "{base_url}" + NAME + "/", "--port", "{port}", "--ready", "0"],
        "environment": {TOKEN: token},
        "timeout": READY_S,
        "absolute_url": True,  # a page names its files by their whole path
        "request_headers_override": {"Authorization": f"token {token}", "Cookie": ""},
        "rewrite_response": keep_cookies,
        "update_last_activity": False,  # a page that streams would keep an idle lab from ever being ended
        "new_browser_tab": False,
        "launcher_entry": _tile("hftlab desk", "trading_desk"),
    }


def _other(title: str, page: str) -> dict[str, Any]:
    """Return a tile that leads to a page of the same server. It must name a server of its own: the discard port, where nobody is."""
    return {"port": 9, "new_browser_tab": False, "launcher_entry": _tile(title, page)}


risk = functools.partial(_other, "hftlab risk", "risk")
market_quality = functools.partial(_other, "hftlab market quality", "market_quality")
backtests = functools.partial(_other, "hftlab backtests", "backtest_gallery")
