"""Declared entries and the plugins that were found for them, to Desired."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from ntp.contract.names import Kind
from orchestrator.errors import ConfigError, Problem
from orchestrator.spec import collector, detour, egress, own_network, quantity, secret
from orchestrator.spec.complaint import MAX_PROBLEMS, near
from orchestrator.spec.config_check import Checker
from orchestrator.spec.declared import Declared, Entry
from orchestrator.spec.model import (
    Artifact,
    Desired,
    Detour,
    HostPort,
    Input,
    PluginSpec,
    Resources,
    SecretRef,
)

DEFAULT_CPU = 1.0
DEFAULT_PIDS = 64
DEFAULT_TMP = 16 * quantity.MIB
EXECUTOR_STORAGE = 64 * quantity.MIB
DEFAULT_HISTORY = 1000
DEFAULT_CAPITAL = Decimal(10000)
_OWN = frozenset({"storage", "timeout", "history", "capital", "short", "pyramid", "kubernetes"})
"""Fields that PluginSpec has as the entry says them."""


def resolve(declared: Declared, artifacts: Mapping[str, Artifact], *, revision: int) -> Desired:
    """Return the desired state: every entry with its plugin, its defaults and a config that was checked.

    Args:
        declared: from `read`.
        artifacts: what the catalog found, by entry.
        revision: number of the applied revision that this becomes.

    Raises:
        ConfigError: every problem of every entry.
    """
    resolving = _Resolving(declared)
    plugins = {}
    with collector.paused():
        for name, entry in declared.entries.items():
            if len(resolving.problems) > MAX_PROBLEMS:
                break
            artifact = artifacts.get(name)
            if artifact is None:
                message = f"no plugin '{entry.plugin}' was found"
                problem = entry.problem(("name",), message, "see the problem of the search for it")
                resolving.problems.append(problem)
            else:
                plugins[name] = resolving.spec(entry, artifact)
    if not resolving.problems:
        reached = {host for spec in plugins.values() for host in spec.egress}
        resolving.problems += detour.unused(declared.fallback.detours, reached)
    if resolving.problems:
        raise ConfigError(resolving.problems)
    return Desired(project=declared.project, revision=revision, plugins=plugins)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is the same for every entry of one plugin and kind. `fields`: what PluginSpec has of it."""

    checker: Checker
    fields: Mapping[str, Any]


