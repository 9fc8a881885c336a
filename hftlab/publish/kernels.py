"""The kernels of viewers: started shut in, kept ready, and ended when their page is gone."""

import os
import sys
import time
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets import Dict, Float

NAME = "python3"


class OneKernel(KernelSpecManager):
    """Knows one kernel, ours, whatever a machine or a user has installed."""

    def find_kernel_specs(self) -> dict[str, str]:
        """Return its name."""
        return {NAME: ""}

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return how it is started. Raises NoSuchKernel."""
        if kernel_name != NAME:
            raise NoSuchKernel(kernel_name)
        command = [sys.executable, "-m", "hftlab.publish.kernel", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="Viewer", language="python")


class ViewerKernels(AsyncMappingKernelManager):
    """Starts kernels with a named environment only, and ends those that no page is connected to, streaming or not.

    Jupyter ends kernels that are idle; one that streams never is, and one whose page is connected is left alone.
    """

    viewer_env = Dict(help="all that a kernel finds in its environment").tag(config=True)
    gone_s = Float(20.0, help="a page may reconnect for so long").tag(config=True)
    shy_s = Float(90.0, help="a page may take so long from its request to its connection").tag(config=True)

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._alone_s: dict[str, float] = {}  # since when nobody is connected to a kernel that was handed out
        self._had_page: set[str] = set()

    async def start_kernel(self, **settings: Any) -> str:
        """Start a kernel. What Voila would put into its environment (its own, the address with the token of the page) stays out."""
        settings["env"] = dict(self.viewer_env) | {"PATH": os.defpath}
        return str(await super().start_kernel(**settings))

    def notify_connect(self, kernel_id: str) -> None:
        """Note that a page is there."""
        super().notify_connect(kernel_id)
        self._had_page.add(kernel_id)

    def ready_ids(self) -> set[str]:
        """Return the kernels that wait for a visitor, and those that are being made ready."""
        pools = [task for pool in getattr(self, "_pools", {}).values() for task in pool]
        done = [task.result()["kernel_id"] for task in pools if task.done() and not task.cancelled() and task.exception() is None]
        if len(done) == len(pools):
            return set(done)
        return set(self.list_kernel_ids()) - self._had_page  # which of them the unfinished ones are cannot be told yet

    def pages(self) -> int:
        """Return how many pages have a kernel, or wait for one."""
        return len(set(self.list_kernel_ids()) - self.ready_ids())

    async def end_lonely(self, now_s: float | None = None) -> list[str]:
        """End the kernels whose page is gone; return their ids."""
        now_s = time.monotonic() if now_s is None else now_s
        ready, here = self.ready_ids(), set(self.list_kernel_ids())
        ended = []
        for kernel_id in here - ready:
            if self._kernel_connections.get(kernel_id, 0) > 0:
                self._alone_s.pop(kernel_id, None)
                continue
            since_s = self._alone_s.setdefault(kernel_id, now_s)
            if now_s - since_s >= (self.gone_s if kernel_id in self._had_page else self.shy_s):
                await self.shutdown_kernel(kernel_id, now=True)
                ended.append(kernel_id)
        self._alone_s = {k: v for k, v in self._alone_s.items() if k in here and k not in ended and k not in ready}
        self._had_page &= here - set(ended)
        return ended
