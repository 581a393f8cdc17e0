"""However messages raced, and wherever the executor was killed: its ledger replayed is its ledger, row by row."""

import asyncio
import json
import random
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntp import MarketData, StrategyPlugin, TradingSignal
from ntp.captured_feeds import CapturedFeeds
from ntp.contract.launch import Listen, Trading
from ntp.contract.messages import DataBatch
from ntp.contract.names import Kind
from ntp.engine.claims import Key
from ntp.engine.trail import SIGNAL, Taken, Trail, read
from ntp.replay import Replay, begins_at
from ntp.runner.core import border
from ntp.runner.core.edge import new_incarnation
from ntp.runner.core.executor import ExecutorWork
from ntp.runner.core.intake import Intake
from ntp.runner.core.objects import Maker
from ntp.runner.core.strategy import StrategyWork

PLUGINS = Path(__file__).parents[2] / "plugin-images"
NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)
LIFE, SOURCE, HISTORY = new_incarnation(2000, "a"), "market", 20
TRADING = Trading(short=True, pyramid=2, risk={"max_orders_per_minute": 12})
CONFIG = {"equity_every_s": 1, "volume_share": 0.3}
SYMBOLS = ("BTC", "ETH", "SOL")


class Turns(StrategyPlugin):
    """Looks at the last few prices alone, and is often of another mind."""

    def analyze(self, data, history):
        if len(history) < 3 or hash((data.price, history[-2].price)) % 4:
            return None
        side = "BUY" if data.price > history[-3].price else "SELL"
        return TradingSignal(data.symbol, side, 1.0, data.price, size=0.5,
                             stop_loss=data.price * 0.995, take_profit=data.price * 1.01)  # fmt: skip


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(PLUGINS / "paper-executor"))


def market(rng: random.Random, count: int) -> list[DataBatch]:
    """Return what a source sent: by symbol, in the order of time."""
    price = dict.fromkeys(SYMBOLS, 100.0)
    seqs = dict.fromkeys(SYMBOLS, 1)
    batches, time = [], NOON
    while count > 0:
        symbol, size = rng.choice(SYMBOLS), rng.randint(1, 5)
        ticks = []
        for at in range(size):
            time += timedelta(milliseconds=rng.choice([0, 40, 700]))
            price[symbol] = round(price[symbol] * (1 + rng.gauss(0, 0.003)), 2)
            tick_id = f"{symbol}:{seqs[symbol] + at}"
            ticks.append(MarketData(time, symbol, price[symbol], 2.0, id=tick_id))
        batches.append(DataBatch(SOURCE, LIFE, symbol, seqs[symbol], ticks))
        seqs[symbol] += size
        count -= size
    return batches


def copied(batch: DataBatch) -> DataBatch:
    return DataBatch(batch.source, batch.incarnation, batch.symbol, batch.seq, list(batch.ticks))


def strategy() -> StrategyWork:
    work = StrategyWork(
        Maker(Turns, {}, instance="st"), incarnation="s1", history=HISTORY, trading=TRADING,
        refusals=border.Refusals(),
    )  # fmt: skip
    work.prepare()
    return work


async def executor(storage: Path, trading: Trading = TRADING) -> ExecutorWork:
    from paper_executor import PaperExecutor

    listen = Listen("st", Kind.STRATEGY, trading=trading, listens_to=[SOURCE])
    maker = Maker(PaperExecutor, CONFIG, instance="paper", storage=storage)
    work = ExecutorWork(maker, [listen], refusals=border.Refusals())
    work.prepare()
    await work.start()
    return work


def shuffled(rng: random.Random, batches: list[DataBatch]) -> list[DataBatch]:
    """Return them as another listener may get them: of one symbol in order, of several as it comes."""
    queues = {symbol: [b for b in batches if b.symbol == symbol] for symbol in SYMBOLS}
    result = []
    while any(queues.values()):
        result.append(queues[rng.choice([s for s in SYMBOLS if queues[s]])].pop(0))
    return result


