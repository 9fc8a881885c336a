"""Handles on a run: `View` reads what it publishes, `Session` may also command it."""

import fcntl
import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from hftlab.analytics.report.report import Report
from hftlab.data.frame import Frame
from hftlab.data.snapshot import SnapshotReader
from hftlab.engine.spec import read_instruments
from hftlab.engine.trail import AuditTrail
from hftlab.engine.view_calibrate import CalibratesSession
from hftlab.engine.view_logs import LogsOfView
from hftlab.engine.view_market import MarketOfView
from hftlab.engine.view_report import report_of
from hftlab.errors import CommandOvertaken, CommandRefused, DataError, EngineDied, EngineUnreachable
from hftlab.instrument import Instrument
from hftlab.params import QUOTERS
from hftlab.tunable import TUNABLE, to_human

_HTTP_S = 40.0


def engine_alive(directory: Path) -> bool:
    """Say whether an engine holds the lock of a run directory."""
    path = directory / "lock"
    if not path.exists():
        return False
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def log_tail(directory: Path, lines: int = 12) -> str:
    """Return the end of a run's log and of what its process printed."""
    text = ""
    for name in ("stderr.txt", "log.jsonl"):
        path = directory / name
        if path.exists():
            text += "".join(path.read_text(errors="replace").splitlines(keepends=True)[-lines:])
    return text.strip() or "(the log is empty)"


