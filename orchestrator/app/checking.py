"""What can be said of files without a controller: problems, schemas."""

import asyncio
from collections.abc import Mapping

from ntp.contract.problem import Problem
from orchestrator.app import Declaration
from orchestrator.app.house import catalog
from orchestrator.app.places import packaged
from orchestrator.controller.reading import Readable, understand
from orchestrator.errors import ConfigError
from orchestrator.spec.load import gather
from orchestrator.spec.schema import render


def problems(declared: Declaration, *, complete: bool, findable: bool) -> list[Problem]:
    """Return every problem; what lone files say of themselves is read in a sandboxed child.

    Not `complete`: there are files that could not be read. Not `findable`: nor is it known where
    plugins are, so none is looked for.
    """
    if not findable:
        return gather(
            declared.sources,
            environment=declared.decisive,
            project=declared.settings.project,
            complete=complete,
        )[1]
    asked = Readable(declared.sources, declared.decisive, {}, complete=complete)
    try:
        found = asyncio.run(
            understand(
                asked, catalog(declared.settings), project=declared.settings.project, revision=0
            )
        )
    except ConfigError as error:
        return list(error.problems)
    return list(found.entry_problems())


def schemas() -> Mapping[str, bytes]:
    """Return the schemas by file name, with the config of each bundled plugin in them."""
    return render(packaged("plugin-images"))
