"""An executor on the bus: a signal is acknowledged after its fills are stored, never before."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from ntp.connection import Ack, Link, Message
from ntp.contract import subjects
from ntp.contract.beat import Flow, Halted, Pushed
from ntp.contract.control import Halt
from ntp.contract.launch import LaunchFile
from ntp.contract.names import Channel, Kind
from ntp.plugin import BasePlugin, ExecutorPlugin
from ntp.runner.beats import Figures
from ntp.runner.core import border, controls
from ntp.runner.core.executor import ExecutorWork
from ntp.runner.core.intake import MOST_PATIENCE_S
from ntp.runner.core.objects import Maker
from ntp.runner.ending import say
from ntp.runner.flag import Flag
from ntp.runner.letterbox import Letterbox
from ntp.runner.listener import Listener
from ntp.runner.memory import Memory
from ntp.runner.past import Past
from ntp.runner.trial import Court, Trial, Verdict

EXPIRE_S = 1.0
PULL = 256
_TRIED_S = 0.05
"""Seconds between two looks at whether the tick of a suspect has come."""
MOST_CONTROLS = 100
"""That wait: each says all anew, and is sent again."""
_AGAIN = f"{subjects.AGAIN}."


class ExecutorPart:
    def __init__(
        self,
        launch: LaunchFile,
        maker: Maker[ExecutorPlugin],
        incarnation: str,  # noqa: ARG002 - the same for all parts
        refusals: border.Refusals,
    ) -> None:
        self._launch = launch
        self._refusals = refusals
        self._work = ExecutorWork(maker, launch.inputs, refusals=refusals, risk=launch.risk)
        self._memory = Memory(maker, refusals)
        self._listener = Listener(
            launch, refusals, open_lead=self._work.open, feed=self._work.feed, emit=self._emit
        )
        self._hears_data = any(one.kind is Kind.DATA_SOURCE for one in launch.inputs)
        self._letters = Letterbox(launch)
        self._court = Court(self._letters, launch.last_end, asyncio.Lock())
        self._emitting = asyncio.Lock()
        self._settling = asyncio.Lock()
        self._unsettled: deque[tuple[list[asyncio.Future[Ack]], list[Any]]] = deque()
        """Fills and dead letters on their way to the broker, and what to acknowledge once they are there."""
        self._work_to_settle = asyncio.Event()
        self._newest: dict[str, int] = {}
        """By strategy, the place in its stream of the newest message."""
        self._sent: dict[tuple[str, str], int] = {}
        self._last: asyncio.Future[Ack] | None = None
        """Done when the newest fill is stored, and so all before it."""
        self._finished = False
        self._stopped = Flag()
        self._controls: deque[bytes] = deque(maxlen=MOST_CONTROLS)
        self._controlled = asyncio.Event()
        self._pushed: Pushed | None = None
        self._halted: Halted | None = None
        self._idle: set[asyncio.Task[Any]] = set()
        self._link: Link

    def prepare(self) -> None:
        self._work.prepare()

    async def start(self, link: Link) -> None:
        self._link = link
        some = next(iter(self._work.all()), None)
        if some is not None:
            kept = await self._memory.begin(link, some)
            self._work.begin_at(kept.lanes)
        await self._work.start()
        await self._halt(self._launch.halt)

    async def listen(self) -> None:
        # Not behind the ticks that wait: a halt is for when there are too many of them.
        await self._link.subscribe(subjects.CONTROL, self._hear_control, direct=True)
        self._letters.listen(self._link)
        await Past(self._listener, self._memory).catch_up(self._link)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            settling = tasks.create_task(self._settle_for_ever())
            obeying = tasks.create_task(self._obey())
            async with asyncio.TaskGroup() as hearing:
                for strategy in self._work.mandates:
                    hearing.create_task(self._hear(strategy))
                whole = time.monotonic()
                while not await self._stopped.within(EXPIRE_S):
                    await self._listener.expire()
                    now = time.monotonic()
                    if not self._listener.intake.incomplete:
                        whole = now
                    # What is missing may be what lanes wait for; but a source may skip for ever.
                    if whole == now or now - whole >= MOST_PATIENCE_S:
                        await self._work.expire(now)
                    await self._finish()
                    await self._emit()
                    if self._memory.due:
                        await self._remember()
            settling.cancel()
            obeying.cancel()

    def stop(self) -> None:
        self._stopped.set()
        for task in self._idle:
            task.cancel()

    async def drain(self) -> None:
        await self._link.drain()
        await self._emit()
        await self._settle()
        await self._remember()
        await self._link.drain()  # the last acknowledgements leave

    async def _remember(self) -> None:
        """Keep how far the books have come; what was said of that need not be said again then."""
        idle = self._listener.idle and not self._work.waits
        stands, last = await self._work.stands(self._listener.intake), self._last
        if last is not None:
            await asyncio.shield(last)
        if await self._memory.lanes(stands.marks, stands.lanes, idle=idle):
            for token in stands.tokens:
                await self._link.ack(token)

    def exhausted(self) -> bool:
        return self._finished and not self._unsettled and not self._link.stats.unacked

    def figures(self) -> Figures:
        intake = self._listener.intake
        return Figures(
            sent=[
                Flow(peer=strategy, channel=Channel.FILL, symbol=symbol, count=count, through=count)
                for (strategy, symbol), count in self._sent.items()
            ],
            received=[
                *intake.flows(),
                *(
                    Flow(peer=name, channel=Channel.SIGNAL, symbol=symbol, count=count)
                    for name, mandate in self._work.mandates.items()
                    for symbol, count in mandate.signals.items()
                ),
            ],
            newest=intake.newest,
            report=self._work.report(),
            pushed=self._pushed,
            halted=self._halted,
            warnings=self._listener.warnings() | self._work.conditions() | self._letters.warnings(),
            dead=self._letters.dead,
        )

    def busy(self) -> Iterable[tuple[str, float]]:
        return self._work.busy()

    def objects(self) -> Iterable[BasePlugin]:
        return self._work.all()

    def _hear_control(self, _: str, payload: bytes) -> None:
        self._controls.append(payload)
        self._controlled.set()

    async def _obey(self) -> None:
        while True:
            await self._controlled.wait()
            self._controlled.clear()
            while self._controls:
                await self._control(self._controls.popleft())

    async def _control(self, payload: bytes) -> None:
        """Take limits and halts; whether they were taken is in every beat from then on."""
        told = controls.read(payload, self._refusals)
        if told is None:
            return
        if told.halt is not None and (
            self._halted is None or told.halt.number > self._halted.number
        ):
            await self._halt(told.halt)
            await self._emit()
        newest = controls.newest(self._pushed, self._launch.generation)
        if told.limits is not None and told.generation > newest:
            refusal = await self._work.limit(told.limits.own, told.limits.strategies)
            if refusal:
                say(f"the limits that were pushed are not taken: {refusal}")
            self._pushed = controls.taken(told.generation, refusal)

    async def _halt(self, halt: Halt) -> None:
        refusal = await self._work.halt(halt.strategies, halt.why)
        if refusal:
            say(f"the halt is not obeyed: {refusal}")
        self._halted = Halted(halt.number, refusal[: controls.LONGEST_REFUSAL])

    async def _hear(self, strategy: str) -> None:
        task: Any = asyncio.current_task()
        trial = Trial(self._court, strategy)
        while not self._stopped.is_set():
            # Only waiting may be cancelled: an order that is being placed is seen through.
            self._idle.add(task)
            messages = await self._link.pull(strategy, trial.batch(PULL))
            self._idle.discard(task)
            async with trial.of(messages) as verdict:
                for message in messages:
                    if self._stopped.is_set():
                        return
                    await self._take(strategy, message, verdict)
            await self._finish()

    async def _take(self, strategy: str, message: Message, verdict: Verdict) -> None:
        if verdict.dead is not None:
            await self._work.dead(strategy, message.payload, message, verdict.dead)
        else:
            await self._work.heard(
                strategy,
                message.payload,
                message,
                alone=verdict.alone,
                again=message.subject.startswith(_AGAIN),
                gap=self._follows_a_gap(strategy, message.seq),
            )
        if self._work.made:
            await self._emit()
        if verdict.alone:
            while self._work.holds(strategy, message.payload):  # no longer than a lane is patient
                if await self._stopped.within(_TRIED_S):
                    return
            await self._emit()
            await self._settle()

    def _follows_a_gap(self, strategy: str, seq: int) -> bool:
        """Whether what lay just before it in the stream was acknowledged in an earlier life.

        Signals are acknowledged as they are carried out, the word of how far the strategy is later, once
        that is durable: so it may come again without the signals that it counts.
        """
        newest = self._newest.get(strategy, 0)
        self._newest[strategy] = max(newest, seq)
        return bool(newest) and seq > newest + 1

    async def _finish(self) -> None:
        """Close the books when everything that we listen to has ended."""
        intake = self._listener.intake
        ended = self._work.ended and (intake.ended or not self._hears_data)
        if ended and not self._finished:
            await self._work.finish()
            await self._emit()
        self._finished = ended

    async def _emit(self) -> None:
        async with self._emitting:
            while self._work.made:
                outcome = self._work.made.pop(0)
                stored: list[asyncio.Future[Ack]] = []
                for fill in outcome.fills:
                    subject = subjects.fill(fill.strategy, fill.symbol)
                    payload = border.encoded(fill)
                    self._last = await self._link.submit(subject, payload, fill.id)
                    stored.append(self._last)
                    key = (fill.strategy, fill.symbol)
                    self._sent[key] = self._sent.get(key, 0) + 1
                if outcome.dead is not None:
                    (message,) = outcome.tokens
                    sender = outcome.mandate.strategy
                    stored += await self._letters.put(sender, message, outcome.dead)
                self._unsettled.append((stored, outcome.tokens))
                self._work_to_settle.set()

    async def _settle_for_ever(self) -> None:
        while True:
            self._work_to_settle.clear()
            await self._settle()
            await self._work_to_settle.wait()

    async def _settle(self) -> None:
        """Acknowledge signals once the fills before them are stored, in order."""
        async with self._settling:
            while self._unsettled:
                stored, tokens = self._unsettled[0]
                for future in stored:
                    await asyncio.shield(future)
                for token in tokens:
                    await self._link.ack(token)
                self._unsettled.popleft()
