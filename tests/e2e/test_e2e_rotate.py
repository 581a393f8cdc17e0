"""`ntpctl rotate` on plugins that really run: the new credential serves, the old one does not."""

import asyncio
import json

import pytest

from orchestrator.bus import claims
from orchestrator.bus.client import dial
from orchestrator.errors import UnreachableError

pytestmark = pytest.mark.timeout(300)

FILE = """
name: rotated
plugins:
  data_sources:
    - name: replay_data
      config: {symbols: [BTCUSDT], speed: 50, loop: true}
  strategies:
    - name: bollinger_strategy
  executors:
    - name: paper_executor
"""


def _credentials(project, name: str) -> bytes:
    keys = project.folder / "state" / "rotated" / "broker" / "keys"
    token = (keys / f"user.{name}.jwt").read_text()
    return claims.credentials(token, (keys / f"user.{name}.nk").read_bytes().strip())


async def _greet(address: str, credentials: bytes) -> None:
    async with dial(address, credentials, name="who has it"):
        pass


def test_the_one_that_leaked_serves_nobody_and_the_others_notice_nothing(project):
    project.declare(FILE)
    project.ntpctl("apply")
    broker = project.folder / "state" / "rotated" / "broker" / "identity.json"
    address = f"127.0.0.1:{json.loads(broker.read_text())['port']}"
    leaked = _credentials(project, "bollinger_strategy")
    before = project.status()
    asyncio.run(_greet(address, leaked))

    project.ntpctl("rotate", "bollinger_strategy")

    with pytest.raises(UnreachableError):
        asyncio.run(_greet(address, leaked))
    after = project.until(lambda seen: seen["bollinger_strategy"]["flow"]["received"] > 0)
    assert {name: each["state"] for name, each in after.items()} == dict.fromkeys(after, "Running")
    for name in ("replay_data", "paper_executor"):
        assert after[name]["started"] == before[name]["started"], "nobody else was started anew"
        assert after[name]["flow"]["lost"] == 0
    said = project.ntpctl("events", "bollinger_strategy").stdout
    assert said.index("RotationAsked") < said.index("CredentialRotated")
