"""What a first apply would do, worked out without a controller: there is none before it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from orchestrator.app import STORE, house
from orchestrator.controller.imaging import named, with_images
from orchestrator.controller.reading import Readable, understand, withheld
from orchestrator.decide.changes import changes, differs
from orchestrator.decide.report import Preview
from orchestrator.decide.state import Hashes, Observed
from orchestrator.errors import ConfigError, UnreachableError
from orchestrator.settings import Settings
from orchestrator.store import glance


def preview(
    settings: Settings,
    *,
    sources: Sequence[Sequence[str]],
    said: Mapping[str, str],
) -> dict[str, Any]:
    """Return what a first apply would do, as the controller's protocol writes it.

    Raises:
        UnreachableError: something was applied, so what runs is known to a controller alone.
    """
    if glance.applied_from(settings.state / STORE) is not None:
        raise UnreachableError(
            f"no controller answers for project '{settings.project}', so what runs is not known\n"
            "  fix: start it with `ntpctl serve`, or let `ntpctl apply` do it"
        )
    files = [(file, text) for file, text in sources]
    asked = Readable(files, said, {})
    there = house.plugins(settings, said)
    try:
        declared = asyncio.run(
            understand(
                asked,
                there,
                project=settings.project,
                revision=1,
                no_own_network=house.no_own_network(settings),
            )
        )
    except ConfigError as error:
        return msgspec.to_builtins(Preview(problems=error.problems))  # type: ignore[no-any-return] # builtins of a dataclass
    secrets = house.secrets(settings)
    missing = withheld(declared.desired, secrets)
    found = changes(
        declared.desired,
        Observed(instances={}),
        # Nothing runs that could be compared with them.
        hashes=dict.fromkeys(declared.desired.plugins, Hashes("", "", "", "", "")),
        capabilities=house.runtime(settings).capabilities,
        unusable={name: each.reason for name, each in declared.unusable.items()},
        withheld={name: each.reason for name, each in missing.items()},
    )
    found = asyncio.run(with_images(found, declared, there))
    told = Preview(
        changes=found,
        differs=differs(found),
        entry_problems=declared.entry_problems(found, missing),
        images=named(declared.artifacts),
    )
    return msgspec.to_builtins(told)  # type: ignore[no-any-return] # builtins of a dataclass
