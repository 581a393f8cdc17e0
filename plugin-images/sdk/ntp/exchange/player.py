"""The two loops that let the market go on: recorded frames for Binance, synthetic slots for Polygon."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable

import msgspec

from ntp.exchange.binance_talk import BinanceTalk
from ntp.exchange.event import Event
from ntp.exchange.faults import Board
from ntp.exchange.hub import Hub
from ntp.exchange.market import SEAM_NS, Market
from ntp.exchange.pace import Pace
from ntp.exchange.polygon_talk import PolygonTalk
from ntp.exchange.synthetic import SLOTS, Stocks

SLOT_NS = 1_000_000_000 // SLOTS
# Sleeping less than this costs more than it spreads.
NAP_S = 0.001


class Player:
    """Begin with the first subscriber, so that nobody misses a recording's first frames.

    Args:
        pace: of this market.
        board: of the faults.
        loop: play for ever.
        held: wait for `let_go` too.
        seconds: end after so many recorded seconds; None: where the recording ends.

    Attributes:
        ended: nothing more will come.
        trades: how many there were, by symbol, whether anybody heard them or not.
    """

    def __init__(
        self,
        pace: Pace,
        board: Board,
        *,
        loop: bool,
        held: bool = False,
        seconds: float | None = None,
    ) -> None:
        self.pace = pace
        self.ended = False
        self.trades: Counter[str] = Counter()
        self._board = board
        self._loop = loop
        self._length_ns = None if seconds is None else int(seconds * 1e9)
        self._wanted = asyncio.Event()
        self._free = asyncio.Event()
        if not held:
            self._free.set()
        self._opened_s = time.monotonic()
        self._overdue = 0

    def begin(self) -> None:
        """Somebody subscribed."""
        self._wanted.set()

    def let_go(self) -> None:
        """Play from now on, once somebody subscribed."""
        self._free.set()

    @property
    def held(self) -> bool:
        return not self._free.is_set()

    def now_ms(self) -> int:
        """The exchange's clock, Unix ms."""
        self._skew()
        return self.pace.now_ms(time.monotonic(), time.time())

    def _skew(self) -> None:
        age_s = time.monotonic() - self._opened_s
        self.pace.skew_s = self._board.lasting("clock-skew", age_s) or 0.0

    async def _until(self, gap_ns: int) -> None:
        left_s = self.pace.advance(gap_ns) - time.monotonic()
        self._skew()
        self._overdue += 1
        if left_s > NAP_S:
            await asyncio.sleep(left_s)
            self._overdue = 0
        elif self._overdue % 16 == 0:
            # Behind, or frames of one moment: clients' sockets get their turn all the same.
            await asyncio.sleep(0)

    async def _begun(self) -> None:
        await self._wanted.wait()
        await self._free.wait()

    def _over(self, recorded_ns: int) -> bool:
        """Whether an event at this time since the first one is not played any more."""
        return self._length_ns is not None and recorded_ns >= self._length_ns

    async def play_recording(self, market: Market, hub: Hub[BinanceTalk]) -> None:
        """Play every frame; with `loop` for ever."""
        await self._begun()
        frames = market.recording.frames
        self.pace.start(time.monotonic(), time.time(), frames[0].at_ns)
        gap_ns = 0
        while True:
            before_ns = frames[0].at_ns
            for frame in frames:
                if self._over(frame.at_ns - frames[0].at_ns):
                    break
                await self._until(gap_ns + frame.at_ns - before_ns)
                before_ns, gap_ns = frame.at_ns, 0
                _deliver(market.step(frame, hub.kinds), hub)
                if frame.kind == "trade":
                    self.trades[frame.symbol] += 1
            if not self._loop:
                self.ended = True
                return
            _deliver(market.again(hub.kinds), hub)
            gap_ns = SEAM_NS

    async def play_stocks(
        self, stocks: Stocks, talks: Iterable[PolygonTalk], first_ms: int
    ) -> None:
        """Play the paths once forwards and back; with `loop` for ever.

        Args:
            stocks: what is played.
            talks: who may listen; looked at anew for every slot.
            first_ms: Unix time of the first slot where times are not shifted to now.

        """
        await self._begun()
        self.pace.start(time.monotonic(), time.time(), first_ms * 1_000_000)
        slot = 0
        while self._loop or (slot < stocks.slots and not self._over(slot * SLOT_NS)):
            await self._until(SLOT_NS)
            time_ms = self.pace.event_ms("", first_ms + slot * SLOT_NS // 1_000_000, 0.0)
            made = list(stocks.step(slot, time_ms))
            events = [(each.kind, each.symbol, msgspec.json.encode(each.data)) for each in made]
            for talk in list(talks):
                talk.deliver(events)
            self.trades.update(each.symbol for each in made if each.kind == "T")
            slot += 1
        self.ended = True


def _deliver(events: Iterable[Event], hub: Hub[BinanceTalk]) -> None:
    for event in events:
        for talk in hub.readers(event.stream):
            talk.deliver(event)
