"""How the values of plugins.yaml are written: sizes, cores, lengths of time, amounts, bars, hosts.

Each is a pair for `Annotated`: what pydantic reads it with, and what its JSON Schema says, in which
`x-value` names how it is written.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache, partial
from typing import Annotated, Any, Final, TypeVar

from pydantic import Field, PlainValidator
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError

from ntp.contract.names import NAME_PATTERN, RESERVED
from orchestrator.spec import egress, quantity, secret
from orchestrator.spec.environment import LONGEST_TIMEOUT, SHORTEST_TIMEOUT

Value = TypeVar("Value")
Written = tuple[Any, Any]

_MEMORY_PATTERN = r"^[0-9]{1,19}(\.[0-9]{1,9})? ?([KMGTkmgt]([iI]?[bB]?)|[bB]?)$"
_CPU_PATTERN = r"^[0-9]{1,6}(\.[0-9]{1,9})?m?$"
_DURATION_PATTERN = (
    r"^([0-9]{1,15}(\.[0-9]{1,9})? ?([mM][sS]|[mM][iI][nN]|[smhdSMHD]))+$|^[0-9]+(\.[0-9]+)?$"
)
_BARS_PATTERN = "^[1-9][0-9]{0,4}[smhd]$"


def refused(message: str, fix: str) -> PydanticCustomError:
    """`message` goes on after the field's name: `was 3`. In the context, where braces are no places."""
    return PydanticCustomError("refused", "{message}", {"message": message, "fix": fix})


def not_reserved(name: str) -> str:
    if name in RESERVED:
        raise refused(f"was '{name}', a name that the system uses itself", "choose another name")
    return name


def size(least: int, most: int) -> Written:
    """Bytes, from `least` to `most`."""
    number = {"type": "integer", "minimum": least, "maximum": most}
    text = {"type": "string", "pattern": _MEMORY_PATTERN}
    read = partial(quantity.memory, least=least, most=most)
    return _written(read, "size", {"anyOf": [number, text]})


def _written(read: Callable[[Any], Any], value: str, schema: Mapping[str, Any]) -> Written:
    return PlainValidator(_reader(read)), WithJsonSchema({**schema, "x-value": value})


def _reader(read: Callable[[Any], Value]) -> Callable[[Any], Value]:
    """Let pydantic see a QuantityError; remember what was read, for most entries say the same."""
    remembered = lru_cache(maxsize=1024, typed=True)(read)

    def validate(value: Any) -> Value:
        try:
            return remembered(value) if isinstance(value, str | int | float) else read(value)
        except quantity.QuantityError as error:
            raise refused(str(error), error.fix) from error

    return validate


def _amount(value: Any) -> Decimal:
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


def _plain_amount(value: Any) -> str:
    """As it goes into a launch file, the same for 5000, 5000.0 and '5e3'."""
    text = format(_amount(value), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _loss(value: Any) -> str:
    share = (
        re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,9})?) ?%", value) if isinstance(value, str) else None
    )
    if share is not None and 0 < Decimal(share[1]) <= 100:
        return f"{_plain_amount(share[1])}%"
    try:
        return _plain_amount(value)
    except quantity.QuantityError as error:
        fix = "write a share of the capital such as 2%, or an amount above 0 such as 200"
        raise quantity.QuantityError(str(error), fix) from error


IMAGE_PATTERN: Final = (
    r"^(localhost|[A-Za-z0-9-]*\.[A-Za-z0-9.-]*|[A-Za-z0-9.-]+:[0-9]{1,5}|\[[0-9a-fA-F:]{2,39}\](:[0-9]{1,5})?)"
    r"(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)+(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$"
)
"""An image by its registry, which has to be written: a name without one means another image elsewhere."""

Name = Annotated[str, Field(pattern=NAME_PATTERN, json_schema_extra={"x-value": "name"})]

CORES: Final = _written(
    partial(quantity.cpu, least=0.01, most=1024),
    "cores",
    {
        "anyOf": [
            {"type": "number", "minimum": 0.01, "maximum": 1024},
            {"type": "string", "pattern": _CPU_PATTERN},
        ]
    },
)
TIMEOUT: Final = _written(
    partial(quantity.duration, least=SHORTEST_TIMEOUT, most=LONGEST_TIMEOUT),
    "length of time",
    {
        "anyOf": [
            {"type": "number", "minimum": 0.1, "maximum": 3600},
            {"type": "string", "pattern": _DURATION_PATTERN},
        ]
    },
)
AMOUNT: Final = _written(
    _amount,
    "amount",
    {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 1e15}, {"type": "string"}]},
)
PLAIN_AMOUNT: Final = _written(
    _plain_amount,
    "amount",
    {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 1e15}, {"type": "string"}]},
)
LOSS: Final = _written(
    _loss,
    "amount or share",
    {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 1e15}, {"type": "string"}]},
)
BARS: Final = _written(quantity.bars, "bars", {"type": "string", "pattern": _BARS_PATTERN})
HOST_PORT: Final = _written(
    egress.host_port, "host:port", {"type": "string", "pattern": egress.PATTERN}
)
REFERENCE: Final = _written(secret.reference, "reference", secret.SCHEMA)
