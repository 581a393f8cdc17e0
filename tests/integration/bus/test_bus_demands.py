"""A NATS that would break our promises is refused with the reason, and nothing is made on it."""

import asyncio
import json
import re
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from ntp.contract.names import Kind
from orchestrator.bus import server_binary
from orchestrator.bus.broker import NatsBroker
from orchestrator.bus.external import External
from orchestrator.bus.keys import OPERATOR, make
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.spec.model import Desired
from orchestrator.spec.rights import rights
from tests.integration.bus.conftest import Server, ensured
from tests.worlds.specs import spec

WANTED = rights(Desired("theirs", 1, {"zeta": spec("zeta", Kind.STRATEGY)}), [])
OLD = "/usr/sbin/nats-server"
"""Where Debian's nats-server (2.9) lies, if it is installed."""
AUTHORIZATION = "authorization: { timeout: 5 }"


def without(text: str, *names: str) -> str:
    """Leave out settings; one that is a block must end with a brace in a line of its own."""
    for name in names:
        text = re.sub(
            rf"^ *{name}: (?:{{\n.*?^}}|[^\n]*)\n", "", text, flags=re.DOTALL | re.MULTILINE
        )
    return text


class Theirs:
    """A server that is not ours: made of the configuration of one that is, changed by the test."""

    def __init__(self, folder: Path, conf: str, external: External) -> None:
        self.folder = folder
        self.external = external
        self.conf = re.sub(
            r'"[^"]*/broker/(accounts|store|server\.pid)"',
            lambda found: json.dumps(str(folder / found[1])),
            conf,
        )
        self.server = Server()

    def start(self, conf: str, binary: str | None = None) -> NatsBroker:
        file = self.folder / "theirs.conf"
        file.write_text(conf)
        self.server.start([binary or str(server_binary.find()), "-c", str(file)])
        return NatsBroker(self.folder / "broker", project="theirs", external=self.external)


@pytest.fixture
async def theirs(tmp_path: Path) -> AsyncIterator[Theirs]:
    async with NatsBroker(tmp_path / "ours" / "broker", project="ours") as ours:
        ours.launch()
        keys = tmp_path / "ours" / "broker" / "keys"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        external = External(
            address=address,
            operator_seed=(keys / "operator-signing.nk").read_bytes().strip(),
            system_credentials=ours._authority.system_credentials(),
        )
        conf = (tmp_path / "ours" / "broker" / "server.conf").read_text()
        conf = re.sub(r"^listen: .*$", f"listen: {address}", conf, flags=re.MULTILINE)
        made = Theirs(tmp_path, conf, external)
        try:
            yield made
        finally:
            made.server.kill()


async def refusal(broker: NatsBroker) -> ActionError:
    with pytest.raises(ActionError) as caught:
        await ensured(broker, WANTED)
    return caught.value


LACKS = {
    "no JetStream: signals cannot be kept; set jetstream": lambda conf: without(conf, "jetstream"),
    "power cut; set jetstream { sync_interval: always }": lambda conf: without(
        conf, "sync_interval"
    ),
    "65536 bytes at most.*; set max_payload: 1048576": lambda conf: re.sub(
        r"max_payload: \d+", "max_payload: 65536", conf
    ),
    "forgets no account; set resolver: {type: full, allow_delete: true}": lambda conf: without(
        conf, "allow_delete"
    ),
    "keeps no accounts that are pushed to it; set resolver: {type: full": lambda conf: (
        without(conf, "resolver") + "resolver: MEMORY\n"
    ),
    "lets in everybody; run it with an operator": lambda conf: without(
        conf, "operator", "system_account", "resolver", "resolver_preload"
    ).replace(AUTHORIZATION, ""),
}


@pytest.mark.parametrize("words", LACKS)
async def test_what_it_lacks_is_said_with_what_to_set_and_serves_once_it_is(theirs, words):
    async with theirs.start(LACKS[words](theirs.conf)) as broker:
        error = await refusal(broker)
        assert error.reason == "BrokerSettings"
        assert not error.permanent, "whoever sets it need not tell us"
        assert re.search(words.replace("{", r"\{"), str(error))
        assert await broker.check() == [str(error)]
        theirs.server.kill()
        async with asyncio.timeout(20):
            await broker._system.lost.wait()
        kept = (theirs.folder / "accounts").glob("*")
        assert not [each for each in kept if broker._authority.core.public in each.name]
        shutil.rmtree(theirs.folder / "accounts", ignore_errors=True)
        theirs.start(theirs.conf)
        await ensured(broker, WANTED)
        assert await broker.check() == []


async def test_a_server_that_knows_other_operators_only_is_told_apart(theirs):
    stranger = make(OPERATOR)
    theirs.external = replace(theirs.external, operator_seed=stranger.seed)
    async with theirs.start(theirs.conf) as broker:
        error = await refusal(broker)
        assert (error.reason, stranger.public in str(error)) == ("BrokerSettings", True)
        assert "give it the operator's new token" in str(error)


async def test_one_with_users_of_its_own_does_not_take_our_credentials(theirs):
    conf = without(theirs.conf, "operator", "system_account", "resolver", "resolver_preload")
    conf = conf.replace(AUTHORIZATION, "authorization: { user: a, password: b }")
    async with theirs.start(conf) as broker:
        words = ""
        while "Authorization" not in words:  # until then it is not there
            with pytest.raises(UnreachableError) as caught:
                await broker.ensure(WANTED)
            words = str(caught.value)
        assert "it does not take our credentials, or runs without an operator" in words


@pytest.mark.skipif(not Path(OLD).exists(), reason="needs Debian's nats-server (2.9)")
async def test_the_server_of_debian_is_too_old_to_be_used_or_started(theirs):
    async with theirs.start(without(theirs.conf, "sync_interval"), OLD) as broker:
        error = await refusal(broker)
        assert (error.reason, "2.9" in str(error)) == ("BrokerTooOld", True)
    async with NatsBroker(theirs.folder / "b", project="own", binary=Path(OLD)) as broker:
        with pytest.raises(ActionError, match="too old"):
            broker.launch()
