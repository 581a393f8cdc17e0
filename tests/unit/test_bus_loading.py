"""When accounts that servers loaded are looked at: soon, not without end, and however often a plugin connects."""

import asyncio
import contextlib
import json

import pytest

from orchestrator.bus.attending import Attending
from orchestrator.bus.insisting import NoResponderError
from orchestrator.bus.joining import SAID
from orchestrator.bus.loading import CONNECTED, EVERY_S, TRIES, Loading
from orchestrator.errors import ActionError, UnreachableError


class Servers:
    """A life of the system account, whose servers answer as they are told to; and what is pushed to them."""

    def __init__(self) -> None:
        self.client = self
        self.now = 100.0
        self.asked: list[str] = []
        self.looks: list[str] = []
        self.pushes: list[str] = []
        self.whole = True
        self.failure: Exception | None = None
        self._take = {}

    def new_inbox(self):
        return "inbox"

    async def receive(self, subject, take):
        self._take[subject] = take

    async def publish(self, subject, *_, **__):
        self.asked.append(subject)

    async def request(self, _, payload):
        self.looks.append(json.loads(payload)["account"])
        if isinstance(self.failure, UnreachableError):
            raise self.failure
        return json.dumps({"data": {"account_detail": {"complete": self.whole}}}).encode()

    def name(self, account):
        return "" if account == "THEIRS" else "alpha"

    async def push_again(self, account):
        self.pushes.append(account)
        if self.failure is not None:
            raise self.failure

    async def tell_again(self, joined):
        return joined

    def join(self, server):
        self._take[SAID](SAID, json.dumps({"server": {"id": server}, "statsz": {}}).encode())

    def connect(self, account):
        said = {"server": {"id": "S"}, "client": {"acc": account}}
        self._take[CONNECTED](CONNECTED, json.dumps(said).encode())


@pytest.fixture
async def world():
    servers, heard = Servers(), asyncio.Event()
    loading = Loading(heard, lambda: servers.now)
    await loading.attend(servers)
    return servers, loading, heard


async def _all(servers, loading, seconds=200):
    for _ in range(seconds):
        with contextlib.suppress(UnreachableError):
            await loading.mend(servers, servers)
        servers.now += 1.0


async def test_one_that_is_whole_is_looked_at_once(world):
    servers, loading, heard = world
    servers.connect("A")
    assert heard.is_set()
    await _all(servers, loading)
    assert (servers.looks, servers.pushes) == (["A"], [])


async def test_one_that_lacks_something_is_pushed_until_it_is_whole(world):
    servers, loading, _ = world
    servers.whole = False
    servers.connect("A")
    await _all(servers, loading, 2)
    servers.whole = True
    await _all(servers, loading)
    assert (servers.looks, servers.pushes) == (["A"] * 3, ["A"] * 2)


@pytest.mark.parametrize(
    "failure",
    [
        None,
        UnreachableError("timeout"),
        ActionError("no", reason="BrokerClaims"),
        OSError("the disk is full"),
    ],
)
async def test_one_that_cannot_be_mended_is_given_up(world, failure):
    servers, loading, _ = world
    servers.whole, servers.failure = False, failure
    servers.connect("A")
    await _all(servers, loading)
    assert servers.looks == ["A"] * TRIES


async def test_one_of_a_server_that_has_gone_is_forgotten(world):
    servers, loading, _ = world
    servers.failure = NoResponderError("nobody serves it")
    servers.connect("A")
    await _all(servers, loading)
    assert servers.looks == ["A"]


async def test_what_is_not_ours_is_not_asked_for(world):
    servers, loading, _ = world
    servers.connect("THEIRS")
    await _all(servers, loading)
    assert servers.looks == []


async def test_a_plugin_that_connects_without_end_is_looked_at_now_and_then(world):
    servers, loading, heard = world
    for _ in range(1000):
        servers.connect("A")
        await loading.mend(servers, servers)
        heard.clear()
        servers.connect("A")
        assert not heard.is_set()
        servers.now += EVERY_S / 100
    assert 9 <= len(servers.looks) <= 11


async def test_one_that_connects_while_it_is_looked_at_is_looked_at_again(world):
    servers, loading, _ = world
    servers.connect("A")
    request = servers.request

    async def meanwhile(*args):
        servers.connect("A")
        servers.request = request
        return await request(*args)

    servers.request = meanwhile
    await _all(servers, loading)
    assert servers.looks == ["A"] * 2


async def test_many_that_came_and_went_take_no_room(world):
    servers, loading, _ = world
    for number in range(1_000):
        servers.connect(f"A{number}")
        await _all(servers, loading, 1)
    assert sum(len(each) for each in vars(loading).values() if isinstance(each, dict)) < 20


async def test_a_server_that_joins_is_asked_what_it_has_loaded_by_then():
    """CORE is loaded there by its streams, and none of our connections need be there."""
    servers, attending = Servers(), Attending(several=True)
    await attending.attend(servers)
    servers.join("S")
    await attending.news()
    await attending.tell(servers, servers)
    assert "$SYS.REQ.SERVER.S.ACCOUNTZ" in servers.asked
