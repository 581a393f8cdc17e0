"""Risk limits: what stands between a signal and an order that opens something.

A function of ticks and signals: time is event time, never a clock. Limits of one strategy depend on its
own events alone; those of an executor on all its strategies together, so which of two strategies meets
such a limit may depend on which signal arrived first.

The loss of a day is counted from the equity at the day's first tick: at its price, before its fills.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from ntp.engine.exact import ROOM, ZERO, exact, tidy

MINUTE = timedelta(seconds=60)
DAY = timedelta(days=1)
_NEVER = datetime.min.replace(tzinfo=UTC)
_CENT = Decimal("0.01")
KEPT = timedelta(minutes=2)
"""How far back orders are remembered from the newest one."""
_FEW = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """None: no limit.

    Attributes:
        max_position: quote currency; worth of what is held of one symbol.
        max_daily_loss: quote currency, or with `loss_is_share` a share of the capital.
        max_orders_per_minute: orders in the minute of event time up to a signal.
    """

    max_position: Decimal | None = None
    max_daily_loss: Decimal | None = None
    loss_is_share: bool = False
    max_orders_per_minute: int | None = None

    @classmethod
    def of(cls, risk: Mapping[str, Any]) -> "Limits":
        """Read an entry's `risk`.

        Raises:
            ValueError: it says what no limit is.
        """
        unknown = risk.keys() - {"max_position", "max_daily_loss", "max_orders_per_minute"}
        if unknown:
            raise ValueError(f"risk has {min(unknown)!r}, which is not known here")
        loss = risk.get("max_daily_loss")
        share = isinstance(loss, str) and loss.endswith("%")
        if share:
            loss = exact(str(loss).removesuffix("%").strip()) / 100
        orders = risk.get("max_orders_per_minute")
        return cls(
            max_position=_amount("max_position", risk.get("max_position")),
            max_daily_loss=_amount("max_daily_loss", loss),
            loss_is_share=share,
            max_orders_per_minute=None if orders is None else int(orders),
        )

    @property
    def none(self) -> bool:
        return (
            self.max_position is None
            and self.max_daily_loss is None
            and self.max_orders_per_minute is None
        )


@dataclass(frozen=True, slots=True)
class Day:
    """The UTC day of event time that is on. `equity`: when it began; `ends`: the next one's midnight."""

    ends: datetime = _NEVER
    equity: Decimal = ZERO

    @classmethod
    def of(cls, time: datetime, equity: Decimal) -> "Day":
        midnight = time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(midnight + DAY, equity)


class Pace:
    """When orders were made, by event time, of the last two minutes: signals of several symbols do not
    come in the order of their times.
    """

    def __init__(self, times: Iterable[datetime] = ()) -> None:
        self._times: list[datetime] = sorted(times)
        self._look_at = _FEW

    def note(self, time: datetime) -> None:
        times = self._times
        if not times or time >= times[-1]:
            times.append(time)
        else:
            insort(times, time)
        if len(times) >= self._look_at:
            del times[: bisect_right(times, times[-1] - KEPT)]
            self._look_at = 2 * len(times) + _FEW

    def before(self, time: datetime) -> int:
        """Count those of the minute that ends with `time`."""
        times = self._times
        if not times:
            return 0
        # Whether older ones were dropped already must make no difference.
        since = max(time - MINUTE, times[-1] - KEPT)
        return max(bisect_right(times, time) - bisect_right(times, since), 0)


class Figures(NamedTuple):
    """What limits are compared with.

    Attributes:
        held: worth of `symbol` once the order is filled, quote currency.
        equity: now.
        day: what it was when the day began, and when that was.
        orders: of the minute up to the signal.
    """

    symbol: str
    held: Decimal
    capital: Decimal
    equity: Decimal
    day: Day
    orders: int


def refusal(limits: Limits, now: Figures, *, of: str = "") -> str:
    """Return in words why an order may open nothing; empty: it may. `of`: whose limits, for its words."""
    most = limits.max_position
    if most is not None and now.held > most:
        return f"{of}max_position is {_shown(most)} and {_shown(now.held)} of {now.symbol} would be held"
    if limits.max_daily_loss is not None:
        loss, bound = now.day.equity - now.equity, limits.max_daily_loss
        said = _shown(bound)
        if limits.loss_is_share:
            said = f"{tidy(bound * 100)}% ({_shown(bound * now.capital)})"
            bound = ROOM.multiply(bound, now.capital)
        if loss >= bound:
            day = f"{now.day.ends - DAY:%Y-%m-%d}"
            return f"{of}max_daily_loss is {said} and {_shown(loss)} were lost on {day} (UTC)"
    pace = limits.max_orders_per_minute
    if pace is not None and now.orders >= pace:
        return f"{of}max_orders_per_minute is {pace:,} and {now.orders:,} were made in the minute before"
    return ""


def _amount(name: str, value: Any) -> Decimal | None:
    if value is None:
        return None
    number = exact(value)
    if number <= 0:
        raise ValueError(f"{name} was {value}; give an amount above 0")
    return number


def _shown(amount: Decimal) -> str:
    return f"{tidy(amount.quantize(_CENT, context=ROOM)):,f}"
