"""What `tap` makes of the messages of the bus: a line for people, a document for programs."""

import json
from datetime import timedelta
from decimal import Decimal

import click
import msgspec
import pytest
import yaml

from ntp.contract.beat import Beat, Condition, Flow, Stage
from ntp.contract.messages import (
    DataBatch,
    Fill,
    FillReason,
    IndicatorBatch,
    MarketData,
    ProgressMessage,
    Side,
    SignalMessage,
    SignalType,
    TickRef,
    TradingSignal,
)
from ntp.contract.names import Kind
from orchestrator.app.backlog import Heard
from orchestrator.cli.tap import SAYS, _subjects
from orchestrator.cli.tap_print import Printer
from orchestrator.spec.rights import tap
from tests.integration.test_cli_documents import deviations
from tests.worlds.specs import NOON

TICK = MarketData(NOON, "BTCUSDT", 64012.5, 0.25, bid=64012.4, ask=64012.6, id="alpha:7")
BAR = MarketData(
    NOON, "BTCUSDT", 4.0, 9.0, metadata={"open": 1.0, "high": 5, "low": 0.5, "more": "x"}
)
REF = TickRef("alpha", "BTCUSDT", 7, "alpha:7", NOON, "life")


def heard(subject, message, *, dropped=0):
    payload = message if isinstance(message, bytes) else msgspec.json.encode(message)
    return Heard(NOON + timedelta(milliseconds=5), subject, payload, dropped)


def signal(kind=SignalType.BUY, **given):
    wish = TradingSignal("BTCUSDT", kind, 0.8333, 64012.5, **given)
    return heard("sig.BTCUSDT", SignalMessage("s1", "beta", "life", 3, REF, wish))


def data(*ticks, seq=41, end=False, dropped=0):
    batch = DataBatch("alpha", "life", "BTCUSDT", seq, list(ticks), end)
    return heard("data.BTCUSDT", batch, dropped=dropped)


FILL = heard(
    "fill.beta.BTCUSDT",
    Fill("f1", "s1", "paper", "beta", "BTCUSDT", Side.SELL, Decimal("0.02"), Decimal("64013.10"),
         Decimal("0.64"), Decimal("-1.5"), FillReason.STOP_LOSS, NOON, "alpha:8"),
)  # fmt: skip
VALUES = heard(
    "ind.BTCUSDT",
    IndicatorBatch(
        "rsi", "life", "alpha", "l", "BTCUSDT", 9, [None, 71.25, {"up": 2.0, "low": 1.0}]
    ),
)
BEAT = heard(
    "beat",
    Beat("beta", "strategy", "life", 1, 12, NOON, NOON, Stage.READY,
         sent=[Flow("", "signal", "A", 2), Flow("", "signal", "B", 1)],
         received=[Flow("alpha", "data", "A", 9)], indicators={"A": {"sma": 61.5}},
         conditions=[Condition("TicksLost", True, "TicksLost", "3 ticks", NOON)]),
)  # fmt: skip


def printed(capsys, *messages, output="table", raw=False, most=None):
    with Printer("beta", output, raw=raw, most=most) as printer:
        for each in messages:
            printer.show(each)
    out = capsys.readouterr()
    assert printer.shown == len(out.out.splitlines()) or output == "yaml"
    return out.out.splitlines() if output != "yaml" else out.out


def test_each_thing_is_a_line(capsys):
    lines = printed(
        capsys, data(TICK, BAR), VALUES, signal(), signal(SignalType.HOLD, size=2.0), FILL, BEAT,
        signal(SignalType.SELL, size=0.02, stop_loss=63000.0, take_profit=65000.0),
    )  # fmt: skip

    assert [line[:12] for line in lines] == ["12:00:00.005"] * 10
    assert [line[14:] for line in lines] == [
        "BTCUSDT  tick    64012.5  volume 0.25  bid 64012.4  ask 64012.6  2026-03-02T12:00:00.000Z",
        "BTCUSDT  bar     open 1  high 5  low 0.5  close 4  volume 9  2026-03-02T12:00:00.000Z",
        "BTCUSDT  value   -",
        "BTCUSDT  value   71.25",
        "BTCUSDT  value   up 2  low 1",
        "BTCUSDT  signal  BUY   price 64012.5  confidence 0.83",
        "BTCUSDT  signal  HOLD  price 64012.5  size 2  confidence 0.83",
        "BTCUSDT  fill    sell  0.02 at 64013.10  fee 0.64  realised -1.5  for beta (stop_loss)",
        "         beat    ready  sent 3  received 9  A sma 61.5  TicksLost: 3 ticks",
        "BTCUSDT  signal  SELL  price 64012.5  size 0.02  stop 63000  target 65000  confidence 0.83",
    ]


