"""Orders that wait for ticks, by symbol, in the order in which they are filled."""

from collections.abc import Sequence

from ntp.engine.book import Position
from ntp.engine.orders import Order, OrderState, Stand


class Waiting(dict[str, list[Order]]):
    """No symbol has an empty list."""

    def stand(self, symbol: str, held: Position | None) -> Stand:
        """Return where a symbol will stand once all that waits is filled."""
        stand = Stand.of(held)
        for order in self.get(symbol, ()):
            stand = stand.after(order)
        return stand

    def become(self, symbol: str, orders: Sequence[Order]) -> list[Order]:
        """Put what became of each order in its place; return those that are not as they were."""
        before = self.pop(symbol, [])
        waiting = [each for each in orders if each.state is OrderState.WAITING]
        if waiting:
            self[symbol] = waiting
        return [new for old, new in zip(before, orders, strict=True) if new is not old]
