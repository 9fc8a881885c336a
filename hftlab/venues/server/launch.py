"""The loopback exchange in a process of its own: it can be killed like a real one, and comes back with its orders and fills."""

import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from hftlab.errors import CommandRefused, EngineDied, EngineUnreachable
from hftlab.venues.server.config import VenueConfig
from hftlab.venues.server.handle import LOOPBACK, VenueHandle

WAIT_S = 120.0
STOP_WAIT_S = 30.0


class LaunchedVenue(VenueHandle):
    """A venue in its own process, as a context manager: `with launch(VenueConfig(seed=3)) as venue: venue.kill(); venue.restart()`.

    It ends with this process. Its memory lies in `config.state`, or in a directory that goes with it.
    """

    def __init__(self, config: VenueConfig) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="hftlab-venue-"))
        self.config = config if config.state else replace(config, state=str(self._directory / "state"))
        self.ca_file = str(Path(self.config.state) / "ca.pem")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def ports(self) -> dict[str, int]:
        """Return the ports by name: plain, tls, proxy, control."""
        return dict(self.config.ports)

    @property
    def pid(self) -> int:
        """Return the number of the process. Raises EngineDied when there is none."""
        if self._process is None or self._process.poll() is not None:
            raise EngineDied(f"the venue's process has ended. Its last words: {self._last_words() or 'none'}")
        return self._process.pid

    def start(self) -> Self:
        """Start the process and wait until it listens. Raises EngineDied with its last words when it does not."""
        config, ready, errors = self._directory / "venue.yaml", self._directory / "ready.json", self._directory / "stderr.txt"
        config.write_text(yaml.safe_dump(_plain(self.config.to_dict())), encoding="utf-8")
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "hftlab", "venue", "--config", str(config), "--ready", str(ready)]
        with errors.open("ab") as stderr:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=stderr)
        until_s = time.monotonic() + WAIT_S
        while not ready.exists():
            late = time.monotonic() > until_s
            if late or self._process.poll() is not None:
                self.kill()
                what = f"did not listen within {WAIT_S:.0f} s" if late else "ended before it listened"
                raise EngineDied(f"the venue {what}. Its last words: {self._last_words() or 'none'}")
            time.sleep(0.02)
        self.config = replace(self.config, ports=json.loads(ready.read_text(encoding="utf-8")))
        return self

    def kill(self) -> None:
        """Kill the process at once, whatever it is doing: clients see resets, then refused connections."""
        if self._process is not None:
            self._process.kill()
            self._reap()

    def restart(self) -> Self:
        """Start it again at the same ports; it lives through its memory first."""
        if self._process is not None:
            self.kill()
        return self.start()

    def stop(self) -> None:
        """End it in order, and forget what nobody asked to keep. Raises EngineDied with its last words when it had failed."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()  # it ends when this end of the pipe does
            try:
                code = self._process.wait(STOP_WAIT_S)
            except subprocess.TimeoutExpired:
                self.kill()
                raise EngineDied(f"the venue did not end within {STOP_WAIT_S:.0f} s and was killed.") from None
            words, self._process = self._last_words(), None
            if code:
                raise EngineDied(f"the venue ended with code {code}. Its last words: {words}")
        shutil.rmtree(self._directory, ignore_errors=True)

    def do(self, name: str, **values: Any) -> Any:
        """Do one thing by its name, over HTTP. Raises CommandRefused with the venue's words, EngineUnreachable."""
        door = http.client.HTTPConnection(LOOPBACK, self.ports["control"], timeout=WAIT_S)
        try:
            door.request("POST", f"/_venue/{name}", json.dumps(values), {"Content-Type": "application/json"})
            answer = door.getresponse()
            body = json.loads(answer.read())
        except OSError as error:
            raise EngineUnreachable(f"the venue's door at port {self.ports['control']} gave no answer: {error}.") from error
        finally:
            door.close()
        if answer.status != http.HTTPStatus.OK:
            raise CommandRefused(f"{body.get('error')}: {body.get('text')}")
        return body

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _reap(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.wait()
        self._process.stdin.close()
        self._process = None

    def _last_words(self) -> str:
        errors = self._directory / "stderr.txt"
        return errors.read_text(encoding="utf-8", errors="replace")[-2000:].strip() if errors.exists() else ""


def launch(config: VenueConfig | None = None, **changes: Any) -> LaunchedVenue:
    """Return a venue that will run in its own process; `changes` are fields of VenueConfig. Start it with `with` or `.start()`."""
    return LaunchedVenue(config or VenueConfig.from_dict(changes))


def _plain(value: Any) -> Any:
    """Return tuples as lists: YAML knows no others."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
