"""Templates: folders that are plugins themselves, in which a few words stand for what the author chooses.

`my-plugin` is the plugin's name, `my_plugin` its module, `MyPlugin` its class, `BTCUSDT` the symbol; in what is
no code AUTHOR, DESCRIPTION, SECTION and TEST_COMMAND too. These words are replaced, in texts and names of files,
and nothing else is. What lies in `every` belongs to all.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ntp.contract.manifest import FILE, Manifest
from ntp.contract.names import Kind
from ntp.create.sample import sample
from ntp.package.manifest_file import parse
from ntp.recording import SAMPLE

FOLDER = Path(__file__).parents[1] / "templates"
EVERY = "every"
TEMPLATES: Mapping[str, str] = {
    "bollinger": "a strategy: Bollinger bands",
    "momentum": "a strategy: the efficiency of the last moves",
    "blank": "a strategy to be written",
    "websocket": "a data source: an exchange that sends by WebSocket",
    "rest": "a data source: an exchange that is asked over HTTP",
    "csv": "a data source: a CSV file",
    "indicator": "an indicator: distance from the moving average",
    "executor": "an executor: fills at the next tick, with spread and fee",
}
DEFAULT_SYMBOL = "BTCUSDT"
LOCAL = "tests/local.yaml"

_NAME, _MODULE, _CLASS = "my-plugin", "my_plugin", "MyPlugin"
_WORDS = re.compile(
    rf"{_NAME}|{_MODULE}|{_CLASS}|{DEFAULT_SYMBOL}|\b(?:AUTHOR|DESCRIPTION|SECTION|TEST_COMMAND)\b"
)
_ENDS = {
    Kind.STRATEGY: "Strategy",
    Kind.DATA_SOURCE: "Source",
    Kind.INDICATOR: "Indicator",
    Kind.EXECUTOR: "Executor",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the author chooses. `template`: a key of TEMPLATES; `name`: of the grammar of names."""

    template: str
    name: str
    symbol: str
    author: str

    @property
    def module(self) -> str:
        return self.name.replace("-", "_")


@dataclass(frozen=True, slots=True)
class Rendered:
    """`files`: path with `/` -> content. `test`: the command that tests it, in its folder."""

    files: Mapping[str, bytes]
    test: str


def rendered(chosen: Chosen) -> Rendered:
    """Return the new plugin."""
    found = dict(_files(FOLDER / EVERY)) | dict(_files(FOLDER / chosen.template))
    manifest, problems = parse(found[FILE].encode(), file=FILE)
    if manifest is None:
        raise ValueError("\n".join(map(str, problems)))
    words = _words(chosen, manifest, found[f"{_MODULE}.py"])
    words["TEST_COMMAND"] = _test_command(chosen, found.get(LOCAL))

    def replaced(text: str) -> str:
        return _WORDS.sub(lambda match: words[match[0]], text)

    texts = {replaced(path): replaced(text) for path, text in found.items()}
    texts[SAMPLE] = sample(chosen.symbol)
    files = {path: text.encode() for path, text in sorted(texts.items())}
    return Rendered(files, words["TEST_COMMAND"])


def class_name(module: str, kind: Kind, text: str) -> str:
    """Return the class's name: the module's in capitals, with its kind where `text` has that word already."""
    name = "".join(part.capitalize() for part in module.split("_"))
    return name + _ENDS[kind] if re.search(rf"\b{name}\b", text) else name


def _test_command(chosen: Chosen, local: str | None) -> str:
    """Return what tests the plugin. `local`: its config for an exchange on this machine, if it needs one."""
    if local is None:
        return f"ntp plugin test . --data {SAMPLE}"
    address = re.search(r"127\.0\.0\.1:[0-9]+", local)
    reach = address[0] if address else ""
    command = f"ntp plugin test . --config {LOCAL} --allow {reach} --ticks 100"
    return f"python tests/{chosen.module}_exchange.py {command}"


def _words(chosen: Chosen, manifest: Manifest, text: str) -> dict[str, str]:
    return {
        _NAME: chosen.name,
        _MODULE: chosen.module,
        _CLASS: class_name(chosen.module, manifest.kind, text),
        DEFAULT_SYMBOL: chosen.symbol,
        "AUTHOR": json.dumps(chosen.author, ensure_ascii=False)[1:-1],  # it stands in quotes
        "DESCRIPTION": manifest.description,
        "SECTION": manifest.kind.section,
    }


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    for path in folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")
