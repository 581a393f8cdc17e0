"""Turn a call into messages: events as they come, the result last."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any, assert_never

import msgspec

from orchestrator.control.calls import (
    ApplyCall,
    BeatsCall,
    Call,
    CapturedCall,
    DownCall,
    DropLettersCall,
    EventsCall,
    HaltCall,
    InfoCall,
    LetterCall,
    LettersCall,
    LogsCall,
    Operations,
    PreviewCall,
    ReapplyCall,
    ReplayCall,
    RestartCall,
    ResumeCall,
    RetryLettersCall,
    RevisionCall,
    RevisionsCall,
    RotateCall,
    StartCall,
    StatusCall,
    StopCall,
    TapCall,
    WaitCall,
)
from orchestrator.decide.report import DeadLetter, Downed, Outcome, Preview, Progress
from orchestrator.errors import ActionError
from orchestrator.ports import Asked, Revision

Message = dict[str, Any]


async def answer(call: Call, operations: Operations) -> AsyncGenerator[Message, None]:  # noqa: C901 - a table of calls
    """Yield `{"event": …}` messages and at last `{"result": …}`; raises what the operation raises."""
    match call:
        case InfoCall():
            yield _result(await operations.info())
        case StatusCall(name=name):
            yield _result(await operations.status(name))
        case PreviewCall():
            preview = await operations.preview(
                call.sources,
                settings=call.settings,
                secrets=call.secrets,
                pins=call.pins,
                update_images=call.update_images,
            )
            yield _result(preview)
        case ReapplyCall():
            asked = Asked(
                call.program, tuple(call.files), call.folder, tuple(call.seen), call.environment
            )
            unchanged = await operations.reapply(asked)
            yield {"result": {}} if unchanged is None else _result(unchanged)
        case LettersCall() | LetterCall() | RetryLettersCall() | DropLettersCall():
            yield await _letters(call, operations)
        case BeatsCall():
            yield {"result": {"beats": msgspec.to_builtins(await operations.beats())}}
        case RevisionsCall():
            yield {"result": {"revisions": _brief(await operations.revisions())}}
        case RevisionCall(number=number):
            yield _result(_numbered(await operations.revisions(), number))
        case EventsCall():
            async with aclosing(_events(call, operations)) as found:
                async for message in found:
                    yield message
        case LogsCall():
            async with aclosing(_logs(call, operations)) as lines:
                async for message in lines:
                    yield message
        case TapCall(name=name):
            async with aclosing(operations.tap(name)) as given:
                async for each in given:
                    yield _event("tap", each)
            yield {"result": {}}
        case CapturedCall(name=name):
            async with aclosing(operations.captured(name)) as read:
                async for some in read:
                    texts = [each.decode(errors="replace") for each in some]
                    yield {"event": "captured", "messages": texts}
            yield {"result": {}}
        case ReplayCall(names=names, ticks=ticks):
            async with aclosing(operations.replay(names, ticks=ticks)) as told:
                async for capturing in told:
                    yield _event("capturing", capturing)
        case (
            ApplyCall()
            | WaitCall()
            | RestartCall()
            | RotateCall()
            | StopCall()
            | StartCall()
            | DownCall()
            | HaltCall()
            | ResumeCall()
        ):
            async with aclosing(_progress(call, operations)) as messages:
                async for message in messages:
                    yield message
        case _:
            assert_never(call)


async def _progress(  # noqa: C901 - a table of calls
    call: ApplyCall
    | WaitCall
    | RestartCall
    | RotateCall
    | StopCall
    | StartCall
    | DownCall
    | HaltCall
    | ResumeCall,
    operations: Operations,
) -> AsyncGenerator[Message, None]:
    within = timedelta(seconds=call.deadline)
    items: AsyncGenerator[Preview | Progress | Outcome | Downed, None]
    match call:
        case ApplyCall():
            items = operations.apply(
                call.sources,
                settings=call.settings,
                secrets=call.secrets,
                expect=call.expect,
                allow_deletes=call.allow_deletes,
                pins=call.pins,
                wait=call.wait,
                deadline=within,
            )
        case WaitCall(names=names):
            items = operations.wait(names, deadline=within)
        case RestartCall(name=name, wait=wait):
            items = operations.restart(name, wait=wait, deadline=within)
        case RotateCall(name=name, wait=wait):
            items = operations.rotate(name, wait=wait, deadline=within)
        case StopCall(name=name, wait=wait):
            items = operations.stop(name, wait=wait, deadline=within)
        case StartCall(name=name, wait=wait):
            items = operations.start(name, wait=wait, deadline=within)
        case HaltCall(names=names, flatten=flatten, wait=wait):
            items = operations.halt(names, flatten=flatten, wait=wait, deadline=within)
        case ResumeCall(names=names, wait=wait):
            items = operations.halt(names, flatten=None, wait=wait, deadline=within)
        case DownCall(delete_data=delete_data):
            items = operations.down(delete_data=delete_data, deadline=within)
        case _:
            assert_never(call)
    async with aclosing(items):
        async for item in items:
            match item:
                case Preview():
                    yield _event("plan", item)
                case Progress():
                    yield _event("progress", item)
                case Outcome() | Downed():
                    yield _result(item)
                case _:
                    assert_never(item)


async def _letters(
    call: LettersCall | LetterCall | RetryLettersCall | DropLettersCall, operations: Operations
) -> Message:
    match call:
        case LettersCall(name=name):
            found = await operations.letters.listed(name)
            return {"result": {"letters": [_letter(each) for each in found]}}
        case LetterCall(id=letter_id):
            shown = await operations.letters.one(letter_id)
            full = {"letter": _letter(shown.letter), "text": shown.text, "refusal": shown.refusal}
            return {"result": full}
        case RetryLettersCall(ids=ids):
            return _result(await operations.letters.retry(ids))
        case DropLettersCall(ids=ids):
            return _result(await operations.letters.drop(ids))
        case _:
            assert_never(call)


def _letter(letter: DeadLetter) -> Message:
    """Without the message itself, which may hold anything."""
    told: Message = msgspec.to_builtins(letter)
    del told["payload"]
    return told


async def _events(call: EventsCall, operations: Operations) -> AsyncGenerator[Message, None]:
    if not call.follow:
        found = await operations.events(call.name, limit=call.limit)
        yield {"result": {"events": msgspec.to_builtins(list(found))}}
        return
    async with aclosing(operations.follow_events(call.name, limit=call.limit)) as events:
        async for event in events:
            yield _event("event", event)
    yield {"result": {"events": []}}


async def _logs(call: LogsCall, operations: Operations) -> AsyncGenerator[Message, None]:
    async with aclosing(operations.logs(call.name, follow=call.follow, tail=call.tail)) as lines:
        async for line in lines:
            yield _event("log", line)
    yield {"result": {}}


def _event(what: str, item: Any) -> Message:
    return {"event": what, **msgspec.to_builtins(item)}


def _result(item: Any) -> Message:
    return {"result": msgspec.to_builtins(item)}


def _brief(revisions: Sequence[Revision]) -> list[Message]:
    return [
        {
            "number": each.number,
            "applied": each.applied.isoformat(),
            "files": [file for file, _ in each.sources],
            "resolved": dict(each.resolved),
            "change": each.change,
            "again": _again(each, revisions),
        }
        for each in revisions
    ]


def _again(one: Revision, revisions: Sequence[Revision]) -> int | None:
    """Return the number of the first revision that was the same in everything, such as after a rollback."""
    for each in revisions:
        if each.number >= one.number:
            break
        if each.declares_as(one):
            return each.number
    return None


def _numbered(revisions: Sequence[Revision], number: int) -> Revision:
    for each in revisions:
        if each.number == number:
            return each
    kept = ", ".join(str(each.number) for each in revisions[-10:]) or "none"
    raise ActionError(
        f"revision {number} is not kept; the newest are: {kept}",
        reason="NoSuchRevision",
        permanent=True,
    )
