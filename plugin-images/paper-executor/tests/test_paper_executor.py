import sqlite3
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from paper_executor import PaperExecutor
from paper_ledger import LedgerError
from paper_rows import micros
from paper_world import START, TRADING, apply, events, opened

from ntp.contract.launch import Trading
from ntp.contract.messages import MarketData, SignalType, TradingSignal
from ntp.engine.fills import Costs
from tests.worlds.manifests import defaults, manifest_of

LEDGER = "ledger-st.sqlite"


def tick(second: int, price: float, symbol: str = "BTC") -> MarketData:
    time = START + timedelta(seconds=second)
    return MarketData(time, symbol, price, 1.0, price, price, id=f"{symbol}:{second}")


def signal(second: int, kind: SignalType = SignalType.BUY, size: float | None = 1.0, **levels):
    meta = {"signal_id": f"st:{second}", "time": START + timedelta(seconds=second)}
    return TradingSignal("BTC", kind, 0.5, 100.0, size, metadata=meta, **levels)


async def run(executor: PaperExecutor, *these) -> list[str]:
    return [fill for event in these for fill in await apply(executor, event)]


def rows(storage: Path, query: str) -> list[tuple]:
    connection = sqlite3.connect(storage / LEDGER)
    try:
        return list(connection.execute(query))
    finally:
        connection.close()


async def test_a_signal_is_filled_at_the_next_tick_and_both_are_in_the_ledger(tmp_path: Path):
    paper = await opened(tmp_path, fee_rate=0.001, slippage=0, slippage_fixed=0)
    assert await run(paper, tick(1, 100.0), signal(1), tick(2, 101.0)) == ["paper:st:1:signal"]
    await paper.shutdown()
    assert rows(tmp_path, "SELECT id, type, outcome FROM signals") == [("st:1", "BUY", "ordered")]
    assert rows(tmp_path, "SELECT signal_id, state FROM orders") == [("st:1", "filled")]
    assert rows(tmp_path, "SELECT price, quantity, fee, tick_id FROM fills") == [
        ("101", "1.00000000", "0.10100000", "BTC:2")
    ]
    assert rows(tmp_path, "SELECT symbol, quantity, cost FROM positions") == [
        ("BTC", "1.00000000", "101.00000000")
    ]


async def test_a_signal_that_comes_again_has_no_second_effect(tmp_path: Path):
    paper = await opened(tmp_path)
    once = await run(paper, tick(1, 100.0), signal(1), signal(1), tick(2, 101.0))
    assert once == ["paper:st:1:signal"]
    again = await run(paper, signal(1), tick(3, 101.0))
    assert again == once, "told again under the same id"
    assert paper.report()["fills"] == 1
    await paper.shutdown()


async def test_a_waiting_order_and_its_levels_survive_a_restart(tmp_path: Path):
    paper = await opened(tmp_path)
    await run(paper, tick(1, 100.0), signal(1, stop_loss=95.0, take_profit=120.0))
    await paper.shutdown()
    paper = await opened(tmp_path)
    assert paper.report()["waiting"] == 1
    assert await run(paper, tick(2, 100.0)) == ["paper:st:1:signal"]
    await paper.shutdown()
    paper = await opened(tmp_path)
    assert await run(paper, tick(3, 100.0)) == ["paper:st:1:signal"], "told again after a restart"
    assert await run(paper, tick(4, 94.0)) == ["paper:st:1:stop_loss"]
    await paper.shutdown()


async def test_levels_layers_and_peak_survive_a_restart(tmp_path: Path):
    events_before = [
        tick(1, 100.0),
        signal(1, take_profit=130.0),
        tick(2, 100.0),
        tick(70, 120.0),
        signal(70),
        tick(71, 120.0),
        tick(140, 110.0),
    ]
    paper = await opened(tmp_path)
    await run(paper, *events_before)
    drawdown = paper.report()["max_drawdown"]
    await paper.shutdown()
    paper = await opened(tmp_path)
    assert paper.report()["max_drawdown"] == drawdown != "0"
    assert await run(paper, tick(200, 110.0), signal(200)) == [
        "paper:st:1:signal",
        "paper:st:70:signal",
    ]
    assert await run(paper, tick(210, 119.0)) == [], "two layers are the most"
    assert paper.report()["max_drawdown"] == drawdown
    assert await run(paper, tick(220, 130.0)) == ["paper:st:70:take_profit"]
    await paper.shutdown()


