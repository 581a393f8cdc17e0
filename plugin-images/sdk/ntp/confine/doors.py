"""The doors of all plugins of a project in one process: what runs in the door container.

Each plugin has a folder of its own, the only part that it sees: `door.json` says what may be reached,
`door.sock` is where it asks, `refused.json` counts what was refused. `look` on the control socket has
the folders read again; the answer comes when every door that they name is open.
"""

import json
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ntp.confine.door import Door
from ntp.confine.door_refusals import Refusals

CONTROL = ".control"
ORDER, SOCKET, REFUSED = "door.json", "door.sock", "refused.json"
BACKLOG = 64


@dataclass
class _Open:
    """One door that is served by a thread."""

    order: bytes
    listener: socket.socket
    door: Door
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self.door.run, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.door.stop()
        self.thread.join()
        self.listener.close()


class Doors:
    """Opens and closes doors until what is open is what the folders name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, _Open] = {}

    def look(self) -> None:
        wanted: dict[str, bytes] = {}
        for place in sorted(self._folder.iterdir()):
            with suppress(OSError):
                wanted[place.name] = (place / ORDER).read_bytes()
        for name, each in list(self._open.items()):
            # A folder may have gone and come again between two looks, with the same order: its socket has not.
            if wanted.get(name) != each.order or not (self._folder / name / SOCKET).exists():
                self._open.pop(name).close()
        for name in wanted.keys() - self._open.keys():
            try:
                self._open[name] = self._opened(self._folder / name, wanted[name])
            except (OSError, ValueError, KeyError) as error:
                print(f"the door of {name} cannot be opened: {error}", file=sys.stderr)  # noqa: T201

    def _opened(self, place: Path, order: bytes) -> _Open:
        said: dict[str, Any] = json.loads(order)
        listener = listen(place / SOCKET)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        refusals = Refusals(os.open(place / REFUSED, flags, 0o644))
        door = Door(
            listener,
            said["allow"],
            refusals,
            private=said["private"],
            detours=said["detours"],
        )
        return _Open(order, listener, door)


def listen(path: Path) -> socket.socket:
    """Listen at a path; who was there before is gone."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    path.unlink(missing_ok=True)
    # The path of a Unix socket may have 107 bytes only; a name in the current folder is short.
    here = os.open(".", os.O_PATH | os.O_DIRECTORY)
    os.chdir(path.parent)
    try:
        made.bind(path.name)
        os.chmod(path.name, 0o666)  # noqa: PTH101, S103  # whose folder it is decides who reaches it
    finally:
        os.fchdir(here)
        os.close(here)
    made.listen(BACKLOG)
    return made


def main(folder: Path) -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    doors = Doors(folder)
    control = listen(folder / CONTROL)
    doors.look()
    while True:
        link, _ = control.accept()
        with link:
            link.settimeout(5.0)
            with suppress(OSError):
                if link.recv(16) == b"look":
                    doors.look()
                    link.send(b"done")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
