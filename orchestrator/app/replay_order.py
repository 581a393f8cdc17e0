"""From what is declared to what a replay is told: who plays, with which config, code and ledger."""

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ntp.contract.launch import BusAddress, LaunchFile
from ntp.contract.names import Kind
from ntp.contract.replay import ReplayOrder
from orchestrator.app import Declaration
from orchestrator.app.house import plugins
from orchestrator.app.still_copy import still_copy
from orchestrator.catalog.replaying import CODE, FOLDER, PROGRESS
from orchestrator.controller.reading import Declared
from orchestrator.errors import ActionError
from orchestrator.launch import Environment
from orchestrator.spec.config_check import Checker
from orchestrator.spec.model import PluginSpec, SecretRef
from orchestrator.spec.secret import fill
from orchestrator.spec.wiring import Wiring, trading


@dataclass(frozen=True, slots=True)
class Asked:
    """What to replay.

    Attributes:
        declared: what is applied, or the files as they are.
        names: of strategies, or of executors; none: all.
        config: of the strategy, beside what its entry says.
        data: recordings to feed instead of what was captured.
        begin, end: of what is fed, event times.
        compare: with the ledger; False: the strategy begins with the period, and only told of.
        deadline_s: for each strategy.
    """

    declared: Declaration
    names: Sequence[str] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    data: Sequence[Path] = ()
    begin: datetime | None = None
    end: datetime | None = None
    compare: bool = True
    deadline_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Pair:
    strategy: str
    executor: str


@dataclass(frozen=True, slots=True)
class Scene:
    """What one replay is given: `codes` and `environments` of the plugins, by their numbers."""

    order: ReplayOrder
    codes: Sequence[Path]
    environments: Sequence[Environment]


