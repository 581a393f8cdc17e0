"""What can be said of files without a controller: problems, schemas."""

import asyncio
from collections.abc import Mapping

from ntp.contract.problem import Problem
from orchestrator.app import Declaration
from orchestrator.app.house import catalog
from orchestrator.app.places import packaged
from orchestrator.errors import ConfigError
from orchestrator.spec import load
from orchestrator.spec.schema import render


def problems(declared: Declaration) -> list[Problem]:
    """Return every problem; what lone files say of themselves is read in a sandboxed child."""
    try:
        said = load.read(
            declared.sources,
            environment=declared.decisive,
            project=declared.settings.project,
        )
        artifacts, missing = asyncio.run(catalog(declared.settings).resolve(said.wanted()))
        if missing:
            return list(missing)
        load.resolve(said, artifacts, revision=0)
        return [
            each
            for found in artifacts.values()
            if found.unusable
            for each in found.unusable.problems
        ]
    except ConfigError as error:
        return list(error.problems)


def schemas() -> Mapping[str, bytes]:
    """Return the schemas by file name, with the config of each bundled plugin in them."""
    return render(packaged("plugin-images"))
