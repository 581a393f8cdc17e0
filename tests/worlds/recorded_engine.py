"""What a Docker Engine answered once, answered again at a socket: for engines that not every machine can run."""

import contextlib
import http.server
import json
import os
import re
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "engines"
SOMEBODY = 65534


@contextlib.contextmanager
def recorded(name: str, folder: Path, *, owner: int) -> Iterator[str]:
    """Yield the address of an engine that answers as in the recording; its socket is that user's."""
    answers = {
        "/_ping": "OK",
        **json.loads((RECORDINGS / f"{name}.json").read_text()),
    }

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(re.sub(r"^/v[0-9.]+|\?.*", "", self.path))
            refusal = {"message": f"{self.path} was not recorded"}
            content = json.dumps(refusal if found is None else found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

        def address_string(self) -> str:
            return "a socket"

    path = folder / "engine.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), Answering) as server:
        if os.geteuid() == 0:
            os.chown(path, owner, owner)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"unix://{path}"
        server.shutdown()
        thread.join()
