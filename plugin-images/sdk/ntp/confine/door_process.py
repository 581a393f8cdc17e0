"""A door in a process of its own: unprivileged, and gone with whoever started it."""

import os
import socket
from collections.abc import Sequence

from ntp.confine import kernel
from ntp.confine.door import Door
from ntp.confine.door_refusals import Refusals

TYPE_CHECKING = False  # `typing` costs memory in every door
if TYPE_CHECKING:
    from ntp.confine.door_names import LookUp


def serve(
    listener: socket.socket,
    allow: Sequence[str],
    *,
    refused: str,
    uid: int | None = None,
    parent: int | None = None,
    private: Sequence[str] = (),
    detours: Sequence[str] = (),
    look_up: "LookUp | None" = None,
) -> None:
    """Serve until the process is ended.

    Args:
        listener: a listening AF_UNIX SOCK_SEQPACKET socket.
        allow: `host:port` each; hosts are names or addresses, an IPv6 address in brackets.
        refused: file that holds refused connections as JSON, `{"host:port": count}`.
        uid: user (and group) to become, once the file is open.
        parent: pid to die with.
        private: those of `allow` whose name may lead to a private address: a broker in the house.
        detours: `host:port=address:port`: those of `allow` that lead somewhere else, in tests.
        look_up: instead of the system's resolver.
    """
    report = os.open(refused, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    if parent is not None and not kernel.live_with(parent):
        return
    hints = {"private": private, "detours": detours}
    Door(listener, allow, Refusals(report), **hints, look_up=look_up).run()
