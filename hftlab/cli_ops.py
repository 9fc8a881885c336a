"""The commands of operations: `hftlab doctor`, `hftlab alert`, `hftlab latency`."""

import argparse
import json
import sys
from pathlib import Path

from hftlab.cli_live import Add


def alert(options: argparse.Namespace) -> int:
    """Send a test message to every channel of HFTLAB_ALERT_URLS, and say which took it."""
    from hftlab.engine.alert_channels import AppriseSink, Message, kind_of
    from hftlab.engine.settings import settings_from
    from hftlab.errors import HftlabError, InputError
    from hftlab.secret import scrub

    try:
        addresses = settings_from(None, "the session").alert_urls
        if not addresses:
            raise InputError("no channel is set; wanted addresses of apprise in HFTLAB_ALERT_URLS, in the environment or in .env.")
    except HftlabError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    failed = 0
    for number, address in enumerate(addresses, 1):
        name = f"channel {number} ({kind_of(address)})"
        try:
            taken = AppriseSink(address).send(Message("hftlab: a test", "This is a test of the channel. Nothing has happened.", "info"))
        except Exception as error:  # why: a channel is somebody else's code; what it says is shown, and the next is tried
            taken = False
            print(scrub(f"{name}: {type(error).__name__}: {error}"), file=sys.stderr)
        print(f"{name}: {'taken' if taken else 'NOT TAKEN'}")
        failed += not taken
    return 1 if failed else 0


def add_ops_commands(add: Add) -> None:
    """Add the commands to the parser of `hftlab`."""
    sender = add("alert", alert)
    sender.add_argument("what", choices=["test"], help="send a test message")
