"""The way out of an empty network for a data source: to the hosts that it names, as live."""

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def way_out(folder: Path, hosts: Sequence[str], private: Sequence[str]) -> Iterator[Path | None]:
    """Yield the socket of a door to these hosts (`host:port`); None where there can be none.

    Args:
        folder: of the socket.
        hosts: what may be reached on the internet.
        private: what may be reached although it is of this machine or its network.
    """
    if sys.platform != "linux":
        yield None
        return
    from ntp.confine.door import Door
    from ntp.confine.door_refusals import Refusals
    from ntp.confine.doors import REFUSED, SOCKET, listen

    folder.mkdir()
    folder.chmod(0o755)
    file = os.open(folder / REFUSED, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    listener = listen(folder / SOCKET)
    door = Door(listener, [*hosts, *private], Refusals(file), private=private)
    serving = threading.Thread(target=door.run, name="door", daemon=True)
    serving.start()
    try:
        yield folder / SOCKET
    finally:
        door.stop()
        serving.join()
        listener.close()
        os.close(file)
