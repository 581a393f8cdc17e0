"""Fill signals on paper: at the next tick, with spread, slippage and fee; every change is durable."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from paper_ledger import Ledger, LedgerError
from paper_record import PaperRecord
from paper_restore import open_ledger
from paper_share import FULL, Share

from ntp import ExecutorPlugin, Fill, MarketData, PluginMetadata, TradingSignal
from ntp.contract.messages import Noticed
from ntp.engine.desk import Desk
from ntp.engine.exact import tidy
from ntp.engine.fills import Costs
from ntp.engine.risk import Limits

_TOLD_AGAIN = 256


class PaperExecutor(ExecutorPlugin):
    """Fills every strategy's signals on paper and keeps a durable ledger of it."""

    record = PaperRecord
    """Of a ledger's file, for `ntpctl replay`."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._desk: Desk | None = None
        self._ledger: Ledger | None = None
        self._tell_again: list[Fill] = []
        self._full_refusals = 0
        """Orders of this life for which the ledger had no room."""

    def get_metadata(self) -> PluginMetadata:
        return PluginMetadata(
            name="paper_executor",
            version="1.0.0",
            author="the ntp project",
            description=self.__doc__ or "",
        )

    def validate_config(self) -> bool:
        Costs.of(self.config)
        every = self.config.get("equity_every_s", 60)
        if type(every) is not int or every < 1:
            raise ValueError(f"equity_every_s was {every!r}; give whole seconds from 1")
        return True

    async def initialize(self) -> None:
        desk = Desk(
            self.instance or "paper_executor",
            self.strategy,
            self.trading,
            Costs.of(self.config),
            sample_s=self.config.get("equity_every_s", 60),
            portfolio=self.portfolio,
        )
        path = None
        if self.storage is not None:
            path = self.storage / f"ledger-{self.strategy or 'all'}.sqlite"
        self._ledger = open_ledger(path, desk, Share(self.storage_bytes if path else 0))
        self._desk = desk
        # Whether they were published before the last end is not known; their ids stay the same.
        self._tell_again = self._ledger.newest_fills(_TOLD_AGAIN)

    async def shutdown(self) -> None:
        if self._ledger is not None:
            self._ledger.close()

    async def process_signal(self, signal: TradingSignal) -> list[Fill]:
        """Record the signal and let its order wait for the next tick; nothing if it came before."""
        desk, ledger = self._open()
        signal_id, time = _cause(signal)
        if ledger.knows(signal_id, time):
            return self._told_again() + ledger.fills_of(signal_id)
        full = FULL if ledger.full else ""
        before = desk.refused
        outcome = desk.signal(signal_id, signal, time, closes_only=full)
        self._full_refusals += desk.refused - before if full else 0
        ledger.keep_signal(signal_id, time, signal, outcome)
        return self._told_again()

    async def on_halt(self, strategy: str, why: str, *, flatten: bool) -> None:  # noqa: ARG002 - the one of this object
        """Cancel what opens, and let nothing open; with `flatten` order that everything is closed."""
        desk, ledger = self._open()
        ledger.turn(flatten=flatten)
        change = desk.halt(why, flatten=flatten)
        if change.orders:
            ledger.keep_change(change)

    async def on_resume(self, strategy: str) -> None:  # noqa: ARG002 - as above
        desk, ledger = self._open()
        ledger.turn()
        desk.resume()

    def on_limits(self) -> None:
        """Obey the limits that the entry has now, from the next signal on."""
        desk, ledger = self._open()
        ledger.turn()
        desk.trading, desk.limits = self.trading, Limits.of(self.trading.risk)

    def on_noticed(self, noticed: Sequence[Noticed]) -> None:
        """Keep when the strategy learned of its fills: it looks at them."""
        self._open()[1].keep_noticed(noticed)

    def conditions(self) -> dict[str, str]:
        """Say why this strategy may open nothing, and how many of its orders that met."""
        found = {}
        if self._ledger is not None and self._ledger.full:
            met = _orders(self._full_refusals)
            found["ShareFull"] = (
                f"{self._ledger.share.words()}; {met} refused, what closes is still filled"
            )
        desk = self._desk
        if desk is not None and desk.halted:
            found["Halted"] = f"{desk.halted}; what closes is still filled"
        elif desk is not None and desk.limited not in {"", FULL}:
            met = _orders(desk.refused - self._full_refusals)
            found["RiskLimit"] = f"{desk.limited}; {met} refused, what closes is still filled"
        return found

    async def on_data(self, data: MarketData) -> list[Fill] | None:
        """Fill what waits, look at stops, and note the equity."""
        desk, ledger = self._open()
        change = desk.tick(data)
        if data.symbol in desk.seen:
            ledger.touch(data.symbol, self.place)
        if change is None:
            ledger.rest()
            return self._told_again() if self._tell_again else None
        ledger.keep_change(change)
        return [*self._told_again(), *change.fills]

    def report(self) -> dict[str, Any]:
        """Return counts as numbers and amounts as exact decimal text, in quote currency."""
        if self._desk is None or self._ledger is None:
            return {}
        book = self._desk.book
        return {
            **self._ledger.counts,
            "refused": self._desk.refused,
            "waiting": sum(map(len, self._desk.orders.values())),
            "capital": str(tidy(book.capital)),
            "cash": str(tidy(book.cash)),
            "fees": str(tidy(book.fees)),
            "realised": str(tidy(book.realised)),
            "unrealised": str(tidy(book.unrealised)),
            "equity": str(tidy(book.equity)),
            "max_drawdown": str(tidy(book.max_drawdown)),
            "positions": {
                symbol: {
                    "quantity": str(tidy(held.quantity)),
                    "average": str(tidy(held.average)),
                    "unrealised": str(tidy(book.unrealised_of(symbol))),
                }
                for symbol, held in sorted(book.positions.items())
            },
            "stale_ticks": self._desk.stale,
            "unusable_ticks": self._desk.unusable,
            "durable": self.storage is not None,
        }

    def _told_again(self) -> list[Fill]:
        fills, self._tell_again = self._tell_again, []
        return fills

    def _open(self) -> tuple[Desk, Ledger]:
        if self._desk is None or self._ledger is None:
            raise LedgerError("the ledger is not open; call initialize() first")
        return self._desk, self._ledger


def _orders(count: int) -> str:
    return f"{count} order{'' if count == 1 else 's'}"


def _cause(signal: TradingSignal) -> tuple[str, datetime]:
    """Return the signal's id and the event time of its tick, as the runner wrote them on it."""
    signal_id, time = signal.metadata.get("signal_id"), signal.metadata.get("time")
    if isinstance(time, str):
        time = datetime.fromisoformat(time)
    if not isinstance(signal_id, str) or not isinstance(time, datetime) or time.tzinfo is None:
        raise ValueError(
            "a signal needs metadata['signal_id'] and metadata['time'] (aware UTC), which the runner"
            f" writes; this one has {sorted(signal.metadata)}"
        )
    return signal_id, time
