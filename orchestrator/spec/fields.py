"""The fields of plugins.yaml: types, limits, words.

`x-fix` is what a person is told to do; it travels in the JSON Schema. What is understood but acts
only in a later release is refused as such, never ignored.
"""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache, partial
from typing import Annotated, Any, Required, TypeVar

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    with_config,
)
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from ntp.contract.names import NAME_PATTERN, RESERVED
from orchestrator.spec import egress, quantity, secret
from orchestrator.spec.environment import (
    LEAST_MEMORY,
    LONGEST_TIMEOUT,
    MOST_MEMORY,
    SHORTEST_TIMEOUT,
)
from orchestrator.spec.model import HostPort

Value = TypeVar("Value")

closed = with_config(ConfigDict(extra="forbid", strict=True))
_CONFIG_FIX = "write 'key: value' lines under it, a space after each ':'"
NAME_FIX = "lower-case letters, digits, '_' and '-', a letter first, at most 40 characters"
_MEMORY_PATTERN = r"^[0-9]{1,19}(\.[0-9]{1,9})? ?([KMGTkmgt]([iI]?[bB]?)|[bB]?)$"
_CPU_PATTERN = r"^[0-9]{1,6}(\.[0-9]{1,9})?m?$"
_DURATION_PATTERN = (
    r"^([0-9]{1,15}(\.[0-9]{1,9})? ?([mM][sS]|[mM][iI][nN]|[smhdSMHD]))+$|^[0-9]+(\.[0-9]+)?$"
)


def refused(message: str, fix: str) -> PydanticCustomError:
    """`message` goes on after the field's name: `was 3`. In the context, where braces are no places."""
    return PydanticCustomError("refused", "{message}", {"message": message, "fix": fix})


def _reader(read: Callable[[Any], Value]) -> Callable[[Any], Value]:
    """Let pydantic see a QuantityError; remember what was read, for most entries say the same."""
    remembered = lru_cache(maxsize=1024, typed=True)(read)

    def validate(value: Any) -> Value:
        try:
            return remembered(value) if isinstance(value, str | int | float) else read(value)
        except quantity.QuantityError as error:
            raise refused(str(error), error.fix) from error

    return validate


def said(description: str, fix: str, **more: Any) -> Any:
    return Field(description=description, json_schema_extra={"x-fix": fix, **more})


def _size(least: int, most: int) -> tuple[Any, Any]:
    schema = {
        "anyOf": [
            {"type": "integer", "minimum": least, "maximum": most},
            {"type": "string", "pattern": _MEMORY_PATTERN},
        ]
    }
    read = partial(quantity.memory, least=least, most=most)
    return PlainValidator(_reader(read)), WithJsonSchema(schema)


_TIMEOUT = (
    PlainValidator(
        _reader(partial(quantity.duration, least=SHORTEST_TIMEOUT, most=LONGEST_TIMEOUT))
    ),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0.1, "maximum": 3600},
                {"type": "string", "pattern": _DURATION_PATTERN},
            ]
        }
    ),
)
_CPU = (
    PlainValidator(_reader(partial(quantity.cpu, least=0.01, most=1024))),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0.01, "maximum": 1024},
                {"type": "string", "pattern": _CPU_PATTERN},
            ]
        }
    ),
)


def _capital(value: Any) -> Decimal:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            # A float by way of its text, for that is what the file says.
            found = Decimal(str(value))
        except InvalidOperation:
            found = Decimal("NaN")
        if found.is_finite() and 0 < found <= Decimal("1e15"):
            return found
    raise quantity.QuantityError(
        f"was {quantity.shown(value)}", "write an amount above 0, such as 10000 or '2500.50'"
    )


def not_reserved(name: str) -> str:
    if name in RESERVED:
        raise refused(f"was '{name}', a name that the system uses itself", "choose another name")
    return name


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
        said("Not yet: acts in a later release.", "take it out: it does not act yet"),
    )


