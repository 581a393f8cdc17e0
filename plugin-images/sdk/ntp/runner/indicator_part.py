"""An indicator on the bus."""

from collections.abc import Iterable

from ntp.connection import Link
from ntp.contract import subjects
from ntp.contract.beat import Flow, Replayed
from ntp.contract.launch import LaunchFile
from ntp.contract.names import Channel
from ntp.plugin import BasePlugin, IndicatorPlugin
from ntp.runner.beats import Figures
from ntp.runner.core import border
from ntp.runner.core.feed import WATERMARK_S
from ntp.runner.core.indicator import IndicatorWork
from ntp.runner.core.lead import Run
from ntp.runner.core.objects import Maker
from ntp.runner.flag import Flag
from ntp.runner.listener import Listener
from ntp.runner.memory import LAG_S, Memory
from ntp.runner.past import Past


class IndicatorPart:
    def __init__(
        self,
        launch: LaunchFile,
        maker: Maker[IndicatorPlugin],
        incarnation: str,
        refusals: border.Refusals,
    ) -> None:
        self._work = IndicatorWork(maker, incarnation=incarnation, refusals=refusals)
        self._listener = Listener(
            launch,
            refusals,
            open_lead=self._work.open,
            feed=self._feed,
            emit=self._emit,
        )
        self._sent: dict[str, tuple[int, int]] = {}
        self._stopped = Flag()
        self._memory = Memory(maker, refusals, LAG_S)
        self._past = Past(self._listener, self._memory, self._work, launch.replay)
        self._replayed: Replayed | None = None
        self._link: Link

    def prepare(self) -> None:
        self._work.prepare()

    async def start(self, link: Link) -> None:
        self._link = link
        await self._memory.begin(link, next(iter(self._work.all())))
        await self._work.start()

    async def listen(self) -> None:
        self._replayed = await self._past.catch_up(self._link)

    async def run(self) -> None:
        # All other work is done where messages arrive.
        while not await self._stopped.within(WATERMARK_S):
            await self._listener.expire()
            async with self._listener.turn:
                self._work.made += self._work.watermarks()
                await self._emit()
            if self._memory.due:
                self._look()
            await self._memory.keep()

    def stop(self) -> None:
        self._stopped.set()

    async def drain(self) -> None:
        await self._link.drain()
        self._look()
        await self._memory.keep(all_of_it=True)

    def exhausted(self) -> bool:
        return self._listener.intake.ended

    def figures(self) -> Figures:
        intake = self._listener.intake
        reports = {
            symbol: report
            for (_, symbol), one in self._work.objects.items()
            if (report := one.report())
        }
        return Figures(
            sent=[
                Flow(
                    peer="", channel=Channel.INDICATOR, symbol=symbol, count=count, through=through
                )
                for symbol, (count, through) in self._sent.items()
            ],
            received=list(intake.flows()),
            newest=intake.newest,
            report=dict(reports[""]) if "" in reports else dict(reports),
            warnings=self._listener.warnings(),
            replayed=self._replayed,
        )

    def busy(self) -> Iterable[tuple[str, float]]:
        return ()

    def objects(self) -> Iterable[BasePlugin]:
        return self._work.all()

    def _look(self) -> None:
        objects = {"/".join(key): one for key, one in self._work.objects.items()}
        self._memory.look(self._listener.intake, objects, idle=self._listener.idle)

    async def _feed(self, run: Run, start: int, until: float) -> int:
        return self._work.feed(run, start, until)

    async def _emit(self) -> None:
        made, self._work.made = self._work.made, []
        for batch, payload in made:
            fleeting = not batch.values
            await self._link.publish(
                subjects.indicator(batch.symbol), payload, fleeting=fleeting, numbered=not fleeting
            )
            count, _ = self._sent.get(batch.symbol, (0, 0))
            size = len(batch.values)
            self._sent[batch.symbol] = (count + size, batch.seq + size - 1)
