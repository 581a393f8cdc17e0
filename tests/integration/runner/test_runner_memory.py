"""What a plugin with storage knows in its next life."""

import json
import re

from ntp.contract.names import Kind
from tests.integration.runner.test_runner_disturbed import (
    EVERY_TENTH,
    IDEMPOTENT,
    PACED,
    begin,
    halfway,
    signals,
    wanted,
)

REMEMBERING = EVERY_TENTH.replace(
    '            return {"seen": self.seen}',
    '            return {"seen": self.seen, "holds": self.position(self.symbol)}\n\n'
    "        def snapshot(self):\n"
    '            return {"seen": self.seen, "symbol": self.symbol}\n\n'
    "        def restore(self, state):\n"
    '            print("restored", state, flush=True)\n'
    '            self.seen, self.symbol = state["seen"], state["symbol"]',
).replace(
    "            self.seen += 1",
    "            self.seen += 1\n            self.symbol = data.symbol",
)


def remembering(bench, tmp_path, **launch):
    notes, storage = tmp_path / "notes", tmp_path / "storage"
    storage.mkdir()
    bench.add("src", Kind.DATA_SOURCE, PACED, config={"count": 600})
    bench.add("ten", Kind.STRATEGY, REMEMBERING, storage=str(storage), **launch)
    bench.add("paper", Kind.EXECUTOR, IDEMPOTENT, config={"notes": str(notes)})
    return notes


async def test_a_strategy_goes_on_from_its_snapshot(bench, tmp_path):
    notes = remembering(bench, tmp_path)
    await begin(bench)
    await halfway(bench, 600)
    assert await bench.stop("ten") == 0
    bench.kill("src")
    bench.start("ten")
    await bench.until(lambda: bench.beat("ten").report == {})
    bench.start("src")
    await bench.exhausted("src", "ten")
    # What it knew is not shown again. Its own words: its last beat may be a tick older.
    kept = re.findall(r"restored \{'seen': (\d+), 'symbol': '(\w+)'", bench.log("ten"))
    assert bench.flows("ten", "data") == {symbol: (600 - int(seen), 0) for seen, symbol in kept}
    assert kept
    assert {symbol: one["seen"] for symbol, one in bench.beat("ten").report.items()} == {
        "BTC": 600,
        "DOGE": 600,
    }
    await bench.until(lambda: len(signals(notes)) == len(wanted(600)))
    assert sorted(signals(notes)) == sorted(wanted(600))


async def test_a_strategy_knows_what_it_holds_after_a_kill(bench, tmp_path):
    remembering(bench, tmp_path)
    await begin(bench)
    await bench.exhausted("ten", "paper")
    await bench.until(lambda: bench.flows("ten", "fill") and _settled(bench))
    held = {symbol: one["holds"] for symbol, one in bench.beat("ten").report.items()}
    assert set(held) == {"BTC", "DOGE"}
    assert held["BTC"] != 0
    bench.kill("ten")
    bench.kill("src")
    bench.start("ten")
    await bench.until(lambda: bench.beat("ten").report == {})
    bench.start("src")
    await bench.exhausted("src", "ten")
    again = {symbol: one["holds"] for symbol, one in bench.beat("ten").report.items()}
    assert again == held


def _settled(bench):
    fills = sum(count for count, _ in bench.flows("paper", "fill", sent=True).values())
    return sum(count for count, _ in bench.flows("ten", "fill").values()) == fills


RESUMING = (
    PACED.replace(
        "        finite = True",
        "        finite = True\n        after = 0\n\n"
        "        def resume(self, position):\n"
        '            self.after = int(position.partition("-")[2])',
    )
    .replace("            for i in range(", "            for i in range(self.after, ")
    .replace("price, 1.0)", 'price, 1.0, id=f"row-{i + 1}")')
)


async def test_a_source_goes_on_after_the_last_tick_that_it_sent(bench, tmp_path):
    storage = tmp_path / "storage"
    storage.mkdir()
    bench.add("src", Kind.DATA_SOURCE, RESUMING, config={"count": 600}, storage=str(storage))
    bench.add("ten", Kind.STRATEGY, EVERY_TENTH)
    await bench.open()
    bench.start("ten")
    await bench.ready("ten")
    bench.start("src")
    await halfway(bench, 600)
    assert await bench.stop("src") == 0
    sent = bench.flows("src", "data", sent=True)["BTC"][0]
    bench.start("src")
    await bench.exhausted("src", "ten")
    assert bench.flows("src", "data", sent=True)["BTC"][0] in {600 - sent, 601 - sent}
    assert bench.flows("ten", "data") == {"BTC": (600, 0), "DOGE": (600, 0)}
    (kept,) = storage.iterdir()
    assert json.loads(kept.read_text())["position"] == "", "a recording that ended begins anew"


async def test_a_snapshot_that_the_code_of_today_cannot_take_is_no_end(bench, tmp_path):
    notes = remembering(bench, tmp_path)
    await begin(bench)
    await halfway(bench, 600)
    assert await bench.stop("ten") == 0
    code = bench.folder / "code" / "ten" / "written.py"
    code.write_text(code.read_text().replace('state["seen"]', 'state["count"]'))
    bench.start("ten")
    await bench.exhausted("src", "ten", "paper")
    assert "restore() raised KeyError: 'count'" in bench.beat("ten").last_refusal
    # It was shown what came before instead, and knows as much.
    assert {symbol: one["seen"] for symbol, one in bench.beat("ten").report.items()} == {
        "BTC": 600,
        "DOGE": 600,
    }
    assert sorted(signals(notes)) == sorted(wanted(600))
