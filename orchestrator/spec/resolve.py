"""Declared entries and the plugins that were found for them, to Desired."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from ntp.contract.names import Kind
from orchestrator.errors import ConfigError, Problem
from orchestrator.spec import egress, quantity, secret
from orchestrator.spec.complaint import near
from orchestrator.spec.config_check import Checker
from orchestrator.spec.declared import Declared, Entry
from orchestrator.spec.model import (
    Artifact,
    Desired,
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
    for name, entry in declared.entries.items():
        artifact = artifacts.get(name)
        if artifact is None:
            message = f"no plugin '{entry.plugin}' was found"
            problem = entry.problem(("name",), message, "see the problem of the search for it")
            resolving.problems.append(problem)
            continue
        plugins[name] = resolving.spec(entry, artifact)
    if resolving.problems:
        raise ConfigError(resolving.problems)
    return Desired(project=declared.project, revision=revision, plugins=plugins)


class _Resolving:
    def __init__(self, declared: Declared) -> None:
        self.defaults = declared.defaults
        self.fallback = declared.fallback
        self.problems: list[Problem] = []
        self._checkers: dict[str, Checker] = {}
        self._resources = lru_cache(maxsize=4096)(self._limits)

    def spec(self, entry: Entry, artifact: Artifact) -> PluginSpec:
        said = entry.fields
        config: dict[str, Any] = said.get("config", {})
        self.problems += _kinship(entry, artifact)
        secrets = self._secrets(entry, artifact, config)
        self._check(entry, artifact, config)
        more = self._for_strategies(entry.kind, said, artifact)
        storage = EXECUTOR_STORAGE if entry.kind is Kind.EXECUTOR else 0
        limits: Mapping[str, Any] = said.get("resources", {})
        return PluginSpec(
            name=entry.name,
            kind=entry.kind,
            plugin=artifact.plugin,
            version=artifact.version,
            digest=artifact.digest,
            entrypoint=artifact.entrypoint,
            config=config,
            inputs=tuple(
                Input(each["from"], tuple(each.get("symbols", ())), each.get("bars"))
                for each in said.get("inputs", ())
            ),
            resources=self._resources(tuple(limits.items())),
            place=entry.place,
            storage=self._of("storage", said, storage),
            timeout=self._of("timeout", said, self.fallback.timeout),
            egress=self._egress(entry, artifact, config),
            secrets=secrets,
            sandbox=self.fallback.sandbox,
            **more,
        )

    def _of(self, field: str, said: Mapping[str, Any], otherwise: Any) -> Any:
        if field in said:
            return said[field]
        return self.defaults.get(field, otherwise)

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

    def _for_strategies(
        self, kind: Kind, said: Mapping[str, Any], artifact: Artifact
    ) -> dict[str, Any]:
        """An entry's word, else that of `defaults`, else what the author recommends."""
        if kind is not Kind.STRATEGY:
            return {}
        advised = {key: value for key, value in artifact.trading.items() if value is not None}
        capital = self._of("capital", said, advised.get("capital", DEFAULT_CAPITAL))
        return {
            "history": self._of("history", said, DEFAULT_HISTORY),
            "capital": Decimal(str(capital)),
            "short": self._of("short", said, advised.get("short", False)),
            "pyramid": self._of("pyramid", said, advised.get("pyramid", 1)),
            "risk": advised.get("risk", {}),
        }

    def _secrets(
        self, entry: Entry, artifact: Artifact, config: Mapping[str, Any]
    ) -> dict[str, SecretRef]:
        found: dict[str, SecretRef] = {}
        for use in secret.uses(config):
            place = entry.at(("config", *use.path))
            found[use.key] = SecretRef("env", use.variable, place)
        for path, token in secret.malformed(config):
            message = f"{quantity.shown(token)} names no variable"
            problem = entry.problem(("config", *path), message, secret.VARIABLE_FIX)
            self.problems.append(problem)
        for name, reference in entry.fields.get("secrets", {}).items():
            self.problems += _misnamed(entry, artifact, config, name)
            found[name] = SecretRef(reference.source, reference.key, entry.at(("secrets", name)))
        for name in artifact.secrets:
            value = config.get(name)
            if isinstance(value, str) and value and "${" not in value:
                message = f"the secret '{name}' is written into the file"
                fix = f"put it into .env and write {name}: ${{{name.upper()}}}"
                self.problems.append(entry.problem(("config", name), message, fix))
        return found

    def _egress(
        self, entry: Entry, artifact: Artifact, config: Mapping[str, Any]
    ) -> tuple[HostPort, ...]:
        network = entry.fields.get("network")
        if network is not None:
            return tuple(dict.fromkeys(network["egress"]))
        # A strategy with a URL in its config has no network by that alone: the entry has to say so.
        if entry.kind is not Kind.DATA_SOURCE:
            return ()
        hosts = dict.fromkeys(egress.in_config(config))
        for claimed in artifact.egress:
            try:
                hosts[egress.host_port(claimed)] = None
            except quantity.QuantityError as error:
                message = f"a host that '{artifact.plugin}' wants {error}"
                fix = "say with 'network: {egress: [host:port]}' what it may reach"
                self.problems.append(entry.problem(("name",), message, fix))
        return tuple(hosts)

    def _check(self, entry: Entry, artifact: Artifact, config: Mapping[str, Any]) -> None:
        checker = self._checkers.get(artifact.digest)
        if checker is None:
            checker = self._checkers[artifact.digest] = Checker(artifact.config_schema)
        given = entry.fields.get("secrets", ())
        for complaint in checker.complaints(config, given=given):
            self.problems.append(
                entry.problem(("config", *complaint.path), complaint.message, complaint.fix)
            )


def _kinship(entry: Entry, artifact: Artifact) -> Iterator[Problem]:
    if artifact.kind != entry.kind.value:
        found = Kind(artifact.kind)
        message = f"'{artifact.plugin}' is of kind {found}, and stands under {entry.kind.section}"
        yield entry.problem(("name",), message, f"move the entry to '{found.section}:'")
    version = entry.fields.get("version")
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