async def words(rng: random.Random, batches: list[DataBatch]) -> list[bytes]:
    """Return what the strategy says: signals, and now and then how far it has come."""
    work, intake = strategy(), Intake([Listen(SOURCE, Kind.DATA_SOURCE)])
    await work.start()
    said: list[bytes] = []
    for batch in batches:
        for run in intake.data(copied(batch), 0.0):
            if run.lead.work is None:
                await work.open(run.lead)
            work.feed(run, 0, float("inf"))
        said += [payload for _, payload in work.made]
        work.made.clear()
        if rng.random() < 0.3:
            said += map(border.encoded, work.progress(intake))
    return [*said, *map(border.encoded, work.progress(intake))]


class Session:
    """The executor of a live session: it hears ticks, signals and progress as they happen to come."""

    def __init__(self, rng: random.Random, storage: Path) -> None:
        self.rng, self.storage = rng, storage
        self.halted: dict[str, bool] = {}
        self.marks: dict = {}

    async def live(self) -> None:
        self.work = await executor(self.storage)
        self.hears = Intake([Listen(SOURCE, Kind.DATA_SOURCE)])
        self.work.begin_at(self.marks)
        await self.work.halt(self.halted, "by hand")

    async def kill(self) -> None:
        for plugin in self.work.all():
            plugin._ledger._sql.close()  # as if it never had the time for more
        await self.live()

    async def tick(self, batch: DataBatch) -> None:
        for run in self.hears.data(copied(batch), 0.0):
            if run.lead.work is None:
                await self.work.open(run.lead)
            await self.work.feed(run, 0, float("inf"))

    async def something(self) -> None:
        if self.rng.random() < 0.02:
            self.halted = {} if self.halted else {"st": self.rng.random() < 0.5}
            await self.work.halt(self.halted, "by hand")
        if self.rng.random() < 0.1:
            self.marks = (await self.work.stands(self.hears)).lanes

    async def end(self) -> None:
        await self.work.expire(0.0)
        await self.work.expire(1e9)
        for plugin in self.work.all():
            await plugin.shutdown()


async def session(rng: random.Random, storage: Path, batches: list[DataBatch], kills: int) -> None:
    said, feed = await words(rng, batches), shuffled(rng, batches)
    one = Session(rng, storage)
    await one.live()
    ticks = messages = 0
    while ticks < len(feed) or messages < len(said):
        if messages == len(said) or (ticks < len(feed) and rng.random() < 0.5):
            await one.tick(feed[ticks])
            ticks += 1
        else:
            # What may have ended a life before is tried with its own symbol's ticks before it alone.
            alone = rng.random() < 0.03
            await one.work.heard("st", said[messages], messages, alone=alone)
            messages += 1
        await one.something()
        if kills and rng.random() < 0.02:
            kills -= 1
            await one.kill()
            ticks = messages = 0  # all comes again: who knows it passes it over
    await one.end()


async def replayed(live: Path, to: Path, batches: list[DataBatch], *, skip: int = 0):
    from paper_record import PaperRecord

    record = PaperRecord(live / "ledger-st.sqlite")
    feeds = CapturedFeeds([Listen(SOURCE, Kind.DATA_SOURCE)], [])
    for batch in batches[skip:]:
        await feeds.take(copied(batch))
    feeds.end()
    pieces = record.pieces()
    index, why = begins_at(pieces, feeds, HISTORY)
    if index is None:
        return None, why, None, 0
    begin = pieces[index].number
    held = record.rewind(begin, to / "ledger-st.sqlite")
    maker = strategy()
    maker.holdings.resume(held.positions, held.fills)
    await maker.start()
    work = await executor(to)
    replay = Replay(maker, work, feeds, record.signals(begin))
    await replay.begin(pieces[index:])
    for piece in pieces[index:]:
        await replay.follow(piece)
    told = replay.finish()
    for plugin in work.all():
        await plugin.shutdown()
    return record.compare(begin, to / "ledger-st.sqlite", 5), why, told, index