def test_each_thing_is_a_documented_document(capsys):
    def documents(*messages):
        found = [json.loads(line) for line in printed(capsys, *messages, output="json")]
        assert [deviations(each, "MESSAGE") for each in found] == [[]] * len(found)
        return found

    tick, bar = documents(data(TICK, BAR, seq=41))
    assert (tick["what"], tick["seq"], tick["incarnation"]) == ("tick", 41, "life")
    assert (bar["what"], bar["seq"], bar["body"]["metadata"]["high"]) == ("bar", 42, 5)
    assert deviations(tick["body"], "TICK") == deviations(bar["body"], "TICK") == []
    assert tick["body"]["price"] == 64012.5
    assert (tick["at"], tick["body"]["timestamp"]) == (
        "2026-03-02T12:00:00.005Z", "2026-03-02T12:00:00Z",
    )  # fmt: skip
    values = documents(VALUES)
    assert [each["body"]["value"] for each in values] == [None, 71.25, {"up": 2.0, "low": 1.0}]
    assert [each["seq"] for each in values] == [9, 10, 11]
    assert deviations(values[0]["body"], "VALUE") == []
    (wish,) = documents(signal())
    assert (wish["channel"], wish["seq"]) == ("signal", 3)
    assert deviations(wish["body"], "SIGNALLED") == []
    (fill,) = documents(FILL)
    assert deviations(fill["body"], "FILL") == []
    assert (fill["seq"], fill["body"]["price"]) == (None, "64013.10"), "exact"
    (beat,) = documents(BEAT)
    assert (beat["symbol"], beat["seq"], beat["body"]["stage"]) == ("", 12, "ready")
    text = printed(capsys, data(TICK, TICK), output="yaml")
    assert [each["what"] for each in yaml.safe_load_all(text)] == ["tick", "tick"]


def test_raw_is_what_is_on_the_bus(capsys):
    watermark = data()
    lines = printed(capsys, watermark, FILL, heard("sig.A", b"\xffno json"), raw=True)
    found = [
        json.loads(line)
        for line in printed(capsys, watermark, heard("sig.A", b"no json"), raw=True, output="json")
    ]

    assert lines[0] == f"12:00:00.005  data.BTCUSDT  {watermark.payload.decode()}"
    assert lines[1].startswith('12:00:00.005  fill.beta.BTCUSDT  {"id":"f1",')
    assert lines[2] == "12:00:00.005  sig.A  \ufffdno json"
    assert [deviations(each, "RAW") for each in found] == [[], []]
    assert found[0]["payload"]["ticks"] == []
    assert found[1]["payload"] == "no json"


def test_what_says_how_far_it_is_is_no_news_and_the_end_is_news_once(capsys):
    def progress(*, end):
        return heard("sig._progress", ProgressMessage("beta", "life", 3, REF, end))

    lines = printed(
        capsys, data(), data(TICK, end=True), data(end=True), data(end=True),
        progress(end=False), progress(end=True), progress(end=True),
    )  # fmt: skip
    assert [line.split()[1:3] for line in lines] == [
        ["BTCUSDT", "tick"], ["BTCUSDT", "end"], ["end", "has"],
    ]  # fmt: skip


def test_what_was_dropped_is_told_to_the_person_and_in_the_next_document(capsys):
    messages = (data(TICK), data(dropped=4), data(TICK, TICK, dropped=3), data(TICK, dropped=2))
    with Printer("alpha", "json", raw=False, most=None) as printer:
        for each in messages:
            printer.show(each)
    out = capsys.readouterr()

    assert [json.loads(line)["dropped"] for line in out.out.splitlines()] == [0, 7, 0, 2]
    told = [int(line.split()[0]) for line in out.err.splitlines()]
    assert sum(told) == printer.dropped == 9
    assert "dropped: they came faster than they could be printed" in out.err


def test_it_ends_in_the_middle_of_a_batch(capsys):
    with Printer("alpha", "table", raw=False, most=3) as printer:
        printer.show(data(*[TICK] * 100))
    assert printer.full
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_plugin_that_says_anything_commands_no_terminal_and_breaks_nothing(capsys):
    lines = printed(
        capsys,
        heard("data.X", b"\x1b[2J\nnot json\xff"),
        data(MarketData(NOON, "\x1b]0;owned\x07\nX", 1.0, 1.0)),
        heard("sig.X", b'{"type": "else"}'),
        heard("fill.beta.X", b"[]"),
        heard("beat", b""),
    )
    assert len(lines) == 5
    assert "\x1b" not in "".join(lines)
    assert "\x07" not in "".join(lines)
    assert "unreadable  cannot be read (" in lines[0]
    assert "not json\ufffd" in lines[0]
    found = printed(capsys, heard("beat", b"\xff"), output="json")
    assert json.loads(found[0])["what"] == "unreadable"


ROW = {"name": "beta", "kind": "strategy"}


@pytest.mark.parametrize("kind", list(Kind))
def test_what_is_asked_for_is_within_what_is_granted(kind):
    row = {"name": "beta", "kind": kind.value}
    channel, _ = SAYS[kind]
    granted = tap("beta", kind).subscribe

    assert _subjects(row, (), ()) == [granted[1]]
    assert _subjects(row, (channel, "beat", channel), ()) == [granted[1], "beat"]
    (one,) = _subjects(row, (), ("BTC/USDT", "BTC/USDT"))
    assert one.endswith(".BTC=2FUSDT")
    assert one.count(".") == (2 if kind is Kind.EXECUTOR else 1)
    assert one.startswith(granted[1].removesuffix(">"))


def test_a_channel_of_another_kind_is_wrong_usage():
    with pytest.raises(click.UsageError) as refused:
        _subjects(ROW, ("beat", "fill", "data"), ())
    assert refused.value.message == (
        "'beta' is of kind strategy, and says no 'fill'\n  fix: its channels are 'signal' and 'beat'"
    )
