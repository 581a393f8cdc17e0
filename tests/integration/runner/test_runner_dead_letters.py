"""A message that its receiver can never take is kept with the reason; everything else flows on."""

import base64
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec

from ntp.connection import connect
from ntp.contract.launch import CREDENTIALS_FILE, BusAddress
from ntp.contract.letters import HEADER, Letter, Why
from ntp.contract.messages import (
    Fill,
    FillReason,
    Side,
    SignalMessage,
    SignalType,
    TickRef,
    TradingSignal,
)
from ntp.contract.names import Kind
from orchestrator.bus.client import dial
from tests.integration.runner.conftest import written

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)

NOTING = """
    import json, os, signal
    from ntp import ExecutorPlugin

    class Plugin(ExecutorPlugin):
        per_strategy = False

        async def process_signal(self, signal):
            self.note(begun=signal.metadata["signal_id"])
            if signal.symbol == "KILL":
                os.kill(os.getpid(), 9)
            if signal.symbol == "RAISE":
                raise ValueError("no such market")
            self.note(done=signal.metadata["signal_id"])

        def note(self, **what):
            with open(self.config["notes"], "a") as notes:
                notes.write(json.dumps(what) + "\\n")
"""

LISTENING = """
    import json
    from ntp import StrategyPlugin

    class Plugin(StrategyPlugin):
        def analyze(self, data, history):
            return None

        def on_fill(self, fill):
            if fill.symbol == "RAISE":
                raise ValueError("what a fill")
            with open(self.config["notes"], "a") as notes:
                notes.write(json.dumps({"fill": fill.id}) + "\\n")
"""


def signal(number, symbol="BTC", **change):
    made = TradingSignal(symbol, SignalType.BUY, 0.5, 100.0, size=1.0)
    tick = TickRef("src", symbol, number, f"src:{number}", NOON, "life")
    fields = {"id": f"hand:{symbol}:src:{number}:0", "strategy": "hand", "incarnation": "i"}
    return SignalMessage(**{**fields, "number": number, "tick": tick, "signal": made, **change})


def fill(number, symbol="BTC"):
    return Fill(
        id=f"fill {number}", signal_id="s", executor="paper", strategy="hand", symbol=symbol,
        side=Side.BUY, quantity=1, price=1, fee=0, realised=0, reason=FillReason.SIGNAL,
        time=NOON, tick_id="t",
    )  # fmt: skip


@asynccontextmanager
async def link(bench, name):
    """Connect with a plugin's own credential."""
    folder = bench.folder / "links" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CREDENTIALS_FILE).write_bytes(bench.broker.credentials(name))
    address = BusAddress([f"nats://{bench.broker.address()}"])
    async with connect(folder, address, plain=True, name=name) as made:
        yield made


async def say(hand, *messages):
    for each in messages:
        payload = each if isinstance(each, bytes) else msgspec.json.encode(each)
        symbol = each.signal.symbol if isinstance(each, SignalMessage) else "X"
        await hand.request_ack(f"sig.{symbol}", payload, f"{hash(payload)}")


async def letters(bench, receiver="paper"):
    """Return what is kept: (letter, payload)."""
    found, at = [], 1
    stream, only = f"DLQ_{receiver}", f"dlq.{receiver}.letter.>"
    async with dial(bench.broker.address(), bench.broker.core_credentials(), name="test") as core:
        while True:
            asked = {"seq": at, "next_by_subj": only}
            answer = await core.ask(f"$JS.API.STREAM.MSG.GET.{stream}", asked)
            if "message" not in answer:
                return found
            message = answer["message"]
            head = base64.b64decode(message["hdrs"]).decode("ascii")
            told = head.partition(f"{HEADER}: ")[2].partition("\r\n")[0]
            payload = base64.b64decode(message.get("data", ""))
            found.append((msgspec.json.decode(told, type=Letter), payload))
            at = message["seq"] + 1


async def unacknowledged(bench, stream="SIG_hand", consumer="paper"):
    async with dial(bench.broker.address(), bench.broker.core_credentials(), name="test") as core:
        info = await core.ask(f"$JS.API.CONSUMER.INFO.{stream}.{consumer}")
        return info["num_ack_pending"] + info["num_pending"]


async def began(bench, tmp_path, code=NOTING):
    """Start an executor whose strategy `hand` is us."""
    notes = tmp_path / "notes"
    notes.touch()
    bench.add("hand", Kind.STRATEGY, LISTENING, config={"notes": str(notes)})
    bench.add("paper", Kind.EXECUTOR, code, config={"notes": str(notes)})
    await bench.open()
    return notes


def done(notes):
    return [note["done"] for note in written(notes) if "done" in note]


