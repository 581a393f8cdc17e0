"""`dev`: a plugin's files are watched, and a save that is good is applied to that plugin alone.

The project's controller does all that is done. It is told what to apply, asked how things are, and
asked to show each new life of the plugin so much of what came before.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from orchestrator import app
from orchestrator.app import past
from orchestrator.app.dev_hearing import Failed, Hearing, Note, Output, Ready
from orchestrator.app.dev_mistakes import at_its_line, of_these
from orchestrator.app.dev_target import Target
from orchestrator.app.dev_watch import Save, Watch
from orchestrator.errors import ActionError, ConfigError, ConflictError, Problem, UnreachableError

LOOK_S = 0.03
LOOKING = 20
"""Looking takes at most one part in so many of the time, however many files there are."""
GLANCE_S = 1.0
_FELL_BACK = "FellBack"
"""The controller has gone back by itself."""
_STOPPED = "stop: changed"
"""What the runtime writes into a plugin's log for each of our own reloads."""

Event = dict[str, Any]


class Session:
    """One `dev`. Call `open`, then `turn` again and again.

    Args:
        target: what it works on.
        ticks: how many of each symbol a new life is shown again; 0: none.
        tell: is told each event, a mapping as docs/json.md has it.

    Attributes:
        started: the project did not run before.
        before: the revision that ran before; 0: none.
        applied: something was applied to a project that ran before.
    """

    def __init__(self, target: Target, ticks: int, tell: Callable[[Event], None]) -> None:
        self._target = target
        self._settings = target.settings
        self._names = target.names
        self._ticks = ticks
        self._tell = tell
        self._hearing = Hearing(target.settings)
        self._watch = Watch(target)
        self._glanced = 0.0
        self._said: dict[str, Event] = {}
        self._good = 0
        """The newest revision with which all that it changed became ready."""
        self._awaited: Save | None = None
        """The save that is being started; None: all that was to be started is, or cannot be."""
        self.started = False
        self.before = 0
        self.applied = False

    def open(self) -> None:
        """Have a controller, and have it show what came before.

        Raises:
            UnreachableError: no controller can be had.
        """
        self.started = not app.was_applied(self._settings)
        app.ensure_controller(self._settings)
        if not self.started:
            self.before = past.applied(self._settings)
        if self._ticks and self._names:
            self._hearing.replay(self._names, self._ticks)
        for name in self._names:
            self._hearing.follow(name)
        self._say(
            "watching",
            project=self._settings.project,
            names=list(self._names),
            started=self.started,
        )

    def turn(self) -> float:
        """Do what there is to do; return for how many seconds there is nothing more.

        Raises:
            ActionError: TakenDown: the project was, by somebody else.
        """
        self._take_heard()
        began = time.monotonic()
        save = self._watch.look(began)
        took = time.monotonic() - began
        if save is not None:
            self._take_up(save)
        if self._awaited is None and began - self._glanced >= GLANCE_S:
            self._glanced = began
            self._glance()
        return max(LOOK_S, LOOKING * took)

    def _take_up(self, save: Save) -> None:
        if save.number > 1:
            self._say("saved", files=list(save.files))
        try:
            self._apply(save)
        except ConfigError as error:
            self._broken([at_its_line(each) for each in error.problems])
        except (ActionError, ConflictError) as error:
            self._say("refused", message=str(error))
        except UnreachableError:
            self._revive()

    def _apply(self, save: Save) -> None:
        if save.problems:
            raise ConfigError(save.problems)
        declared = self._base()
        preview = app.preview(declared)
        if preview["problems"]:
            raise ConfigError([Problem(**each) for each in preview["problems"]])
        mistakes = of_these(preview["entry_problems"], self._names)
        if mistakes:
            raise ConfigError(mistakes)
        changes = [each for each in preview["changes"] if each["do"] != "keep"]
        if changes:
            for _ in app.apply(declared, expect=preview["revision"], wait=False):
                pass
            self.applied = not self.started
            told = [{key: each[key] for key in ("name", "do", "cause")} for each in changes]
            self._say("applied", changes=told)
            self._await(save, [each["name"] for each in changes if each["do"] != "remove"])
        elif save.number > 1:
            self._say("unchanged")
        else:
            self._await(save, self._names)

    def _base(self) -> app.Declaration:
        """Return what a save is applied with: all but the plugins that are watched stay what they are."""
        if not self._target.whole and (now := past.applied(self._settings)):
            running = past.recall(self._settings, now)
            there = {each["name"] for each in app.ask(self._settings, "status")["plugins"]}
            if there.issuperset(self._names):
                pins = {n: pin for n, pin in running.pins.items() if n not in self._names}
                return replace(running, pins=pins)
        if self._target.made is not None:
            return self._target.declared
        files = [str(path) for path in self._settings.files]
        return app.declare(files, self._settings.project)

    def _await(self, save: Save, names: Sequence[str]) -> None:
        if names:
            self._awaited = save
            self._hearing.await_ready(save.number, names)

    def _broken(self, problems: Sequence[Problem]) -> None:
        told = [
            {"file": p.file, "line": p.line, "column": p.column, "message": p.message, "fix": p.fix}
            for p in problems
        ]
        self._say("broken", problems=told)

    def _revive(self) -> None:
        """The controller is gone: have another one, and take up again what it was not told."""
        if not app.was_applied(self._settings) and (self.before or self._said):
            raise ActionError("the project was taken down meanwhile", reason="TakenDown")
        app.ensure_controller(self._settings)
        self._watch.again()

    def _take_heard(self) -> None:
        for heard in self._hearing.taken():
            match heard:
                case Ready() | Failed():
                    save = self._awaited
                    if save is None or heard.save != save.number:
                        continue  # a newer one is being started
                    self._awaited = None
                    if isinstance(heard, Ready):
                        self._ready(heard, save)
                    else:
                        self._failed(heard.name, heard.state, heard.message)
                case Output():
                    if not heard.text.startswith(_STOPPED):
                        self._say("output", name=heard.name, stream=heard.stream, text=heard.text)
                case Note():
                    self._say("note", message=heard.message)

    def _ready(self, heard: Ready, save: Save) -> None:
        if not heard.plugins:
            self._revive()
            return
        for plugin in heard.plugins:
            name = plugin["name"]
            self._said[name] = _essence(plugin)
            if not plugin["ready"]:
                self._failed(name, plugin["state"], plugin["message"])
                return
        self._good = past.applied(self._settings)
        for plugin in heard.plugins:
            if plugin["name"] in self._names:
                self._say(
                    "ready",
                    name=plugin["name"],
                    seconds=round(heard.at - save.at, 3) if save.number > 1 else None,
                    generation=plugin["generation"],
                    replayed=plugin.get("replayed"),
                    indicators=plugin["indicators"],
                )

    def _failed(self, name: str, state: str, message: str) -> None:
        """Have what ran before run again: it was stopped for one that cannot be started."""
        self._said[name] = {"state": {"state": state, "message": message}}
        self._say("failed", name=name, state=state, message=message)
        if not self._good or state == _FELL_BACK:
            return
        good, now = (
            past.recall(self._settings, number)
            for number in (self._good, past.applied(self._settings))
        )
        if not self._target.whole:
            mine = {name: good.pins[name] for name in self._names if name in good.pins}
            good = replace(now, pins={**now.pins, **mine})
        if past.same(good, now):
            return
        for _ in app.apply(good, allow_deletes=True, wait=False):
            pass
        self._say("returned", revision=self._good)

    def _glance(self) -> None:
        """Tell what is new of the plugins: a signal, their indicators, another state."""
        try:
            answer = app.ask(self._settings, "status")
        except UnreachableError:
            self._revive()
            return
        for plugin in answer["plugins"]:
            name = plugin["name"]
            if name not in self._names:
                continue
            before, now = self._said.get(name, {}), _essence(plugin)
            self._said[name] = now
            for what in ("signal", "indicators"):
                if now[what] and now[what] != before.get(what):
                    self._say(what, name=name, **{what: now[what]})
            if now["state"] != before.get("state"):
                self._say("state", name=name, **now["state"])

    def _say(self, event: str, **more: Any) -> None:
        self._tell({"event": event, "at": datetime.now(UTC).isoformat(), **more})


def _essence(plugin: Mapping[str, Any]) -> Event:
    return {
        "state": {"state": plugin["state"], "message": plugin["message"]},
        "signal": plugin.get("signal"),
        "indicators": plugin["indicators"],
    }
