"""An indicator on the bus."""

from collections.abc import Iterable

from ntp.connection import Link
from ntp.contract import subjects
from ntp.contract.beat import Flow
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
from ntp.runner.keeper import Keeper
from ntp.runner.listener import Listener
from ntp.runner.memory import Memory


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
            forget=self._work.forget,
        )
        self._sent: dict[str, tuple[int, int]] = {}
        self._stopped = Flag()
        self._memory = Memory(Keeper(maker.storage), maker, refusals)
        self._link: Link

    def prepare(self) -> None:
        self._work.prepare()

    async def start(self) -> None:
        self._memory.begin(self._listener.intake, next(iter(self._work.all())))
        await self._work.start()

    async def listen(self, link: Link) -> None:
        self._link = link
        await self._listener.listen(link)

    async def run(self) -> None:
        # All other work is done where messages arrive.
        while not await self._stopped.within(WATERMARK_S):
            async with self._listener.turn:
                self._work.made += self._work.watermarks()
                await self._emit()
            self._remember(at_once=False)

    def stop(self) -> None:
        self._stopped.set()

    async def drain(self) -> None:
        await self._link.drain()
        self._remember(at_once=True)

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
            replayed=self._listener.replayed,
        )

    def busy(self) -> Iterable[tuple[str, float]]:
        return ()

    def objects(self) -> Iterable[BasePlugin]:
        return self._work.all()

    def _remember(self, *, at_once: bool) -> None:
        objects = {"/".join(key): one for key, one in self._work.objects.items()}
        self._memory.remember(self._listener.intake, objects, at_once=at_once)

    async def _feed(self, run: Run, start: int, until: float) -> int:
        return self._work.feed(run, start, until)

    async def _emit(self) -> None:
        made, self._work.made = self._work.made, []
        for batch, payload in made:
            fleeting = not batch.values
            await self._link.publish(subjects.indicator(batch.symbol), payload, fleeting=fleeting)
            count, _ = self._sent.get(batch.symbol, (0, 0))
            size = len(batch.values)
            self._sent[batch.symbol] = (count + size, batch.seq + size - 1)
