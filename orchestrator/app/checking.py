"""What can be said of files without a controller: problems, schemas."""

import asyncio
from collections.abc import Mapping

from ntp.contract.problem import Problem
from orchestrator.app import Declaration
from orchestrator.app.house import applied_images, no_own_network, plugins
from orchestrator.app.places import packaged
from orchestrator.controller.reading import Declared, Readable, understand, withheld
from orchestrator.errors import ConfigError
from orchestrator.spec.load import gather
from orchestrator.spec.schema import render
from orchestrator.store.secrets import LocalSecrets


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
    try:
        found = _understood(declared, complete=complete)
    except ConfigError as error:
        return list(error.problems)
    return list(found.entry_problems())


def check(declared: Declaration) -> tuple[list[Problem], list[Problem]]:
    """Return every problem, and of files without any each secret that is not there as of now.

    That is no mistake of the files: they may be checked where the secrets are not.
    """
    try:
        found = _understood(declared, complete=True)
    except ConfigError as error:
        return list(error.problems), []
    if problems := found.entry_problems():
        return list(problems), []
    where = declared.settings
    secrets = LocalSecrets(where.state, folder=where.folder, environment=where.environment)
    missing = withheld(found.desired, secrets).values()
    return [], sorted(each for why in missing for each in why.problems)


def _understood(declared: Declaration, *, complete: bool) -> Declared:
    asked = Readable(declared.sources, declared.decisive, {}, complete=complete)
    where = declared.settings
    found = understand(
        asked,
        plugins(where),
        project=where.project,
        revision=0,
        no_own_network=no_own_network(where),
        images=applied_images(where),
    )
    return asyncio.run(found)


def schemas() -> Mapping[str, bytes]:
    """Return the schemas by file name, with the config of each bundled plugin in them."""
    return render(packaged("plugin-images"))