async def test_ticks_that_a_source_sends_again_after_a_restart_change_nothing(tmp_path: Path):
    paper = await opened(tmp_path)
    await run(paper, tick(1, 100.0), signal(1, stop_loss=95.0), tick(2, 100.0), tick(3, 99.0))
    before = paper.report()
    await paper.shutdown()
    paper = await opened(tmp_path)
    await run(paper, tick(1, 50.0), tick(2, 50.0))
    after = paper.report()
    await paper.shutdown()
    assert after["stale_ticks"] == 2
    assert after["positions"].keys() == before["positions"].keys()
    assert (after["cash"], after["fills"]) == (before["cash"], before["fills"])


async def test_what_orders_nothing_is_recorded_with_its_reason(tmp_path: Path):
    paper = await opened(tmp_path, Trading())
    await run(
        paper,
        tick(1, 100.0),
        signal(1, SignalType.HOLD),
        signal(2, SignalType.SELL),
        signal(3, size=None),
    )
    await paper.shutdown()
    assert [row[0] for row in rows(tmp_path, "SELECT outcome FROM signals ORDER BY number")] == [
        "hold",
        "already flat",
        "refused: size was None, and an amount above 0 is needed",
    ]


async def test_the_report_balances_and_is_plain_json(tmp_path: Path):
    paper = await opened(tmp_path)
    await run(paper, *events(seed=7))
    report = paper.report()
    await paper.shutdown()
    assert msgspec.json.decode(msgspec.json.encode(report)) == report
    amount = {k: Decimal(v) for k, v in report.items() if isinstance(v, str)}
    assert report["fills"] > 20
    assert amount["equity"] == (
        amount["capital"] + amount["realised"] + amount["unrealised"] - amount["fees"]
    )
    assert 0 < amount["max_drawdown"] < 1
    assert report["signals"] >= report["orders"] >= report["fills"] / 2


async def test_without_storage_the_ledger_is_in_memory_and_says_so():
    paper = await opened(None)
    await run(paper, tick(1, 100.0), signal(1), tick(2, 101.0))
    assert paper.report()["durable"] is False
    assert paper.report()["fills"] == 1
    await paper.shutdown()


async def test_capital_that_the_entry_changes_is_put_in(tmp_path: Path):
    paper = await opened(tmp_path, Trading(capital="10000"), fee_rate=0)
    await run(paper, tick(1, 100.0), signal(1), tick(2, 100.0))
    drawdown = paper.report()["max_drawdown"]
    await paper.shutdown()
    paper = await opened(tmp_path, Trading(capital="12500.5"), fee_rate=0)
    report = paper.report()
    await paper.shutdown()
    assert report["capital"] == "12500.5"
    assert Decimal(report["equity"]) - Decimal(report["unrealised"]) == Decimal("12500.5")
    assert report["max_drawdown"] == drawdown
    assert rows(tmp_path, "SELECT amount FROM capital") == [("10000.00000000",), ("2500.50000000",)]
    await (await opened(tmp_path, Trading(capital="12500.5"))).shutdown()


async def test_a_second_process_is_refused(tmp_path: Path):
    paper = await opened(tmp_path)
    with pytest.raises(LedgerError, match="is open in another process; stop that process first"):
        await opened(tmp_path)
    await paper.shutdown()
    await (await opened(tmp_path)).shutdown()


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        ("UPDATE fills SET price = '1' WHERE number = 2", "does not balance: .* its fills make"),
        ("UPDATE account SET cash = '999999'", "does not balance: cash was 999999"),
        ("DELETE FROM positions", "does not balance: (quantity|cost) of (BTC|ETH) was 0"),
        ("DELETE FROM fills WHERE number = 3", "does not balance"),
        ("DELETE FROM signals", "fills without their signal"),
        ("UPDATE about SET value = '99' WHERE key = 'schema'", "has the format 99"),
        ("UPDATE about SET value = 'other' WHERE key = 'strategy'", "is that of other at paper"),
        ("UPDATE fills SET quantity = 'many' WHERE number = 1", "cannot be read"),
        ("DROP TABLE seen", "cannot be read: no such table: seen"),
    ],
)
async def test_a_ledger_that_contradicts_itself_is_refused(tmp_path: Path, tamper: str, words: str):
    paper = await opened(tmp_path)
    await run(paper, *events(seed=7))
    await paper.shutdown()
    connection = sqlite3.connect(tmp_path / LEDGER)
    with connection:
        connection.execute(tamper)
    connection.close()
    with pytest.raises(LedgerError, match=words):
        await opened(tmp_path)


