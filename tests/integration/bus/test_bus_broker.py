"""The broker over its lives: restarts, adoption, ports, versions, somebody else's NATS."""

import asyncio
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ntp.contract.names import Kind
from ntp.contract.subjects import data_in
from orchestrator import settings
from orchestrator.app import everywhere
from orchestrator.bus import server_binary
from orchestrator.bus.broker import NatsBroker
from orchestrator.bus.client import dial
from orchestrator.bus.external import External
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.spec.model import Desired
from orchestrator.spec.rights import rights
from tests.integration.bus.conftest import Server, ensured

STREAMS = {"SIG_beta", "DLQ_beta", "TRY_beta", "FILL_gamma", "DLQ_gamma", "TRY_gamma"}


async def test_a_healthy_broker_has_nothing_to_complain_of(world):
    assert await world.broker.check() == []


async def test_nothing_in_its_folder_is_for_others(world):
    await world.broker.check()
    keys = list((world.folder / "broker" / "keys").iterdir())
    assert {path.name for path in keys} >= {"operator.nk", "account.beta.nk", "account.SYS.nk"}
    for path in keys:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for folder in (world.folder / "broker", world.folder / "broker" / "keys"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    launch = world.broker.launch()
    assert launch is not None
    seeds = [path.read_bytes().strip() for path in keys if path.suffix == ".nk"]
    text = repr(launch).encode() + (world.folder / "broker" / "server.conf").read_bytes()
    assert not [seed for seed in seeds if seed in text]


async def test_ensure_again_changes_nothing_on_the_server(world):
    before = _claims(world.folder)
    await world.ensure()
    async with NatsBroker(world.folder / "broker", project="test") as other:
        await other.ensure(rights(Desired("test", 1, world.plugins), world.edges))
        assert other.credentials("beta") == world.broker.credentials("beta")
        assert other.launch() == world.broker.launch()
    assert _claims(world.folder) == before


def _claims(folder: Path) -> dict[str, bytes]:
    found = {
        path.name: path.read_bytes() for path in (folder / "broker" / "accounts").rglob("*.jwt")
    }
    assert len(found) >= 4
    return found


async def test_after_a_restart_of_the_controller_everybody_stays_connected(world):
    async with world.link("alpha") as alpha, world.link("beta") as beta:
        heard: list[bytes] = []
        await beta.subscribe(data_in("alpha"), lambda _, p: heard.append(p))
        await beta.flush()
        async with NatsBroker(world.folder / "broker", project="test") as next_controller:
            world.add("delta", Kind.STRATEGY)
            desired = rights(Desired("test", 2, world.plugins), world.edges)
            await next_controller.ensure(desired)
            await next_controller.ensure({k: v for k, v in desired.items() if k != "delta"})
            await alpha.publish("data.A", b"still here")
            await world.until(lambda: heard)
        assert (alpha.stats.reconnects, beta.stats.reconnects) == (0, 0)


async def test_kill_9_keeps_what_was_acknowledged_and_stores_the_rest_once(world):
    """The server dies in the midst of a burst, again and again; the stream holds each signal once."""
    count = 1500
    async with world.link("beta") as beta, world.link("gamma") as gamma:
        acked: list[int] = []

        async def send() -> None:
            for number in range(count):
                future = await beta.submit("sig.BTCUSDT", b"%d" % number, f"id-{number}")
                future.add_done_callback(lambda _, number=number: acked.append(number))
            await beta.settle()

        async with asyncio.timeout(100), asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(send())
            for kill_at in (count // 4, count // 2, 3 * count // 4):
                await world.until(lambda kill_at=kill_at: len(acked) >= kill_at or sending.done())
                world.server.kill()
                kept = list(acked)
                world.start()
                await world.until(lambda kept=kept: len(acked) > len(kept) or sending.done())
        assert acked == list(range(count)), "acknowledged in the order in which they were sent"
        assert beta.stats.repeats >= 1, "nothing was under way when the server died"
        stored = await world.stored("SIG_beta")
        assert [msg_id for _, msg_id, _ in stored] == [f"id-{n}" for n in range(count)]
        got: list[bytes] = []
        while len(got) < count:
            messages = await gamma.pull("beta", batch=256)
            assert messages
            for message in messages:
                got.append(message.payload)
                await gamma.ack(message)
        assert got == [b"%d" % n for n in range(count)]


async def test_ticks_flow_again_after_the_server_came_back(world):
    async with world.link("alpha") as alpha, world.link("beta") as beta:
        heard: list[bytes] = []
        await beta.subscribe(data_in("alpha"), lambda _, p: heard.append(p))
        await beta.flush()
        world.server.kill()
        await world.until(lambda: not alpha.connected and not beta.connected)
        await alpha.publish("data.A", b"kept in the buffer")
        world.start()
        await world.until(lambda: alpha.connected and beta.connected)
        async with asyncio.timeout(15):
            while b"after" not in heard:
                await alpha.publish("data.A", b"after")
                await asyncio.sleep(0.02)
        assert (alpha.stats.reconnects, beta.stats.reconnects) == (1, 1)


async def test_messages_beyond_the_buffer_are_counted_not_kept(world):
    async with world.link("alpha") as alpha:
        world.server.kill()
        await world.until(lambda: not alpha.connected)
        for _ in range(50):
            await alpha.publish("data.A", b"x" * 100_000)
        assert 25 <= alpha.stats.unsent <= 35


async def test_a_lost_store_is_made_again(world):
    import shutil

    world.server.kill()
    shutil.rmtree(world.folder / "broker" / "store")
    shutil.rmtree(world.folder / "broker" / "accounts")
    world.start()
    async with asyncio.timeout(20):
        while True:  # the controller's next passes; the first ones may still see the old connection
            await world.ensure()
            try:
                if await world.streams() == STREAMS:
                    break
            except UnreachableError:
                await asyncio.sleep(0.05)
    async with world.link("beta") as beta:
        assert (await beta.request_ack("sig.A", b"", "1")).seq == 1


async def test_a_server_that_is_away_is_unreachable_soon(world):
    world.server.kill()
    with pytest.raises(UnreachableError, match="the broker"):
        await world.broker.ensure({})
    (words,) = await world.broker.check()
    assert "is not there" in words
    assert world.broker.credentials("beta"), "credentials need no server"


async def test_a_port_that_another_program_took_is_left_to_it(world):
    address = world.broker.address()
    host, _, port = address.rpartition(":")
    world.server.kill()
    with socket.create_server((host, int(port))) as squatter:
        said = ""
        async with asyncio.timeout(20):
            while "taken by another program" not in said:
                try:
                    await world.broker.ensure({})
                except UnreachableError as error:
                    said = str(error)
        assert squatter.fileno() >= 0
        moved = world.broker.address()
        assert moved != address
        world.start()
        await world.ensure()
        assert await world.broker.check() == []
        async with world.link("beta") as beta:
            await beta.request_ack("sig.A", b"", "1")
    async with NatsBroker(world.folder / "broker", project="test") as again:
        assert again.address() == moved, "the new port is kept"


async def test_our_own_server_is_never_taken_for_a_stranger(world):
    """Stopped (SIGSTOP) it does not answer, but it lives: the port stays."""
    import signal

    address = world.broker.address()
    async with NatsBroker(world.folder / "broker", project="test") as other:
        os.kill(world.server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(UnreachableError):
                await other.ensure({})
        finally:
            os.kill(world.server.pid, signal.SIGCONT)
        assert other.address() == address


@pytest.mark.parametrize("said", ["nats-server: v2.9.10", "nats-server: v2.12.6"])
async def test_an_old_server_is_refused_in_words(tmp_path, said):
    binary = tmp_path / "nats-server"
    binary.write_text(f"#!/bin/sh\necho {said}\n")
    binary.chmod(0o755)
    async with NatsBroker(tmp_path / "broker", project="test", binary=binary) as broker:
        for use in (broker.launch, broker.address):
            with pytest.raises(ActionError, match="too old") as caught:
                use()
            assert (caught.value.permanent, caught.value.reason) == (True, "BrokerTooOld")
        with pytest.raises(ActionError, match="too old"):
            await broker.ensure({})
        (words,) = await broker.check()
        assert "too old" in words
        # Once there is a good one, the next pass takes it.
        binary.unlink()
        binary.symlink_to(server_binary.find())
        with pytest.raises(UnreachableError):
            await broker.ensure({})
        assert broker.launch() is not None


async def test_a_configuration_that_the_server_refuses_does_not_replace_the_good_one(tmp_path):
    real = server_binary.find()
    broker = tmp_path / "broker"
    async with NatsBroker(broker, project="test"):
        good = (broker / "server.conf").read_text()
    picky = tmp_path / "picky"
    picky.write_text(
        f'#!/bin/sh\ncase "$1" in -t) echo "line 7: no"; exit 1;; esac\nexec {real} "$@"\n'
    )
    picky.chmod(0o755)
    (broker / "identity.json").unlink()
    async with NatsBroker(broker, project="test", binary=picky) as unready:
        with pytest.raises(ActionError, match="line 7: no"):
            unready.launch()
    assert (broker / "server.conf").read_text() == good


@pytest.fixture
def server():
    made = Server()
    yield made
    made.kill()


def documented(folder: Path, port: int) -> str:
    """Return the server's configuration of docs/cli.md, for this place."""
    text = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    (block,) = (each for each in text.split("```\n")[1:] if 'server_name: "nats"' in each)
    lines = block.partition("```")[0].replace("0.0.0.0:4222", f"127.0.0.1:{port}")
    return lines.replace("./nats/", f"{folder}/nats/")


async def test_a_nats_that_is_not_ours_is_one_setting(world, server, tmp_path):
    """Made as the documentation says; the server of `world` goes on beside it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    project = tmp_path / "theirs"
    project.mkdir()
    subprocess.run(
        [sys.executable, "-m", "orchestrator", "nats", "init", "nats-keys"], cwd=project, check=True
    )
    (project / "server.conf").write_text(documented(project, port))
    server.start([str(server_binary.find()), "-c", str(project / "server.conf")])
    environment = {"NTP_NATS": f"nats://127.0.0.1:{port}?keys=nats-keys"}
    found = everywhere.external(settings.find(environment=environment, cwd=project))
    async with NatsBroker(tmp_path / "broker", project="theirs", external=found) as broker:
        assert broker.launch() is None
        assert broker.address() == f"127.0.0.1:{port}"
        world.add("zeta", Kind.STRATEGY)
        wanted = rights(Desired("theirs", 1, {"zeta": world.plugins["zeta"]}), [])
        await ensured(broker, wanted)
        assert await broker.check() == []
        async with dial(broker.address(), broker.credentials("zeta"), name="zeta") as life:
            answer = await life.ask("sig.A", {})
            assert answer["stream"] == "SIG_zeta"
    assert await world.streams() == STREAMS, "nothing was made on the other one"


async def test_two_projects_on_one_nats_share_no_stream(world, tmp_path):
    """The embedded server of `world` stands in for somebody's own: same operator, other folder."""
    keys = world.folder / "broker" / "keys"
    external = External(
        address=world.broker.address(),
        operator_seed=(keys / "operator-signing.nk").read_bytes().strip(),
        system_credentials=world.broker._authority.system_credentials(),
    )
    async with NatsBroker(tmp_path / "theirs", project="theirs", external=external) as broker:
        assert broker.launch() is None
        world.add("zeta", Kind.STRATEGY)
        await broker.ensure(rights(Desired("theirs", 1, {"zeta": world.plugins["zeta"]}), []))
        async with dial(broker.address(), broker.credentials("zeta"), name="zeta") as life:
            answer = await life.ask("sig.A", {})
            assert answer["stream"] == "SIG_zeta"
    assert await world.streams() == STREAMS


async def test_who_begins_anew_removes_consumers_that_nobody_declares(world):
    async with world.core() as core:
        config = {"durable_name": "stranger", "ack_policy": "explicit"}
        body = {"stream_name": "SIG_beta", "config": config}
        await core.ask("$JS.API.CONSUMER.CREATE.SIG_beta.stranger", body)
        before = await core.ask("$JS.API.CONSUMER.NAMES.SIG_beta")
        async with world.another_broker() as broker:
            await broker.ensure(world.rights())
        left = await core.ask("$JS.API.CONSUMER.NAMES.SIG_beta")
    assert set(before["consumers"]) - set(left["consumers"]) == {"stranger"}
    assert left["consumers"]


async def test_a_revoked_account_comes_back_with_its_rights(world):
    """A plugin that was removed and added again has new keys; an old credential stays outside."""
    old = world.broker.credentials("beta")
    spec = world.plugins["beta"]
    world.remove("beta")
    await world.ensure()
    world.plugins["beta"] = spec
    await world.ensure()
    assert world.broker.credentials("beta") != old
    with pytest.raises(UnreachableError):
        async with dial(world.broker.address(), old, name="old"):
            pass
    async with world.link("beta") as beta:
        await beta.request_ack("sig.A", b"", "1")


async def test_a_stream_that_could_not_be_stored_is_tried_again(world):
    (streams,) = (world.folder / "broker" / "store" / "jetstream").glob("*/streams")
    (streams / "SIG_delta").write_text("in the way; the server takes it away when it fails")
    world.add("delta", Kind.STRATEGY)
    desired = rights(Desired("test", 2, world.plugins), world.edges)
    refused = await world.broker.ensure(desired)
    assert "error creating store for stream" in str(refused["delta"])
    assert not await world.broker.ensure(desired)
    assert (streams / "SIG_delta").is_dir()
