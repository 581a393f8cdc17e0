"""The manifest: what a plugin says about itself (`plugin.yaml`), as data that nobody has to run.

Import it late: pydantic costs 0.2 s, and a running plugin needs no manifest.
"""

from collections.abc import Callable
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from ntp.contract import CONTRACT
from ntp.contract.config_schema import SchemaError, expand
from ntp.contract.names import NAME_PATTERN, RESERVED, Kind
from ntp.contract.problem import Problem
from ntp.contract.semver import LONGEST, SEMVER_PATTERN

__all__ = ["FILE", "Manifest", "TradingDefaults", "expand", "read"]

FILE = "plugin.yaml"

_HOST_PORT = (
    r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*"
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?:[0-9]{1,5}$"
)
_LOSS = r"^(100|[1-9]?[0-9](\.[0-9]{1,9})?)%$"
"""A share alone: who recommends a loss does not know the capital."""
_ENTRYPOINT = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"

Path = tuple[str | int, ...]
Locate = Callable[[Path], tuple[int, int]]
"""From a path inside the document to its line and column; (0, 0) where nobody knows."""


def _refuse(message: str, fix: str, path: Path = ()) -> PydanticCustomError:
    # Braces would be read as places of a template.
    context = {"message": message, "fix": fix, "path": path}
    return PydanticCustomError("refused", "{message}", context)


def _not_reserved(name: str) -> str:
    if name in RESERVED:
        raise _refuse(f"'{name}' is a name that the system uses itself", "choose another name")
    return name


def _port(address: str) -> str:
    port = int(address.rpartition(":")[2])
    if not 1 <= port <= 65535:
        raise _refuse(f"the port of '{address}' was {port}", "ports go from 1 to 65535")
    return address


