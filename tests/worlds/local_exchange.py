"""`ntp exchange` as a process on a free port of this machine."""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest


@dataclass
class Running:
    process: "subprocess.Popen[bytes]"
    urls: dict[str, str]
    words: str

    @property
    def at(self) -> str:
        """HOST:PORT."""
        return self.urls["control"].split("/")[2]

    def fault(self, query: str = "", method: str = "POST") -> list[str]:
        """Command faults; return those that stand."""
        url = self.urls["control"] + (f"?{query}" if query else "")
        request = urllib.request.Request(url, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)["standing"]


def two_lines(process: "subprocess.Popen[bytes]", deadline_s: float = 20) -> list[str]:
    """The first two lines of its output, or its failure."""
    end, text = time.monotonic() + deadline_s, b""
    while time.monotonic() < end:
        if select.select([process.stdout], [], [], 0.2)[0]:
            text += os.read(process.stdout.fileno(), 65_536)
            if text.count(b"\n") >= 2:
                return text.decode().splitlines()[:2]
        if process.poll() is not None:
            break
    pytest.fail(f"the exchange did not start: {text!r} {process.poll()}")


@contextmanager
def exchange(*options: str) -> Iterator[Running]:
    """Run it with these options as long as the block lasts."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ntp.cli", "exchange", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    try:
        first, second = two_lines(process)
        urls = dict(item.split("=", 1) for item in first.split())
        yield Running(process, urls, second)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=30)
        if process.poll() is None:
            process.kill()
            process.communicate()
