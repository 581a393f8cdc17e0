"""Ticks that go with a server of a cluster: nobody has them, and the plugin says so."""

import asyncio

import pytest

from ntp.contract.names import Kind
from orchestrator.bus.client import dial
from orchestrator.errors import UnreachableError
from orchestrator.spec.model import Input
from tests.integration.runner.conftest import DEADLINE, Bench, heard
from tests.integration.runner.test_runner_hostile import (
    SILENT_SOURCE,
    SILENT_STRATEGY,
    batch,
    tick,
)
from tests.worlds.nats_cluster import Cluster, cluster


async def _server_of(three: Cluster, name: str) -> int:
    """Which server a plugin is connected to."""
    system = three.external.system_credentials
    for number in range(3):
        async with dial(three.address(number), system, name="test") as life:
            who = life.server["server_id"]
            answer = await life.ask(f"$SYS.REQ.SERVER.{who}.CONNZ", {"limit": 1000})
        if name in [each.get("name") for each in answer["data"]["connections"]]:
            return number
    pytest.fail(f"{name} is not connected")


async def _lead(bench: Bench, stream: str, number: int) -> None:
    """Have a server lead a stream."""
    wanted = f"nats{number}"
    async with (
        asyncio.timeout(DEADLINE),
        dial(bench.broker.address(), bench.broker.core_credentials(), name="test") as core,
    ):
        while True:
            try:
                info = await core.ask(f"$JS.API.STREAM.INFO.{stream}")
                if info["cluster"].get("leader") == wanted:
                    return
                body = {"placement": {"preferred": wanted}}
                await core.ask(f"$JS.API.STREAM.LEADER.STEPDOWN.{stream}", body)
            except UnreachableError:  # none leads
                pass
            await asyncio.sleep(0.05)


@pytest.mark.long
async def test_ticks_that_went_with_a_server_are_told_with_their_number(tmp_path):
    """Said while the plugin was on its way to another server, and the capture without a leader."""
    with cluster(tmp_path / "cluster") as three:
        async with heard(Bench(tmp_path, external=three.external)) as bench:
            bench.add("src", Kind.DATA_SOURCE, SILENT_SOURCE)
            bench.add("beta", Kind.STRATEGY, SILENT_STRATEGY, inputs=[Input("src")])
            await bench.open()
            await three.in_step()
            bench.start("beta")
            await bench.ready("beta")
            gone = await _server_of(three, "beta")
            await _lead(bench, "MD_src", gone)
            credentials = bench.broker.credentials("src")
            async with dial(three.address((gone + 1) % 3), credentials, name="src") as source:

                async def say(seq: int) -> None:
                    message = batch([tick(id=f"src:{seq}")], seq=seq)
                    await source.client.publish("data.BTC", message)
                    await source.settle()

                await say(1)
                await bench.until(lambda: bench.flows("beta", "data").get("BTC") == (1, 0))
                three.kill(gone)
                for seq in (2, 3, 4):
                    await say(seq)
                seq = 4
                while bench.flows("beta", "data")["BTC"][0] == 1:
                    seq += 1
                    await say(seq)
                    await asyncio.sleep(0.1)

                def told() -> list[str]:
                    conditions = bench.beat("beta").conditions
                    return [each.message for each in conditions if each.type == "TicksLost"]

                (words,) = await bench.until(told, within=60)
            await bench.until(lambda: sum(bench.flows("beta", "data")["BTC"]) == seq)
            _, lost = bench.flows("beta", "data")["BTC"]
            assert lost >= 1
            assert words.startswith(
                f"{lost} ticks were sent and never came, the last of BTC from src"
            )
            assert bench.processes["beta"].poll() is None
