"""The pages for a browser: the status, and this interface. Self-contained; nothing on them can command anything."""

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib import resources
from typing import Any

from fastapi.responses import HTMLResponse

_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)

_DOCS = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>hftlab engine</title><style>
:root{{color-scheme:light dark}}body{{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
code{{font:13px ui-monospace,monospace}}td{{padding:.3rem .8rem .3rem 0;vertical-align:top}}</style>
<h1>hftlab engine</h1><p>{text} The schema is in <code>/openapi.json</code>.</p><table>{rows}</table></html>"""


@cache
def _page() -> tuple[str, str]:
    """Return the dashboard and the policy that lets a browser run what is in it, and nothing else."""
    text = resources.files("hftlab.engine.door").joinpath("dashboard.html").read_text(encoding="utf-8")
    return text, _policy(text)


def _policy(text: str) -> str:
    allowed: dict[str, list[str]] = {"script": [], "style": []}
    for kind, inside in _INLINE.findall(text):
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        allowed[kind].append(f"'sha256-{digest}'")
    parts = [f"{kind}-src {' '.join(hashes)}" for kind, hashes in allowed.items() if hashes]
    return "; ".join(["default-src 'none'", *parts, "connect-src 'self'", "img-src data:", "frame-ancestors 'none'", "base-uri 'none'"])


def dashboard_page() -> HTMLResponse:
    """Return the page of status."""
    text, policy = _page()
    return HTMLResponse(text, headers={"content-security-policy": policy})


def docs_page(schema: Mapping[str, Any]) -> HTMLResponse:
    """Return the routes as a table."""
    rows = "".join(
        f"<tr><td><code>{method.upper()}</code><td><code>{escape(path)}</code><td>{escape(str(one.get('summary', '')))}"
        for path, methods in schema["paths"].items()
        for method, one in methods.items()
    )
    text = _DOCS.format(text=escape(str(schema["info"]["description"])), rows=rows)
    return HTMLResponse(text, headers={"content-security-policy": _policy(text)})
