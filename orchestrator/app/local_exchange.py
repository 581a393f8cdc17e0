"""`ntp exchange` as a child of ours, on a free port of this machine, for as long as a block lasts.

A program of its own, as its users start it: the orchestrator imports nothing of it.
"""

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO
from urllib.error import URLError

from orchestrator.errors import ActionError, UnreachableError

START_S = 30.0
ANSWER_S = 10.0
END_S = 5.0
_LONGEST_LINE = 65_536


@dataclass(frozen=True, slots=True)
class Market:
    """One side of the exchange. `trades`: how many there were by symbol, whether anybody heard them."""

    ended: bool
    wanted: Sequence[str]
    """Symbols whose trades somebody is subscribed to."""
    trades: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LocalExchange:
    """`urls`: by protocol, `binance` and `polygon` among them."""

    urls: Mapping[str, str]

    def markets(self) -> Mapping[str, Market]:
        """Return how far each market has come.

        Raises:
            UnreachableError: the exchange does not answer.
        """
        return self._ask("GET")

    def play(self) -> None:
        """Let it play; raises as `markets`."""
        self._ask("POST")

    def _ask(self, method: str) -> Mapping[str, Market]:
        request = urllib.request.Request(self.urls["play"], method=method)  # noqa: S310 - our own child's, http
        # Past any proxy of the environment: it is this machine.
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(request, timeout=ANSWER_S) as answer:
                told = json.load(answer)["markets"]
        except (URLError, OSError, ValueError) as error:
            raise UnreachableError(f"the local exchange does not answer: {error}") from error
        return {name: Market(**market) for name, market in told.items()}


@contextmanager
def exchange(*options: str) -> Iterator[LocalExchange]:
    """Run it with these options on a free port of 127.0.0.1; yield once it serves.

    Raises:
        ActionError: it did not start, with what it said.
    """
    with tempfile.TemporaryFile() as said, _child(options, said) as child:
        try:
            yield LocalExchange(_urls(child, said))
        finally:
            _end(child)


def _child(options: Sequence[str], said: IO[bytes]) -> "subprocess.Popen[bytes]":
    from ntp.confine import kernel

    here = os.getpid()

    def tie() -> None:
        # Whoever kills us kills it: nobody else knows of it.
        if not kernel.live_with(here):
            os._exit(1)

    return subprocess.Popen(
        [sys.executable, "-P", "-m", "ntp.cli", "exchange", "--port", "0", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=said,
        # Ctrl-C is for us: plugins are put away before their exchange.
        start_new_session=True,
        preexec_fn=tie,  # noqa: PLW1509 - one system call, and no thread of ours is there yet
    )


def _urls(child: "subprocess.Popen[bytes]", said: IO[bytes]) -> Mapping[str, str]:
    """Read its first line: `name=URL` separated by spaces."""
    out, line = child.stdout, b""
    ends = time.monotonic() + START_S
    with selectors.DefaultSelector() as ready:
        if out is not None:
            ready.register(out, selectors.EVENT_READ)
        while out is not None and b"\n" not in line and len(line) < _LONGEST_LINE:
            if not ready.select(max(ends - time.monotonic(), 0)):
                break
            part = os.read(out.fileno(), 4096)
            if not part:
                break
            line += part
    first, ended, _ = line.partition(b"\n")
    if not ended:
        said.seek(0)
        words = said.read(2000).decode(errors="replace").strip()
        raise ActionError(f"the local exchange did not start: {words or 'no word from it'}")
    return dict(each.split("=", 1) for each in first.decode().split())


def _end(child: "subprocess.Popen[bytes]") -> None:
    child.terminate()
    try:
        child.wait(END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
