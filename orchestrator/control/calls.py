"""What a client may ask, as types; and who answers. An argument that is not known is an error."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Protocol

import msgspec

from orchestrator.decide.report import (
    Capturing,
    Downed,
    Heard,
    Info,
    Outcome,
    Preview,
    Progress,
    ProjectStatus,
    Tap,
    Unchanged,
)
from orchestrator.errors import ActionError
from orchestrator.letters import LetterOperations
from orchestrator.ports import Asked, Event, LogLine, Revision

Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
Count = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
MOST_REPLAYED = 10_000
"""Ticks of one symbol."""
Sources = list[tuple[str, str]]


class _Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="call"):
    pass


class InfoCall(_Call, frozen=True, tag="info"):
    pass


class StatusCall(_Call, frozen=True, tag="status"):
    name: str | None = None


class PreviewCall(_Call, frozen=True, tag="preview"):
    sources: Sources
    settings: dict[str, str] = {}
    secrets: dict[str, str] = {}
    pins: dict[str, str] = {}
    update_images: bool = False


class ApplyCall(_Call, frozen=True, tag="apply"):
    sources: Sources
    settings: dict[str, str] = {}
    secrets: dict[str, str] = {}
    expect: int | None = None
    allow_deletes: bool = False
    pins: dict[str, str] = {}
    wait: bool = True
    deadline: Seconds = 120.0


class ReapplyCall(_Call, frozen=True, tag="reapply"):
    program: tuple[int, int, int]
    files: list[str]
    folder: str
    seen: list[tuple[int, int]]
    environment: dict[str, str]


class WaitCall(_Call, frozen=True, tag="wait"):
    names: list[str] | None = None
    deadline: Seconds = 120.0


class EventsCall(_Call, frozen=True, tag="events"):
    name: str | None = None
    limit: Count = 200
    follow: bool = False


class LogsCall(_Call, frozen=True, tag="logs"):
    name: str
    follow: bool = False
    tail: Count = 200


class _OneCall(_Call, frozen=True):
    name: str
    wait: bool = True
    deadline: Seconds = 60.0


class RestartCall(_OneCall, frozen=True, tag="restart"):
    pass


class RotateCall(_OneCall, frozen=True, tag="rotate"):
    pass


class StopCall(_OneCall, frozen=True, tag="stop"):
    pass


class StartCall(_OneCall, frozen=True, tag="start"):
    pass


class HaltCall(_Call, frozen=True, tag="halt"):
    names: list[str] = []
    flatten: bool = False
    wait: bool = True
    deadline: Seconds = 60.0


class ResumeCall(_Call, frozen=True, tag="resume"):
    names: list[str] = []
    wait: bool = True
    deadline: Seconds = 60.0


class ReplayCall(_Call, frozen=True, tag="replay"):
    names: list[str]
    ticks: Annotated[int, msgspec.Meta(ge=1, le=MOST_REPLAYED)]


class DownCall(_Call, frozen=True, tag="down"):
    delete_data: bool = False
    deadline: Seconds = 120.0


class TapCall(_Call, frozen=True, tag="tap"):
    name: str


class CapturedCall(_Call, frozen=True, tag="captured"):
    name: str


class LettersCall(_Call, frozen=True, tag="letters"):
    name: str | None = None


class LetterCall(_Call, frozen=True, tag="letter"):
    id: str


class RetryLettersCall(_Call, frozen=True, tag="retry_letters"):
    ids: list[str]


class DropLettersCall(_Call, frozen=True, tag="drop_letters"):
    ids: list[str]


class BeatsCall(_Call, frozen=True, tag="beats"):
    pass


class RevisionsCall(_Call, frozen=True, tag="revisions"):
    pass


class RevisionCall(_Call, frozen=True, tag="revision"):
    number: int


Call = (
    InfoCall
    | StatusCall
    | PreviewCall
    | ApplyCall
    | ReapplyCall
    | WaitCall
    | EventsCall
    | LogsCall
    | RestartCall
    | RotateCall
    | StopCall
    | StartCall
    | HaltCall
    | ResumeCall
    | ReplayCall
    | DownCall
    | TapCall
    | CapturedCall
    | LettersCall
    | LetterCall
    | RetryLettersCall
    | DropLettersCall
    | BeatsCall
    | RevisionsCall
    | RevisionCall
)
_DECODER: msgspec.json.Decoder[Call] = msgspec.json.Decoder(Call)


def read(raw: bytes) -> Call:
    """Raise ActionError(BadCall) for what is no call of this release, with the argument at fault."""
    try:
        return _DECODER.decode(raw)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ActionError(f"no such call: {error}", reason="BadCall", permanent=True) from error


class Operations(Protocol):
    """The controller, as its socket sees it. A stream's last item is its result."""

    @property
    def letters(self) -> LetterOperations: ...

    async def info(self) -> Info: ...
    async def status(self, name: str | None) -> ProjectStatus: ...
    async def preview(
        self,
        sources: Sequence[tuple[str, str]],
        *,
        settings: Mapping[str, str],
        secrets: Mapping[str, str],
        pins: Mapping[str, str],
        update_images: bool,
    ) -> Preview: ...
    def apply(
        self,
        sources: Sequence[tuple[str, str]],
        *,
        settings: Mapping[str, str],
        secrets: Mapping[str, str],
        expect: int | None,
        allow_deletes: bool,
        pins: Mapping[str, str],
        wait: bool,
        deadline: timedelta,
    ) -> AsyncGenerator[Preview | Progress | Outcome, None]: ...
    async def reapply(self, asked: Asked) -> Unchanged | None: ...
    def wait(
        self, names: Sequence[str] | None, *, deadline: timedelta
    ) -> AsyncGenerator[Progress | Outcome, None]: ...
    async def events(self, name: str | None, *, limit: int) -> Sequence[Event]: ...
    def follow_events(self, name: str | None, *, limit: int) -> AsyncGenerator[Event, None]: ...
    def logs(self, name: str, *, follow: bool, tail: int) -> AsyncGenerator[LogLine, None]: ...
    def restart(
        self, name: str, *, wait: bool, deadline: timedelta
    ) -> AsyncGenerator[Progress | Outcome, None]: ...
    def rotate(
        self, name: str, *, wait: bool, deadline: timedelta
    ) -> AsyncGenerator[Progress | Outcome, None]: ...
    def stop(
        self, name: str, *, wait: bool, deadline: timedelta
    ) -> AsyncGenerator[Progress | Outcome, None]: ...
    def start(
        self, name: str, *, wait: bool, deadline: timedelta
    ) -> AsyncGenerator[Progress | Outcome, None]: ...
    def halt(
        self, names: Sequence[str], *, flatten: bool | None, wait: bool, deadline: timedelta
    ) -> AsyncGenerator[Progress | Outcome, None]: ...
    def replay(self, names: Sequence[str], *, ticks: int) -> AsyncGenerator[Capturing, None]: ...
    def down(
        self, *, delete_data: bool, deadline: timedelta
    ) -> AsyncGenerator[Progress | Downed, None]: ...
    def tap(self, name: str) -> AsyncGenerator[Tap, None]: ...
    def captured(self, name: str) -> AsyncGenerator[Sequence[bytes], None]: ...
    async def beats(self) -> Mapping[str, Heard]: ...
    async def revisions(self) -> Sequence[Revision]: ...
