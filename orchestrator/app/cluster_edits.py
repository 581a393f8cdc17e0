"""The PluginSets of a namespace as what `serve` follows; and what became of each edit."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping

import structlog

from orchestrator.controller.outside import Edit
from orchestrator.errors import ActionError, ConfigError, NtpError
from orchestrator.ports import Store
from orchestrator.store.kubernetes.beside import beside
from orchestrator.store.kubernetes.plugin_sets import PluginSets, Set, deletable, sources_of
from orchestrator.store.kubernetes.secrets import EVERY_S, Values
from orchestrator.store.kubernetes.set_status import Decision

log = structlog.get_logger()


class ClusterEdits:
    """Call it to look: at what was seen of the cluster last, so a call asks nobody.

    Until a first look was answered there is nothing to follow: see `seen`.
    """

    def __init__(self, settings: Mapping[str, str], values: Values, store: Store) -> None:
        self._settings = dict(settings)
        self._values = values
        self._store = store
        self._now = Edit()

    def seen(self, sets: tuple[Set, ...]) -> None:
        """Take up PluginSets and secrets as they are. On the loop, as all that asks the store."""
        current = self._store.current()
        if current is None and not sets:
            return  # nothing was ever asked for
        applied = current.sources if current is not None else ()
        texts = [each.text for each in sets]
        self._now = Edit(
            sources=sources_of(sets),
            settings=self._settings,
            secrets=self._values.found(texts),
            deletable=deletable(applied, sets),
        )

    def __call__(self) -> Edit:
        return self._now


def decided(take: Callable[[Decision], None]) -> Callable[[Edit, NtpError | None], None]:
    """Return what is told of each edit; `take` is given it as PluginSets tell it."""

    def told(edit: Edit, error: NtpError | None) -> None:
        match error:
            case None:
                take(Decision(edit.sources))
            case ConfigError(problems=problems):
                take(Decision(edit.sources, "Invalid", "", problems))
            case ActionError(reason=reason):
                take(Decision(edit.sources, reason, str(error)))
            case _:
                take(Decision(edit.sources, type(error).__name__.removesuffix("Error"), str(error)))

    return told


@contextlib.asynccontextmanager
async def following(
    sets: PluginSets, values: Values, said: Mapping[str, str], store: Store
) -> AsyncIterator[ClusterEdits]:
    """Yield what is followed, kept up to date as long as the block lasts.

    Args:
        sets: of the namespace.
        values: of secrets.
        said: what else decides how PluginSets are read.
        store: knows what was applied last.
    """
    edits = ClusterEdits(said, values, store)
    await _look(sets, values, edits)
    async with beside(_follow(sets, values, edits)):
        yield edits


async def _look(sets: PluginSets, values: Values, edits: ClusterEdits) -> None:
    found = await sets.look()
    await values.read([each.text for each in found])
    edits.seen(found)


async def _follow(sets: PluginSets, values: Values, edits: ClusterEdits) -> None:
    """For ever: look when a PluginSet changed, and for secrets from time to time."""
    with sets.listening() as changed:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await changed.wait()
            changed.clear()
            try:
                await _look(sets, values, edits)
            except NtpError as error:
                # Blind: what was seen last stays.
                log.warning("pluginsets.unseen", cause=str(error))