def _input(value: Any) -> Any:
    return {"from": value} if isinstance(value, str) else value


Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Symbols = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=64)]], Field(min_length=1, max_length=10_000)
]


@closed
class Resources(TypedDict, total=False):
    memory: Annotated[
        int,
        *_size(LEAST_MEMORY, MOST_MEMORY),
        said("Memory and swap; default PLUGIN_MAX_MEMORY.", quantity.MEMORY_FIX),
    ]
    cpu: Annotated[float, *_CPU, said("Cores; default 1.", quantity.CPU_FIX)]
    pids: Annotated[
        int,
        Field(ge=8, le=32768),
        said("Processes and threads; default 64.", "write a whole number from 8 to 32768"),
    ]
    tmp: Annotated[
        int,
        *_size(64 * quantity.KIB, 16 * quantity.GIB),
        said("Size of /tmp, in memory; default 16MB.", quantity.MEMORY_FIX),
    ]


@closed
class Network(TypedDict, total=False):
    egress: Required[
        Annotated[
            list[
                Annotated[
                    HostPort,
                    PlainValidator(_reader(egress.host_port)),
                    WithJsonSchema({"type": "string", "pattern": egress.PATTERN}),
                ]
            ],
            Field(max_length=256),
            said(
                "Hosts that it may connect to, and no other.",
                "write a list of host:port, such as ['stream.example.com:443']",
            ),
        ]
    ]


# `from` is a keyword, so no class body can name it.
Input = TypedDict(
    "Input",
    {
        "from": Required[Annotated[Name, said("The entry to listen to.", "name an entry")]],
        "symbols": Annotated[
            Symbols, said("Which symbols; default all.", "write a list such as [BTCUSDT]")
        ],
        "bars": Annotated[
            str,
            PlainValidator(_reader(quantity.bars)),
            WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,4}[smhd]$"}),
            said("Length of bars; default every tick.", quantity.BARS_FIX),
        ],
    },
    total=False,
)
closed(Input)

Secrets = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")],
        Annotated[
            secret.Reference,
            PlainValidator(_reader(secret.reference)),
            WithJsonSchema(secret.SCHEMA),
        ],
    ],
    Field(max_length=64),
    said(
        "Name -> where its value is; never the value.",
        secret.MAPPING_FIX,
        additionalProperties=False,
    ),
]
Config = Annotated[
    dict[str, Any],
    BeforeValidator(lambda value: {} if value is None else value),
    said("What the plugin itself reads. ${VAR} stands for a secret.", _CONFIG_FIX),
]
Storage = Annotated[
    int,
    *_size(quantity.MIB, 16 * quantity.TIB),
    said("Durable folder of its own; executors have 64MiB.", quantity.MEMORY_FIX),
]
Timeout = Annotated[
    timedelta,
    *_TIMEOUT,
    said("Longest single call; default PLUGIN_TIMEOUT.", quantity.DURATION_FIX),
]
History = Annotated[
    int,
    Field(ge=1, le=1_000_000),
    said("Length of the window; default 1000.", "write a whole number from 1 to 1000000"),
]
Capital = Annotated[
    Decimal,
    PlainValidator(_reader(_capital)),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 1e15}, {"type": "string"}]}
    ),
    said("Quote currency that sizes are taken from; default 10000.", "write 10000"),
]
Short = Annotated[
    StrictBool, said("SELL may go short; default false.", "write true or false, unquoted")
]
Pyramid = Annotated[
    int,
    Field(ge=1, le=1000),
    said("Times that a position may be added to.", "write a whole number from 1 to 1000"),
]
Replicas = Annotated[Any, *later(1)]
Update = Annotated[Any, *later("recreate")]
Restart = Annotated[Any, *later("always")]
Inputs = Annotated[
    list[Annotated[Input, BeforeValidator(_input, json_schema_input_type=str | Input)]],
    Field(min_length=1, max_length=10_000),
    said(
        "What it listens to; default: everything of its kinds.",
        "write '- from: binance_data', or leave it out to hear everything",
    ),
]
