"""A process that was started and left alone ends without a trace: no zombie, no warning."""

import subprocess
import sys
import threading
import time

import psutil

from hftlab.engine.process import reap

WAIT_S = 60.0


def until(condition):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_exit_of_a_process_that_nobody_asks_about_is_collected():
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read(); sys.exit(3)"], stdin=subprocess.PIPE)
    pid = process.pid
    reap(process)
    assert process.poll() is None
    process.stdin.close()
    until(lambda: not psutil.pid_exists(pid))  # a zombie still exists
    until(lambda: f"reaps {pid}" not in [one.name for one in threading.enumerate()])
    assert process.poll() == 3