async def test_a_damaged_file_is_refused_in_words(tmp_path: Path):
    (tmp_path / LEDGER).write_bytes(b"this is no database, and never was one" * 100)
    with pytest.raises(LedgerError, match=r"cannot be read: .*; move the file away"):
        await opened(tmp_path)


async def test_a_page_that_rotted_is_noticed(tmp_path: Path):
    paper = await opened(tmp_path)
    await run(paper, *events(seed=7))
    await paper.shutdown()
    path = tmp_path / LEDGER
    raw = bytearray(path.read_bytes())
    for page in range(4096 * 2, len(raw), 4096):
        raw[page : page + 64] = b"\xff" * 64
    path.write_bytes(raw)
    with pytest.raises(LedgerError, match=r"the ledger ledger-st\.sqlite"):
        await opened(tmp_path)


async def test_a_full_storage_stops_the_executor_and_loses_nothing(tmp_path: Path):
    paper = await opened(tmp_path)
    assert paper._ledger is not None
    connection = paper._ledger._sql
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(LedgerError, match="raise the entry's 'storage' if it is full"):
        await run(paper, *events(seed=7))
    with pytest.raises(LedgerError, match="restart the executor"):
        await run(paper, *events(seed=7))
    await paper.shutdown()
    paper = await opened(tmp_path)
    await run(paper, *events(seed=7))
    resumed = paper.report()
    await paper.shutdown()
    other = tmp_path / "undisturbed"
    other.mkdir()
    paper = await opened(other)
    await run(paper, *events(seed=7))
    undisturbed = paper.report()
    await paper.shutdown()
    assert {k: v for k, v in resumed.items() if k != "stale_ticks"} == {
        k: v for k, v in undisturbed.items() if k != "stale_ticks"
    }


