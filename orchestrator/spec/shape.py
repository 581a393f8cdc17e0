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
    said,
)
from orchestrator.spec.risk import ExecutorRisk, StrategyRisk
from orchestrator.spec.scheduling import Kubernetes
from orchestrator.spec.values import IMAGE_PATTERN, Name, not_reserved

# A section whose entries are all commented out is null in YAML; so is such a config.
_COMMENTED_OUT = BeforeValidator(lambda value: [] if value is None else value)
Limits = Annotated[
    Resources,
    said("Hard limits", "write a mapping such as {memory: 512MB}", example={"memory": "1GiB"}),
]
Scheduling = Annotated[
    Kubernetes,
    said(
        "Where its pod runs, on a cluster; nothing elsewhere",
        "write a mapping such as {node_selector: {disk: ssd}}",
        example={"node_selector": {"disk": "ssd"}},
    ),
]
_LIST_FIX = "write a list of entries: '- name: …', with a space after the '-'"


@closed
class Plugin(TypedDict, total=False):
    """What every entry may say."""

    name: Required[
        Annotated[
            Name,
            AfterValidator(not_reserved),
            said(
                "Names the instance, and the plugin if `plugin` does not",
                NAME_FIX,
            ),
        ]
    ]
    enabled: Annotated[
        StrictBool,
        said(
            "false: as if the entry were not there",
            "write true or false, unquoted",
            default="true",
            example=False,
        ),
    ]
    config: Config
    plugin: Annotated[
        Name,
        said(
            "The plugin that this instance runs, so that one plugin can run twice",
            NAME_FIX,
            default="`name`",
        ),
    ]
    source: Annotated[
        str,
        Field(min_length=1, max_length=4096),
        said(
            "Where the plugin is: a .py file, or a folder with a plugin.yaml; relative to this file",
            "write a path",
            default="looked for by name in PLUGIN_DIR, then among the bundled ones",
            example="strategies/breakout.py",
        ),
    ]
    image: Annotated[
        str,
        Field(min_length=1, max_length=700, pattern=IMAGE_PATTERN),
        said(
            "Where the plugin's image is, instead of `source`; it needs the Docker runtime",
            "write host/repository:tag, or host/repository@sha256:… and 64 digits",
            default="built of the plugin's files",
            example="registry.example.com/desk/breakout:1.2.0",
        ),
    ]
    version: Annotated[
        str,
        Field(min_length=1, max_length=64),
        said(
            "The version that must be found; any other is an error",
            'write it in quotes: "1.0.0"',
            default="any",
            example="1.0.0",
        ),
    ]
    resources: Limits
    storage: Storage
    timeout: Timeout
    network: Annotated[
        Network,
        said(
            "What it may reach beyond the bus",
            "write a mapping such as {egress: ['host:443']}",
            default="the hosts of its manifest and of each http(s) and ws(s) URL in its config",
            example={"egress": ["stream.example.com:443"]},
        ),
    ]
    secrets: Secrets
    replicas: Replicas
    shard_by: Annotated[Any, *later()]
    update: Update
    restart: Restart
    kubernetes: Scheduling


@closed
class DataSource(Plugin):
    """Listens to nobody."""


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
    risk: StrategyRisk


@closed
class Executor(Plugin, total=False):
    inputs: Inputs
    risk: ExecutorRisk


@closed
class Defaults(TypedDict, total=False):
    """What entries have that do not say it themselves; each field where it acts."""

    resources: Limits
    storage: Storage
    timeout: Timeout
    history: History
    capital: Capital
    short: Short
    pyramid: Pyramid
    risk: StrategyRisk
    replicas: Replicas
    update: Update
    restart: Restart
    kubernetes: Scheduling


@closed
class Plugins(TypedDict, total=False):
    data_sources: Annotated[
        list[DataSource], _COMMENTED_OUT, said("Plugins that bring ticks in", _LIST_FIX)
    ]
    indicators: Annotated[
        list[Indicator], _COMMENTED_OUT, said("Plugins that value each tick", _LIST_FIX)
    ]
    strategies: Annotated[
        list[Strategy],
        _COMMENTED_OUT,
        said("Plugins that make signals of ticks and values", _LIST_FIX),
    ]
    executors: Annotated[
        list[Executor], _COMMENTED_OUT, said("Plugins that carry signals out", _LIST_FIX)
    ]


@closed
class File(TypedDict, total=False):
    """plugins.yaml: trading plugins, each in its own container. Keys that begin with x- are yours."""

    name: Annotated[
        Name,
        AfterValidator(not_reserved),
        said("The project", NAME_FIX, default="the name of the folder", example="desk"),
    ]
    defaults: Annotated[
        Defaults,
        said(
            "What holds for all entries that do not say it themselves",
            "write a mapping, or take it out",
            example={"timeout": "10s"},
        ),
    ]
    plugins: Annotated[
        Plugins,
        said(
            "The plugins by kind",
            "write data_sources, indicators, strategies or executors; {} declares nothing",
        ),
    ]


FILE: Final[TypeAdapter[File]] = TypeAdapter(File)
