"""Carry out one action. What must survive a crash in the middle is written before the middle."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import assert_never

import msgspec

from ntp.contract.control import Control
from ntp.contract.names import Kind
from orchestrator.controller.bus_rights import BusRights
from orchestrator.controller.desk import Desk
from orchestrator.controller.halt_book import HaltBook
from orchestrator.controller.journal import Journal
from orchestrator.controller.launches import Launches
from orchestrator.controller.memories import Memories
from orchestrator.controller.outside import Outside
from orchestrator.controller.picture import BROKER
from orchestrator.decide.actions import (
    Action,
    Halt,
    Push,
    Remove,
    Start,
    Stop,
    StopReason,
    Update,
    Wait,
)
from orchestrator.decide.halting import halt_sending
from orchestrator.decide.layers import hashes, on_bus
from orchestrator.decide.memory import accepted, begin, limited, refused, running_generation
from orchestrator.decide.push import sending
from orchestrator.decide.state import Instance, Phase, Record
from orchestrator.decide.words import reason, sentence
from orchestrator.errors import ActionError, ConflictError, UnreachableError
from orchestrator.spec.wiring import limits

MARGIN = timedelta(seconds=2)
"""Beyond a plugin's own grace, so that it ends by itself and says why."""
GRACE = timedelta(seconds=5)

Say = Callable[[str, str], None]
"""Told a name and what is being done with it, in words."""


