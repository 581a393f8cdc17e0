"""What an executor takes of a strategy, whose runner was in the strategy's own hands."""

from datetime import UTC, datetime

import msgspec
import pytest

from ntp import ExecutorPlugin, SignalType, TradingSignal
from ntp.contract.launch import Listen, Trading
from ntp.contract.letters import Why
from ntp.contract.messages import MarketData, ProgressMessage, SignalMessage, TickRef
from ntp.contract.names import Kind
from ntp.runner.core.border import Refusals
from ntp.runner.core.executor import ExecutorWork
from ntp.runner.core.objects import Maker

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)
TICK = TickRef("src", "BTC", 1, "src:1", NOON, "life")
HOLD = TradingSignal("BTC", SignalType.BUY, 0.5, 100.0, size=1.0, metadata={"strategy": "forged"})


class Noting(ExecutorPlugin):
    async def process_signal(self, signal):
        self.__dict__.setdefault("seen", []).append(signal)

    def report(self):
        return {"seen": len(self.__dict__.get("seen", []))}


class Shared(Noting):
    per_strategy = False


def work(plugin=Noting, *strategies):
    listens = [
        Listen(name, Kind.STRATEGY, listens_to=["src"], trading=Trading(capital=str(i)))
        for i, name in enumerate(strategies or ("one", "two"), 1)
    ]
    refusals = Refusals()
    maker = Maker(plugin, {}, instance="paper", storage_bytes=1001)
    made = ExecutorWork(maker, listens, refusals=refusals)
    made.prepare()
    return made, refusals


def signal(**change):
    fields = {"id": "one:BTC:src:1:0", "strategy": "one", "incarnation": "i", "number": 1}
    return SignalMessage(**fields | {"tick": TICK, "signal": HOLD} | change)


async def hear(made, message, strategy="one", mark="t"):
    payload = message if isinstance(message, bytes) else msgspec.json.encode(message)
    await made.heard(strategy, payload, mark)
    tokens = [token for outcome in made.made for token in outcome.tokens]
    made.made = []
    return tokens


async def test_a_signal_is_acknowledged_once_its_tick_was_confirmed_and_it_was_carried_out():
    made, _ = work()
    assert await hear(made, signal()) == []
    done = ProgressMessage("one", "i", 1, TICK, end=True)
    assert await hear(made, done, mark="p") == [], "its next life may need it"
    assert made.report()["one"]["seen"] == 0, "its tick has not come yet"
    await made.expire(0.0)
    await made.expire(1000.0)
    (outcome,) = made.made
    assert outcome.tokens == ["t"]
    assert made.report()["one"] == {"seen": 1, "lane": {"late": 1}}
    assert made.ended is False, "the other strategy goes on"


async def test_a_signal_tells_where_it_comes_from_whatever_its_author_wrote():
    made, _ = work(Shared)
    await hear(made, signal())
    (seen,) = next(iter(made.all())).seen
    assert seen.metadata == {
        "signal_id": "one:BTC:src:1:0",
        "strategy": "one",
        "tick_id": "src:1",
        "time": NOON,
    }


async def test_a_signal_that_comes_again_is_carried_out_once_and_acknowledged_each_time():
    made, _ = work(Shared)
    assert await hear(made, signal(), mark="a") == ["a"]
    assert await hear(made, signal(), mark="b") == ["b"]


async def test_each_strategy_has_an_object_with_its_own_trading():
    made, _ = work()
    objects = list(made.all())
    assert [(one.strategy, one.trading.capital) for one in objects] == [("one", "1"), ("two", "2")]
    made, _ = work(Shared)
    (shared,) = made.all()
    assert (shared.strategy, shared.trading) == ("", Trading())


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"{", "is not taken"),
        (signal(strategy="two"), "says that it is of 'two'"),
        (signal(signal=msgspec.structs.replace(HOLD, confidence=7.0)), "confidence was 7.0"),
        (signal(signal=msgspec.structs.replace(HOLD, size=-1.0)), "size was -1.0"),
        (signal(id="a\r\nb"), "plain characters"),
        (signal(id="x" * 600), "plain characters"),
        (signal(incarnation="x" * 200), "plain characters"),
        (signal(tick=msgspec.structs.replace(TICK, source="x" * 200)), "plain characters"),
        (signal(tick=msgspec.structs.replace(TICK, symbol="x" * 200)), "1 to 64 characters"),
        (ProgressMessage("one", "i", 1, msgspec.structs.replace(TICK, id="x" * 200)), "plain"),
        (b'{"type": "\xff"}', "not UTF-8"),
        (b"[" * 20_000 + b"]" * 20_000, "is not taken"),
        (
            msgspec.json.encode(signal()).replace(b"2024-08-08T12:00:00Z", b"2024-08-08T12:00:00"),
            "is not taken",
        ),
        (msgspec.json.encode(signal()).replace(b"100.0", b"null"), "is not taken"),
    ],
)
async def test_what_no_runner_of_ours_would_send_is_refused_and_not_asked_for_again(message, words):
    made, refusals = work(Shared)
    assert await hear(made, message) == ["t"]
    assert made.report() == {"seen": 0}
    assert refusals.count == 1
    assert words in refusals.last