class House:
    """What is declared, as a replay needs it."""

    def __init__(self, asked: Asked, found: Declared) -> None:
        self._asked = asked
        self._plugins = found.desired.plugins
        self._artifacts = found.artifacts
        self._wiring = Wiring(found.desired)

    def pairs(self) -> list[Pair]:
        """Return who is replayed at which executor.

        Raises:
            ActionError: NoSuchPlugin, ReplayRefused.
        """
        every = [
            Pair(each.instance, name)
            for name, spec in sorted(self._plugins.items())
            if spec.kind is Kind.EXECUTOR
            for each in self._wiring.listens(name)
            if each.kind is Kind.STRATEGY
        ]
        names = self._asked.names
        for name in names:
            if name not in self._plugins:
                known = ", ".join(sorted({pair.strategy for pair in every})) or "none"
                raise ActionError(
                    f"there is no plugin '{name}'; strategies that are executed: {known}",
                    reason="NoSuchPlugin",
                    permanent=True,
                )
            if not any(name in {pair.strategy, pair.executor} for pair in every):
                raise refused(
                    f"{name} is no strategy that an executor hears",
                    "name a strategy, or an executor for all that it executes",
                )
        if not every:
            raise refused("no executor hears a strategy", "declare both, and apply")
        found = [each for each in every if not names or {each.strategy, each.executor} & {*names}]
        if self._asked.config:
            self._check(found)
        return found

    def _check(self, pairs: Sequence[Pair]) -> None:
        """Refuse a config that the plugin of the one strategy does not take."""
        if len({pair.strategy for pair in pairs}) > 1:
            raise refused("--with changes the config of one strategy", "name it")
        spec = self._plugins[pairs[0].strategy]
        checker = Checker(self._artifacts[spec.name].config_schema)
        wrong = checker.complaints({**spec.config, **self._asked.config}, given=spec.secrets)
        if wrong:
            raise refused(f"config of {spec.name}: {wrong[0].message}", wrong[0].fix)

    def ledger(self, pair: Pair, folder: Path) -> Path:
        """Return a copy of the live ledger, as it was at one moment."""
        name = f"ledger-{pair.strategy}.sqlite"
        live = self._asked.declared.settings.state / "storage" / pair.executor / name
        to = folder / f"live-{len(list(folder.iterdir()))}" / name
        to.parent.mkdir()
        if not still_copy(live, to.parent):
            raise refused(
                f"{pair.executor} has no ledger of {pair.strategy}: {live} is not there",
                "let it run, with `storage`; or feed a period: --from, --with or --data",
            )
        return to

    def scene(
        self, pair: Pair, room: Path, *, ledger: Path | None, captured: Callable[[str], Path]
    ) -> Scene:
        """Return all that the sandbox of one replay is given, with its files in `room`.

        Args:
            pair: who is replayed.
            room: an empty folder, which becomes `/replay`.
            ledger: a copy of the live one; None: nothing is compared.
            captured: returns the file of what is captured of a source.
        """
        strategy, executor = self._plugins[pair.strategy], self._plugins[pair.executor]
        inputs = self._wiring.listens(pair.strategy)
        heard = {kind: [one.instance for one in inputs if one.kind is kind] for kind in Kind}
        indicators = [self._plugins[name] for name in dict.fromkeys(heard[Kind.INDICATOR])]
        cast = [strategy, executor, *indicators]
        data: list[str] = []
        for at, file in enumerate(self._asked.data):
            (room / f"data-{at}").mkdir()  # so that a message names it as its user does
            data.append(_put(file, room, f"data-{at}/{file.name}"))
        sources = () if data else dict.fromkeys(heard[Kind.DATA_SOURCE])
        (room / "made").mkdir()
        order = ReplayOrder(
            strategy=self._launch(0, strategy, config=self._asked.config),
            executor=self._launch(1, executor, only=pair.strategy),
            indicators=[self._launch(2 + at, each) for at, each in enumerate(indicators)],
            captured=[
                _put(captured(name), room, f"source-{at}.jsonl") for at, name in enumerate(sources)
            ],
            data=data,
            ledger=None if ledger is None else _put_all(ledger, room),
            folder=f"{FOLDER}/made",
            progress=f"{FOLDER}/{PROGRESS}",
            begin=self._asked.begin,
            end=self._asked.end,
        )
        environments = [self._environment(each.name) for each in cast]
        codes = [
            made.code or self._artifacts[each.name].code
            for each, made in zip(cast, environments, strict=True)
        ]
        return Scene(order, codes, environments)

    def _environment(self, name: str) -> Environment:
        artifact = self._artifacts[name]
        if artifact.unusable is not None:
            raise refused(
                f"the plugin of {name} cannot be imported",
                "name the plugin's files by 'source', and apply",
            )
        declared = self._asked.declared
        # Wherever it runs live: a replay is a process, and of an image it takes the plugin's own.
        there = plugins(declared.settings, declared.decisive, on="process")
        return asyncio.run(there.prepare(artifact))

    def _launch(
        self,
        number: int,
        spec: PluginSpec,
        *,
        config: Mapping[str, Any] | None = None,
        only: str = "",
    ) -> LaunchFile:
        """Return an entry as it is launched; `only`: of an executor, the strategy that it hears."""

        def withheld(reference: SecretRef) -> str:
            raise refused(
                f"the config of {spec.name} has a secret ({reference.key}), which a replay is not given",
                "replay a strategy whose plugins need none",
            )

        listens = self._wiring.listens(spec.name)
        heard = [each for each in listens if each.kind is Kind.STRATEGY]
        return LaunchFile(
            project=self._asked.declared.settings.project,
            instance=spec.name,
            kind=spec.kind,
            plugin=spec.plugin,
            entrypoint=spec.entrypoint,
            code=f"{CODE}/{number}",
            generation=1,
            bus=BusAddress(servers=[]),
            config={**fill(spec.config, spec.secrets, withheld), **(config or {})},
            inputs=[each for each in heard if each.instance == only]
            if only
            else [each for each in listens if each.kind in {Kind.DATA_SOURCE, Kind.INDICATOR}],
            history=spec.history,
            trading=trading(spec),
            risk=dict(spec.risk) if spec.kind is Kind.EXECUTOR else {},
            # As live: each of its strategies has an equal part.
            storage_bytes=spec.storage // max(len(heard), 1),
        )


def _put(file: Path, room: Path, name: str) -> str:
    shutil.copyfile(file, room / name)
    return f"{FOLDER}/{name}"


def _put_all(ledger: Path, room: Path) -> str:
    shutil.copytree(ledger.parent, room / "live")
    return f"{FOLDER}/live/{ledger.name}"


def refused(message: str, fix: str) -> ActionError:
    return ActionError(f"{message}\n  fix: {fix}", reason="ReplayRefused", permanent=True)
