"""The egress proxy as a process: Debian's Squid with our configuration and helper."""

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from tests.worlds.environment import absent

FOLDER = Path(__file__).parents[2] / "plugin-images" / "egress-proxy"
SDK = FOLDER.parent / "sdk"
NOBODY = 65534
START_S = 30.0


class EgressProxy:
    """`rules`: the folder that the helper reads. `said`: what the proxy printed so far."""

    def __init__(self, port, rules, output):
        self.address = f"127.0.0.1:{port}"
        self.rules = rules
        self._output = output

    def said(self):
        return self._output.read_text()

    def rule(self, name, *lines):
        """Replace a file as a mounted ConfigMap does: at once, and never half of it."""
        path = self.rules / name
        path.parent.mkdir(exist_ok=True)
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_text("".join(f"{line}\n" for line in lines))
        fresh.replace(path)


@contextmanager
def egress_proxy():
    """Start one; skips where Squid is not installed."""
    program = shutil.which("squid", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        absent("programs", "no squid is installed here (Debian's package of that name)")
    with tempfile.TemporaryDirectory(prefix="ntp-egress-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        shutil.copytree(FOLDER / "errors", folder / "errors")
        rules = folder / "rules"
        rules.mkdir()
        text = (FOLDER / "squid.conf").read_text()
        for old, new in {
            "/usr/bin/python3 -S -s -P -B": f"{_python()} -P -B",
            "/opt/ntp-egress/allow.py": str(FOLDER / "allow.py"),
            "/opt/ntp-egress/errors": str(folder / "errors"),
            "/run/ntp-egress": str(rules),
            "http_port 3128": f"http_port 127.0.0.1:{port}",
        }.items():
            assert old in text, f"squid.conf says {old} no more"
            text = text.replace(old, new)
        (folder / "squid.conf").write_text(text)
        output = folder / "output"
        root = os.geteuid() == 0
        lines, told = os.pipe()
        with output.open("ab") as written:
            if root:  # Squid refuses to be root, and opens /dev/stdout anew with its own rights
                os.fchown(told, NOBODY, NOBODY)
                os.fchown(written.fileno(), NOBODY, NOBODY)
            process = subprocess.Popen(
                # Its name is that of its shared memory too.
                [program, "-N", "-n", f"ntp{port}", "-f", folder / "squid.conf"],
                stdout=told,
                stderr=written,
                env={**os.environ, "PYTHONPATH": f"{SDK}:{sysconfig.get_path('purelib')}"},
                **({"user": NOBODY, "group": NOBODY, "extra_groups": []} if root else {}),
            )
            copy = subprocess.Popen(["cat"], stdin=lines, stdout=written)
        os.close(lines)
        os.close(told)
        try:
            _answers(port, process, output)
            yield EgressProxy(port, rules, output)
        finally:
            process.terminate()
            process.wait(20)
            copy.wait(20)


def _python():
    """An interpreter that Squid's user may start: root's own may lie in a home that is closed to it."""
    if os.geteuid() != 0:
        return sys.executable
    found = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    if not Path(found).exists():
        absent("programs", f"no {found} is here, and root's Python cannot be started by others")
    return found


def _answers(port, process, output):
    end = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < end, output.read_text()
            time.sleep(0.05)
        else:
            return
