import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
import pytest

from ntp.contract.beat import Beat, Flow, Stage
from ntp.contract.launch import BusAddress, LaunchFile
from ntp.contract.messages import MarketData
from ntp.contract.names import Channel, Kind
from ntp.runner import beats
from ntp.runner.beats import MOST_FLOWS, REPEATED, Beats, Figures
from ntp.runner.core.border import Refusals
from ntp.runner.core.pace import HURRY, QUIET_S, REPEAT_END_S, TICK_S, Pace

LAUNCH = LaunchFile(
    project="p", instance="one", kind=Kind.STRATEGY, plugin="one", entrypoint="m:C", code="/plugin",
    generation=3, bus=BusAddress([]),
)  # fmt: skip


class Heard:
    def __init__(self, figures):
        self.beats = []
        self.figures = figures
        self.refusals = Refusals()
        self.looks = 0
        self.sender = Beats(LAUNCH, "life", self.refusals, self._look, self._publish)

    def _look(self):
        self.looks += 1
        return self.figures

    async def _publish(self, payload):
        self.beats.append(msgspec.json.decode(payload, type=Beat))


async def test_a_beat_counts_itself_and_says_what_it_was_given():
    heard = Heard(Figures(report={"books": {"cash": "1.5"}}, indicators={"BTC": {"sma": 2.0}}))
    await heard.sender.once()
    heard.sender.stage = Stage.READY
    heard.refusals.note("price was nan")
    await heard.sender.once()
    first, second = heard.beats
    assert (first.number, first.stage, second.number, second.stage) == (1, "starting", 2, "ready")
    assert (second.instance, second.kind, second.generation) == ("one", "strategy", 3)
    assert (second.refused, second.last_refusal) == (1, "price was nan")
    assert second.report == {"books": {"cash": "1.5"}}
    assert second.indicators == {"BTC": {"sma": 2.0}}
    assert first.started == second.started <= first.at <= second.at


async def test_a_report_that_json_cannot_say_silences_nobody():
    heard = Heard(Figures(report={"x": object()}))
    await heard.sender.once()
    (beat,) = heard.beats
    assert beat.report == {}
    assert beat.refused == 1
    assert "report()" in beat.last_refusal


async def test_very_many_edges_are_added_up():
    flows = [
        Flow(peer="src", channel=Channel.DATA, symbol=str(i), count=2, lost=1)
        for i in range(MOST_FLOWS + 1)
    ]
    heard = Heard(Figures(received=flows))
    await heard.sender.once()
    (flow,) = heard.beats[0].received
    assert (flow.symbol, flow.count, flow.lost) == ("*", 2 * len(flows), len(flows))
    heard.figures = Figures(received=flows[1:])
    await heard.sender.once()
    assert len(heard.beats[1].received) == MOST_FLOWS


async def test_a_condition_stands_since_it_was_first_told():
    heard = Heard(Figures(warnings={"TicksLost": "1 tick"}))
    await heard.sender.once()
    heard.figures = Figures(warnings={"TicksLost": "2 ticks"})
    await heard.sender.once()
    heard.figures = Figures()
    await heard.sender.once()
    first, second, third = (beat.conditions for beat in heard.beats)
    assert [(c.type, c.status, c.message) for c in second] == [("TicksLost", True, "2 ticks")]
    assert first[0].since == second[0].since
    assert third == []


async def test_the_skew_is_that_of_the_newest_tick():
    at = datetime(2024, 8, 8, tzinfo=UTC)
    heard = Heard(Figures(newest=MarketData(at, "BTC", 1.0, 1.0)))
    await heard.sender.once()
    (beat,) = heard.beats
    assert beat.skew_s == pytest.approx((beat.at - at).total_seconds())


@asynccontextmanager
async def beating(monkeypatch, figures, *, quiet_s):
    """One that beats, a hundred times as often as it does."""
    monkeypatch.setattr(beats, "PERIOD_S", 0.01)
    monkeypatch.setattr(beats, "QUIET_S", quiet_s)
    heard = Heard(figures)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(heard.sender.run())
        yield heard
        running.cancel()


async def looked(heard, times):
    until = heard.looks + times
    async with asyncio.timeout(30):
        while heard.looks < until:
            await asyncio.sleep(0)


async def test_the_same_is_not_said_again_and_again(monkeypatch):
    report = {"open": 1}
    async with beating(monkeypatch, Figures(report=report), quiet_s=1000.0) as heard:
        await looked(heard, 3 * REPEATED)
        assert [beat.number for beat in heard.beats] == list(range(1, REPEATED + 2))
        report["open"] = 2  # the same object: many a report() gives its own
        await looked(heard, 2)
        assert heard.beats[-1].report == {"open": 2}
        heard.sender.stage = Stage.READY
        await looked(heard, 2)
        assert heard.beats[-1].stage == "ready"
        await looked(heard, 3 * REPEATED)
        count = len(heard.beats)
        await looked(heard, 3)
        assert len(heard.beats) == count


async def test_one_with_nothing_new_to_say_is_still_heard(monkeypatch):
    async with beating(monkeypatch, Figures(), quiet_s=0.05) as heard:
        async with asyncio.timeout(30):
            while len(heard.beats) < 3 * REPEATED:
                await asyncio.sleep(0)
        assert heard.looks > len(heard.beats)


def test_progress_is_told_every_second_in_quiet_times():
    pace = Pace()
    pace.told(100.0, messages=1)
    pace.ticks(5)
    assert not pace.due(100.0 + QUIET_S - 0.01, ended=False)
    assert pace.due(100.0 + QUIET_S, ended=False)


@pytest.mark.parametrize("cause", [Pace.signals, lambda pace: pace.ticks(HURRY)])
def test_a_signal_or_many_ticks_hurry_but_no_faster_than_ten_a_second(cause):
    pace = Pace()
    pace.told(0.0, messages=1)
    cause(pace)
    assert not pace.due(0.0 + TICK_S / 2, ended=False)
    assert pace.due(TICK_S, ended=False)
    pace.told(0.1, messages=1)
    assert not pace.due(0.15, ended=False)


def test_it_is_looked_at_when_a_report_is_due_and_rarely_where_none_will_be():
    pace = Pace()
    pace.told(100.0, messages=1)
    assert pace.left(100.7, waiting=False) == QUIET_S
    assert pace.left(100.75, waiting=True) == 0.25
    pace.ticks(5)
    assert pace.left(100.75, waiting=False) == 0.25
    pace.signals()
    assert pace.left(100.75, waiting=False) == 0.0
    assert pace.left(200.0, waiting=False) == 0.0


def test_with_many_symbols_the_rounds_become_rarer():
    pace = Pace()
    pace.told(0.0, messages=500)
    pace.signals()
    assert not pace.due(4.9, ended=False)
    assert pace.due(5.0, ended=False)


def test_the_end_is_told_again_now_and_then():
    pace = Pace()
    pace.told(0.0, messages=1)
    assert not pace.end_due(0.0 + REPEAT_END_S - 0.1)
    assert pace.end_due(0.0 + REPEAT_END_S)
