"""An internet of our own: an engine and what it can reach, in network namespaces that end with the test.

The engine's machine has 9.9.1.1 to the world, 192.168.77.1 on its LAN and fd00:ec2::1; beyond it lies
one neighbour with a public address, another public one, an address of the LAN and both addresses of a
cloud's metadata service. Nothing of it leaves this machine, whose own rules are not touched.
"""

import ctypes
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from tests.worlds.engine import SETTINGS, OwnEngine, install

PUBLIC, OTHER, LAN, METADATA, METADATA6 = (
    "9.9.1.2",
    "9.9.1.3",
    "192.168.77.2",
    "169.254.169.254",
    "fd00:ec2::254",
)
HOST = ("9.9.1.1", "192.168.77.1", "fd00:ec2::1")
_NEWNET = 0x40000000
PORT, UNDECLARED = 443, 8443
GREETER = """
import socket, sys, threading
def tcp(port):
    with socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        opened.release()
        while True:
            link, _ = server.accept()
            with link:
                link.sendall(b"hello")
def udp(port):
    # An answer has to come from the address that was asked.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
        server.bind(("0.0.0.0", port))
        opened.release()
        while True:
            _, found, _, whence = server.recvmsg(100, 100)
            asked = found[0][2][8:12]
            reply = (socket.IPPROTO_IP, 8, bytes(4) + asked + bytes(4))
            server.sendmsg([b"hello"], [reply], 0, whence)
opened = threading.Semaphore(0)
ports = [int(each) for each in sys.argv[1:]]
for port in ports:
    threading.Thread(target=tcp, args=(port,)).start()
    threading.Thread(target=udp, args=(port,)).start()
for _ in range(2 * len(ports)):
    opened.acquire()
print("open", flush=True)
"""

WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""What is begun with these words ends when we do, however that goes (kill -9)."""


class Namespace:
    """A network namespace, held by a process that sleeps."""

    def __init__(self):
        ours = Path("/proc/self/ns/net").readlink()
        self._holder = subprocess.Popen([*WITH_US, "unshare", "--net", "sleep", "infinity"])
        self.pid = self._holder.pid
        self.enter = ("nsenter", f"--net=/proc/{self.pid}/ns/net")
        deadline = time.monotonic() + 20
        while Path(f"/proc/{self.pid}/ns/net").readlink() == ours:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self._servers = []

    def ip(self, commands):
        """Run lines of `ip`."""
        subprocess.run([*self.enter, "ip", "-batch", "-"], input=commands, text=True, check=True)

    def serve(self, *ports):
        words = [*WITH_US, *self.enter, sys.executable, "-c", GREETER, *map(str, ports)]
        server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self._servers.append(server)
        assert server.stdout.readline() == "open\n"

    @contextmanager
    def entered(self):
        """Be in it, with every program that is started meanwhile."""
        libc = ctypes.CDLL(None, use_errno=True)
        ours, theirs = Path("/proc/self/ns/net"), Path(f"/proc/{self.pid}/ns/net")
        with ours.open() as before, theirs.open() as wanted:
            assert libc.setns(wanted.fileno(), _NEWNET) == 0
            try:
                yield
            finally:
                assert libc.setns(before.fileno(), _NEWNET) == 0

    def close(self):
        for process in (*self._servers, self._holder):
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


class InternetEngine(OwnEngine):
    """An engine with rules of its own, on a machine of its own as far as networks go."""

    def __init__(self, settings=()):
        install()
        self.machine, self.world = Namespace(), Namespace()
        try:
            self._connect()
            super().__init__({**SETTINGS, "iptables": True, **dict(settings)})
        except BaseException:
            self._leave()
            raise

    def _connect(self):
        self.machine.ip(
            f"link set lo up\n"
            f"link add out type veth peer name in netns {self.world.pid}\n"
            "link set out up\n"
            "addr add 9.9.1.1/24 dev out\n"
            "addr add 192.168.77.1/24 dev out\n"
            "addr add fd00:ec2::1/64 dev out nodad\n"
            f"route add {METADATA}/32 dev out\n"
        )
        self.world.ip(
            "link set lo up\n"
            "link set in up\n"
            f"addr add {PUBLIC}/24 dev in\n"
            f"addr add {OTHER}/24 dev in\n"
            f"addr add {LAN}/24 dev in\n"
            f"addr add {METADATA}/32 dev in\n"
            f"addr add {METADATA6}/64 dev in nodad\n"
        )
        self.world.serve(PORT, UNDECLARED)
        self.machine.serve(PORT)

    def _spawn(self, *words):
        return super()._spawn(*self.machine.enter, *words)

    def close(self):
        super().close()
        self._leave()

    def _leave(self):
        self.machine.close()
        self.world.close()
