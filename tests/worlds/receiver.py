"""Somebody who receives alerts: a real HTTP server, that answers as a test tells it."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DEADLINE_S = 30.0


@dataclass
class Receiver:
    """Attributes: `answers`, statuses of the next requests, then always `status`; `hold` while it is to hang."""

    status: int = 200
    answers: list[int] = field(default_factory=list)
    hold: bool = False
    drip: bool = False
    """Answer one byte at a time, for ever."""
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    """Path, headers, body."""
    port: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/hunter2?key=abc"

    @property
    def told(self) -> list[dict[str, Any]]:
        """Return every body."""
        return [json.loads(body) for _, _, body in list(self.requests)]

    def reasons(self, status: str = "firing") -> list[tuple[str, str]]:
        return [(e["plugin"], e["reason"]) for e in self.told if e["status"] == status]

    def until(self, said, *, within: float = DEADLINE_S):
        """Poll until `said(told)`, and return what it returned."""
        ends = time.monotonic() + within
        while not (found := said(self.told)):
            assert time.monotonic() < ends, self.told
            time.sleep(0.02)
        return found


@contextmanager
def receiving(receiver: Receiver) -> Iterator[Receiver]:
    """Serve on a port of loopback, the one that it has if any."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append((self.path, dict(self.headers), body))
            if receiver.drip:
                while not receiver.released.wait(0.05):
                    self.wfile.write(b"H")
                return
            while receiver.hold and not receiver.released.wait(0.02):
                pass
            status = receiver.answers.pop(0) if receiver.answers else receiver.status
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"http://127.0.0.1:{receiver.port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError):  # whoever asked went away
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", receiver.port), Handler)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    receiver.released.clear()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
