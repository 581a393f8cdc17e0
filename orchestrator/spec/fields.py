"""The fields of plugins.yaml: what each means, its limits, its default, an example.

`x-fix` is what a person is told to do; it travels in the JSON Schema, as do `x-default` (what holds
where nothing is said) and an example: docs/reference/plugins-yaml.md is made of them. What is
understood but acts only in a later release is refused as such, never ignored.
"""

from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Literal, Required

from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator, StrictBool, with_config
from pydantic.json_schema import WithJsonSchema
from typing_extensions import TypedDict

from ntp.contract.launch import Policy
from orchestrator.spec import quantity, secret
from orchestrator.spec.environment import (
    DEFAULT_MEMORY,
    DEFAULT_TIMEOUT,
    LEAST_MEMORY,
    MOST_MEMORY,
)
from orchestrator.spec.model import HostPort
from orchestrator.spec.values import (
    AMOUNT,
    BARS,
    CORES,
    HOST_PORT,
    REFERENCE,
    TIMEOUT,
    Name,
    refused,
    size,
)

closed = with_config(ConfigDict(extra="forbid", strict=True))
_CONFIG_FIX = "write 'key: value' lines under it, a space after each ':'"
NAME_FIX = "lower-case letters, digits, '_' and '-', a letter first, at most 40 characters"


def said(about: str, fix: str, *, default: str = "", example: Any = None, **more: Any) -> Any:
    """Give a field its words. `about`: a sentence without its stop; `example`: one good value."""
    extra: dict[str, Any] = {"x-fix": fix, **more}
    if default:
        extra["x-default"] = default
    if example is not None:
        extra["examples"] = [example]
    description = f"{about}. Default: {default}." if default else f"{about}."
    return Field(description=description, json_schema_extra=extra)


def _not_yet(value: Any, only: Any = None) -> Any:
    if only is not None and value == only and type(value) is type(only):
        return value
    if only is None:
        raise refused("does not act yet", "take it out: nothing would follow it")
    message = f"was {quantity.shown(value)}, and only {only} acts yet"
    raise refused(message, f"write {only}, or take it out")


def later(only: Any = None) -> tuple[Any, Any, Any]:
    schema: dict[str, Any] = {"not": {}} if only is None else {"const": only}
    return (
        PlainValidator(partial(_not_yet, only=only)),
        WithJsonSchema(schema),
        said("Not yet: acts in a later release", "take it out: it does not act yet"),
    )


def _input(value: Any) -> Any:
    return {"from": value} if isinstance(value, str) else value


Symbols = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=64)]], Field(min_length=1, max_length=10_000)
]


@closed
class Resources(TypedDict, total=False):
    memory: Annotated[
        int,
        *size(LEAST_MEMORY, MOST_MEMORY),
        said(
            "Memory and swap together; a plugin that needs more is ended, as OOMKilled",
            quantity.MEMORY_FIX,
            default=f"PLUGIN_MAX_MEMORY, else {DEFAULT_MEMORY}",
            example="1GiB",
        ),
    ]
    cpu: Annotated[
        float, *CORES, said("Processor time", quantity.CPU_FIX, default="1", example="500m")
    ]
    pids: Annotated[
        int,
        Field(ge=8, le=32768),
        said(
            "Processes and threads together",
            "write a whole number from 8 to 32768",
            default="64",
            example=128,
        ),
    ]
    tmp: Annotated[
        int,
        *size(64 * quantity.KIB, 16 * quantity.GIB),
        said("Size of /tmp, which is memory", quantity.MEMORY_FIX, default="16MB", example="64MB"),
    ]


@closed
class Network(TypedDict, total=False):
    egress: Annotated[
        list[Annotated[HostPort, *HOST_PORT]],
        Field(max_length=256),
        said(
            "Hosts that it may connect to, and no other; [] is none",
            "write a list of host:port, such as ['stream.example.com:443']",
            default="the hosts of its manifest and of each http(s) and ws(s) URL in its config",
            example=["stream.example.com:443"],
        ),
    ]
    mode: Annotated[
        Literal["door", "own"],
        said(
            "`door`: it is handed its connections and has no network; `own`: a network of its own, in "
            "which the same hosts, public ones only, are reached by TCP and UDP (Docker, as root)",
            "write door or own",
            default="door",
            example="own",
        ),
    ]


