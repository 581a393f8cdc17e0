"""Write trading plugins: data sources, indicators, strategies, executors."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ntp.contract.messages import Fill, MarketData, SignalType, TradingSignal
    from ntp.history import History
    from ntp.plugin import (
        BasePlugin,
        DataSourcePlugin,
        ExecutorPlugin,
        IndicatorPlugin,
        PermanentError,
        PluginMetadata,
        StrategyPlugin,
    )
    from ntp.testing import PluginTester

__version__ = "0.1.0"

__all__ = [
    "BasePlugin",
    "DataSourcePlugin",
    "ExecutorPlugin",
    "Fill",
    "History",
    "IndicatorPlugin",
    "MarketData",
    "PermanentError",
    "PluginMetadata",
    "PluginTester",
    "SignalType",
    "StrategyPlugin",
    "TradingSignal",
]

_HOME = {
    "BasePlugin": "plugin",
    "DataSourcePlugin": "plugin",
    "ExecutorPlugin": "plugin",
    "Fill": "contract.messages",
    "History": "history",
    "IndicatorPlugin": "plugin",
    "MarketData": "contract.messages",
    "PermanentError": "plugin",
    "PluginMetadata": "plugin",
    "PluginTester": "testing",
    "SignalType": "contract.messages",
    "StrategyPlugin": "plugin",
    "TradingSignal": "contract.messages",
}


def __getattr__(name: str) -> Any:
    # Late, so that whoever wants only `ntp.contract` (the orchestrator, a shim) loads only that.
    if name not in _HOME:
        raise AttributeError(f"module 'ntp' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"ntp.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
