"""The classes that authors extend: one method to write a kind, a working default for the rest."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ntp.contract.launch import Trading
from ntp.contract.messages import Fill, MarketData, Noticed, TradingSignal

if TYPE_CHECKING:  # a strategy needs no engine
    from ntp.engine.portfolio import Portfolio
    from ntp.engine.trail import Place

DEFAULT_POSITION_SIZE = 0.02
"""Share of the capital that a signal is given where neither plugin nor config says otherwise."""

Fills = Fill | Iterable[Fill] | None
"""What an executor may return."""


@dataclass
class PluginMetadata:
    """What a plugin says of itself. `config_schema`: {"period": "int"}, or JSON Schema."""

    name: str
    version: str
    author: str = ""
    description: str = ""
    requirements: list[str] = field(default_factory=list)
    config_schema: dict[str, Any] = field(default_factory=dict)


class PermanentError(Exception):
    """Raise it from any callback where no retry can help: the plugin ends, and waits for a changed entry.

    Args:
        reason: one word for `ntpctl status`, such as `AuthFailed`.
        message: what was found and what to do.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


def _flat(symbol: str) -> float:  # noqa: ARG001 - the signature of `position`
    return 0.0


class BasePlugin:
    """What all kinds share.

    Attributes:
        config: the entry's `config`, a copy of its own for each object.
        instance: the entry's name.
        storage: a durable folder, where the entry declares `storage`.
        storage_bytes: how much of it this object may fill, 0: it is not limited. Whoever fills more ends
            the plugin (`StorageFull`); an executor's objects, one for each strategy, have equal parts.
    """

    instance: str = ""
    storage: Path | None = None
    storage_bytes: int = 0

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def get_metadata(self) -> PluginMetadata:
        summary = (type(self).__doc__ or "").strip().partition("\n")[0]
        return PluginMetadata(name=type(self).__name__, version="0", description=summary)

    def validate_config(self) -> bool:
        """Return False, or raise ValueError with the reason, where `config` cannot work.

        It is a failed start that is not tried again until the config changes.
        """
        return True

    async def initialize(self) -> None:
        """Prepare: open files, load models. Called once, before the first data."""

    async def shutdown(self) -> None:
        """Release what `initialize` took. Called once, after the last data."""

    def snapshot(self) -> dict[str, Any]:
        """Return what `restore` needs to go on from here, as plain JSON values.

        Asked about every two seconds and at the end. Data that was seen by then is not shown again to
        the next life. Without `storage` there is room for 100 KiB.
        """
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `snapshot` returned in an earlier life; called after `initialize`."""

    def report(self) -> dict[str, Any]:
        """Return figures for `ntpctl status`, as plain JSON values; asked about once a second."""
        return {}


class DataSourcePlugin(BasePlugin, ABC):
    """Brings market data in.

    Class attributes:
        finite: a recording ends, a market does not. A `stream()` that returns is the end of the
            data when True, a failure (and a restart) when False.
    """

    finite: ClassVar[bool] = False

    async def connect(self) -> bool:
        return True

    async def disconnect(self) -> None: ...

    async def subscribe(self, symbols: list[str]) -> bool:  # noqa: ARG002 - for authors to override
        """Begin with these symbols: `config["symbols"]` first, later those that were added.

        Later is while `stream()` runs. Whoever then returns False, or raises, here or in `unsubscribe`,
        is started anew with the new list.
        """
        return True

    async def unsubscribe(self, symbols: list[str]) -> bool:  # noqa: ARG002 - likewise
        return True

    @abstractmethod
    def stream(self) -> AsyncGenerator[MarketData, None]:
        """Yield ticks, in the order of their event time for each symbol; `async def` with `yield`.

        A naive timestamp is taken as local time of the machine, as `datetime.fromtimestamp` makes it.
        """

    def transform(self, raw: Any) -> MarketData:
        """Make a tick of what the exchange sent. This default reads a mapping with our field names.

        Raises:
            TypeError: `raw` is neither a tick nor a mapping.
            ValueError: a field is missing or unreadable.
        """
        if isinstance(raw, MarketData):
            return raw
        if not isinstance(raw, Mapping):
            raise TypeError(f"transform() was given {type(raw).__name__}, not a mapping")
        missing = [name for name in ("timestamp", "symbol", "price") if name not in raw]
        if missing:
            raise ValueError(f"transform() found no {', '.join(missing)} in {sorted(raw)}")
        bid, ask = raw.get("bid"), raw.get("ask")
        return MarketData(
            timestamp=_moment(raw["timestamp"]),
            symbol=raw["symbol"],
            price=float(raw["price"]),
            volume=float(raw.get("volume", 0.0)),
            bid=None if bid is None else float(bid),
            ask=None if ask is None else float(ask),
            metadata=dict(raw.get("metadata", {})),
            id=str(raw.get("id", "")),
        )

    def conditions(self) -> dict[str, str]:
        """Return what is wrong right now, a word and a sentence each: {"FeedStale": "no data for 60 s"}.

        Asked about once a second; `ntpctl status` shows the first beside a source that runs.
        """
        return {}

    def resume(self, position: str) -> None:
        """Go on after the tick with the id `position`, the last one that an earlier life sent.

        Called before `stream`. After a life that was cut off it may lie a while back, so that nothing is
        lost: who has seen the ticks passes them over. They need ids of their own.
        """

    async def backfill(
        self, symbol: str, start: datetime, end: datetime
    ) -> AsyncGenerator[MarketData, None]:
        """Yield the ticks of a gap, where the exchange can still be asked for them."""
        del symbol, start, end
        return
        yield  # what makes this an (empty) generator


class IndicatorPlugin(BasePlugin, ABC):
    """Values each tick; `per_symbol`: one object for each (source, symbol), so that prices never mix."""

    per_symbol: ClassVar[bool] = True

    @abstractmethod
    def update(self, data: MarketData) -> float | dict[str, float] | None:
        """Return the value as of this tick; None while too little was seen."""


class StrategyPlugin(BasePlugin, ABC):
    """Turns market data into signals; `per_symbol` False: one object sees all symbols, not one each."""

    per_symbol: ClassVar[bool] = True

    _position: Callable[[str], float] = staticmethod(_flat)

    @abstractmethod
    def analyze(self, data: MarketData, history: Sequence[MarketData]) -> TradingSignal | None:
        """Look at one tick; `history` is what came before it for this symbol, oldest first."""

    def calculate_position_size(self, signal: TradingSignal, capital: float) -> float:  # noqa: ARG002
        """Return the worth of the position in quote currency; asked where a signal has no `size`.

        This default is `capital * config["position_size"]` (a share of the capital, 0.02 if unsaid).
        """
        return capital * float(self.config.get("position_size", DEFAULT_POSITION_SIZE))

    def update_state(self, data: MarketData) -> None:
        """Take note of a tick; called before `analyze`."""

    def get_indicators(self) -> dict[str, float]:
        """Return what `status` and the report show; asked about once a second."""
        return {}

    def on_fill(self, fill: Fill) -> None:
        """Take note of an execution; `position` has it already."""

    def position(self, symbol: str) -> float:
        """Return what this strategy holds, in base units; negative is short, 0.0 flat."""
        return self._position(symbol)


class ExecutorPlugin(BasePlugin, ABC):
    """Turns signals into executions.

    A signal's `metadata` has `signal_id`, `strategy`, `tick_id` and `time` (of the tick, aware UTC).

    Attributes:
        per_strategy: of the class; one object for each strategy, so that books never mix.
        strategy: whose signals this object executes; empty when `per_strategy` is False.
        trading: that strategy's capital, position rules and risk limits.
        portfolio: the risk limits of this executor's own entry, shared by its objects.
        place: of the tick that `on_data` is shown; None: it is not known.
    """

    per_strategy: ClassVar[bool] = True
    strategy: str = ""
    trading: Trading = Trading()
    portfolio: "Portfolio | None" = None
    place: "Place | None" = None

    @abstractmethod
    async def process_signal(self, signal: TradingSignal) -> Fills:
        """Act on a signal, at most once for each `signal_id`: after a crash it comes again.

        A fill may be returned again, after a crash for instance: its id makes it count once.
        """

    async def on_data(self, data: MarketData) -> Fills:  # noqa: ARG002 - for authors to override
        """See a tick of what the strategy trades; `data.id` names it."""
        return None

    async def on_halt(self, strategy: str, why: str, *, flatten: bool) -> None:
        """Open nothing any more for this strategy, cancel what waits to; `flatten`: close what it holds.

        May be called again for the same halt. `why` is for the books. Of a class without it
        `ntpctl halt` says that it does not obey.
        """

    async def on_resume(self, strategy: str) -> None:
        """Open again for this strategy."""

    def on_limits(self) -> None:
        """Obey `trading.risk` as it is now. An entry with `risk` is refused to a class without it."""

    def on_noticed(self, noticed: Sequence[Noticed]) -> None:
        """Keep when the strategy learned of its fills, for a replay to tell it then."""

    def conditions(self) -> dict[str, str]:
        """Return what is wrong right now, as a data source does; asked about once a second."""
        return {}

    async def finish(self) -> Fills:
        """Close the books: everything that this executor listens to has ended."""
        return None


def _moment(value: object) -> datetime:
    """Read an event time: datetime, ISO-8601 text, or Unix time in seconds or milliseconds."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        # 1e11 s is the year 5138 and 1e11 ms is 1973: no market data lies between.
        seconds = value / 1000 if abs(value) >= 1e11 else value
        return datetime.fromtimestamp(seconds, UTC)
    raise ValueError(
        f"transform() found timestamp {value!r}; give a datetime, ISO-8601 text or Unix time"
    )
