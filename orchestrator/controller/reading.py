"""Files to something that can be run: text, then plugins found, then everything checked together."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from orchestrator.controller.outside import Settings
from orchestrator.decide.changes import Change, Do
from orchestrator.errors import ActionError, ConfigError, Problem
from orchestrator.ports import Catalog, Secrets
from orchestrator.spec.complaint import MAX_PROBLEMS
from orchestrator.spec.load import gather, resolve
from orchestrator.spec.model import Artifact, Desired, Unusable
from orchestrator.spec.own_network import not_here

Sources = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Readable:
    """What an apply asks to be read. `pins`: entry -> digest that it has to be again.

    `update_images`: a tag means what it means now, not what it meant when it was applied last.
    `deletable`: names of plugins that may go without a second word.
    Not `complete`: there are files that could not be read, so this can only be asked for its problems.
    """

    sources: Sources
    settings: Settings
    pins: Mapping[str, str]
    complete: bool = True
    update_images: bool = False
    deletable: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Declared:
    desired: Desired
    artifacts: Mapping[str, Artifact]

    @property
    def resolved(self) -> dict[str, str]:
        """Entry -> digest, for the revision; an unusable plugin is looked for anew each time."""
        return {name: each.digest for name, each in self.artifacts.items() if not each.unusable}

    @property
    def unusable(self) -> dict[str, Unusable]:
        """Entry -> why it alone cannot be started."""
        return {name: each.unusable for name, each in self.artifacts.items() if each.unusable}

    def entry_problems(
        self, found: Sequence[Change] = (), missing: Mapping[str, Unusable] | None = None
    ) -> tuple[Problem, ...]:
        """Return what is wrong with single entries, and stops none of the others.

        `missing` counts of those that `found` would start.
        """
        refused = {each.name for each in found if each.do is Do.REFUSE}
        late = [why for name, why in (missing or {}).items() if name in refused]
        return tuple(
            sorted(each for why in (*self.unusable.values(), *late) for each in why.problems)
        )


async def understand(
    asked: Readable,
    catalog: Catalog,
    *,
    project: str,
    revision: int,
    no_own_network: Problem | None,
    before: Mapping[str, Artifact] | None = None,
    images: Mapping[str, str] | None = None,
) -> Declared:
    """Return what the files declare.

    Args:
        asked: files, settings, pins.
        catalog: where plugins are found.
        project: its name.
        revision: the number that it is to have.
        no_own_network: why the runtime cannot give an entry a network of its own; None: it can.
        before: what each entry was applied with last.
        images: entry -> image by digest that it was applied with last: what its tag goes on to mean.

    Raises:
        ConfigError: every problem of the files, of the plugins, and of both together; what is wrong
            in one of the three keeps nobody else's entry from being looked at.
        ActionError: the catalog cannot work at all.
    """
    # Sixteen MiB of YAML take seconds, in which the loop must go on.
    found, problems = await asyncio.to_thread(
        gather,
        asked.sources,
        environment=asked.settings,
        project=project,
        complete=asked.complete,
    )
    if no_own_network is not None:
        problems += not_here(found.entries.values(), no_own_network)
    if len(problems) > MAX_PROBLEMS:
        raise ConfigError(problems)
    try:
        artifacts, missing = await catalog.resolve(found.wanted(asked.pins, images))
    except ActionError:
        if problems:
            raise ConfigError(problems) from None
        raise
    artifacts = {
        name: _as_before(each, (before or {}).get(name)) for name, each in artifacts.items()
    }
    problems += missing
    try:
        desired = await asyncio.to_thread(
            resolve, found.only(artifacts), artifacts, revision=revision
        )
    except ConfigError as error:
        problems += error.problems
    else:
        if not problems and asked.complete:
            return Declared(desired, artifacts)
    unusable = (each.unusable.problems for each in artifacts.values() if each.unusable)
    raise ConfigError([*problems, *chain.from_iterable(unusable)])


def _as_before(artifact: Artifact, before: Artifact | None) -> Artifact:
    """The one before runs on: its executor must go on with the trading rules that it advised."""
    if artifact.unusable is None or before is None:
        return artifact
    if (before.plugin, before.kind) != (artifact.plugin, artifact.kind):
        return artifact
    return replace(artifact, version=before.version, trading=before.trading)


def withheld(desired: Desired, secrets: Secrets) -> dict[str, Unusable]:
    """Return name -> why it cannot be started as of now: a secret of it is not there."""
    found = {}
    for name, spec in desired.plugins.items():
        problems, reason = [], ""
        for reference in spec.secrets.values():
            try:
                secrets.resolve(reference)
            except ActionError as error:
                if error.problem is not None:
                    problems.append(replace(error.problem, entry=name))
                    reason = error.reason
        if problems:
            found[name] = Unusable(reason, tuple(dict.fromkeys(problems)))
    return found
