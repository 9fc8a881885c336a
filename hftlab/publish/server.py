"""`python -m hftlab.publish.server`: Voila for viewers, and nothing of it that a viewer does not need. Its settings come by stdin.

Everything that protects is fixed here and in no file: neither options on a command line nor a voila.json that lies about can loosen it.
"""

import io
import json
import os
import sys
from typing import Any

from hftlab.publish.confine import Cage, shut_in
from hftlab.publish.gate import BYTES_MAX

# Extensions that want all of JupyterLab around them and throw on every page of Voila.
LEFT_OUT = ["@jupyterhub/jupyter-server-proxy"]


def settings_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of Voila as traitlets want them. `given`: token, cookies (their secret), prefix, theme, ready, viewers, gone_s, head_s, env, and the cage's JSON."""
    cage = Cage.of(given["cage"])
    return {
        "Voila": {
            "ip": "127.0.0.1",
            "port": cage.port,
            "port_retries": 0,
            "base_url": given["prefix"],
            "open_browser": False,
            "token": given["token"],
            "cookie_secret": given["cookies"].encode(),
            "root_dir": cage.pages,
            "connection_dir_root": cage.private,
            "tornado_settings": {
                "viewers_max": given["viewers"],
                "head_s": given["head_s"],
                "websocket_max_message_size": BYTES_MAX,
                "headers": {
                    "Content-Security-Policy": "frame-ancestors 'self'; object-src 'none'; base-uri 'self'; form-action 'self'",
                    "Referrer-Policy": "no-referrer",  # the first address of a page holds its token
                    "X-Content-Type-Options": "nosniff",
                },
            },
        },
        "VoilaConfiguration": {
            "allow_template_override": "NO",
            "allow_theme_override": "NO",
            "theme": given["theme"],
            "strip_sources": True,
            "show_tracebacks": False,
            "file_allowlist": [],
            "extension_denylist": LEFT_OUT,
            "preheat_kernel": given["ready"] > 0,
            "default_pool_size": given["ready"],
            "kernel_spec_manager_class": "hftlab.publish.kernels.OneKernel",
            "multi_kernel_manager_class": "hftlab.publish.kernels.ViewerKernels",
        },
        "ViewerKernels": {
            "viewer_env": given["env"],
            "gone_s": given["gone_s"],
            "buffer_offline_messages": False,  # a page that left would be kept in our memory, message by message
            "cull_idle_timeout": 0,
            "autorestart": False,
        },
        # Sockets in the private folder: a kernel then needs no TCP, and has none.
        "KernelManager": {"transport": "ipc", "autorestart": False},
    }


def viewer_app(given: dict[str, Any]) -> Any:
    """Return the Voila application. Its parts are imported here: the process is shut in before that."""
    from traitlets.config import Config

    from hftlab.publish.handlers import GatedConnection, Viewer

    settings = settings_of(given)
    settings["Voila"]["kernel_websocket_connection_class"] = GatedConnection
    return Viewer(config=Config(settings), config_file_paths=[])


def main() -> int:
    """Shut in, say how far that went on a line of stdout, and serve until terminated."""
    given = json.loads(io.FileIO(0, closefd=False).readline())  # no buffer may take what the loop waits for
    version = shut_in(Cage.of(given["cage"]), server=True)
    os.chdir(Cage.of(given["cage"]).private)
    app = viewer_app(given)
    app.initialize([])
    print(json.dumps({"landlock": version, "user": os.geteuid()}), flush=True)
    app.start()
    return 0


if __name__ == "__main__":
    sys.exit(main())