async def test_what_cannot_be_taken_is_kept_with_its_reason_and_the_rest_flows_on(bench, tmp_path):
    notes = await began(bench, tmp_path)
    bench.start("paper")
    await bench.ready("paper")
    foreign = signal(3, strategy="otto")
    wild = signal(2, signal=msgspec.structs.replace(signal(2).signal, confidence=7.0))
    async with link(bench, "hand") as hand:
        await say(hand, signal(1), b'{"id": "\\u20ac", "numb', wild, foreign, signal(4))
    await bench.until(lambda: len(done(notes)) == 2)
    assert done(notes) == [signal(1).id, signal(4).id]
    await bench.until(lambda: bench.beat("paper").dead == 3)
    kept = await letters(bench)
    assert [letter.reason for letter, _ in kept] == [
        Why.UNREADABLE,
        Why.OUT_OF_BORDER,
        Why.OUT_OF_BORDER,
    ]
    torn, strange = kept[0], kept[1]
    assert torn[1] == b'{"id": "\\u20ac", "numb'
    assert (strange[0].receiver, strange[0].sender, strange[0].stream, strange[0].seq) == (
        "paper",
        "hand",
        "SIG_hand",
        3,
    )
    assert (strange[0].id, strange[0].symbol, strange[0].tries) == (wild.id, "BTC", 1)
    assert "confidence was 7.0" in strange[0].message
    assert strange[1] == msgspec.json.encode(wild)
    assert await unacknowledged(bench) == 0


async def test_a_signal_that_kills_every_life_is_dead_after_five_and_what_is_behind_it_is_not(
    bench, tmp_path
):
    notes = await began(bench, tmp_path)
    async with link(bench, "hand") as hand:
        await say(hand, signal(1), signal(2), signal(3, "KILL"), *map(signal, range(4, 8)))
    deaths = 0
    while not await letters(bench):
        assert deaths < 9, "it is never given up"
        bench.start("paper")
        await bench.until(
            lambda: bench.processes["paper"].poll() is not None or len(set(done(notes))) == 6
        )
        deaths += bench.processes["paper"].poll() is not None
    ((letter, payload),) = await letters(bench)
    assert (letter.reason, letter.tries, letter.id) == (
        Why.ENDED_RECEIVER,
        5,
        signal(3, "KILL").id,
    )
    assert payload == msgspec.json.encode(signal(3, "KILL"))
    assert sorted(set(done(notes))) == sorted(signal(n).id for n in (1, 2, 4, 5, 6, 7))
    begun = [note.get("begun") for note in written(notes)].count(signal(3, "KILL").id)
    assert begun == deaths
    assert 5 <= deaths <= 7
    await bench.until(lambda: bench.stage("paper") == "ready")
    await bench.stop("paper")
    assert await unacknowledged(bench) == 0


async def test_the_letter_says_what_the_last_life_ended_by(bench, tmp_path):
    await began(bench, tmp_path)
    async with link(bench, "hand") as hand:
        await say(hand, signal(1, "RAISE"))
    for _ in range(8):
        if await letters(bench):
            break
        bench.start("paper")
        await bench.until(
            lambda: (
                bench.processes["paper"].poll() is not None
                or (bench.beat("paper") and bench.beat("paper").dead)
            )
        )
        if bench.processes["paper"].poll() is not None:
            end = bench.termination("paper")
            bench.launches["paper"]["last_end"] = f"{end.reason}: {end.message}"
    ((letter, _),) = await letters(bench)
    assert letter.message.startswith("5 lives in a row ended while they processed it; the last: ")
    assert "PluginRaised: ValueError: no such market" in letter.message


async def test_a_fill_that_its_strategy_cannot_take_is_kept_and_the_rest_flows_on(bench, tmp_path):
    notes = await began(bench, tmp_path)
    bench.start("hand")
    await bench.ready("hand")
    async with link(bench, "paper") as paper:
        for number, each in enumerate((b"{", fill(1), fill(2))):
            payload = each if isinstance(each, bytes) else msgspec.json.encode(each)
            await paper.request_ack("fill.hand.BTC", payload, str(number))
    await bench.until(lambda: [n.get("fill") for n in written(notes)] == ["fill 1", "fill 2"])
    await bench.until(lambda: bench.beat("hand").dead == 1)
    ((letter, payload),) = await letters(bench, "hand")
    assert (letter.reason, letter.sender, payload) == (Why.UNREADABLE, "paper", b"{")


async def test_a_fill_that_ends_every_life_of_its_strategy_is_dead_after_five(bench, tmp_path):
    notes = await began(bench, tmp_path)
    async with link(bench, "paper") as paper:
        for number, each in enumerate((fill(1), fill(2, "RAISE"), fill(3))):
            await paper.request_ack(
                f"fill.hand.{each.symbol}", msgspec.json.encode(each), str(number)
            )
    for _ in range(9):
        if await letters(bench, "hand"):
            break
        bench.start("hand")
        await bench.until(
            lambda: (
                bench.processes["hand"].poll() is not None or {"fill": "fill 3"} in written(notes)
            )
        )
    ((letter, _),) = await letters(bench, "hand")
    assert (letter.reason, letter.tries) == (Why.ENDED_RECEIVER, 5)
    await bench.until(lambda: {"fill": "fill 3"} in written(notes))


