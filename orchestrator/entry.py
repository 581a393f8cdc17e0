"""Where `ntpctl` begins: an `apply` asks the running controller whether there is anything to do.

Most often there is not, and to import the command line takes longer than to find that out. So this
imports as little as it can and decides nothing: the controller reads and looks at everything anew, as
for every apply (`orchestrator.app.rereading`). Whatever it does not answer plainly is done in the usual way, by
`orchestrator.cli`, which alone has options, problems and words for them. docs/adr/0015 has the reasons.
"""

import json
import os
import socket
import sys
from collections.abc import Sequence

import orchestrator

PATIENCE_S = 6.0
"""Longer than a controller is silent: what it says then is that it needs longer."""
DEFAULT_FILES = ("config/plugins.yaml", "plugins.yaml")
HEAD_BYTES = 4096


def main() -> None:
    """Run `ntpctl`."""
    try:
        unchanged = reapplied(sys.argv[1:])
        if unchanged is not None:
            print(f"nothing to do: {unchanged['same']} run as declared")
            ready = f"{unchanged['ready']}/{unchanged['ready']} ready"
            print(f"revision {unchanged['revision']}: {ready}", file=sys.stderr, flush=True)
            sys.stdout.flush()
            return
    except (KeyboardInterrupt, OSError):
        from orchestrator.cli.failure import guard

        with guard():
            raise
    from orchestrator.cli import main as command_line

    command_line()


def reapplied(arguments: Sequence[str]) -> dict[str, int] | None:
    """Return what the controller says of an apply that has changed nothing; None: there was none."""
    files = _files(arguments)
    if files is None or None in (sys.stdout, sys.stderr) or "_NTPCTL_COMPLETE" in os.environ:
        return None
    try:
        read = files or [_usual()]
        if not all(map(os.path.isfile, read)):
            return None  # a pipe can be read once, and not by us
        program = os.stat(orchestrator.__file__)
        seen = map(os.stat, ("/", "/proc/self/ns/mnt", *read))
        request = {
            "call": "reapply",
            "program": (program.st_dev, program.st_ino, program.st_mtime_ns),
            "files": files,
            "folder": os.getcwd(),
            "seen": [(each.st_dev, each.st_ino) for each in seen],
            "environment": dict(os.environ),
        }
        found = _ask(_socket(read[0]), json.dumps(request).encode() + b"\n")
    except (OSError, ValueError):
        return None
    return found or None


def _files(arguments: Sequence[str]) -> list[str] | None:
    """Return the files that a plain `apply` names; None: something else is asked for."""
    if arguments[:1] != ["apply"]:
        return None
    files = []
    rest = iter(arguments[1:])
    for each in rest:
        if each in ("-f", "--file"):
            files.append(next(rest, ""))
        elif each not in ("-y", "--yes"):
            return None
    return files


def _usual() -> str:
    return os.environ.get("PLUGIN_CONFIG") or next(filter(os.path.isfile, DEFAULT_FILES), "")


def _socket(named: str) -> str:
    """Return where the project's controller should answer.

    No more than a guess, for projects that are named and kept in the usual way: which project is
    meant is found out by the controller. Raises OSError.
    """
    with open(named, "rb") as file:
        for line in file.read(HEAD_BYTES).splitlines():
            if line.startswith(b"name:"):
                project = line[5:].partition(b"#")[0].strip().decode()
                break
        else:
            folder = os.path.dirname(os.path.abspath(named))
            folder = os.path.dirname(folder) if os.path.basename(folder) == "config" else folder
            project = os.path.basename(os.path.realpath(folder)).lower()
    return os.path.join(_states(), project, "controller.sock")


def _states() -> str:
    if named := os.environ.get("NTP_STATE"):
        return named
    if os.geteuid() == 0:
        return "/var/lib/ntp"
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(home, "ntp")


def _ask(path: str, request: bytes) -> dict[str, int]:
    """Return the result of a call; raises OSError or ValueError where there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(PATIENCE_S)
        link.connect(path)
        credentials = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        if int.from_bytes(credentials[4:8], sys.byteorder) != os.geteuid():
            raise PermissionError(path)  # our environment is nobody else's business
        link.sendall(request)
        with link.makefile("rb") as answer:
            found: dict[str, int] = json.loads(answer.readline()).get("result")
    return found
