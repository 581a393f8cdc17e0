"""A strategy on the bus."""

import asyncio
import time
from collections.abc import Iterable

import msgspec

from ntp.connection import Ack, Link, Message
from ntp.contract import subjects
from ntp.contract.beat import Flow, LatestSignal, Replayed
from ntp.contract.launch import LaunchFile
from ntp.contract.letters import Why
from ntp.contract.messages import Fill, Noticed, ProgressMessage
from ntp.contract.names import Channel, Kind
from ntp.contract.reading import reader
from ntp.plugin import BasePlugin, StrategyPlugin
from ntp.runner.beats import Figures, latest
from ntp.runner.core import border
from ntp.runner.core.dead import Dead
from ntp.runner.core.lead import Run
from ntp.runner.core.notice import looks_at_fills, noticed
from ntp.runner.core.objects import Maker
from ntp.runner.core.pace import TICK_S, Pace
from ntp.runner.core.said import MOST_NOTICED
from ntp.runner.core.strategy import StrategyWork
from ntp.runner.flag import Flag
from ntp.runner.letterbox import Letterbox
from ntp.runner.listener import Listener
from ntp.runner.memory import Memory
from ntp.runner.past import Past
from ntp.runner.trial import Court, Trial

PULL = 64

decode_fill = reader(msgspec.json.Decoder(Fill))


