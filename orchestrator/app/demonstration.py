"""The demo's project: a folder of its own with the user's plugins.yaml, at a local exchange."""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from ntp.contract.names import Kind
from orchestrator.app import Declaration
from orchestrator.app.local_exchange import LocalExchange, exchange
from orchestrator.app.places import packaged
from orchestrator.settings import Settings, find
from orchestrator.spec import load

PROJECT = "demo"
SECONDS = 50
"""Recorded seconds that are played: all that ship."""
MARKETS = {"binance_data": "binance", "polygon_data": "polygon"}
"""Which market of the exchange each source is at."""
SYNTHETIC = "polygon"
_USERS = ("PLUGIN_", "NTP_NATS", "NTP_METRICS", "POLYGON_API_KEY")
_PLACE = "127.0.0.1:9443"
"""Where the example has the exchange."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """`symbols`: of each source. `synthetic`: those whose prices were never paid.

    `heard`: plugins whose words the page is made of.
    """

    declared: Declaration
    symbols: Mapping[str, Sequence[str]]
    synthetic: frozenset[str]
    heard: Sequence[str] = ()


def market(speed: float) -> AbstractContextManager[LocalExchange]:
    """Run the exchange: the same trades at the same recorded times in every run, from the first on."""
    return exchange("--hold", "--no-shift", "--seconds", str(SECONDS), "--speed", str(speed))


def settings(folder: Path) -> Settings:
    """Return the settings of the project in `folder`; what the user has set for their own is forgotten."""
    for name in [each for each in os.environ if each.startswith(_USERS)]:
        # From this process, which starts the controller: it is to find the demo's alone.
        del os.environ[name]
    environment = {**os.environ, "NTP_STATE": str(folder / "state")}
    file = str(folder / "plugins.yaml")
    return replace(
        find([file], project=PROJECT, environment=environment, cwd=folder), plugin_dir=None
    )


def prepare(folder: Path, at: LocalExchange) -> Demonstration:
    """Write the project into `folder`."""
    text = example().read_text(encoding="utf-8")
    text = text.replace(_PLACE, urlsplit(at.urls["binance"]).netloc)
    file = folder / "plugins.yaml"
    file.write_text(text, encoding="utf-8")
    # The local exchange takes any key. In a file: a controller that is started again needs it too.
    (folder / ".env").write_text("POLYGON_API_KEY=demo\n", encoding="utf-8")
    sources = ((file.name, text),)
    declared = load.read(sources, environment={}, project=PROJECT)
    symbols = {
        name: tuple(entry.fields["config"]["symbols"])
        for name, entry in declared.entries.items()
        if name in MARKETS
    }
    return Demonstration(
        Declaration(settings(folder), sources, names=tuple(declared.entries)),
        symbols,
        frozenset(
            symbol
            for name, several in symbols.items()
            if MARKETS[name] == SYNTHETIC
            for symbol in several
        ),
        tuple(name for name, each in declared.entries.items() if each.kind is not Kind.INDICATOR),
    )


def example() -> Path:
    """Return the file that the demo runs, but for the port."""
    return packaged("config") / "examples" / "local_exchange.yaml"