class Acts:
    def __init__(
        self,
        outside: Outside,
        *,
        desk: Desk,
        memories: Memories,
        journal: Journal,
        rights: BusRights,
        launches: Launches,
        halts: HaltBook,
    ) -> None:
        self._outside = outside
        self._desk = desk
        self._memories = memories
        self._journal = journal
        self._rights = rights
        self._launches = launches
        self._halts = halts
        tempo, at_once = outside.tempo, outside.runtime.capabilities.at_once
        self._starting = asyncio.Semaphore(at_once or tempo.starts)
        self._stopping = asyncio.Semaphore(at_once or tempo.stops)
        self._parting = asyncio.Semaphore(at_once or tempo.farewells)

    async def carry_out(self, action: Action, instance: Instance | None, *, say: Say) -> None:
        """Do it. A start or a change that is refused is remembered, and no error.

        Args:
            action: from `plan`.
            instance: what was observed when it was planned.
            say: told what is being done, in words.

        Raises:
            UnreachableError: something did not answer; to be tried again, nothing is counted.
            ConflictError: the world was not as observed; to be looked at again.
            ActionError: it could not be stopped or removed; to be tried again.
        """
        if not self._outside.lease.held():
            raise ConflictError("this controller no longer holds the project's lock")
        try:
            async with asyncio.timeout(self._outside.tempo.act.total_seconds()):
                await self._do(action, instance, say)
        except TimeoutError as error:
            raise UnreachableError(f"{type(action).__name__} did not end in time") from error

    async def _do(self, action: Action, instance: Instance | None, say: Say) -> None:
        match action:
            case Start():
                with self._refusals(action):
                    await self._start(action, instance, say)
            case Stop():
                replaced = action.reason in {StopReason.CHANGED, StopReason.RESTART}
                if replaced and action.name != BROKER:
                    with self._refusals(action) as refusals:
                        await self._prepare_successor(action.name)
                    if refusals:
                        return
                await self._stop(action, instance)
            case Remove():
                await self._remove(action)
            case Update():
                with self._refusals(action):
                    await self._update(action, instance)
            case Push():
                with self._refusals(action):
                    await self._push(action, instance)
            case Halt():
                with self._refusals(action):
                    await self._halt(action, instance)
            case Wait():
                return
            case _:
                assert_never(action)

    async def _start(self, action: Start, instance: Instance | None, say: Say) -> None:
        name, epoch = action.name, self._outside.lease.epoch
        if name == BROKER:
            launch = self._launches.of_broker(attempt=action.attempt, epoch=epoch)
            self._rights.doubt()
        else:
            generation = self._desk.generation(name, action.generation)
            say(name, "its requirements are being installed")
            await self._launches.prepare(generation)
            say(name, "waits for its rights on the bus")
            await self._rights.stand(name)
            await self._rotate_if_asked(name)
            launch = await self._launches.of(
                generation,
                attempt=action.attempt,
                epoch=epoch,
                last_end=_last_end(self._memories.of(name)),
            )
        async with self._starting:
            if name != BROKER:
                await self._rights.kept()
            record = self._memories.of(name)
            if name != BROKER and not self._desk.wants(name, action.generation, record):
                return  # a person changed his mind while requirements were installed
            say(name, "is being started")
            now = self._outside.now()
            by_itself = _ended_by_itself(record, instance)
            self._memories.put(
                name, begin(record, attempt=action.attempt, by_itself=by_itself, now=now)
            )
            await self._outside.runtime.start(launch)
        self._accepted(name)
        self._journal.note(name, "Started", action.cause)

    async def _rotate_if_asked(self, name: str) -> None:
        """The life that had the old credential has ended, with all that it had to say."""
        if self._memories.of(name).rotate:
            await self._rights.rotate(name)
            self._memories.put(name, replace(self._memories.of(name), rotate=False))
            self._journal.note(name, "CredentialRotated", "those before are refused by the bus")

    async def _stop(self, action: Stop, instance: Instance | None) -> None:
        name = action.name
        if instance is not None:
            record = self._memories.of(name)
            told = replace(record, stopping=instance.id, stop_reason=action.reason.value)
            if action.reason is not StopReason.UNWANTED or record.generation:
                self._memories.put(name, told)
        leaves = action.reason is StopReason.UNWANTED
        async with self._parting if leaves else self._stopping:
            grace = self._grace(name, instance)
            await self._outside.runtime.stop(name, grace=grace, cause=action.cause)
        if action.reason is StopReason.UNRESPONSIVE:
            self._journal.warn(name, "Unresponsive", action.cause)
        else:
            self._journal.note(name, "Stopped", action.cause)

    async def _prepare_successor(self, name: str) -> None:
        """Nobody is stopped for one who could not be started in his place."""
        entry = self._desk.book.entries[name]
        await self._launches.prepare(entry.now)
        if self._outside.bus.listening_since is None:
            raise UnreachableError("the broker does not answer; a change waits until it does")
        await self._rights.stand(name)
        self._accepted(name)

    async def _remove(self, action: Remove) -> None:
        await self._outside.runtime.remove(action.name, delete_data=action.delete_data)
        self._memories.forget(action.name)
        self._journal.note(action.name, "Removed", action.cause)

    async def _update(self, action: Update, instance: Instance | None) -> None:
        number = running_generation(self._memories.of(action.name))
        generation = self._desk.generation(action.name, number)
        await self._outside.runtime.update(action.name, generation.spec.resources)
        self._accepted(action.name)
        if instance is not None:
            wanted = hashes(on_bus(generation.layers, self._outside.broker.address()))
            told = limited(
                self._memories.of(action.name),
                instance,
                generation=number,
                wanted=wanted,
                now=self._outside.now(),
            )
            self._memories.put(action.name, told)
        self._journal.note(action.name, "Updated", action.cause)

    async def _push(self, action: Push, instance: Instance | None) -> None:
        """Send it, and no more: that it was taken is seen by a look, from a beat."""
        name, record = action.name, self._memories.of(action.name)
        if instance is None or not self._desk.wants(name, action.generation, record):
            return
        wanted = self._desk.generation(name, action.generation)
        self._memories.put(
            name,
            sending(
                accepted(record),
                instance,
                generation=wanted.number,
                wanted=hashes(wanted.layers),
                now=self._outside.now(),
            ),
        )
        message = Control(wanted.number, symbols=wanted.spec.config.get("symbols"))
        if wanted.spec.kind is Kind.EXECUTOR:
            message = Control(wanted.number, limits=limits(wanted.spec, wanted.listens))
        await self._outside.bus.control(name, msgspec.to_builtins(message))

    async def _halt(self, action: Halt, instance: Instance | None) -> None:
        """Tell it of all strategies: what it does not hear it passes over."""
        name, now = action.name, self._outside.now()
        if instance is None:
            return
        record, halts = self._memories.of(name), self._halts.now
        self._memories.put(name, halt_sending(record, instance, halts.number, now))
        entries = self._desk.book.entries
        strategies = [each for each in entries if entries[each].now.spec.kind is Kind.STRATEGY]
        message = Control(0, halt=halts.told(name, strategies))
        await self._outside.bus.control(name, msgspec.to_builtins(message))

    def take_back(self, name: str, refusal: ActionError) -> None:
        """What an instance was refused it is not refused any more."""
        if self._memories.of(name).refusal == str(refusal):
            self._accepted(name)

    def _accepted(self, name: str) -> None:
        self._memories.put(name, accepted(self._memories.of(name)))

    @contextmanager
    def _refusals(self, action: Action) -> Iterator[list[ActionError]]:
        """Remember an ActionError of the block, with a back-off of its own; yield the list of them."""
        found: list[ActionError] = []
        try:
            yield found
        except ActionError as error:
            found.append(error)
            name, now = action.name, self._outside.now()
            if name == BROKER or name in self._desk.book.entries:
                record = self._memories.of(name)
                self._memories.put(name, refused(record, name, error, now, self._outside.policy))
            what = type(action).__name__.lower()
            self._journal.warn(name, error.reason, f"{what} was refused: {error}")

    def _grace(self, name: str, instance: Instance | None) -> timedelta:
        entry = self._desk.book.entries.get(name)
        if entry is None:
            return GRACE + MARGIN
        number = instance.generation if instance else entry.wanted
        return entry.kept.get(number, entry.now).spec.grace + MARGIN


def _last_end(record: Record) -> str:
    """Say what the life before failed by; empty: it did not fail."""
    end = record.last_exit
    return f"{reason(end)}: {sentence(end)}"[:500] if record.failures and end is not None else ""


def _ended_by_itself(record: Record, instance: Instance | None) -> bool:
    if instance is None or instance.phase is not Phase.EXITED:
        return False
    told = record.stopping == instance.id
    return not told or record.stop_reason == StopReason.UNRESPONSIVE
