"""An executor at work: a mandate for each strategy that it executes for."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from ntp.contract.launch import Listen, Trading
from ntp.contract.messages import ProgressMessage, SignalMessage
from ntp.contract.names import Kind
from ntp.contract.reading import reader
from ntp.plugin import ExecutorPlugin
from ntp.runner.core import border, conditions
from ntp.runner.core.lead import Lead, Run
from ntp.runner.core.mandate import Mandate, Outcome
from ntp.runner.core.objects import Maker, overrides

_CHUNK = 64
"""Ticks that one mandate is given before the next one has its turn."""

LONGEST_SIGNAL_ID = 512

decode_heard = reader(msgspec.json.Decoder(SignalMessage | ProgressMessage))


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._maker = maker
        self._inputs = [one for one in inputs if one.kind is Kind.STRATEGY]
        self._refusals = refusals
        self._clock = clock
        self._shared: ExecutorPlugin | None = None
        self.mandates: dict[str, Mandate] = {}
        self.made: list[Outcome] = []

    def prepare(self) -> None:
        """Make an object for each strategy, so that a config that cannot work is known at once."""
        first: ExecutorPlugin | None = self._maker.new()
        if first is not None and (not first.per_strategy or not self._inputs):
            self._shared = first
        for listen in self._inputs:
            plugin = self._shared or first or self._maker.new()
            first = None
            if self._shared is None:
                plugin.strategy = listen.instance
                plugin.trading = listen.trading or Trading()
                # Or one of them could fill it for all.
                plugin.storage_bytes = self._maker.storage_bytes // len(self._inputs)
            self.mandates[listen.instance] = Mandate(
                listen,
                plugin,
                self._refusals,
                direct=self._shared is not None,
                clock=self._clock,
            )

    async def start(self) -> None:
        for plugin in self.all():
            await self._maker.initialize(plugin)

    @property
    def ended(self) -> bool:
        return bool(self.mandates) and all(mandate.ended for mandate in self.mandates.values())

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

    async def heard(self, strategy: str, payload: bytes, token: Any) -> None:
        """Take a message of a strategy; what cannot be read is refused and not asked for again."""
        mandate = self.mandates[strategy]
        try:
            message = _read(strategy, payload)
        except (msgspec.MsgspecError, border.RefusedError) as error:
            self._refusals.note(f"a message of {strategy} is not taken: {error}")
            self.made.append(Outcome(mandate, tokens=[token]))
            return
        self._note(await mandate.heard(message, token))

    async def expire(self, now: float) -> None:
        for mandate in self.mandates.values():
            self._note(await mandate.expire(now))

    async def finish(self) -> None:
        """Close the books of all mandates; call when `ended` and no more data comes."""
        for mandate in self._one_each():
            self._note(await mandate.finish())

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


def _read(strategy: str, payload: bytes) -> SignalMessage | ProgressMessage:
    """Return what a strategy sent, held to the border again: its own runner was in its own hands."""
    message: SignalMessage | ProgressMessage = decode_heard(payload)
    if message.strategy != strategy:
        raise border.RefusedError(f"it says that it is of {message.strategy!r}")
    tick = message.tick
    for name in (message.incarnation, tick.source, tick.incarnation, tick.id):
        border.identifier(name)
    if tick.symbol:  # else it is the end of a strategy that has seen nothing
        border.symbol(tick.symbol)
    if isinstance(message, SignalMessage):
        border.identifier(message.id, most=LONGEST_SIGNAL_ID)
        border.signal(message.signal, None)
    return message
