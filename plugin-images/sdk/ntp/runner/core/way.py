"""How what arrives reaches one object of a strategy: as ticks, or as the bars that they make."""

from ntp.bars import Bars
from ntp.contract.messages import MarketData
from ntp.history import Tape
from ntp.plugin import StrategyPlugin
from ntp.runner.core.objects import overrides


class Way:
    """How ticks of one lead, or their bars, reach one object; `restored`: it has its last life's state."""

    __slots__ = ("analyze", "bars", "plugin", "restored", "sees", "tape", "update")

    def __init__(
        self,
        plugin: StrategyPlugin,
        tape: Tape,
        bars: Bars | None,
        sees: str | None,
        *,
        restored: bool = False,
    ) -> None:
        self.plugin = plugin
        self.analyze = plugin.analyze
        self.update = (
            plugin.update_state if overrides(plugin, "update_state", StrategyPlugin) else None
        )
        self.tape = tape
        self.bars = bars
        self.sees = sees
        self.restored = restored

    def shown(self, tick: MarketData) -> MarketData | None:
        """Return what the object sees at a tick: it, or the bar that it closed, if any.

        A bar bears the indicator values as of that tick.
        """
        if self.bars is None:
            return tick
        bar = self.bars.add(tick)
        if bar is not None and "indicators" in tick.metadata:
            bar.metadata["indicators"] = tick.metadata["indicators"]
        return bar
