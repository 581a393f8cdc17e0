"""What `ntp plugin test` was asked for, read whole, with every mistake at once."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from ntp.bars import length
from ntp.contract.launch import Trading
from ntp.contract.problem import Problem
from ntp.contract.tested import Settings, Tested
from ntp.engine.fills import Costs
from ntp.examination.cell import Limits
from ntp.examination.wish import Metering, Wish
from ntp.package.author import AuthorError

COSTS = {"fee": "fee_rate", "slippage": "slippage", "half_spread": "half_spread", "latency": "latency_s", "volume_share": "volume_share"}  # fmt: skip
"""Option -> its name as a cost."""
_SIZES = {"k": 1024, "m": 1024**2, "g": 1024**3}
_LEAST_MEMORY = 64 * 1024**2


def wish_of(path: Path, options: Mapping[str, Any]) -> Wish:
    """Return the wish.

    Raises:
        AuthorError: with everything that is wrong.
    """
    like: Tested | None = options["like"]
    reading = _Reading(path)
    own, of = reading.parted(options["config"])
    wish = Wish(
        path=path,
        data=options["data"],
        config={**(like.plugin.config if like else {}), **reading.config(own)},
        indicators=reading.indicators(options["indicators"], of, like.settings if like else None),
        bars=reading.bars(options["bars"]),
        history=options["history"],
        trading=Trading(
            capital=reading.amount(options["capital"]),
            short=options["short"],
            pyramid=options["pyramid"],
        ),
        costs=reading.costs(options),
        symbol=options["symbol"],
        zone=options["zone"],
        mapping=dict(reading.pairs("--map", options["mapping"])),
        sort=options["sort"],
        checks=not options["quick"],
        ticks=options["ticks"],
        seconds=options["seconds"],
        wheels=options["wheels"],
        allow=reading.hosts(options["allow"]),
        limits=Limits(memory=reading.memory(options["memory"]), deadline_s=options["deadline"]),
    )  # fmt: skip
    if reading.problems:
        raise AuthorError(*reading.problems)
    return wish


class _Reading:
    def __init__(self, path: Path) -> None:
        self._folder = path if path.is_dir() else path.parent
        self.problems: list[Problem] = []

    def config(self, given: Sequence[str]) -> dict[str, Any]:
        config: dict[str, Any] = {}
        for one in given:
            name, equals, text = one.partition("=")
            if equals and name.isidentifier():
                config[name] = _value(text)
            else:
                config |= self._file(one)
        return config

    def parted(self, given: Sequence[str]) -> tuple[list[str], Mapping[str, dict[str, Any]]]:
        """Return what is the plugin's own of the config, and what of its indicators: `rsi.period=14`."""
        own: list[str] = []
        theirs: dict[str, dict[str, Any]] = {}
        for one in given:
            name, equals, text = one.partition("=")
            instance, dot, field = name.rpartition(".")
            if equals and dot and instance and field.isidentifier():
                theirs.setdefault(instance, {})[field] = _value(text)
            else:
                own.append(one)
        return own, theirs

    def indicators(
        self, given: Sequence[str], of: Mapping[str, Mapping[str, Any]], like: Settings | None
    ) -> list[Metering]:
        """Return those that are given.

        Args:
            given: NAME=PATH.
            of: the fields of their configs that are given.
            like: the settings of a report, which does not have their code.
        """
        then = like.indicator_configs if like else {}
        found = [
            Metering(name, Path(at), {**then.get(name, {}), **of.get(name, {})})
            for name, at in self.pairs("--indicator", given)
        ]
        named = {each.name for each in found}
        for name in like.indicators if like else ():
            if name not in named:
                self._wrong(
                    "--like", f"it was made with the indicator '{name}'", f"--indicator {name}=PATH"
                )
        for name in of.keys() - named:
            field = next(iter(of[name]))
            what = f"'{name}.{field}' is of an indicator that is not named"
            self._wrong("--config", what, f"--indicator {name}=PATH")
        return found

    def pairs(self, option: str, given: Sequence[str]) -> list[tuple[str, str]]:
        pairs = []
        for one in given:
            name, equals, value = one.partition("=")
            if equals and name and value:
                pairs.append((name, value))
            else:
                self._wrong(option, f"was {one!r}", "write NAME=VALUE")
        return pairs

    def hosts(self, given: Sequence[str]) -> Sequence[str]:
        for one in given:
            host, _, port = one.rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
                self._wrong("--allow", f"was {one!r}", "write HOST:PORT, such as 127.0.0.1:8765")
        return given

    def bars(self, text: str | None) -> str | None:
        if text is not None:
            try:
                length(text)
            except ValueError as error:
                found, _, fix = str(error).removeprefix("bars ").partition("; ")
                self._wrong("--bars", found, fix)
        return text

    def amount(self, text: str | None) -> str:
        if text is None:
            return Trading().capital
        try:
            good = 0 < Decimal(text) < 10**15
        except InvalidOperation:
            good = False
        if not good:
            self._wrong("--capital", f"was {text!r}", "give an amount above 0, such as 10000")
        return text

    def costs(self, options: Mapping[str, Any]) -> dict[str, Any]:
        costs: dict[str, Any] = {}
        for option, name in COSTS.items():
            text = options[option]
            if text is None:
                continue
            try:
                costs[name] = Decimal(text)
                Costs.of({name: costs[name]})
            except InvalidOperation:
                self._wrong(f"--{option.replace('_', '-')}", f"was {text!r}", "give a number")
            except ValueError as error:
                found, _, fix = str(error).removeprefix(f"{name} ").partition("; ")
                self._wrong(f"--{option.replace('_', '-')}", found, fix)
        return {name: str(value) for name, value in costs.items()}

    def memory(self, text: str) -> int:
        size = text.lower().removesuffix("b").removesuffix("i")
        number, unit = (size[:-1], _SIZES[size[-1]]) if size[-1:] in _SIZES else (size, 1)
        if number.isdecimal() and int(number) * unit >= _LEAST_MEMORY:
            return int(number) * unit
        self._wrong("--memory", f"was {text!r}", "give a size from 64m, such as 512m or 2g")
        return 0

    def _file(self, name: str) -> dict[str, Any]:
        import yaml

        places = (Path(name), self._folder / name)
        file = next((place for place in places if place.is_file()), None)
        if file is None:
            self._wrong(
                "--config", f"{name!r} is neither NAME=VALUE nor a file", "write NAME=VALUE"
            )
            return {}
        try:
            found = yaml.safe_load(file.read_text(encoding="utf-8"))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            self.problems.append(
                Problem(str(file), *place, f"it is no YAML: {error.problem}", "correct it")
            )
            return {}
        except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
            self.problems.append(
                Problem(str(file), 0, 0, f"it cannot be read: {error}", "correct it")
            )
            return {}
        if isinstance(found, dict) and all(isinstance(key, str) for key in found):
            return found
        self.problems.append(
            Problem(str(file), 1, 1, "it holds no fields of a config", "write lines `name: value`")
        )
        return {}

    def _wrong(self, option: str, found: str, fix: str) -> None:
        self.problems.append(Problem(option, 0, 0, found, fix))


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
