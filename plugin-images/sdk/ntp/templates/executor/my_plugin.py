"""Carry out signals at the next tick: buy at the ask, sell at the bid, pay a fee.

It is a paper market to begin with: put your broker's calls where `_deal` is called.
"""

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta, Struct, convert

from ntp import ExecutorPlugin, Fill, MarketData, SignalType, TradingSignal
from ntp.contract.messages import FillReason, Side

REMEMBERED = 1000
"""Ids of signals that were carried out: one that comes again after a crash must not count twice."""


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """What an entry's `config` may say; config_schema in plugin.yaml says the same to who writes one."""

    fee_rate: Annotated[float, Meta(ge=0, lt=1)] = 0.001


@dataclass
class Held:
    """A position: base units, below 0 where it is short; average price of what was opened."""

    quantity: Decimal = Decimal(0)
    average: Decimal = Decimal(0)


@dataclass
class Order:
    """What waits for the next tick of its symbol. `target`: base units to hold then."""

    signal_id: str
    target: str


class MyPlugin(ExecutorPlugin):
    """Fills the signals of one strategy at the next tick, with the spread and a fee.

    BUY aims at long, SELL at flat, or at short where the entry says `short: true`; a repeat does nothing.
    Each strategy has an object of its own, so that books never mix.

    Examples:
        >>> from ntp import PluginTester, StrategyPlugin, TradingSignal
        >>> class Once(StrategyPlugin):
        ...     def analyze(self, data, history):
        ...         return None if history else TradingSignal(data.symbol, "BUY", 1.0, data.price)
        >>> len(PluginTester(Once, executor=MyPlugin({})).run("sample_data.csv").fills)
        1
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.settings = convert(config, Config)
        self._fee_rate = Decimal(str(self.settings.fee_rate))
        self._held: dict[str, Held] = {}
        self._orders: dict[str, Order] = {}
        self._done: dict[str, None] = {}
        self._halted = False

    async def process_signal(self, signal: TradingSignal) -> None:
        """Take note of a wish; it is filled by the next tick of its symbol."""
        signal_id = signal.metadata["signal_id"]
        if signal_id in self._done:
            return
        self._remember(signal_id)
        held = self._held.get(signal.symbol, Held()).quantity
        target = self._target(signal, held)
        if target == held:
            self._orders.pop(signal.symbol, None)
        elif not self._halted or abs(target) < abs(held):
            self._orders[signal.symbol] = Order(signal_id, str(target))

    async def on_data(self, data: MarketData) -> Fill | None:
        order = self._orders.pop(data.symbol, None)
        return None if order is None else self._deal(order.signal_id, Decimal(order.target), data)

    async def on_halt(self, strategy: str, why: str, *, flatten: bool) -> None:
        """Open nothing any more; with `flatten` close everything at the next ticks."""
        self._halted = True
        self._orders.clear()
        if flatten:
            for symbol, held in self._held.items():
                if held.quantity:
                    self._orders[symbol] = Order(f"flatten:{strategy}:{symbol}", "0")

    async def on_resume(self, strategy: str) -> None:
        self._halted = False

    def report(self) -> dict[str, Any]:
        return {"positions": {s: str(held.quantity) for s, held in self._held.items()}}

    def snapshot(self) -> dict[str, Any]:
        """Return what the next life has to know: positions, open orders, what was carried out."""
        return {
            "held": {s: [str(h.quantity), str(h.average)] for s, h in self._held.items()},
            "orders": {symbol: asdict(order) for symbol, order in self._orders.items()},
            "done": list(self._done),
            "halted": self._halted,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._held = {s: Held(Decimal(q), Decimal(a)) for s, (q, a) in state["held"].items()}
        self._orders = {symbol: Order(**order) for symbol, order in state["orders"].items()}
        self._done = dict.fromkeys(state["done"])
        self._halted = state["halted"]

    def _target(self, signal: TradingSignal, held: Decimal) -> Decimal:
        size = Decimal(str(signal.size or 0))
        if signal.signal_type is SignalType.BUY:
            return held if held > 0 else size
        if signal.signal_type is SignalType.SELL:
            if self.trading.short:
                return held if held < 0 else -size
            return Decimal(0)
        return held

    def _deal(self, signal_id: str, target: Decimal, data: MarketData) -> Fill:
        """Trade from what is held to `target`, and keep the book."""
        held = self._held.setdefault(data.symbol, Held())
        change = target - held.quantity
        quote = data.ask if change > 0 else data.bid
        price = Decimal(str(data.price if quote is None else quote))
        realised = Decimal(0)
        if held.quantity * change < 0:
            closed = min(abs(change), abs(held.quantity)).copy_sign(held.quantity)
            realised = closed * (price - held.average)
        if held.quantity * target <= 0:  # from flat, or through it: what is held now is new
            held.average = price
        held.quantity = target
        return Fill(
            id=f"{self.instance}:{signal_id}",
            signal_id=signal_id,
            executor=self.instance,
            strategy=self.strategy,
            symbol=data.symbol,
            side=Side.BUY if change > 0 else Side.SELL,
            quantity=abs(change),
            price=price,
            fee=abs(change) * price * self._fee_rate,
            realised=realised,
            reason=FillReason.FLATTEN if signal_id.startswith("flatten:") else FillReason.SIGNAL,
            time=data.timestamp,
            tick_id=data.id,
        )

    def _remember(self, signal_id: str) -> None:
        self._done[signal_id] = None
        if len(self._done) > REMEMBERED:
            del self._done[next(iter(self._done))]
