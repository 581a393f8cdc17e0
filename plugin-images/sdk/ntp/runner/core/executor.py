"""An executor at work: a mandate for each strategy that it executes for."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ntp.contract.launch import Listen, Trading
from ntp.contract.letters import Why
from ntp.contract.names import Kind
from ntp.engine.portfolio import Portfolio
from ntp.engine.risk import Limits
from ntp.plugin import ExecutorPlugin
from ntp.runner.core import border, conditions
from ntp.runner.core.dead import Dead, glimpse
from ntp.runner.core.edge import began_ms
from ntp.runner.core.intake import Intake
from ntp.runner.core.kept import Mark
from ntp.runner.core.lead import Lead, Run
from ntp.runner.core.mandate import Mandate, Outcome
from ntp.runner.core.objects import ConfigRefusedError, Maker, overrides
from ntp.runner.core.said import read

_CHUNK = 64
"""Ticks that one mandate is given before the next one has its turn."""

_DEAF = "its class has no {}()"


class Stands(NamedTuple):
    """How far an executor has come.

    Attributes:
        marks: where its next life has to begin.
        lanes: how far each strategy's book has come.
        tokens: to be acknowledged once that is durable.
    """

    marks: list[Mark]
    lanes: dict[str, list[Mark]]
    tokens: list[Any]


class ExecutorWork:
    """Feeds ticks and signals to the objects of one executor.

    Attributes:
        made: outcomes that were not yet taken away, in order.
    """

    def __init__(
        self,
        maker: Maker[ExecutorPlugin],
        inputs: Sequence[Listen],
        *,
        refusals: border.Refusals,
        risk: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._maker = maker
        self._risk = dict(risk or {})
        self._portfolio = Portfolio(maker.instance)
        self._inputs = [one for one in inputs if one.kind is Kind.STRATEGY]
        self._refusals = refusals
        self._clock = clock
        self._shared: ExecutorPlugin | None = None
        self._halted: Mapping[str, bool] = {}
        self.mandates: dict[str, Mandate] = {}
        self.made: list[Outcome] = []

    def prepare(self) -> None:
        """Make an object for each strategy, so that a config that cannot work is known at once."""
        self._portfolio.limits = Limits.of(self._risk)
        first: ExecutorPlugin | None = self._maker.new()
        if first is not None and (not first.per_strategy or not self._inputs):
            self._shared = first
        for listen in self._inputs:
            plugin = self._shared or first or self._maker.new()
            first = None
            if self._shared is None:
                plugin.strategy = listen.instance
                plugin.trading = listen.trading or Trading()
                plugin.portfolio = self._portfolio
                # Or one of them could fill it for all.
                plugin.storage_bytes = self._maker.storage_bytes // len(self._inputs)
            self.mandates[listen.instance] = Mandate(
                listen,
                plugin,
                self._refusals,
                direct=self._shared is not None,
                clock=self._clock,
            )

        limited = self._risk or any(one.trading and one.trading.risk for one in self._inputs)
        if limited and (why := self._limitless()):
            raise ConfigRefusedError(f"`risk` is set, and {why}")

    async def start(self) -> None:
        for plugin in self.all():
            await self._maker.initialize(plugin)

    async def halt(self, halted: Mapping[str, bool], why: str) -> str:
        """Halt these strategies (true: flatten), resume all others; return why that cannot be, in words."""
        deaf = [
            name
            for name, mandate in self.mandates.items()
            if name in halted and not overrides(mandate.plugin, "on_halt", ExecutorPlugin)
        ]
        before, self._halted = self._halted, halted
        for name, mandate in self.mandates.items():
            if name in halted:
                self._note(await mandate.halt(why, flatten=halted[name]))
            elif name in before:
                self._note(await mandate.resume())
        return f"{', '.join(deaf)}: {_DEAF.format('on_halt')}; stop it instead" if deaf else ""

    async def limit(self, own: Mapping[str, Any], strategies: Mapping[str, dict[str, Any]]) -> str:
        """Obey these limits from now on; return why that cannot be, in words."""
        try:
            limits = Limits.of(own)
            for risk in strategies.values():
                Limits.of(risk)
        except ValueError as error:
            return str(error)
        if why := self._limitless():
            return why
        self._portfolio.limits = limits
        for name, mandate in self.mandates.items():
            await mandate.limit(strategies.get(name, {}))
        return ""

    def _limitless(self) -> str:
        """Say why its objects keep no limits; empty: they do."""
        if self._shared is not None and self._inputs:
            return "one object of its class executes for all strategies, which keeps no limits"
        keeps = all(overrides(each, "on_limits", ExecutorPlugin) for each in self.all())
        return "" if keeps else _DEAF.format("on_limits")

    @property
    def ended(self) -> bool:
        return bool(self.mandates) and all(mandate.ended for mandate in self.mandates.values())

    @property
    def waits(self) -> bool:
        """Whether ticks have come that a book has not seen yet."""
        return any(mandate.lane.depth for mandate in self.mandates.values())

    async def open(self, lead: Lead) -> None:
        """Find the mandates that trade on this lead; before its first `feed`."""
        edge = lead.edge
        trading = [d for d in self.mandates.values() if d.trades(edge.source, edge.symbol)]
        lead.work = trading

    async def feed(self, run: Run, start: int, until: float) -> int:
        """Hand ticks of a run to the mandates from index `start` on, until a time; return the next index."""
        at = start
        while at < len(run.ticks):
            stop = min(at + _CHUNK, len(run.ticks))
            if self._shared is None:
                for mandate in run.lead.work:
                    self._note(await mandate.ticks(run, at, stop))
            elif run.lead.work and overrides(self._shared, "on_data", ExecutorPlugin):
                self._note(await run.lead.work[0].in_order(run.ticks[at:stop]))
            run.done(stop - 1)
            at = stop
            if self._clock() >= until:
                break
        return at

    async def heard(
        self,
        strategy: str,
        payload: bytes,
        token: Any,
        *,
        alone: bool = False,
        again: bool = False,
        gap: bool = False,
    ) -> None:
        """Take a message of a strategy; one that cannot be taken is refused, and dead.

        Args:
            strategy: who sent it.
            payload: the message.
            token: comes back in an outcome once it may be acknowledged.
            alone: nothing else of it is heard before this is done.
            again: it was a dead letter.
            gap: what was sent just before it was acknowledged in an earlier life.
        """
        mandate = self.mandates[strategy]
        try:
            message = read(strategy, payload)
        except (msgspec.MsgspecError, border.RefusedError) as error:
            why = Why.OUT_OF_BORDER if isinstance(error, border.RefusedError) else Why.UNREADABLE
            await self.dead(strategy, payload, token, Dead(why, str(error)))
            return
        self._note(await mandate.heard(message, token, alone=alone, again=again, gap=gap))

    def holds(self, strategy: str, payload: bytes) -> bool:
        """Whether a signal of a strategy waits for its tick."""
        return self.mandates[strategy].lane.holds(glimpse(payload).id)

    async def dead(self, strategy: str, payload: bytes, token: Any, dead: Dead) -> None:
        """Take it that a message of a strategy cannot be taken, now or later."""
        self._refusals.note(f"a message of {strategy} is not taken: {dead.message}")
        self.made.append(await self.mandates[strategy].dead(token, dead, glimpse(payload)))

    async def expire(self, now: float) -> None:
        for mandate in self.mandates.values():
            self._note(await mandate.expire(now))

    async def finish(self) -> None:
        """Close the books of all mandates; call when `ended` and no more data comes."""
        for mandate in self._one_each():
            self._note(await mandate.finish())

    def begin_at(self, lanes: Mapping[str, Iterable[Mark]]) -> None:
        """Have the books go on where an earlier life was; before the first tick."""
        for name, marks in lanes.items():
            if name in self.mandates:
                self.mandates[name].begin_at(marks)

    async def stands(self, intake: Intake) -> "Stands":
        """Return how far all books have come."""
        if self._shared is not None:
            return Stands(intake.marks(), {}, [])
        stands = {name: await mandate.stand() for name, mandate in self.mandates.items()}
        tokens = [token for stand in stands.values() for token in stand.tokens]
        lanes = {name: stand.marks for name, stand in stands.items()}
        return Stands(list(self._least(lanes)), lanes, tokens)

    def _least(self, lanes: Mapping[str, Sequence[Mark]]) -> Iterator[Mark]:
        """Yield the place from which on some book needs the ticks, where none needs them all."""
        by_edge: dict[tuple[str, str], list[Mark]] = {}
        for marks in lanes.values():
            for mark in marks:
                by_edge.setdefault((mark.source, mark.symbol), []).append(mark)
        for (source, symbol), marks in by_edge.items():
            if len(marks) == sum(one.trades(source, symbol) for one in self.mandates.values()):
                yield min(marks, key=lambda mark: (began_ms(mark.incarnation) or 0, mark.through))

    def busy(self) -> Iterator[tuple[str, float]]:
        """Yield the callbacks that run, and since when."""
        for mandate in self.mandates.values():
            if mandate.busy is not None:
                yield mandate.busy

    def conditions(self) -> dict[str, str]:
        """Return what the objects say is wrong: reason -> message, which begins with the strategy's name."""
        found: dict[str, list[str]] = {}
        for plugin in self.all():
            of = f"{plugin.strategy}: " if plugin.strategy else ""
            try:
                for word, message in conditions.checked(plugin.conditions()).items():
                    found.setdefault(word, []).append(f"{of}{message}")
            except border.RefusedError as error:
                self._refusals.note(error)
        return {word: "; ".join(messages) for word, messages in found.items()}

    def report(self) -> dict[str, Any]:
        """Return the figures by strategy; of a shared object plainly."""
        if self._shared is not None:
            return dict(self._shared.report())
        return {name: mandate.report() for name, mandate in self.mandates.items()}

    def all(self) -> Iterable[ExecutorPlugin]:
        objects = [mandate.plugin for mandate in self._one_each()]
        return objects or ([self._shared] if self._shared else [])

    def _one_each(self) -> list[Mandate]:
        """Return one mandate for each object."""
        return list({id(mandate.plugin): mandate for mandate in self.mandates.values()}.values())

    def _note(self, outcome: Outcome) -> None:
        if outcome.fills or outcome.tokens:
            self.made.append(outcome)