class StrategyPart:
    def __init__(
        self,
        launch: LaunchFile,
        maker: Maker[StrategyPlugin],
        incarnation: str,
        refusals: border.Refusals,
    ) -> None:
        self._launch = launch
        self._incarnation = incarnation
        self._refusals = refusals
        self._work = StrategyWork(
            maker,
            incarnation=incarnation,
            history=launch.history,
            trading=launch.trading,
            refusals=refusals,
        )
        self._listener = Listener(
            launch,
            refusals,
            open_lead=self._work.open,
            feed=self._feed,
            emit=self._emit,
        )
        self._pace = Pace()
        self._told = 0
        self._end: ProgressMessage | None = None
        self._noticed: list[Noticed] = []
        """Fills that no executor was told of yet that they were noticed."""
        self._sent: dict[str, int] = {}
        self._latest: LatestSignal | None = None
        self._fills: dict[tuple[str, str], int] = {}
        self._letters = Letterbox(launch)
        self._court = Court(self._letters, launch.last_end, asyncio.Lock())
        self._stopped = Flag()
        self._memory = Memory(maker, refusals)
        self._past = Past(self._listener, self._memory, self._work, launch.replay)
        self._replayed: Replayed | None = None
        self._last: asyncio.Future[Ack] | None = None
        """Done when the newest message is stored, and so all before it."""
        self._link: Link

    def prepare(self) -> None:
        self._work.prepare()

    async def start(self, link: Link) -> None:
        self._link = link
        kept = await self._memory.begin(link, next(iter(self._work.all())))
        self._work.holdings.resume(kept.positions, kept.fills)
        await self._work.start()

    async def listen(self) -> None:
        self._letters.listen(self._link)
        self._replayed = await self._past.catch_up(self._link)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            hearing = [
                tasks.create_task(self._hear_fills(one.instance))
                for one in self._launch.inputs
                if one.kind is Kind.EXECUTOR
            ]
            # At most ten times a second, and only once something came or is due.
            while not await self._stopped.within(TICK_S):
                rung = self._link.news.rung
                await self._listener.expire()
                await self._tell()
                if self._memory.due:
                    await self._look()
                await self._memory.keep()
                if not self._listener.intake.waits:
                    await self._link.news.after(
                        rung, self._pace.left(time.monotonic(), waiting=bool(self._noticed))
                    )
            for task in hearing:
                task.cancel()

    def stop(self) -> None:
        self._stopped.set()
        self._link.news.ring()

    async def drain(self) -> None:
        await self._link.drain()
        await self._listener.flush()
        await self._tell(at_once=True)
        await self._link.settle()
        await self._look()
        await self._memory.keep(all_of_it=True)

    def exhausted(self) -> bool:
        return self._end is not None and not self._link.stats.unacked

    def figures(self) -> Figures:
        intake = self._listener.intake
        return Figures(
            sent=[
                Flow(peer="", channel=Channel.SIGNAL, symbol=symbol, count=count, through=count)
                for symbol, count in self._sent.items()
            ],
            received=[
                *intake.flows(),
                *(
                    Flow(peer=peer, channel=Channel.FILL, symbol=symbol, count=count)
                    for (peer, symbol), count in self._fills.items()
                ),
            ],
            newest=intake.newest,
            indicators=self._work.indicators(),
            report=_reports(self._work.objects),
            warnings=self._listener.warnings() | self._letters.warnings(),
            dead=self._letters.dead,
            signal=self._latest,
            replayed=self._replayed,
        )

    def busy(self) -> Iterable[tuple[str, float]]:
        return ()

    def objects(self) -> Iterable[BasePlugin]:
        return self._work.all()

    async def _feed(self, run: Run, start: int, until: float) -> int:
        at = self._work.feed(run, start, until)
        self._pace.ticks(at - start)
        return at

    async def _emit(self) -> None:
        made, self._work.made = self._work.made, []
        for message, payload in made:
            symbol = message.signal.symbol
            self._last = await self._link.submit(
                # Not the id alone: a life that makes a signal again has to be heard of it too.
                subjects.signal(symbol),
                payload,
                f"{message.id}@{self._incarnation}",
            )
            self._sent[symbol] = self._sent.get(symbol, 0) + 1
            self._pace.signals()
        if made:
            self._latest = latest(made[-1].message)
        if self._pace.hurries:
            await self._tell()

    async def _tell(self, *, at_once: bool = False) -> None:
        """Tell executors how far we have come, and that it was all, where it is time to."""
        now = time.monotonic()
        intake = self._listener.intake
        if not at_once and not self._pace.due(now, ended=intake.ended):
            return
        messages = self._work.progress(intake)
        if messages and messages[-1].end:
            self._end = messages[-1]
        elif not intake.ended:
            self._end = None
        elif self._end is not None and (self._noticed or self._pace.end_due(now)):
            messages.append(self._end)
        if not messages:
            return
        if self._noticed:
            some, self._noticed = self._noticed[:MOST_NOTICED], self._noticed[MOST_NOTICED:]
            messages[-1] = msgspec.structs.replace(messages[-1], noticed=some)
        self._pace.told(now, len(messages))
        for message in messages:
            self._told += 1
            name = f"{self._launch.instance}:{self._incarnation}:progress:{self._told}"
            self._last = await self._link.submit(subjects.progress(), border.encoded(message), name)

    async def _look(self) -> None:
        async with self._listener.turn:  # nothing is half analysed, or half sent
            self._memory.look(
                self._listener.intake,
                self._work.objects,
                idle=self._listener.idle,
                stored=self._last,
            )

    async def _hear_fills(self, executor: str) -> None:
        trial = Trial(self._court, executor)
        while True:
            messages = await self._link.pull(executor, trial.batch(PULL))
            async with trial.of(messages) as verdict:
                stored: list[asyncio.Future[Ack]] = []
                for message in messages:
                    dead = verdict.dead or await self._fill(executor, message)
                    if dead is not None:
                        self._refusals.note(f"a fill of {executor} is not taken: {dead.message}")
                        stored += await self._letters.put(executor, message, dead)
                for letter in stored:
                    await asyncio.shield(letter)
                # What is not kept comes again.
                if not messages or not await self._memory.positions(*self._work.holdings.kept()):
                    continue
                for message in messages:
                    await self._link.ack(message)

    async def _fill(self, executor: str, message: Message) -> Dead | None:
        """Take a fill; return why it cannot be taken."""
        try:
            fill = decode_fill(message.payload)
        except msgspec.MsgspecError as error:
            return Dead(Why.UNREADABLE, f"it cannot be read: {error}")
        if (fill.executor, fill.strategy) != (executor, self._launch.instance):
            return Dead(Why.OUT_OF_BORDER, f"it says that it is {fill.executor}'s")
        async with self._listener.turn:
            new = await self._work.fill(fill)
            if new and looks_at_fills(self._work):
                self._noticed += noticed(fill, self._listener.intake.leads.values())
        # One whose acknowledgement was lost comes again; it was sent, and counts, once.
        if new:
            key = (executor, fill.symbol)
            self._fills[key] = self._fills.get(key, 0) + 1
        return None


def _reports(objects: dict[str, StrategyPlugin]) -> dict[str, object]:
    """Return report() by symbol; of one object for all plainly."""
    reports = {symbol: report for symbol, one in objects.items() if (report := one.report())}
    return dict(reports[""]) if "" in reports else dict(reports)
