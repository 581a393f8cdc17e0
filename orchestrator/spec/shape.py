"""The shape of plugins.yaml. pydantic reads it, and editors too, by its JSON Schema.

Typed dicts, not models: what an entry does not say stays absent, so that `defaults` can fill it in.
"""

from typing import Annotated, Any, Final, Required

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, TypeAdapter
from typing_extensions import TypedDict

from orchestrator.spec.fields import (
    NAME_FIX,
    Capital,
    Config,
    History,
    Inputs,
    Name,
    Network,
    Pyramid,
    Replicas,
    Resources,
    Restart,
    Secrets,
    Short,
    Storage,
    Timeout,
    Update,
    closed,
    later,
    not_reserved,
    said,
)

# A section whose entries are all commented out is null in YAML; so is such a config.
_COMMENTED_OUT = BeforeValidator(lambda value: [] if value is None else value)
_LIST_FIX = "write a list of entries: '- name: …', with a space after the '-'"


@closed
class Plugin(TypedDict, total=False):
    """What every entry may say."""

    name: Required[
        Annotated[
            Name,
            AfterValidator(not_reserved),
            said("Names the instance, and the plugin if 'plugin' does not.", NAME_FIX),
        ]
    ]
    enabled: Annotated[
        StrictBool, said("false: as if it were not there.", "write true or false, unquoted")
    ]
    config: Config
    plugin: Annotated[Name, said("The plugin that this instance runs.", NAME_FIX)]
    source: Annotated[
        str,
        Field(min_length=1, max_length=4096),
        said("Its file or folder, relative to this file.", "write a path"),
    ]
    image: Annotated[Any, *later()]
    version: Annotated[
        str,
        Field(min_length=1, max_length=64),
        said("The version to run.", 'write it in quotes: "1.0.0"'),
    ]
    resources: Annotated[Resources, said("Hard limits.", "write a mapping such as {memory: 512MB}")]
    storage: Storage
    timeout: Timeout
    network: Annotated[
        Network, said("What it may reach.", "write a mapping such as {egress: ['host:443']}")
    ]
    secrets: Secrets
    replicas: Replicas
    shard_by: Annotated[Any, *later()]
    update: Update
    restart: Restart
    kubernetes: Annotated[Any, *later()]


@closed
class DataSource(Plugin):
    """Listens to nobody; by default reaches the hosts of its manifest and of its config's URLs."""


@closed
class Indicator(Plugin, total=False):
    inputs: Inputs


@closed
class Strategy(Plugin, total=False):
    inputs: Inputs
    history: History
    capital: Capital
    short: Short
    pyramid: Pyramid
    risk: Annotated[Any, *later()]


@closed
class Executor(Plugin, total=False):
    inputs: Inputs


@closed
class Defaults(TypedDict, total=False):
    """What entries have that do not say it themselves; each field where it acts."""

    resources: Annotated[Resources, said("Hard limits.", "write a mapping such as {memory: 512MB}")]
    storage: Storage
    timeout: Timeout
    history: History
    capital: Capital
    short: Short
    pyramid: Pyramid
    risk: Annotated[Any, *later()]
    replicas: Replicas
    update: Update
    restart: Restart


@closed
class Plugins(TypedDict, total=False):
    data_sources: Annotated[
        list[DataSource], _COMMENTED_OUT, said("Where ticks come from.", _LIST_FIX)
    ]
    indicators: Annotated[list[Indicator], _COMMENTED_OUT, said("Values of ticks.", _LIST_FIX)]
    strategies: Annotated[list[Strategy], _COMMENTED_OUT, said("What makes signals.", _LIST_FIX)]
    executors: Annotated[list[Executor], _COMMENTED_OUT, said("What makes orders.", _LIST_FIX)]


@closed
class File(TypedDict, total=False):
    """plugins.yaml: trading plugins, each in its own container. Keys that begin with x- are yours."""

    name: Annotated[Name, AfterValidator(not_reserved), said("The project.", NAME_FIX)]
    defaults: Annotated[Defaults, said("For all entries.", "write a mapping, or take it out")]
    plugins: Annotated[
        Plugins,
        said(
            "The plugins by kind.",
            "write data_sources, indicators, strategies or executors; {} declares nothing",
        ),
    ]


FILE: Final[TypeAdapter[File]] = TypeAdapter(File)
