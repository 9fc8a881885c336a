"""The log of an engine: one JSON object a line in log.jsonl of its directory.

    {"ts_ns": …, "level": "warn", "source": "hftlab.engine", "text": "…", "market": 0, "fields": {…}, "traceback": "…"}

The last three stand there where there is something to say. The file is begun anew at a size, and only so many old ones are kept. The
same words within a few seconds are counted, not written. Whatever is written passes `secret.scrub`, tracebacks of libraries too.
"""

import json
import logging
import sys
import threading
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any

from hftlab.config import LogSection
from hftlab.secret import scrub, scrub_all

FILE = "log.jsonl"
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_NAMES = {number: name for name, number in LEVELS.items()} | {logging.CRITICAL: "error"}
_WATCHED_MAX = 512  # different words that are watched for repeats at a time
# What these say of every request holds signatures and stream keys, which belong into no log.
_QUIET = ("uvicorn", "httpx", "httpcore", "picows", "aiohttp", "ccxt", "requests", "urllib3", "apprise")

log = logging.getLogger("hftlab.engine")


class JsonLines(logging.Formatter):
    """One JSON object a line, without secrets. `extra={"market": 0, "fields": {…}}` of a call is kept."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON text."""
        values: dict[str, Any] = {
            "ts_ns": round(record.created * 1e6) * 1000,  # a float of seconds holds no more
            "level": _NAMES.get(record.levelno, "info"),
            "source": record.name,
            "text": scrub(record.getMessage()),
        }
        for name in ("market", "fields"):
            if getattr(record, name, None) is not None:
                values[name] = scrub_all(getattr(record, name))
        if record.exc_info:
            values["traceback"] = scrub(self.formatException(record.exc_info))
        return json.dumps(values)


@dataclass(slots=True)
class _Repeat:
    """The same words: since when, how often they came after the first time, and the last record of them."""

    began: float
    more: int
    last: logging.LogRecord


class RunLog(RotatingFileHandler):
    """Writes records into a directory; see the module. Time is taken from the records."""

    def __init__(self, directory: Path, section: LogSection) -> None:
        size = int(section.file_mb_max * 1e6)
        super().__init__(directory / FILE, maxBytes=size, backupCount=section.files_max, encoding="utf-8")
        self.setFormatter(JsonLines())
        self.setLevel(LEVELS[section.level])
        self._repeat_s = section.repeat_s
        self._seen: dict[tuple[str, int, str], _Repeat] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or count it when the same words were written a moment ago."""
        if self._repeat_s:
            self._tell_older_than(record.created - self._repeat_s)
            key = (record.name, record.levelno, record.getMessage())
            seen = self._seen.get(key)
            if seen is not None:
                seen.more, seen.last = seen.more + 1, record
                return
            if len(self._seen) >= _WATCHED_MAX:
                self._tell_older_than(record.created)
            self._seen[key] = _Repeat(record.created, 0, record)
        super().emit(record)

    def close(self) -> None:
        """Tell what was counted, and close the file."""
        self._tell_older_than(float("inf"))
        super().close()

    def _tell_older_than(self, began: float) -> None:
        # In order of their beginning, so the first that is younger ends the search.
        while self._seen:
            key = next(iter(self._seen))
            if self._seen[key].began > began:
                return
            repeat = self._seen.pop(key)
            if repeat.more:
                record = logging.makeLogRecord(repeat.last.__dict__ | {"exc_info": None, "args": None})
                record.msg = f"{key[2]} … {repeat.more} times more"
                super().emit(record)


def open_log(directory: Path, section: LogSection) -> RunLog:
    """Let everything that this process logs go to the directory's log, and what it dies of into both the log and stderr, scrubbed."""
    handler = RunLog(directory, section)
    logging.basicConfig(level=LEVELS[section.level], handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    sys.excepthook = _unhandled
    threading.excepthook = lambda args: _unhandled(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
    return handler


def _unhandled(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Write an error that nobody caught; Python's own way would print its text, and with it any secret, as it is."""
    log.error("unhandled error in %s", threading.current_thread().name, exc_info=(kind, error, traceback))
    text = logging.Formatter().formatException((kind, error, traceback))
    print(scrub(text), file=sys.stderr)