def _requirement(text: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement  # late: few require any

    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise _refuse(
            f"'{text}' is no requirement: {reason}", "write it as pip would: 'pandas>=2.2,<3'"
        ) from error
    if requirement.url is not None:
        raise _refuse(
            f"'{text}' names an address",
            f"write '{requirement.name}' with a version: only a registry's wheels can be locked",
        )
    return str(requirement)


def _licence(text: str) -> str:
    # Late: few plugins name one, and SPDX's list is long.
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression as error:
        raise _refuse(
            f"'{text}' is no SPDX expression",
            "write one of https://spdx.org/licenses, such as 'MIT' or 'Apache-2.0 OR MIT'; "
            "or 'LicenseRef-…' for one of your own",
        ) from error


def _contract(version: str) -> str:
    if version.partition(".")[0] != CONTRACT.partition(".")[0]:
        raise _refuse(
            f"the plugin was written for contract {version}, and {CONTRACT} is spoken here",
            "install the ntp that the plugin was written for, or update the plugin",
        )
    return version


def _schema(written: dict[str, Any]) -> dict[str, Any]:
    try:
        expand(written)
    except SchemaError as fault:
        raise _refuse(str(fault), fault.fix, fault.path) from fault
    return written


def _fix(text: str) -> dict[str, Any]:
    return {"x-fix": text}


class RiskDefaults(BaseModel):
    """Limits that the author recommends."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_position: Decimal | None = Field(
        default=None, gt=0, le=10**15, json_schema_extra=_fix("write 5000")
    )
    max_daily_loss: Annotated[str, Field(pattern=_LOSS)] | None = Field(
        default=None, json_schema_extra=_fix("write a share of the capital: '2%'")
    )
    max_orders_per_minute: int | None = Field(
        default=None, ge=1, le=10_000, json_schema_extra=_fix("write a whole number from 1")
    )


class TradingDefaults(BaseModel):
    """What the author recommends for entries that say nothing themselves."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    capital: Decimal | None = Field(default=None, gt=0, json_schema_extra=_fix("write 10000"))
    short: StrictBool | None = Field(default=None, json_schema_extra=_fix("write true or false"))
    pyramid: int | None = Field(
        default=None, ge=1, le=1000, json_schema_extra=_fix("write a whole number from 1")
    )
    risk: RiskDefaults = Field(
        default=RiskDefaults(),
        description="Limits, each for entries that do not say it themselves.",
        json_schema_extra=_fix("write a mapping such as {max_daily_loss: 2%}"),
    )


class Manifest(BaseModel):
    """A plugin's own description. Everything in it is a claim; none of it widens a right by itself."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="plugin.yaml")

    name: Annotated[str, Field(pattern=NAME_PATTERN), AfterValidator(_not_reserved)] = Field(
        description="What plugins.yaml calls it.",
        json_schema_extra=_fix(
            "lower-case letters, digits, '_' and '-', a letter first, at most 40 characters"
        ),
    )
    version: Annotated[str, Field(pattern=SEMVER_PATTERN, max_length=LONGEST)] = Field(
        description="Semantic version of the plugin.",
        json_schema_extra=_fix("write three numbers: '1.0.0'"),
    )
    kind: Kind = Field(
        description="What it is.",
        json_schema_extra=_fix(f"write one of {', '.join(Kind)}"),
    )
    entrypoint: Annotated[str, Field(pattern=_ENTRYPOINT, max_length=200)] = Field(
        description="Where the class is: module:Class.",
        json_schema_extra=_fix("write 'module:Class', for example 'my_strategy:MyStrategy'"),
    )
    author: Annotated[str, Field(max_length=200)] = Field(
        default="", description="Who wrote it.", json_schema_extra=_fix("write a name")
    )
    licence: Annotated[str, Field(max_length=200), AfterValidator(_licence)] | None = Field(
        default=None,
        description="Under which licence others may use it: an SPDX expression, or LicenseRef-….",
        json_schema_extra=_fix("write 'licence: MIT', or what holds for yours"),
    )
    description: Annotated[str, Field(max_length=2000)] = Field(
        default="", description="One sentence.", json_schema_extra=_fix("write one sentence")
    )
    requirements: list[Annotated[str, Field(max_length=200), AfterValidator(_requirement)]] = Field(
        default=[],
        max_length=100,
        description="PEP 508, as for pip; only wheels are installed, locked by hash.",
        json_schema_extra=_fix("write a list such as ['pandas>=2.2']"),
    )
    config_schema: Annotated[dict[str, Any], AfterValidator(_schema)] = Field(
        default={},
        description="{'period': 'int'}, or a JSON Schema of draft 2020-12.",
        json_schema_extra=_fix("write a mapping such as {period: int}"),
    )
    egress: list[
        Annotated[str, Field(pattern=_HOST_PORT, max_length=260), AfterValidator(_port)]
    ] = Field(
        default=[],
        max_length=32,
        description="host:port that it wants to reach; an entry may narrow or extend it.",
        json_schema_extra=_fix("write 'host:port', for example 'api.example.com:443'"),
    )
    secrets: list[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")]] = Field(
        default=[],
        max_length=32,
        description="Names of the secrets that an entry has to give.",
        json_schema_extra=_fix("write a list of names, never a value"),
    )
    contract: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+$"), AfterValidator(_contract)] = Field(
        default="1.0",
        description="Version of the contract between plugin and orchestrator.",
        json_schema_extra=_fix(f"write '{CONTRACT}'"),
    )
    finite: StrictBool = Field(
        default=False,
        description="The source comes to an end by itself, as a recording does.",
        json_schema_extra=_fix("write true or false"),
    )
    trading: TradingDefaults = Field(
        default=TradingDefaults(),
        description="Defaults of a strategy's trading.",
        json_schema_extra=_fix("write a mapping with capital, short, pyramid or risk"),
    )

    @model_validator(mode="after")
    def _only_sources_end(self) -> Self:
        if self.finite and self.kind is not Kind.DATA_SOURCE:
            raise _refuse(
                f"'finite' was set for a plugin of kind {self.kind}",
                "take it out: only a data source ends by itself",
                ("finite",),
            )
        return self


def read(
    document: object, *, file: str, locate: Locate = lambda _: (0, 0), entry: str | None = None
) -> tuple[Manifest | None, tuple[Problem, ...]]:
    """Return the manifest, or every problem of the document with its place in `file`.

    Args:
        document: plain values, as a YAML or JSON reader made them.
        file: what a person calls the document.
        locate: where in the text a path stands, for a person.
        entry: the plugin entry that asked, for the problems.
    """
    if not isinstance(document, dict):
        line, column = locate(())
        message = f"a manifest is a mapping, and this was {_shown(document)}"
        fix = "write 'name: …', 'version: …', 'kind: …' and 'entrypoint: …'"
        return None, (Problem(file, line, column, message, fix, entry),)
    try:
        return Manifest.model_validate(document), ()
    except ValidationError as error:
        problems = []
        for detail in error.errors(include_url=False):
            path, message, fix = _complaint(detail)
            line, column = locate(path)
            problems.append(Problem(file, line, column, message, fix, entry))
        return None, tuple(sorted(problems))


def _complaint(detail: ErrorDetails) -> tuple[Path, str, str]:
    context = detail.get("ctx", {})
    path: Path = (*detail["loc"], *context.get("path", ()))
    name = ".".join(map(str, detail["loc"]))
    model, known = _fields(detail["loc"])
    match detail["type"]:
        case "refused":
            return path, str(context["message"]), str(context["fix"])
        case "missing":
            return path, f"the field '{name}' is missing", _known_fix(model, path, "add it")
        case "extra_forbidden":
            near = next(iter(get_close_matches(str(path[-1]), known, 1)), None)
            fix = f"did you mean '{near}'?" if near else f"known fields: {', '.join(known)}"
            return path, f"unknown field '{name}'", fix
        case _:
            message = f"'{name}' was {_shown(detail['input'])}"
            return path, message, _known_fix(model, path, detail["msg"])


def _fields(location: Path) -> tuple[type[BaseModel], list[str]]:
    model: type[BaseModel] = Manifest
    for at, inside in ((("trading",), TradingDefaults), (("trading", "risk"), RiskDefaults)):
        if location[: len(at)] == at and len(location) > len(at):
            model = inside
    return model, list(model.model_fields)


def _known_fix(model: type[BaseModel], path: Path, otherwise: str) -> str:
    for step in path:
        field = model.model_fields.get(str(step))
        if field is not None and isinstance(field.json_schema_extra, dict):
            return str(field.json_schema_extra["x-fix"])
    return otherwise


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