async def test_what_is_refused_is_dead_with_its_reason_and_nobody_waits_for_it():
    made, _ = work()
    wrong = msgspec.structs.replace(HOLD, confidence=7.0)
    await made.heard("one", msgspec.json.encode(signal(signal=wrong)), "t")
    (outcome,) = made.made
    assert outcome.tokens == ["t"]
    assert (outcome.dead.reason, outcome.dead.tries) == (Why.OUT_OF_BORDER, 1)
    made.made.clear()
    await made.heard("one", b"{", "t")
    assert made.made[0].dead.reason is Why.UNREADABLE
    assert made.report()["one"]["lane"] == {"dead": 1}, "of the other nobody knows its number"


async def test_a_dead_letter_that_is_sent_again_has_one_effect():
    made, _ = work()
    for mark in ("a", "b"):
        await made.heard("one", msgspec.json.encode(signal()), mark, again=True)
    assert [token for each in made.made for token in each.tokens] == ["a", "b"]
    assert made.report()["one"] == {"seen": 1, "lane": {"late": 1, "repeated": 1}}


async def test_what_an_executor_returns_must_be_fills():
    class Wrong(Shared):
        async def process_signal(self, signal):
            return [signal]

    made, refusals = work(Wrong)
    assert await hear(made, signal()) == ["t"]
    assert "a TradingSignal among its fills" in refusals.last


async def test_symbols_without_end_are_counted_together_at_last():
    made, _ = work(Shared)
    mandate = made.mandates["one"]
    mandate.signals.update({str(number): 1 for number in range(9_999)})
    for number, name in enumerate(("A", "B", "C", "A"), 1):
        await hear(
            made, signal(id=f"one:{number}", signal=msgspec.structs.replace(HOLD, symbol=name))
        )
    assert len(mandate.signals) == 10_001
    assert (mandate.signals["A"], mandate.signals["*"]) == (2, 2)


async def test_strategies_have_equal_parts_of_the_storage():
    assert [one.storage_bytes for one in work()[0].all()] == [500, 500]
    assert [one.storage_bytes for one in work(Noting, "one")[0].all()] == [1001]
    assert [one.storage_bytes for one in work(Shared)[0].all()] == [1001]


class Complaining(Noting):
    def conditions(self):
        return {"two": {"ShareFull": "full", "Late": "5 s"}, "three": {"ShareFull": "full as well"},
                "four": ["ShareFull"]}.get(self.strategy, {})  # fmt: skip


async def test_what_an_executor_says_is_wrong_is_told_with_the_strategy_that_it_is_about():
    made, refusals = work(Complaining, "one", "two", "three", "four")
    assert made.conditions() == {"ShareFull": "two: full; three: full as well", "Late": "two: 5 s"}
    assert refusals.last == "conditions() returned list; give a dict of texts"


async def test_nobody_waits_for_signals_that_an_earlier_life_consumed():
    made, _ = work()
    word = ProgressMessage("one", "i", 40, msgspec.structs.replace(TICK, id="src:0", seq=0))
    await hear(made, word, mark="p")
    assert await hear(made, signal(number=63)) == []
    made.mandates["one"].lane.tick("src", "life", "BTC", 1, MarketData(NOON, "BTC", 1.0, 1.0))
    done = ProgressMessage("one", "i", 70, TICK)
    assert await hear(made, done, mark="q") == ["p"], "41 to 62 and 64 to 70 may be on their way"
    await made.heard("one", msgspec.json.encode(done), "r", gap=True)
    assert [token for outcome in made.made for token in outcome.tokens] == ["t", "q"]
