"""The main program of a plugin's container: `python -m ntp.runner`."""

import gc

if __name__ == "__main__":
    gc.disable()  # until all is there: of what is imported nothing is garbage

import asyncio
import io
import logging
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from ntp.confine import ways
from ntp.confine.door_client import Door
from ntp.confine.ways import Way
from ntp.contract.launch import DOOR_SOCKET, LaunchFile, Termination
from ntp.contract.names import Kind
from ntp.plugin import PermanentError
from ntp.runner import launch as launching
from ntp.runner.core import border
from ntp.runner.core.objects import ConfigRefusedError, Maker
from ntp.runner.ending import EndError, LastWords, say, what_to_raise
from ntp.runner.load import place, plugin_class
from ntp.runner.part import Part
from ntp.runner.watch import Watch


def main() -> int:
    # As the first process of a container we would not even hear SIGTERM without a handler.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Whatever ends us, the last line that the plugin printed is in the log.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    folder = launching.folder()
    words = LastWords(folder)
    code = Path("/")
    try:
        launch = launching.read(folder)
        code = Path(launch.code)
        watch = Watch(launch.timeout_s, words.file)
        watch.arm()
        _live(launch, folder, watch)
        watch.disarm()
    except SystemExit as asked:
        if where := place(asked, code):
            # Of the plugin; SIGTERM's comes from here.
            words.say(_exited(asked, where))
        raise
    except Exception as error:  # noqa: BLE001 - the edge of the process: it is told and ends it
        end = _end(_first(error), code)
        words.say(end)
        return 2 if end.permanent else 1
    finally:
        words.close()
    return 0


def _live(launch: LaunchFile, folder: Path, watch: Watch) -> None:
    way = _way_out(launch, folder)
    if way is not None:
        ways.install(way, closed=not launch.egress)
    # From here on code of the plugin runs: what it makes at its import may well be garbage.
    _keep_what_is_there()
    gc.enable()
    found = plugin_class(Path(launch.code), launch.entrypoint, launch.kind)
    from ntp.runner.life import Life, new_life  # late: a plugin that cannot load needs no bus

    maker: Maker[Any] = Maker(
        found,
        launch.config,
        instance=launch.instance,
        storage=Path(launch.storage) if launch.storage else None,
        storage_bytes=launch.storage_bytes,
        deadline=watch.deadline,
    )
    refusals = border.Refusals()
    name = new_life()
    part = _part(launch, maker, name, refusals)
    part.prepare()
    gc.collect()
    _keep_what_is_there()
    life = Life(
        launch=launch,
        folder=folder,
        part=part,
        watch=watch,
        refusals=refusals,
        incarnation=name,
    )
    asyncio.run(life.run())


def _keep_what_is_there() -> None:
    """Look through it never again, nor often through what comes: batches of ticks are no garbage."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)


def _way_out(launch: LaunchFile, folder: Path) -> Way | None:
    """Return what hands this plugin its connections; None: it connects as usual."""
    door = folder / DOOR_SOCKET
    if launch.plain_network or launch.own_network:
        return None
    if launch.proxy is not None:
        from ntp.confine.proxy_client import Closed, Proxy  # late: most plugins have a door

        proxy = launch.proxy
        return Proxy(proxy.address, folder / proxy.token) if launch.egress else Closed()
    return Door(str(door)) if door.exists() else None


def _part(
    launch: LaunchFile, maker: "Maker[Any]", incarnation: str, refusals: border.Refusals
) -> Part:
    match launch.kind:
        case Kind.DATA_SOURCE:
            from ntp.runner.source_part import SourcePart

            return SourcePart(launch, maker, incarnation, refusals)
        case Kind.INDICATOR:
            from ntp.runner.indicator_part import IndicatorPart

            return IndicatorPart(launch, maker, incarnation, refusals)
        case Kind.STRATEGY:
            from ntp.runner.strategy_part import StrategyPart

            return StrategyPart(launch, maker, incarnation, refusals)
        case Kind.EXECUTOR:
            from ntp.runner.executor_part import ExecutorPart

            return ExecutorPart(launch, maker, incarnation, refusals)


def _first(error: BaseException) -> BaseException:
    """Return the first real error of a group of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _end(error: BaseException, code: Path) -> Termination:
    """Tell the log everything, and return it in a few words."""
    if isinstance(error, EndError | ConfigRefusedError):
        where = ""
        if error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
            where = place(error.__cause__, code)
        if isinstance(error, EndError):
            said = error.termination
        else:
            said = Termination("ConfigRefused", str(error), permanent=True)
        message = said.message if where in said.message else said.message + where
        message += what_to_raise(error.__cause__)
        end = Termination(said.reason, message, said.permanent)
    elif isinstance(error, PermanentError):
        end = Termination(error.reason, error.message, permanent=True)
    else:
        traceback.print_exception(error)
        where = place(error, code)
        reason = "PluginRaised" if where else "RunnerFailed"
        end = Termination(reason, f"{type(error).__name__}: {error}{where}{what_to_raise(error)}")
    say(f"{end.reason}: {end.message}")
    return end


def _exited(asked: SystemExit, where: str) -> Termination:
    """Say where a plugin ended its process itself."""
    zero = asked.code in (None, 0)
    given = "" if asked.code is None else repr(asked.code)
    more = "; a plugin runs until it is told to stop" if zero else ""
    end = Termination("ExitedZero" if zero else "Exited", f"sys.exit({given}){where}{more}")
    say(f"{end.reason}: {end.message}")
    return end


if __name__ == "__main__":
    sys.exit(main())
