"""A registry whose every answer a test may replace: what it has is true until then."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ntp.oci.archive import blobs_of
from ntp.oci.descriptor import INDEX, MANIFESTS, dump

OCTETS = "application/octet-stream"


@dataclass
class Lying:
    """`answers`: path -> (status, headers, content). `asked`: what was asked for, with its headers.

    `wants_password`: whoever sends none is asked for it.
    """

    host: str
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    wants_password: bool = False

    def say(self, path, content, media=OCTETS, *, status=200, **headers):
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        self.answers[path] = (status, {"Content-Type": media, **named}, content)

    def have(self, repository, tag, layout, image, attachments):
        """Have an image, and what is attached to it."""
        for blob in blobs_of(image, attachments):
            kind = "manifests" if blob.media_type in MANIFESTS else "blobs"
            content = layout.read(blob)
            self.say(f"/v2/{repository}/{kind}/{blob.digest}", content, blob.media_type)
        top = layout.read(image.descriptor)
        self.say(f"/v2/{repository}/manifests/{tag}", top, image.descriptor.media_type)
        self.list(repository, image, [each.descriptor.to_json() for each in attachments])

    def list(self, repository, image, manifests):
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
        self.say(f"/v2/{repository}/referrers/{image.digest}", dump(document), INDEX)


@contextmanager
def lying() -> Iterator[Lying]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found.asked.append((self.path, dict(self.headers)))
            if found.wants_password and "Authorization" not in self.headers:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="x"')
                self.end_headers()
                return
            status, headers, content = found.answers.get(self.path, (404, {}, b"{}"))
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Lying(f"127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
