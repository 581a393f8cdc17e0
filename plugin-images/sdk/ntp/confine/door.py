"""The door: the one way out of a plugin's empty network.

A plugin asks `host port` on a Unix socket (SEQPACKET); the door looks into the entry's allow-list,
resolves the name, connects, and passes the connected socket back as a descriptor. From then on the
door is not in the way. It runs outside the sandbox, unprivileged, as a child of the plugin's shim,
with the standard library alone and as few modules as it can: there is one for each plugin.

One loop that never blocks, and a few threads for names, so that a name server that hangs delays
neither the broker's address nor another name. Everything has a deadline and a bound; a plugin that
asks too fast waits at its own socket.
"""

# ruff: noqa: SIM105  # see files.py: contextlib costs memory in every door

import errno
import os
import select
import socket
from collections.abc import Callable, Sequence
from time import monotonic

from ntp.confine import door_places
from ntp.confine.door_refusals import Refusals
from ntp.confine.door_visit import Visit

TYPE_CHECKING = False  # `typing` costs memory in every door
if TYPE_CHECKING:
    from ntp.confine.door_names import LookUp, Names

QUESTION_S = 5.0
RESOLVE_S = 5.0
CONNECT_S = 10.0
ADDRESS_S = 3.0
"""For one of several addresses, so that a dead one leaves time for the next."""
VISITS = 32
"""Questions under way; further ones wait in the listener's backlog."""
RATE, BURST = 20.0, 64.0
"""Questions a second, and how many at once after a quiet time."""
_QUESTION_LIMIT = 300