async def test_killed_between_the_letter_and_the_acknowledgement_there_is_one_letter(
    bench, tmp_path
):
    """Nothing that the executor acknowledges leaves it, so each life stores the letter anew."""
    notes = await began(bench, tmp_path)
    deaf = "import ntp.connection\n\nasync def never(self, message):\n    pass\n\n"
    code = bench.folder / "code" / "paper" / "written.py"
    able = code.read_text()
    code.write_text(f"{deaf}ntp.connection.Link.ack = never\n{able}")
    bad = b"no signal at all"
    for _ in range(2):
        bench.start("paper")
        await bench.ready("paper")
        async with link(bench, "hand") as hand:
            await say(hand, bad)
        await bench.until(lambda: bench.beat("paper").dead == 1)
        assert len(await letters(bench)) == 1
        assert await unacknowledged(bench) == 1, "the original is still there"
        bench.kill("paper")
    code.write_text(able)
    bench.start("paper")
    async with link(bench, "hand") as hand:
        await say(hand, signal(1))
    await bench.until(lambda: done(notes) == [signal(1).id])
    await bench.stop("paper")
    assert len(await letters(bench)) == 1
    assert await unacknowledged(bench) == 0


async def test_once_its_receiver_is_mended_a_letter_that_is_sent_again_has_one_effect(
    bench, tmp_path
):
    await began(bench, tmp_path)
    notes = tmp_path / "notes"
    async with link(bench, "hand") as hand:
        await say(hand, signal(1, "RAISE"), signal(2))
    for _ in range(8):
        if await letters(bench):
            break
        bench.start("paper")
        await bench.until(
            lambda: bench.processes["paper"].poll() is not None or done(notes) == [signal(2).id]
        )
    await bench.stop("paper")
    code = bench.folder / "code" / "paper" / "written.py"
    code.write_text(code.read_text().replace('"RAISE"', '"NEVER"'))
    bench.start("paper")
    await bench.ready("paper")
    (kept,) = await bench.broker.letters.all("paper")
    # The second time: the controller was killed before it dropped the letter, and is asked again.
    for _ in range(2):
        await bench.broker.letters.send_again(kept)
    await bench.until(lambda: len(done(notes)) == 2)
    assert done(notes) == [signal(2).id, signal(1, "RAISE").id]
    await bench.broker.letters.drop("paper", kept.number)
    assert await bench.broker.letters.counts() == {}
    await bench.stop("paper")
    assert await unacknowledged(bench) == 0
    assert done(notes) == [signal(2).id, signal(1, "RAISE").id]


async def test_what_cannot_be_taken_when_it_is_sent_again_comes_back_as_another_letter(
    bench, tmp_path
):
    await began(bench, tmp_path)
    bench.start("paper")
    async with link(bench, "hand") as hand:
        await say(hand, b"garbage")
    await bench.until(lambda: bench.beat("paper") and bench.beat("paper").dead == 1)
    (kept,) = await bench.broker.letters.all("paper")
    await bench.broker.letters.send_again(kept)
    await bench.broker.letters.drop("paper", kept.number)
    await bench.until(lambda: bench.beat("paper").dead == 2)
    (back,) = await bench.broker.letters.all("paper")
    assert (back.payload, back.sender, back.symbol) == (b"garbage", "hand", kept.symbol)
    assert back.number > kept.number


async def test_where_no_letter_has_room_any_more_that_is_told_and_the_rest_flows_on(
    bench, tmp_path
):
    notes = await began(bench, tmp_path)
    async with link(bench, "paper") as paper:
        size = 64 * 1024
        while size > 32:
            put = await paper.bury(f"dlq.letter.hand.{size}", b"x" * size, f"{size}", {})
            if not (await put).seq:
                size //= 2
            else:
                again = await paper.bury(f"dlq.letter.hand.{time.time_ns()}", b"x" * size, "", {})
                size = size if (await again).seq else size // 2
    bench.start("paper")
    await bench.ready("paper")
    bad = [f"garbage {number}".encode() for number in range(100)]
    async with link(bench, "hand") as hand:
        await say(hand, *bad, signal(1))
    await bench.until(lambda: done(notes) == [signal(1).id])
    await bench.until(lambda: bench.beat("paper").conditions)
    (told,) = bench.beat("paper").conditions
    assert told.type == "DeadLettersFull"
    assert "`ntpctl dlq list paper`" in told.message
    assert bench.beat("paper").refused == len(bad)
    await bench.until(lambda: bench.beat("paper").dead == len(bad))
    await bench.stop("paper")
    assert await unacknowledged(bench) == 0
