"""A project on a NATS cluster that is not ours: `ntpctl apply` as its user would, then a server goes."""

import asyncio
from collections.abc import Iterator

import pytest

from orchestrator.bus import claims
from orchestrator.bus.client import dial
from orchestrator.bus.external import OPERATOR, SYSTEM
from orchestrator.errors import UnreachableError
from tests.worlds.nats_cluster import Cluster, cluster

pytestmark = pytest.mark.timeout(300)

FILE = """
name: clustered
plugins:
  data_sources:
    - name: replay_data
      config: {symbols: [BTCUSDT, ETHUSDT], speed: 50, loop: true}
  indicators:
    - name: rsi_indicator
  strategies:
    - name: bollinger_strategy
  executors:
    - name: paper_executor
"""


@pytest.fixture
def three(project, tmp_path) -> Iterator[Cluster]:
    with cluster(tmp_path / "cluster") as made:
        keys = project.folder / "nats-keys"
        keys.mkdir()
        for name, content in (
            (OPERATOR, made.external.operator_seed),
            (SYSTEM, made.external.system_credentials),
        ):
            (keys / name).write_bytes(content)
            (keys / name).chmod(0o600)
        project.environment["NTP_NATS"] = f"nats://{made.external.address}?keys=nats-keys"
        yield made
        project.ntpctl("down", "--delete-data", "--yes", exit_code=None)


def _received(seen: dict[str, dict]) -> dict[str, int]:
    return {name: each["flow"]["received"] for name, each in seen.items()}


@pytest.mark.long
def test_plugins_trade_on_whichever_server_goes(project, three):
    project.declare(FILE)
    project.ntpctl("apply")
    before = project.until(lambda seen: _received(seen)["paper_executor"] > 0)
    for number in range(3):
        three.kill(number)
        heard = _received(project.status())
        after = project.until(
            lambda seen, heard=heard: all(
                _received(seen)[name] > heard[name]
                for name in ("rsi_indicator", "bollinger_strategy", "paper_executor")
            ),
            within=90,
        )
        three.start(number)
        asyncio.run(three.in_step())
    assert {name: each["state"] for name, each in after.items()} == dict.fromkeys(after, "Running")
    for name, each in after.items():
        assert (each["started"], each["restarts"]) == (before[name]["started"], 0)
        assert "refused" not in str(each["message"])


def _credentials(project, name: str) -> bytes:
    keys = project.folder / "state" / "clustered" / "broker" / "keys"
    token = (keys / f"user.{name}.jwt").read_text()
    return claims.credentials(token, (keys / f"user.{name}.nk").read_bytes().strip())


def _lets_in(three: Cluster, number: int, credentials: bytes) -> bool:
    async def greet() -> None:
        async with dial(three.address(number), credentials, name="who has it"):
            pass

    try:
        asyncio.run(greet())
    except UnreachableError:
        return False
    return True


@pytest.mark.long
def test_a_credential_is_refused_by_a_server_that_was_down_when_it_was_rotated(project, three):
    project.declare(FILE)
    project.ntpctl("apply")
    asyncio.run(three.in_step())
    leaked = _credentials(project, "bollinger_strategy")
    three.kill(2)
    project.ntpctl("rotate", "bollinger_strategy")
    three.start(2)
    project.until(
        lambda _: (
            _lets_in(three, 2, _credentials(project, "bollinger_strategy"))
            and not _lets_in(three, 2, leaked)
        ),
        within=20,  # by themselves the servers would compare their accounts after a minute
    )
    assert [_lets_in(three, number, leaked) for number in range(3)] == [False] * 3
    seen = project.until(lambda seen: _received(seen)["bollinger_strategy"] > 0, within=60)
    assert {name: each["state"] for name, each in seen.items()} == dict.fromkeys(seen, "Running")
