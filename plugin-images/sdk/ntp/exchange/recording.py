"""A recording of Binance's combined stream: `<receive time in ns> <JSON>` a line, gzip or plain."""

import gzip
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from ntp.exchange.book import Book

SHIPPED = Path(__file__).parent / "data" / "binance_spot_frames.txt.gz"
FrameKind = Literal["trade", "bookTicker", "depthUpdate"]
_KINDS: dict[str, FrameKind] = {
    "trade": "trade",
    "bookTicker": "bookTicker",
    "depth@100ms": "depthUpdate",
}


_STREAMS = {"trade": "trade", "depthUpdate": "depth@100ms"}
"""Of an event's `e`; a book ticker has none."""


class RecordingError(ValueError):
    """A recording that cannot be played: place, what was found, what to do."""


@dataclass(slots=True)
class Frame:
    """One recorded event. `payload` is its JSON; `ends_order` marks the last trade of one taker order."""

    at_ns: int
    symbol: str
    kind: FrameKind
    payload: bytes
    ends_order: bool = False

    def data(self) -> dict[str, Any]:
        decoded: dict[str, Any] = msgspec.json.decode(self.payload)
        return decoded


@dataclass(slots=True)
class Track:
    """What has to be known of one symbol before it is played, so that it can be played again and again."""

    symbol: str
    book: Book = field(default_factory=Book)
    first_diff: int | None = None  # U of the first depth update that follows the snapshot
    last_diff: int = 0  # u of the last one
    last_update: int = 0  # the highest update id, book tickers included
    first_trade: int | None = None
    last_trade: int = 0
    orders: int = 0


@dataclass(slots=True)
class Recording:
    """Frames in receive order; `lead_ms` is how far the exchange's clock ran ahead of the recorder's."""

    frames: list[Frame]
    tracks: dict[str, Track]
    lead_ms: float

    @property
    def length_ns(self) -> int:
        return self.frames[-1].at_ns - self.frames[0].at_ns


def read(path: Path) -> Recording:
    """Read a whole file into memory.

    Book snapshots move to the front and the updates that they contain already are dropped, so that a
    book is whole from the first frame on.

    Raises:
        RecordingError: for a file that is missing, broken, or has nothing to play.

    """
    frames: list[Frame] = []
    snapshots: list[dict[str, Any]] = []
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                _read_line(f"{path}:{number}", line, frames, snapshots)
    except (OSError, EOFError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise RecordingError(f"{path}: {why}; write the name of a recording") from error
    if not frames:
        raise RecordingError(f"{path}: no frame of a trade, bookTicker or depth@100ms stream")
    frames.sort(key=lambda frame: frame.at_ns)
    return _survey(frames, snapshots)


class _Event(msgspec.Struct):
    """What tells of which stream an event is that came without its name."""

    e: str = ""
    s: str = ""
    u: int | None = None
    b: Any = None


def frame_line(at_ns: int, frame: bytes) -> bytes | None:
    """Return a frame of /ws or /stream as a line with its end; None where it is nothing to play.

    Args:
        at_ns: when it was received, since 1970.
        frame: JSON as the exchange sent it.
    """
    try:
        message = msgspec.json.decode(frame, type=dict[str, msgspec.Raw])
        if "stream" in message:
            stream, data = msgspec.json.decode(message["stream"], type=str), message["data"]
        else:
            stream, data = _stream_of(msgspec.json.decode(frame, type=_Event)), msgspec.Raw(frame)
        if stream.partition("@")[2] not in _KINDS:
            return None
        compact = msgspec.json.format(bytes(data), indent=-1)
    except (ValueError, KeyError):
        return None
    return b'%d {"stream":%b,"data":%b}\n' % (at_ns, msgspec.json.encode(stream), compact)


def _stream_of(event: _Event) -> str:
    ticker = not event.e and event.u is not None and isinstance(event.b, str)
    return f"{event.s.lower()}@{'bookTicker' if ticker else _STREAMS.get(event.e, '')}"


def _read_line(
    place: str, line: bytes, frames: list[Frame], snapshots: list[dict[str, Any]]
) -> None:
    stamp, _, text = line.strip().partition(b" ")
    try:
        at_ns, message = int(stamp), msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        if "lastUpdateId" in message:
            snapshots.append(msgspec.json.decode(text))
            return
        stream = msgspec.json.decode(message["stream"], type=str)
        kind = _KINDS.get(stream.partition("@")[2])
        if kind is not None:
            frames.append(
                Frame(at_ns, stream.partition("@")[0].upper(), kind, bytes(message["data"]))
            )
    except (ValueError, KeyError) as error:
        raise RecordingError(f"{place}: no line of '<receive time in ns> <frame JSON>'") from error


def _survey(frames: list[Frame], snapshots: list[dict[str, Any]]) -> Recording:
    tracks = {frame.symbol: Track(frame.symbol) for frame in frames}
    diffs: dict[str, list[tuple[int, int]]] = {symbol: [] for symbol in tracks}
    for frame in frames:
        if frame.kind == "depthUpdate":
            data = frame.data()
            diffs[frame.symbol].append((data["U"], data["u"]))
    for snapshot in snapshots:
        _give(snapshot, tracks, diffs)
    kept = [frame for frame in frames if _adds(frame, tracks[frame.symbol])]
    _mark_orders([frame for frame in kept if frame.kind == "trade"])
    for frame in kept:
        tracks[frame.symbol].orders += frame.ends_order
    stamped = ((frame.at_ns, frame.data().get("E")) for frame in kept)
    leads = [event_ms - at_ns / 1e6 for at_ns, event_ms in stamped if event_ms is not None]
    return Recording(kept, tracks, max(leads, default=0.0))


def _adds(frame: Frame, track: Track) -> bool:
    """Count the frame in; False where the snapshot has it already."""
    data = frame.data()
    if data.get("u", track.book.last_update + 1) <= track.book.last_update:
        return False
    if frame.kind == "depthUpdate":
        track.first_diff = data["U"] if track.first_diff is None else track.first_diff
        track.last_diff = data["u"]
    if frame.kind == "trade":
        track.first_trade = data["t"] if track.first_trade is None else track.first_trade
        track.last_trade = data["t"]
    track.last_update = max(track.last_update, data.get("u", 0))
    return True


def _mark_orders(trades: list[Frame]) -> None:
    """Trades in a row of one time, price and side are what one taker order was filled by."""
    latest: dict[str, tuple[Frame, tuple[object, ...]]] = {}
    for trade in trades:
        data = trade.data()
        order = (data["T"], data["p"], data["m"])
        before = latest.get(trade.symbol)
        if before is not None and before[1] != order:
            before[0].ends_order = True
        latest[trade.symbol] = (trade, order)
    for last, _ in latest.values():
        last.ends_order = True


def _give(
    snapshot: dict[str, Any], tracks: dict[str, Track], diffs: dict[str, list[tuple[int, int]]]
) -> None:
    """A snapshot names no symbol: it is of the one whose update ids it lies among."""
    last = snapshot["lastUpdateId"]
    for symbol, ids in diffs.items():
        if ids and ids[0][0] - 1 <= last <= ids[-1][1]:
            book = Book()
            book.apply(last, snapshot["bids"], snapshot["asks"])
            tracks[symbol].book = book
