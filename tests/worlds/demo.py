"""`ntpctl demo` as a process whose lines are read as they come."""

import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

PLAYED = {"BTCUSDT": 1082, "ETHUSDT": 977, "AAPL": 150, "GOOGL": 150}
"""Trades that its exchange plays: the same in each run."""


class Demo:
    """`tmp`: an empty folder with a short path, for Unix sockets lie in it. It is gone with its project."""

    def __init__(self, cache: Path, tmp: Path, *arguments: str, **environment: str) -> None:
        self.tmp = tmp
        self.process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", "demo", *arguments],
            env={**os.environ, "NTP_CACHE": str(cache), "TMPDIR": str(tmp), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []

    def until(self, words: str) -> None:
        for line in self.process.stderr:
            self.said.append(line)
            if words in line:
                return
        raise AssertionError(f"the demo never said {words!r}:\n{''.join(self.said)}")

    def exchange(self, path: str) -> None:
        """Command the exchange, as its file of plugins tells where it is."""
        [file] = self.tmp.glob("ntp-demo-*/plugins.yaml")
        place = re.search(r"ws://(127\.0\.0\.1:\d+)/ws", file.read_text())[1]
        request = urllib.request.Request(f"http://{place}{path}", method="POST")
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310

    def end(self) -> tuple[int, str]:
        out, err = self.process.communicate(timeout=200)
        self.said.append(err)
        return self.process.returncode, out

    def pids(self, mark: str) -> list[int]:
        """Processes of this demo whose command line has `mark`."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if mark in command and str(self.tmp) in (
                command + (entry / "environ").read_bytes().decode(errors="replace")
            ):
                found.append(int(entry.name))
        return found