class View(AuditTrail, LogsOfView, MarketOfView):
    """A read-only handle: it opens files read-only and holds nothing to command with."""

    def __init__(self, run: str | Path) -> None:
        self.directory = Path(run).resolve()
        self._reader: SnapshotReader | None = None
        self._inode = 0

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Return what the run trades. Raises DataError when there is no such run."""
        if not self.directory.is_dir():
            raise DataError(f"{self.directory} is no directory; wanted a run directory such as runs/btc.")
        return read_instruments(self.directory)

    @property
    def name(self) -> str:
        """Return the name of the run."""
        return self.directory.name

    def frame(self) -> Frame:
        """Return the last published frame. Raises DataError when nothing readable was published."""
        path = self.directory / "snapshot.bin"
        inode = path.stat().st_ino if path.exists() else 0
        if self._reader is None or inode != self._inode:  # a run that was deleted and started anew has another file
            self._reader = SnapshotReader(path, self.instruments)
            self._inode = inode
        return self._reader.frame()

    def alive(self) -> bool:
        """Say whether the engine of this run is running."""
        return engine_alive(self.directory)

    def report(self) -> Report:
        """Return the report of the run so far, by replaying its journal."""
        return report_of(self.directory)

    def wait(self, condition: Any, timeout_s: float = 10.0) -> Frame:
        """Return the first frame for which `condition(frame)` holds. Raises EngineDied, or TimeoutError with the last state."""
        end = time.monotonic() + timeout_s
        while True:
            frame = self.frame()
            if condition(frame):
                return frame
            if not self.alive():
                raise EngineDied(f"the engine of {self.name} ended. Its last words:\n{log_tail(self.directory)}")
            if time.monotonic() > end:
                raise TimeoutError(
                    f"{self.name}: not so within {timeout_s:g} s; the desk is {frame.state}, {int(frame.desk['rows'])} rows."
                )
            time.sleep(0.02)

    def __repr__(self) -> str:
        if not self.directory.is_dir():
            return f"<{type(self).__name__} {self.name}: no such run yet>"
        names = ", ".join(i.name for i in self.instruments)
        return f"<{type(self).__name__} {self.name}: {names}, {'running' if self.alive() else 'not running'}>"


class Session(View, CalibratesSession):
    """A View that may command: it holds the url and the token of the engine's door."""

    def __init__(self, run: str | Path) -> None:
        super().__init__(run)
        _ = self.instruments  # says at once when there is no such run
        self._control = self._read_control()

    def _read_control(self) -> dict[str, Any]:
        path = self.directory / "control.json"
        if not self.alive():
            left = " A control file of a dead engine is left there." if path.exists() else ""
            raise EngineDied(
                f"no engine runs in {self.directory}.{left} Start it again with hl.resume({self.name!r}) or read it with hl.attach."
            )
        try:
            control = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise EngineUnreachable(
                f"{path} cannot be read ({error}); wanted url and token. Only the user who started the run may command it."
            ) from error
        # Wrapped, or the traceback of an interrupted call might show them.
        return {name: SecretStr(value) if name.endswith("token") else value for name, value in control.items()}

    def _signed(self, request: Any) -> Any:
        request.headers["authorization"] = f"Bearer {self._control['token'].get_secret_value()}"
        return request

    def command(self, name: str, market: int = 0, *, why: str = "", **values: Any) -> dict[str, Any]:
        """Send one command; return its acknowledgement, given when it was journaled and run. `why` goes into the audit trail.

        Raises CommandRefused with the engine's reason, EngineUnreachable when its door does not answer, EngineDied.
        """
        body = {"command": name, "market": market, "values": {k: _plain(v) for k, v in values.items()}}
        return self._post(name, "/command", body, why)

    def _post(self, name: str, path: str, body: dict[str, Any], why: str) -> dict[str, Any]:
        """Send a call to the door. One whose connection broke is sent once more: by its key the engine knows it again."""
        import httpx

        body = body | {"who": f"pid {os.getpid()}", "why": why}
        key = uuid.uuid4().hex
        # Loopback only: a proxy of the environment must never see the token.
        with httpx.Client(trust_env=False, timeout=_HTTP_S) as client:
            for last in (False, True):
                try:
                    answer = client.post(self._control["url"] + path, json=body, headers={"idempotency-key": key}, auth=self._signed)
                except httpx.HTTPError as error:
                    if not self.alive():
                        raise EngineDied(
                            f"the engine of {self.name} has ended; {name} was not confirmed.\n{log_tail(self.directory)}"
                        ) from None
                    if last or isinstance(error, httpx.TimeoutException):
                        raise EngineUnreachable(
                            f"{name}: no answer from the engine of {self.name} ({type(error).__name__}); it may or may not have acted."
                        ) from None
                    continue
                if answer.status_code != 401 or last:
                    break
                self._control = self._read_control()  # the tokens were renewed
        return self._read_answer(name, answer)

    def _read_answer(self, name: str, answer: Any) -> dict[str, Any]:
        """Return what the door answered. Raises CommandRefused, and EngineUnreachable for an answer that is none of the engine's."""
        try:
            said = dict(answer.json())
            error = None if answer.status_code == 200 else str(said["error"])
        except (ValueError, TypeError, KeyError):
            raise EngineUnreachable(
                f"{name}: the door of {self.name} could not take the call (HTTP {answer.status_code}: {answer.text[:200]!r}); too many "
                "connections may be open to it. See whether it was done before you send it again."
            ) from None
        if error is not None:
            raise (CommandOvertaken if said.get("type") == "Overtaken" else CommandRefused)(error)
        return said

    def pause(self, why: str = "") -> dict[str, Any]:
        """Withdraw the quotes; keep watching."""
        return self._post("pause", "/trading/pause", {}, why)

    def resume(self, why: str = "") -> dict[str, Any]:
        """Quote again, also after a halt."""
        return self._post("resume", "/trading/resume", {}, why)

    def halt(self, why: str = "") -> dict[str, Any]:
        """Cancel everything and stay so, over restarts too, until resume. Goes before whatever waits for the engine."""
        return self._post("halt", "/trading/halt", {}, why)

    def flatten(self, why: str = "") -> dict[str, Any]:
        """Cancel the quotes and take the position to zero."""
        return self._post("flatten", "/trading/flatten", {}, why)

    def set(self, market: int = 0, **params: Any) -> dict[str, Any]:
        """Change parameters of the running quoter, in human units."""
        return self.command("set", market, **params)

    def set_limits(self, market: int = 0, **limits: Any) -> dict[str, Any]:
        """Change limits of the running desk, in human units.

        Raises CommandRefused for a limit looser than its hard cap: what it was at the start, or what `Limits(hard={…})` allows.
        """
        return self.command("set_limits", market, **limits)

    def activate(self, market: int = 0) -> dict[str, Any]:
        """Let a deactivated market be quoted again."""
        return self.command("activate", market)

    def deactivate(self, market: int = 0) -> dict[str, Any]:
        """Withdraw the quotes of one market and ask its strategy no more; its position stays, the others go on."""
        return self.command("deactivate", market)

    def target(self, qty: Any, market: int = 0) -> dict[str, Any]:
        """Wish for a position in base units, to be worked as a one-sided quote; None withdraws the wish."""
        return self.command("target", market, qty=qty)

    def stop(self, timeout_s: float = 30.0) -> Report:
        """Cancel everything, wait until nothing rests and the engine has ended, and return the report.

        Raises EngineUnreachable when the process has not ended after `timeout_s`, CommandRefused.
        """
        self.command("stop")
        end = time.monotonic() + timeout_s
        while self.alive():
            if time.monotonic() > end:
                raise EngineUnreachable(f"the engine of {self.name} has no resting orders but did not end within {timeout_s:g} s.")
            time.sleep(0.02)
        return self.report()

    def tunable(self, market: int = 0) -> list[dict[str, Any]]:
        """Return the live parameters of the quoter: name, label, unit, value, min, max, step, log; human units."""
        from hftlab.engine.spec import read_values

        quoter = QUOTERS[read_values(self.directory)["quoters"][market]["type"]]
        record = self.frame().markets[market]["params"]
        return [slider(name, to_human(name, record, self.instruments[market]), self.instruments[market]) for name in quoter.LIVE]


def slider(name: str, value: float, instrument: Instrument) -> dict[str, Any]:
    """Return how a slider shows one live parameter: name, label, unit, value, min, max, step, log; human units."""
    rule = TUNABLE[name]
    low, high = (value / 10, value * 10) if value > 0 else (rule.low, 10.0)
    low, high = max(low, rule.low), min(high, rule.high)
    step = float(instrument.lot_size) if rule.sized else (1.0 if rule.whole else (high - low) / 100)
    if rule.sized:
        low, high = step, max(10 * value, step)
    if rule.whole:
        low, high = rule.low, min(rule.high, max(10.0, value))
    unit = rule.unit.replace("base", instrument.qty_unit).replace("quote", instrument.quote).replace("price", instrument.quote)
    return {
        "name": name,
        "label": name.replace("_", " "),
        "unit": unit,
        "value": value,
        "min": low,
        "max": high,
        "step": step,
        "log": rule.log and value > 0,
    }


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int | float | str) else str(value)