def folders(tmp_path_factory) -> tuple[Path, Path]:
    return tmp_path_factory.mktemp("live"), tmp_path_factory.mktemp("again")


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), kills=st.integers(0, 3))
def test_a_session_replayed_ends_in_the_same_rows(tmp_path_factory, seed, kills):
    rng = random.Random(seed)
    live, again = folders(tmp_path_factory)
    batches = market(rng, 600)
    asyncio.run(session(rng, live, batches, kills))
    found, why, told, index = asyncio.run(replayed(live, again, batches))
    assert (index, why) == (0, "")
    assert found.differing == {}, (found.differences[:3], told)
    assert (told.missing, told.extras, told.unmade) == (0, 0, 0)


def test_a_replay_can_begin_in_the_middle_where_the_capture_does(tmp_path_factory, monkeypatch):
    import paper_trail

    monkeypatch.setattr(paper_trail, "PIECE", 64)
    monkeypatch.setattr(paper_trail, "WEIGHT", 0)
    rng = random.Random(7)
    live, again = folders(tmp_path_factory)
    batches = market(rng, 3000)
    asyncio.run(session(rng, live, batches, 1))
    found, why, told, index = asyncio.run(replayed(live, again, batches, skip=300))
    assert index > 0
    assert "begins after the first tick that was taken" in why
    assert found.differing == {}, (found.differences[:3], told)
    whole, new = found.rows["fills"]
    assert 0 < new < whole


def test_another_order_is_another_ledger(tmp_path_factory):
    """Else the tests above would prove little: the order decides points of the curve."""
    rng = random.Random(3)
    batches = market(rng, 600)
    points, fills = set(), 0
    for _ in range(3):
        live, _ = folders(tmp_path_factory)
        asyncio.run(session(rng, live, batches, 0))
        with sqlite3.connect(live / "ledger-st.sqlite") as sql:
            points.add(json.dumps(list(sql.execute("SELECT time, equity FROM equity"))))
            fills += sql.execute("SELECT count(*) FROM fills").fetchone()[0]
    assert len(points) > 1
    assert fills > 20


places = st.builds(
    lambda source, life, symbol, seq: (Key(source, life, symbol), seq),
    st.sampled_from(["a", "b"]), st.sampled_from(["1", "2"]), st.sampled_from(["€", "", "X/Y"]),
    st.integers(0, 2**40),
)  # fmt: skip


@given(st.lists(st.one_of(places, st.none(), st.just("take"), st.just("begin"))))
def test_what_was_taken_is_read_as_it_was(steps):
    trail, pieces, noted = Trail(), [b""], []
    for step in steps:
        if step == "take":
            pieces[-1] += trail.take()
        elif step == "begin":
            pieces[-1] += trail.take()
            trail.begin()
            pieces.append(b"")
        elif step is None:
            trail.signal()
            noted.append(None)
        else:
            trail.tick(step)
            noted.append(step)
    pieces[-1] += trail.take()
    found = []
    for taken in (each for piece in pieces for each in read(piece)):
        if taken is SIGNAL or taken.key is None:
            found.append(None)
        else:
            found += [(taken.key, taken.seq + at) for at in range(taken.many)]
    assert found == noted


@given(st.binary(max_size=60))
def test_anything_else_is_refused_or_read(raw):
    try:
        assert all(isinstance(each, Taken) for each in read(raw))
    except ValueError:
        return


def test_symbols_that_take_turns_cost_two_bytes_a_tick():
    trail = Trail()
    for number in range(1, 10_001):
        trail.tick((Key("binance_data", LIFE, f"S{number % 10}"), number // 10 + 1))
    assert len(trail.take()) < 20_500