async def test_the_equity_curve_is_thinned_out_before_it_grows_for_ever():
    paper = await opened(None, equity_every_s=1)
    assert paper._ledger is not None
    paper._ledger.max_points = 1500
    await run(paper, tick(0, 100.0), signal(0))
    await run(paper, *(tick(second, 100.0 + second % 7) for second in range(1, 8001)))
    sql = paper._ledger._sql
    times = [time // 1_000_000 for (time,) in sql.execute("SELECT time FROM equity WHERE fill = 0")]
    gaps = {later - earlier for earlier, later in pairwise(times)}
    await paper.shutdown()
    assert 500 < len(times) <= 2500
    assert len(gaps) == 1, "evenly spaced"
    assert paper._desk is not None
    assert gaps == {paper._desk.sample_s}
    assert times[-1] > micros(START) // 1_000_000 + 7900


async def test_signals_that_ordered_nothing_are_forgotten_but_not_obeyed_later():
    paper = await opened(None, Trading())
    assert paper._ledger is not None
    paper._ledger.max_idle_signals = 1000
    await run(paper, *(signal(second, SignalType.SELL) for second in range(5000)))
    ((kept,),) = paper._ledger._sql.execute("SELECT count(*) FROM signals")
    assert kept <= 2000
    assert paper.report()["signals"] == 5000
    await run(paper, tick(6000, 100.0), signal(6000, SignalType.BUY), tick(6001, 100.0))
    await run(paper, signal(10, SignalType.SELL), tick(6002, 100.0))
    report = paper.report()
    await paper.shutdown()
    assert report["positions"].keys() == {"BTC"}, "the old wish to sell came again, and was known"


async def test_a_signal_without_its_id_is_refused_in_words(tmp_path: Path):
    paper = await opened(tmp_path)
    with pytest.raises(ValueError, match=r"needs metadata\['signal_id'\]"):
        await paper.process_signal(TradingSignal("BTC", SignalType.BUY, 0.5, 100.0, 1.0))
    await paper.shutdown()


@pytest.mark.parametrize(
    "config", [{"fee_rate": -1}, {"slippage": 2}, {"equity_every_s": 0}, {"equity_every_s": 1.5}]
)
def test_a_config_that_cannot_work_is_refused(config: dict):
    with pytest.raises(ValueError, match="; give "):
        PaperExecutor(config).validate_config()


def test_the_manifest_says_what_the_code_does():
    said = defaults(manifest_of(PaperExecutor({}), Path(__file__).parents[1]))
    assert said.pop("equity_every_s") == 60
    assert Costs.of(said) == Costs()
    assert TRADING.short


PART = 512 * 1024


def used(storage: Path) -> int:
    return sum(file.stat().st_size for file in storage.iterdir())


async def test_a_noisy_strategy_fills_its_own_part_of_the_storage_and_no_more(tmp_path: Path):
    paper = await opened(tmp_path, Trading(capital="10000"), part=PART)
    most = met = 0
    for second in range(1, 2_501):
        kind = SignalType.BUY if second % 2 else SignalType.SELL
        await run(paper, tick(second, 100.0), signal(second, kind))
        most = max(most, used(tmp_path))
        met = second if not met and paper.conditions() else met
    assert 0 < met < 1_250, "so half of the signals came when it was full"
    assert PART // 2 < most < PART
    ((word, words),) = paper.conditions().items()
    assert word == "ShareFull"
    assert words.startswith(
        "its part of the storage is full (0.5 MiB); raise the executor's `storage`; "
    )
    assert f" {paper._full_refusals} orders refused" in words
    assert paper._full_refusals > 600
    await paper.shutdown()
    (outcome,) = rows(
        tmp_path, "SELECT outcome FROM signals WHERE type = 'BUY' ORDER BY number DESC LIMIT 1"
    )
    assert outcome[0] == "refused: its part of the storage is full"

    paper = await opened(tmp_path, Trading(capital="10000"), part=4 * PART)
    assert paper.conditions() == {}
    assert await run(paper, signal(2_501), tick(2_502, 100.0)), "there is room again"
    await paper.shutdown()


async def test_what_is_held_when_it_is_full_can_be_closed_and_not_turned(tmp_path: Path):
    paper = await opened(tmp_path, part=PART)
    await run(paper, tick(1, 100.0), signal(1), tick(2, 100.0))
    assert paper.report()["positions"]["BTC"]["quantity"] == "1"
    paper._ledger.share.part = 1
    await run(paper, signal(3), signal(4, SignalType.SELL), tick(5, 100.0))
    assert paper.report()["positions"] == {}, "pyramid 2 and short: neither a layer nor a turn"
    await run(paper, signal(6, SignalType.SELL), signal(7), tick(8, 100.0))
    assert paper.report()["positions"] == {}
    assert paper._full_refusals == 4, "a layer, the half of a turn, and two positions"
    assert "4 orders refused, what closes is still filled" in paper.conditions()["ShareFull"]
    await paper.shutdown()


async def test_a_limit_that_was_met_is_in_the_ledger_and_among_the_conditions(tmp_path: Path):
    trading = Trading(pyramid=9, risk={"max_position": "150"})
    paper = await opened(tmp_path, trading, fee_rate=0)
    await run(paper, tick(1, 100.0), signal(1), signal(2))
    words = "max_position is 150 and 200 of BTC would be held"
    assert paper.conditions() == {
        "RiskLimit": f"{words}; 1 order refused, what closes is still filled"
    }
    assert paper.report()["refused"] == 1
    paper.trading = Trading(pyramid=9, risk={"max_position": "250"})
    paper.on_limits()
    await run(paper, signal(3))
    assert paper.conditions() == {}, "an order was let through again"
    await paper.shutdown()
    outcomes = rows(tmp_path, "SELECT outcome FROM signals ORDER BY number")
    assert [row[0] for row in outcomes] == ["ordered", f"refused: {words}", "ordered"]


async def test_a_halt_cancels_and_closes_and_the_ledger_says_why(tmp_path: Path):
    paper = await opened(tmp_path, Trading(pyramid=9), fee_rate=0)
    await run(paper, tick(1, 100.0), signal(1), tick(2, 100.0), signal(2))
    await paper.on_halt("st", "halted by hand", flatten=True)
    await paper.on_halt("st", "halted by hand", flatten=True)
    await paper.shutdown()
    paper = await opened(tmp_path, Trading(pyramid=9), fee_rate=0)
    await paper.on_halt("st", "halted by hand", flatten=True)
    assert paper.conditions() == {"Halted": "halted by hand; what closes is still filled"}
    await run(paper, signal(3), tick(4, 100.0))
    assert paper.report()["positions"] == {}
    await paper.on_resume("st")
    assert await run(paper, signal(5), tick(6, 100.0))
    await paper.shutdown()
    orders = "SELECT signal_id, reason, state, why FROM orders ORDER BY number"
    assert rows(tmp_path, orders) == [
        ("st:1", "signal", "filled", ""),
        ("st:2", "signal", "cancelled", "halted by hand"),
        ("st:1", "flatten", "filled", "halted by hand"),
        ("st:5", "signal", "filled", ""),
    ]
    refused = rows(tmp_path, "SELECT outcome FROM signals WHERE outcome <> 'ordered'")
    assert refused == [("refused: halted by hand",)]
