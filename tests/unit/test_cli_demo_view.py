"""The demo's live view: rates between beats, and a picture that fits whatever terminal there is."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs
from rich.console import Console

from ntp.contract.beat import Beat, Flow, Stage
from ntp.contract.messages import SignalMessage, SignalType, TickRef, TradingSignal
from ntp.contract.names import Channel
from orchestrator.app.demonstration import Demonstration
from orchestrator.app.local_exchange import Market
from orchestrator.app.overheard import Transcript
from orchestrator.cli.demo_follow import Glance
from orchestrator.cli.demo_rates import Rates
from orchestrator.cli.demo_view import View

START = datetime(2024, 8, 8, 12, tzinfo=UTC)
NAMES = {
    "binance_data": "data_source", "polygon_data": "data_source", "rsi_indicator": "indicator",
    "bollinger_strategy": "strategy", "momentum_strategy": "strategy", "paper_executor": "executor",
}  # fmt: skip
DEMO = Demonstration(
    declared=None,
    symbols={"binance_data": ["BTCUSDT"], "polygon_data": ["AAPL"]},
    synthetic=frozenset({"AAPL"}),
)


def beat(name, second=0, *, sent=(), received=(), life="1", report=None):
    return Beat(
        instance=name,
        kind=NAMES[name],
        incarnation=life,
        generation=1,
        number=second + 1,
        at=START + timedelta(seconds=second),
        started=START,
        stage=Stage.READY,
        sent=[Flow("", channel, "BTCUSDT", count) for channel, count in sent],
        received=[
            Flow(peer, channel, "BTCUSDT", count, lost) for peer, channel, count, lost in received
        ],
        report=report or {},
    )


def graph():
    sources, strategies = list(NAMES)[:2], list(NAMES)[3:5]
    edges = [(one, "rsi_indicator", "data") for one in sources]
    edges += [(one, each, "data") for one in sources for each in strategies]
    edges += [("rsi_indicator", each, "indicator") for each in strategies]
    edges += [(each, "paper_executor", "signal") for each in strategies]
    edges += [("paper_executor", each, "fill") for each in strategies]
    return {
        "plugins": [
            {"name": name, "kind": kind, "plugin": name, "symbols": [], "state": None, "ready": None}
            for name, kind in NAMES.items()
        ],
        "edges": [
            {"from": one, "to": other, "channel": channel, "symbols": [], "bars": None}
            for one, other, channel in edges
        ],
    }  # fmt: skip


def book(**positions):
    return {
        "signals": 9, "orders": 8, "fills": 7, "realised": "-1.5", "unrealised": "0.25", "fees": "3.2",
        "equity": "9995.55", "positions": positions,
    }  # fmt: skip


def signal(symbol="AAPL", second=3):
    tick = TickRef("polygon_data", symbol, second, str(second), START + timedelta(seconds=second))
    wish = TradingSignal(symbol, SignalType.BUY, 0.5, 189.5)
    return SignalMessage(f"{symbol}:{second}", "bollinger_strategy", "1", 1, tick, wish)


def view(*signals):
    return View(DEMO, graph(), Transcript(signals=list(signals)), 5)


def glance(beats=(), *, state="Running", playing=True, ended=False):
    plugins = [
        {"name": name, "state": state, "ready": state == "Running", "message": "", "conditions": []}
        for name in NAMES
    ]
    markets = {name: Market(ended=ended, wanted=(), trades={}) for name in ("binance", "polygon")}
    return Glance({one.instance: one for one in beats}, plugins, markets, playing=playing)


def full():
    held = {"quantity": "1.05899000", "average": "188.93", "unrealised": "-0.2"}
    return glance([beat("paper_executor", report={"bollinger_strategy": book(AAPL=held)})])


def shown(picture, *, width=120, height=44):
    out = io.StringIO()
    Console(file=out, width=width, height=height, color_system=None).print(picture)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_rate_is_what_came_between_the_last_two_beats():
    rates = Rates()
    edge = ("binance_data", "rsi_indicator", Channel.DATA)
    for second, count in ((0, 0), (1, 200), (3, 260)):
        rates.note({"rsi_indicator": beat("rsi_indicator", second, received=[("binance_data", "data", count, 0)])})  # fmt: skip
    assert rates.of(*edge) == 30

    rates.note({"rsi_indicator": beat("rsi_indicator", 4, received=[("binance_data", "data", 500, 0)], life="2")})  # fmt: skip
    assert rates.of(*edge) == 0, "counts of another life began anew"
    assert rates.of("polygon_data", "rsi_indicator", Channel.DATA) == 0


def test_from_the_exchange_goes_what_a_source_sends_on():
    rates = Rates()
    for second in (0, 1):
        rates.note({"binance_data": beat("binance_data", second, sent=[("data", 90 * second)])})

    assert rates.of("exchange", "binance_data", Channel.DATA) == 90


def test_beats_in_quick_succession_make_no_rate():
    rates = Rates()
    one = beat("binance_data", 0, sent=[("data", 0)])
    rates.note({"binance_data": one})
    soon = beat("binance_data", 1, sent=[("data", 50)])
    rates.note({"binance_data": soon})
    at_once = structs.replace(
        soon,
        at=soon.at + timedelta(milliseconds=20),
        sent=[Flow("", "data", "BTCUSDT", 60)],
    )
    rates.note({"binance_data": at_once})

    assert rates.of("exchange", "binance_data", Channel.DATA) == 50


def test_the_picture_has_wiring_with_states_rates_signals_and_money():
    lines = shown(view(signal()).picture(full(), 0.0))
    text = "\n".join(lines)

    assert lines[0].startswith(
        "demo  6/6 ready  a local exchange: Binance recorded, Polygon synthetic"
    )
    assert "│ Running" in text
    assert "messages/s" in text
    assert "12:00:03 BUY  AAPL synthetic 189.5" in text
    assert "bollinger_strategy       7    -1.25     3.20    9,995.55" in text
    assert "  AAPL synthetic        1.05899 at     188.93      -0.20" in text


@pytest.mark.parametrize("width", [40, 80, 99, 107, 120, 200])
@pytest.mark.parametrize("height", [5, 24, 33, 60])
def test_it_fits_any_terminal(width, height):
    lines = shown(view(signal()).picture(full(), 0.0), width=width, height=height)

    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("demo  6/6 ready")


def test_on_a_low_terminal_the_wiring_gives_way():
    picture = view(signal()).picture(full(), 0.0)

    assert not any("┌" in line for line in shown(picture, height=24))
    assert any(line.startswith("exchange ") for line in shown(picture, height=24))


def test_what_is_lost_stands_out_at_its_edge():
    lost = beat("rsi_indicator", received=[("binance_data", "data", 10, 3)])
    lines = shown(view().picture(glance([lost]), 0.0))

    assert "lost 3" in next(line for line in lines if line.startswith("binance_data "))


def test_the_stage_of_playing_is_told():
    seen = view()
    waiting = glance(playing=False, state="Waiting")

    assert shown(seen.picture(waiting, 10.0))[0].startswith("demo  0/6 ready")
    assert shown(seen.picture(waiting, 11.0))[1].endswith("plays as soon as all are there")
    assert shown(seen.picture(full(), 20.0))[1].endswith("0 of 50 s played")
    assert shown(seen.picture(full(), 24.0))[1].endswith("20 of 50 s played")
    assert shown(seen.picture(full(), 99.0))[1].endswith("50 of 50 s played")
    ended = replace(full(), markets=glance(ended=True).markets)
    assert shown(seen.picture(ended, 99.0))[1].endswith("all 50 s played; what came of it arrives")


def test_the_newest_signals_come_first():
    signals = [signal(second=second) for second in range(30)]
    lines = shown(view(*signals).picture(glance(), 0.0))

    times = [line[:8] for line in lines if " BUY " in line]
    assert times == [f"12:00:{second:02}" for second in range(29, 19, -1)]


def test_a_plugins_words_command_no_terminal():
    evil = view(signal(symbol="\x1b]0;owned\x07"))
    text = "\n".join(shown(evil.picture(glance(), 0.0)))

    assert "\x1b" not in text
    assert "\x07" not in text
    assert "owned" in text
