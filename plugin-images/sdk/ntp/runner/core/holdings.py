"""What a strategy holds, as the fills of its executors say."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from decimal import Decimal

from ntp.contract.messages import Fill, Side
from ntp.engine.exact import LIMIT

_REMEMBERED_FILLS = 10_000
_KEPT_FILLS = 1000
"""How many ids the next life is told: a fill comes again after seconds, not after days."""


_LIMIT = Decimal(LIMIT)


class Holdings:
    """Adds up fills; one that comes twice counts once."""

    def __init__(self) -> None:
        self._quantity: dict[str, Decimal] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()
        self.asked = False
        """Whether the strategy wanted to know."""

    def apply(self, fill: Fill) -> bool:
        """Count a fill; False where it was counted before, or says no usable quantity."""
        change = fill.quantity
        if fill.id in self._seen or not change.is_finite() or not -_LIMIT < change < _LIMIT:
            return False
        self._seen[fill.id] = None
        if len(self._seen) > _REMEMBERED_FILLS:
            self._seen.popitem(last=False)
        held = self._quantity.get(fill.symbol, Decimal(0))
        self._quantity[fill.symbol] = held + (change if fill.side is Side.BUY else -change)
        return True

    def position(self, symbol: str) -> float:
        """Return the quantity in base units; negative is short."""
        self.asked = True
        return float(self._quantity.get(symbol, Decimal(0)))

    def kept(self) -> tuple[dict[str, str], list[str]]:
        """Return quantities by symbol, and the ids of the fills that they consist of."""
        return {symbol: str(held) for symbol, held in self._quantity.items()}, list(self._seen)[
            -_KEPT_FILLS:
        ]

    def resume(self, quantities: Mapping[str, str], fills: Iterable[str]) -> None:
        """Go on with what `kept` returned in an earlier life."""
        self._quantity = {symbol: Decimal(held) for symbol, held in quantities.items()}
        self._seen = OrderedDict.fromkeys(fills)