class _Resolving:
    def __init__(self, declared: Declared) -> None:
        self.defaults = declared.defaults
        self.fallback = declared.fallback
        self.problems: list[Problem] = []
        self._found: dict[tuple[str, Kind], _Known] = {}
        self._resources = lru_cache(maxsize=4096)(self._limits)

    def spec(self, entry: Entry, artifact: Artifact) -> PluginSpec:
        said = entry.fields
        config: dict[str, Any] = said.get("config", {})
        known = self._found.get((artifact.digest, entry.kind))
        if known is None or artifact.unusable:
            known = self._know(artifact, entry.kind)
        if artifact.kind != entry.kind or "version" in said:
            self.problems += _kinship(entry, artifact)
        secrets = self._secrets(entry, artifact, config)
        for complaint in known.checker.complaints(config, given=said.get("secrets", ())):
            at = ("config", *complaint.path)
            self.problems.append(entry.problem(at, complaint.message, complaint.fix))
        limits: Mapping[str, Any] = said.get("resources", {})
        reached = self._egress(entry, artifact, config)
        detours = self._detours(reached)
        network = said.get("network", {}).get("mode", "door")
        if network == "own":
            self.problems += own_network.problems(entry, reached, detours)
        return PluginSpec(
            name=entry.name,
            kind=entry.kind,
            config=config,
            inputs=_inputs(said["inputs"]) if "inputs" in said else (),
            resources=self._resources(tuple(limits.items())),
            place=entry.place,
            egress=reached,
            network=network,
            detours=detours,
            authority=self.fallback.detours.authority if detours else "",
            secrets=secrets,
            risk=self._risk(entry, artifact),
            **{**known.fields, **{field: said[field] for field in said.keys() & _OWN}},
        )

    def _know(self, artifact: Artifact, kind: Kind) -> _Known:
        """An entry's word counts most, then `defaults`, then what the author recommends."""
        fields: dict[str, Any] = {
            "storage": EXECUTOR_STORAGE if kind is Kind.EXECUTOR else 0,
            "timeout": self.fallback.timeout,
        }
        if kind is Kind.STRATEGY:
            advised = {
                key: value
                for key, value in artifact.trading.items()
                if value is not None and key != "risk"
            }
            fields |= {"history": DEFAULT_HISTORY, "capital": DEFAULT_CAPITAL} | advised
            fields["capital"] = Decimal(str(fields["capital"]))
        fields |= {name: self.defaults[name] for name in self.defaults.keys() & fields.keys()}
        if kind is Kind.STRATEGY:
            traded = self.defaults.keys() & {"short", "pyramid"}
            fields |= {name: self.defaults[name] for name in traded}
        fields |= {name: self.defaults[name] for name in self.defaults.keys() & {"kubernetes"}}
        fields |= {
            "plugin": artifact.plugin,
            "version": artifact.version,
            "digest": artifact.digest,
            "entrypoint": artifact.entrypoint,
            "sandbox": self.fallback.sandbox,
        }
        known = _Known(Checker(artifact.config_schema), fields)
        self._found[artifact.digest, kind] = known
        return known

    def _risk(self, entry: Entry, artifact: Artifact) -> dict[str, Any]:
        """Limit by limit; `defaults` are for each strategy, not for the sum that an executor watches."""
        if entry.kind is Kind.EXECUTOR:
            return dict(entry.fields.get("risk", {}))
        if entry.kind is not Kind.STRATEGY:
            return {}
        advised = {
            name: value if isinstance(value, int) else str(value)
            for name, value in (artifact.trading.get("risk") or {}).items()
            if value is not None
        }
        return {**advised, **self.defaults.get("risk", {}), **entry.fields.get("risk", {})}

    def _limits(self, said: tuple[tuple[str, Any], ...]) -> Resources:
        limits = {
            "memory": self.fallback.memory,
            "cpu": DEFAULT_CPU,
            "pids": DEFAULT_PIDS,
            "tmp": DEFAULT_TMP,
            **self.defaults.get("resources", {}),
            **dict(said),
        }
        return Resources(**limits)

    def _secrets(
        self, entry: Entry, artifact: Artifact, config: Mapping[str, Any]
    ) -> dict[str, SecretRef]:
        found: dict[str, SecretRef] = {}
        if secret.mentioned(config):
            for use in secret.uses(config):
                place = entry.at(("config", *use.path))
                found[use.key] = SecretRef("env", use.variable, place)
            for path, token in secret.malformed(config):
                message = f"{quantity.shown(token)} names no variable"
                problem = entry.problem(("config", *path), message, secret.variable_fix(token))
                self.problems.append(problem)
        if "secrets" in entry.fields:
            for name, reference in entry.fields["secrets"].items():
                self.problems += _misnamed(entry, artifact, config, name)
                place = entry.at(("secrets", name))
                found[name] = SecretRef(reference.source, reference.key, place)
        for name in artifact.secrets:
            value = config.get(name)
            if isinstance(value, str) and value and "${" not in value:
                message = f"the secret '{name}' is written into the file"
                variable = secret.meant(value)
                fix = f"put it into .env and write {name}: ${{{name.upper()}}}"
                if variable is not None:
                    message = f"{name} names a variable another way than ${{NAME}}"
                    fix = f"write {name}: ${{{variable}}}"
                self.problems.append(entry.problem(("config", name), message, fix))
        return found

    def _detours(self, reached: tuple[HostPort, ...]) -> tuple[Detour, ...]:
        to = self.fallback.detours.to
        return tuple(Detour(host, to[host]) for host in reached if host in to) if to else ()

    def _egress(
        self, entry: Entry, artifact: Artifact, config: Mapping[str, Any]
    ) -> tuple[HostPort, ...]:
        network = entry.fields.get("network", {})
        if "egress" in network:
            return tuple(dict.fromkeys(network["egress"]))
        hosts = dict.fromkeys(egress.in_config(config))
        for claimed in artifact.egress:
            try:
                hosts[egress.claimed(claimed)] = None
            except quantity.QuantityError as error:
                message = f"a host that '{artifact.plugin}' wants {error}"
                fix = "say with 'network: {egress: [host:port]}' what it may reach"
                self.problems.append(entry.problem(("name",), message, fix))
        return tuple(hosts)


def _inputs(said: Sequence[Mapping[str, Any]]) -> tuple[Input, ...]:
    return tuple(
        [
            Input(
                each["from"],
                tuple(each.get("symbols", ())),
                each.get("bars"),
                each.get("policy", "all"),
            )
            for each in said
        ]
    )


def _kinship(entry: Entry, artifact: Artifact) -> Iterator[Problem]:
    if artifact.kind != entry.kind.value:
        found = Kind(artifact.kind)
        message = f"'{artifact.plugin}' is of kind {found}, and stands under {entry.kind.section}"
        yield entry.problem(("name",), message, f"move the entry to '{found.section}:'")
    version = None if artifact.unusable else entry.fields.get("version")
    if version is not None and version != artifact.version:
        message = f"'{artifact.plugin}' was found in version {artifact.version}, not {version}"
        yield entry.problem(("version",), message, f'write "{artifact.version}", or install it')


def _misnamed(
    entry: Entry, artifact: Artifact, config: Mapping[str, Any], name: str
) -> Iterator[Problem]:
    if name.startswith(secret.PREFIX):
        message = f"'{name}' begins with '{secret.PREFIX}', as the names of ${{VAR}} do"
        yield entry.problem(("secrets", name), message, "choose another name")
        return
    if name in config:
        message = f"'{name}' stands under 'config' and under 'secrets'"
        yield entry.problem(("secrets", name), message, "keep one of the two")
        return
    known = {*artifact.secrets, *artifact.config_schema.get("properties", {})}
    closed = artifact.config_schema.get("additionalProperties", True) is False
    if name not in known and (closed or artifact.secrets):
        meant = near(name, sorted(known))
        fix = f"did you mean '{meant}'?" if meant else "take it out: the plugin reads no such key"
        yield entry.problem(("secrets", name), f"'{artifact.plugin}' has no secret '{name}'", fix)
