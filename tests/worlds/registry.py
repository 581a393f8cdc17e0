"""A real registry on this machine: Debian's docker-registry, on a port and in a folder of its own."""

import contextlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.worlds.environment import absent

UNPACKED = Path(sys.prefix) / "tools" / "usr" / "bin" / "docker-registry"
READY_S = 20.0
USER, PASSWORD = "trader", "correct horse"
HTPASSWD = "trader:$2b$05$1y6rdgR4AnMM3styMtwTDOPWtBF3mSG52Fmep4302QQbsNaHtrRpa\n"
"""bcrypt, the one form that it reads."""


@contextlib.contextmanager
def registry(folder: Path, *, htpasswd: str | None = None) -> Iterator[str]:
    """Yield host:port of a registry that keeps what it has in `folder`."""
    program = shutil.which("docker-registry") or shutil.which(UNPACKED)
    if program is None:
        absent(
            "programs",
            "docker-registry is not here; requirements/registry fetches it on Debian and Ubuntu",
        )
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    lines = [
        "version: 0.1",
        "log: {level: error, accesslog: {disabled: true}}",
        f"storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}",
        f"http: {{addr: {host}}}",
    ]
    if htpasswd is not None:
        (folder / "htpasswd").write_text(htpasswd)
        lines.append(f"auth: {{htpasswd: {{realm: test, path: {folder / 'htpasswd'}}}}}")
    config = folder / "config.yml"
    config.write_text("\n".join(lines))
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([program, "serve", config], stdout=log, stderr=log) as process,
    ):
        try:
            _wait(host, process, folder / "log")
            yield host
        finally:
            process.terminate()
            process.wait(10)


def _wait(host: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        try:
            with urllib.request.urlopen(f"http://{host}/v2/", timeout=2):
                return
        except urllib.error.HTTPError:
            return
        except OSError as error:
            ended = process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise AssertionError(log.read_text()) from error
            time.sleep(0.05)
