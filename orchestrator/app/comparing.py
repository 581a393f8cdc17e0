"""Two declared states side by side: their texts, and what differs for each plugin."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from orchestrator.app import Declaration
from orchestrator.app.house import applied_images, plugins
from orchestrator.app.text_diff import texts
from orchestrator.controller.reading import Declared, Readable, understand
from orchestrator.decide.history import compare
from orchestrator.decide.layers import Layers, layers
from orchestrator.errors import ActionError, ConfigError
from orchestrator.spec.model import Desired
from orchestrator.spec.wiring import Wiring


def comparison(one: Declaration, other: Declaration, *, names: tuple[str, str]) -> dict[str, Any]:
    """Return how `other` differs from `one`. `names`: what a person calls the two.

    Where the code of a plugin is not kept any more, or files have mistakes, the texts can still be
    compared: `unknown` then says why the plugins cannot.
    """
    text = "".join(texts(one.sources, other.sources, names=names))
    plugins, unknown = None, ""
    if one.settings.context is not None:
        unknown = (
            "what images a cluster has is known there; `ntpctl plan` says what applying would do"
        )
    else:
        try:
            plugins = compare(states(one), states(other))
        except (ConfigError, ActionError) as error:
            unknown = str(error)
    return {
        "from": names[0],
        "to": names[1],
        "differs": bool(text or plugins),
        "text": text,
        "plugins": msgspec.to_builtins(plugins or []),
        "unknown": unknown,
    }


def understood(declared: Declaration) -> Desired:
    """Return what is declared: see `understood_whole`."""
    return understood_whole(declared).desired


def understood_whole(declared: Declaration) -> Declared:
    """Return what is declared, each plugin found; of a revision, the code that it ran.

    Raises:
        ConfigError: every problem.
        ActionError: the catalog cannot work at all.
    """
    said = declared.decisive
    asked = Readable(declared.sources, said, declared.pins)
    where = declared.settings
    found = understand(
        asked,
        plugins(where, said),
        project=where.project,
        revision=0,
        no_own_network=None,  # it is compared, not run
        images=applied_images(where),
    )
    return asyncio.run(found)


def states(declared: Declaration) -> Mapping[str, Layers]:
    """Return what decides how each plugin runs; a secret counts by its reference, never its value."""
    desired = understood(declared)
    wiring = Wiring(desired)
    return {
        name: layers(
            spec,
            listens=wiring.listens(name),
            secrets={key: f"{each.source}:{each.key}" for key, each in spec.secrets.items()},
        )
        for name, spec in desired.plugins.items()
    }