class Door:
    """The loop. Every method but `run` returns at once."""

    def __init__(
        self,
        listener: socket.socket,
        allow: Sequence[str],
        refusals: Refusals,
        *,
        private: Sequence[str] = (),
        detours: Sequence[str] = (),
        look_up: "LookUp | None" = None,
    ) -> None:
        self._look_up = look_up
        self._listener = listener
        self._listener.setblocking(False)
        self._allow = {door_places.place(item) for item in allow}
        self._private = {door_places.place(item) for item in private}
        pairs = (item.partition("=") for item in detours)
        self._detours = {door_places.place(a): door_places.place(b) for a, _, b in pairs}
        self._refusals = refusals
        self._poll = select.epoll()
        self._steps: dict[int, Callable[[], None]] = {}
        self._visits: set[Visit] = set()
        self._accepting = False
        self._tokens = BURST
        self._counted = monotonic()
        self._names: Names | None = None
        self._stopping = os.eventfd(0, os.EFD_CLOEXEC)
        self._poll.register(self._stopping, select.EPOLLIN)

    def stop(self) -> None:
        """Have `run` return soon; from any thread. What was handed over stays with the plugin."""
        os.eventfd_write(self._stopping, 1)

    def run(self) -> None:
        while True:
            self._listen()
            for file, _ in self._poll.poll(self._patience()):
                if file == self._stopping:
                    for visit in list(self._visits):
                        self._end(visit)
                    return
                step = self._steps.get(file)
                if step is not None:
                    step()
            now = monotonic()
            for visit in [visit for visit in self._visits if visit.deadline <= now]:
                visit.expired()

    def _listen(self) -> None:
        """Take questions while there is room and the plugin does not ask too fast."""
        now = monotonic()
        self._tokens = min(self._tokens + (now - self._counted) * RATE, BURST)
        self._counted = now
        accepting = len(self._visits) < VISITS and self._tokens >= 1
        if accepting != self._accepting:
            self._accepting = accepting
            if accepting:
                self._watch(self._listener, select.EPOLLIN, self._accept)
            else:
                self._ignore(self._listener)

    def _patience(self) -> float:
        times = [visit.deadline for visit in self._visits]
        if self._tokens < 1:
            times.append(monotonic() + 1 / RATE)
        return max(min(times) - monotonic(), 0.0) if times else -1

    def _watch(self, source: socket.socket, events: int, step: Callable[[], None]) -> None:
        if source.fileno() in self._steps:
            self._poll.modify(source, events)
        else:
            self._poll.register(source, events)
        self._steps[source.fileno()] = step

    def _ignore(self, source: socket.socket) -> None:
        if self._steps.pop(source.fileno(), None) is not None:
            self._poll.unregister(source)

    def _accept(self) -> None:
        try:
            link, _ = self._listener.accept()
        except OSError:  # it went away again, or descriptors ran out: the next round tries again
            return
        self._tokens -= 1
        link.setblocking(False)
        visit = Visit(link)
        self._visits.add(visit)
        visit.deadline = monotonic() + QUESTION_S
        visit.expired = lambda: self._end(visit)
        self._watch(link, select.EPOLLIN, lambda: self._read(visit))

    def _read(self, visit: Visit) -> None:
        link = visit.link
        if link is None:
            return
        try:
            question = link.recv(_QUESTION_LIMIT)
        except BlockingIOError:
            return  # an event of the descriptor's last owner
        except OSError:
            question = b""
        if not question:
            self._end(visit)
            return
        # From here on only its end interests us: the answer goes nowhere then.
        self._watch(link, select.EPOLLHUP | select.EPOLLRDHUP, lambda: self._end(visit))
        try:
            visit.host, visit.port = door_places.parse(question)
        except ValueError as error:
            self._answer(visit, errno.EINVAL, f"the door understands `host port`; {error}")
            return
        place = (visit.host, visit.port)
        if place not in self._allow:
            words = "not in network.egress of its entry; `ntpctl status NAME` shows the line to add"
            self._refuse(visit, words)
            return
        visit.to = self._detours.get(place)
        host = visit.to[0] if visit.to is not None else visit.host
        family = door_places.family(host)
        visit.by_name = family is None
        if family is not None:
            self._resolved(visit, [(family, host)])
        else:
            self._resolve(visit)

    def _resolve(self, visit: Visit) -> None:
        if self._names is None:
            from ntp.confine.door_names import Names

            self._names = Names(self._look_up)
            self._watch(self._names.bell, select.EPOLLIN, self._found)
        visit.deadline = monotonic() + RESOLVE_S
        visit.expired = lambda: self._answer(
            visit, socket.EAI_AGAIN, f"{visit.host} was not resolved in {RESOLVE_S:g} s"
        )
        if not self._names.ask(visit, visit.host, visit.port):
            self._answer(visit, socket.EAI_AGAIN, f"{visit.host}: too many names are looked up")

    def _found(self) -> None:
        if self._names is None:
            return
        for visit, addresses, code, words in self._names.answers():
            if visit.link is None:
                continue  # its deadline came first
            if addresses:
                self._resolved(visit, addresses)
            else:
                self._answer(visit, code, f"{visit.host}: {words}")

    def _resolved(self, visit: Visit, addresses: list[tuple[int, str]]) -> None:
        local = visit.host == "localhost" or (visit.host, visit.port) in self._private
        words = ""
        for family, address in addresses:
            against = door_places.objection(address, written=not visit.by_name, local=local)
            if against is None:
                visit.addresses.append((family, address))
            else:
                words = f"{address} is {against}"
        if not visit.addresses:
            self._refuse(visit, words)
            return
        visit.deadline = monotonic() + CONNECT_S
        self._connect(visit, visit.deadline, errno.ETIMEDOUT)

    def _connect(self, visit: Visit, end: float, last: int) -> None:
        """Try the next address; `last` is what the one before met."""
        if visit.tcp is not None:
            self._ignore(visit.tcp)
            visit.tcp.close()
            visit.tcp = None
        now = monotonic()
        if not visit.addresses or now >= end:
            self._answer(visit, last, f"{visit.shown()}: {os.strerror(last)}")
            return
        family, address = visit.addresses.pop(0)
        visit.deadline = min(end, now + ADDRESS_S) if visit.addresses else end
        visit.expired = lambda: self._connect(visit, end, errno.ETIMEDOUT)
        try:
            visit.tcp = socket.socket(family, socket.SOCK_STREAM)
            visit.tcp.setblocking(False)
            code = visit.tcp.connect_ex((address, visit.to[1] if visit.to else visit.port))
        except OSError as error:
            code = error.errno or errno.EIO
        if visit.tcp is not None and code in {0, errno.EINPROGRESS}:
            self._watch(visit.tcp, select.EPOLLOUT, lambda: self._connected(visit, end))
        else:
            self._connect(visit, end, code)

    def _connected(self, visit: Visit, end: float) -> None:
        tcp = visit.tcp
        if tcp is None or visit.link is None:
            return
        code = tcp.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._connect(visit, end, code)
            return
        try:
            there = tcp.getpeername()[0]
        except OSError:
            return  # an event of the descriptor's last owner; this one is still on its way
        self._ignore(tcp)
        local = visit.host == "localhost" or (visit.host, visit.port) in self._private
        if visit.by_name and not local and there == tcp.getsockname()[0]:
            self._refuse(visit, f"{there} is an address of this machine")
            return
        tcp.setblocking(True)  # O_NONBLOCK goes with the descriptor; its new owner begins afresh
        try:
            socket.send_fds(visit.link, [b"0"], [tcp.fileno()])
        except OSError:
            pass  # the plugin went away meanwhile
        self._end(visit)

    def _refuse(self, visit: Visit, words: str) -> None:
        place = f"{visit.host}:{visit.port}"
        self._refusals.count(place)
        self._answer(visit, errno.ECONNREFUSED, f"{place} is refused: {words}")

    def _answer(self, visit: Visit, code: int, words: str) -> None:
        if visit.link is not None:
            try:
                visit.link.send(f"{code} {words}".encode()[:1000])
            except OSError:
                pass  # the plugin went away meanwhile
        self._end(visit)

    def _end(self, visit: Visit) -> None:
        for held in (visit.link, visit.tcp):
            if held is not None:
                self._ignore(held)
                held.close()
        visit.link = visit.tcp = None
        self._visits.discard(visit)