# `from` is a keyword, so no class body can name it.
Input = TypedDict(
    "Input",
    {
        "from": Required[
            Annotated[Name, said("The entry to listen to", "name an entry", example="replay_data")]
        ],
        "symbols": Annotated[
            Symbols,
            said(
                "Which of its symbols",
                "write a list such as [BTCUSDT]",
                default="all",
                example=["BTCUSDT"],
            ),
        ],
        "bars": Annotated[
            str,
            *BARS,
            said(
                "Closed bars of that length instead of ticks; only from a data source, and not "
                "for an executor",
                quantity.BARS_FIX,
                default="ticks",
                example="5m",
            ),
        ],
        "policy": Annotated[
            Policy,
            said(
                "What becomes of ticks of a data source that come faster than they are analysed: `all` is "
                "every one, later; `latest` leaves out those that newer ones have overtaken, and says how "
                "many; `all-or-fail` ends the plugin where one is lost",
                "write all, latest or all-or-fail",
                default="all",
                example="latest",
            ),
        ],
    },
    total=False,
)
closed(Input)

Secrets = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")],
        Annotated[secret.Reference, *REFERENCE],
    ],
    Field(max_length=64),
    said(
        "Name -> where its value is, never the value; the plugin finds it in its config",
        secret.MAPPING_FIX,
        example={"api_key": "env:POLYGON_API_KEY"},
        additionalProperties=False,
    ),
]
Config = Annotated[
    dict[str, Any],
    BeforeValidator(lambda value: {} if value is None else value),
    said("What the plugin itself reads; ${VAR} stands for a secret", _CONFIG_FIX, default="empty"),
]
Storage = Annotated[
    int,
    *size(quantity.MIB, 16 * quantity.TIB),
    said(
        "Durable folder of its own, and how much it may hold",
        quantity.MEMORY_FIX,
        default="none, but 64MiB for an executor",
        example="1GiB",
    ),
]
Timeout = Annotated[
    timedelta,
    *TIMEOUT,
    said(
        "Longest single call of the plugin's code; after it the plugin is ended, as CallbackTimeout",
        quantity.DURATION_FIX,
        default=f"PLUGIN_TIMEOUT, else {DEFAULT_TIMEOUT}",
        example="5s",
    ),
]
History = Annotated[
    int,
    Field(ge=1, le=1_000_000),
    said(
        "How many ticks or bars before the current one `analyze` is given, of each symbol",
        "write a whole number from 1 to 1000000",
        default="1000",
        example=200,
    ),
]
Capital = Annotated[
    Decimal,
    *AMOUNT,
    said(
        "Quote currency that sizes are taken from", "write 10000", default="10000", example=2500.5
    ),
]
Short = Annotated[
    StrictBool,
    said(
        "Whether SELL may go short; if not, it goes flat",
        "write true or false, unquoted",
        default="false",
        example=True,
    ),
]
Pyramid = Annotated[
    int,
    Field(ge=1, le=1000),
    said(
        "How many signals of one side a position may be built from; with 1 a repeat does nothing",
        "write a whole number from 1 to 1000",
        default="1",
        example=3,
    ),
]
Replicas = Annotated[Any, *later(1)]
Update = Annotated[Any, *later("recreate")]
Restart = Annotated[Any, *later("always")]
Inputs = Annotated[
    list[Annotated[Input, BeforeValidator(_input, json_schema_input_type=str | Input)]],
    Field(min_length=1, max_length=10_000),
    said(
        "What it listens to",
        "write '- from: binance_data', or leave it out to hear everything",
        default="everything that its kind hears",
        example=["replay_data", {"from": "rsi_indicator", "symbols": ["BTCUSDT"]}],
    ),
]
