"""`ntp exchange`: a local exchange that speaks Binance's and Polygon's protocols."""

import ipaddress
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ntp.cli.outcome import INTERRUPTED, REFUSED

if TYPE_CHECKING:
    import asyncio
    import ssl

    from ntp.exchange.faults import Fault
    from ntp.exchange.server import Exchange, Settings

_POSITIVE = click.FloatRange(min=0, min_open=True, max=1e6)


def _faults(
    ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]
) -> "tuple[Fault, ...]":
    from ntp.exchange.faults import FaultError, parse

    try:
        return tuple(parse(text) for text in texts)
    except FaultError as error:
        raise click.BadParameter(str(error), ctx, param) from None


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=9443,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="0: any that is free.",
)
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=_POSITIVE,
    help="How many times as fast as recorded frames are played.",
)
@click.option(
    "--loop", is_flag=True, help="Play for ever; ids and the order book go on without a gap."
)
@click.option("--hold", is_flag=True, help="Play nothing before `POST /play`.")
@click.option(
    "--seconds",
    type=_POSITIVE,
    help="Let both markets end after so many recorded seconds (default: where each recording ends).",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    callback=_faults,
    metavar="F",
    help="NAME[=VALUE][@AGE][/once]; may be repeated; --list-faults names all.",
)
@click.option("--list-faults", is_flag=True, help="Say what each fault does, and end.")
@click.option(
    "--recording",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Play another file of Binance frames.",
)
@click.option(
    "--no-shift",
    is_flag=True,
    help="Let events bear the times at which they were recorded, not now.",
)
@click.option(
    "--compress",
    default=1.0,
    show_default=True,
    type=_POSITIVE,
    help="Shorten pings (20 s), pong and auth deadlines, and the session of 24 h by this factor.",
)
@click.option("--api-key", help="The one key that the Polygon side accepts (default: any).")
@click.option(
    "--backlog",
    default=4096,
    show_default=True,
    type=click.IntRange(16),
    help="KiB that wait for a client before it is cut.",
)
@click.option(
    "--tls-cert",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Serve TLS with this certificate chain (PEM).",
)
@click.option(
    "--tls-key",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Its private key (PEM).",
)
def exchange(
    host: str,
    port: int,
    speed: float,
    *,
    loop: bool,
    hold: bool,
    seconds: float | None,
    faults: "tuple[Fault, ...]",
    list_faults: bool,
    recording: Path | None,
    no_shift: bool,
    compress: float,
    api_key: str | None,
    backlog: int,
    tls_cert: Path | None,
    tls_key: Path | None,
) -> None:
    """Serve a local exchange: Binance spot (recorded) and Polygon stocks (synthetic), on one port.

    Its first line is its URLs. Playing begins with the first subscriber, with --hold not before
    `curl -X POST http://127.0.0.1:9443/play`. Without --loop the market falls silent at the end of
    the recording, and connections stay; `GET /play` says how many trades there were.

    Faults: AGE is counted from the opening of each connection; `/once` spends a fault on the first
    connection that it strikes. At run time: `curl -X POST 'http://127.0.0.1:9443/fault?close=1006'`
    strikes now, `GET /fault` lists, `DELETE /fault` clears.

    \b
    Examples:
      ntp exchange --loop
      ntp exchange --loop --speed 20 --port 0
      ntp exchange --fault close=1006@5s             every connection is cut after 5 s
      ntp exchange --fault stall@10s/once            one connection falls silent after 10 s
      ntp exchange --fault duplicate=0.1 --fault reorder=0.05
      ntp exchange --loop --compress 1440            a session of 24 h lasts a minute
      ntp exchange --recording frames.txt.gz --no-shift
      ntp exchange --hold --seconds 30 --no-shift    the same 30 s, from the first frame on, each time
    """
    from ntp.exchange.faults import KINDS

    if list_faults:
        for name, kind in KINDS.items():
            value = "" if kind.value == "none" else f"={kind.value.upper()}"
            click.echo(f"{name + value:<28}{kind.words} ({kind.protocol})")
        return
    if loop and seconds is not None:
        raise click.UsageError("--loop plays for ever, and --seconds ends it: give one of them")
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key go together")

    from ntp.exchange import recording as recordings
    from ntp.exchange.rules import Rules
    from ntp.exchange.server import Settings

    settings = Settings(
        host=host,
        port=port,
        speed=speed,
        loop=loop,
        hold=hold,
        seconds=seconds,
        shift=not no_shift,
        recording=recording or recordings.SHIPPED,
        faults=faults,
        rules=Rules(api_key=api_key, backlog_bytes=backlog * 1024).compressed(compress),
        tls=_tls(tls_cert, tls_key) if tls_cert and tls_key else None,
    )
    if not _loopback(host):
        click.echo(
            f"warning: {host} may be reached by other machines, and nobody is asked who they are",
            err=True,
        )
    import asyncio  # late: every other command would wait for it too

    sys.exit(asyncio.run(_serve(settings)))


async def _serve(settings: "Settings") -> int:
    """Serve until a signal; return the exit code."""
    import asyncio

    from ntp.exchange.recording import RecordingError
    from ntp.exchange.server import Exchange

    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    for number, code in ((signal.SIGINT, INTERRUPTED), (signal.SIGTERM, 0)):
        asyncio.get_running_loop().add_signal_handler(number, _end, ended, code)
    try:
        async with Exchange(settings).running() as running:
            try:
                _greet(running)
            except BrokenPipeError as error:
                # Out of here it would come as a group of errors.
                gone = error
            else:
                return await ended
        raise gone
    except RecordingError as error:
        click.echo(f"error: {error}", err=True)
        return 2
    except BrokenPipeError:
        raise
    except OSError as error:
        # asyncio puts the address into its words once more.
        cause = error.errno or 0
        why = os.strerror(cause) if cause > 0 else error.strerror or str(error)
        click.echo(
            f"error: {settings.host}:{settings.port}: {why.lower()}; choose another with --port",
            err=True,
        )
        return REFUSED


def _greet(running: "Exchange") -> None:
    click.echo(" ".join(f"{name}={url}" for name, url in running.urls().items()))
    click.echo(
        f"Binance frames are recorded ({running.settings.recording.name}); "
        "Polygon frames are synthetic."
    )


def _end(ended: "asyncio.Future[int]", code: int) -> None:
    if not ended.done():
        ended.set_result(code)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _tls(cert: Path, key: Path) -> "ssl.SSLContext":
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key)
    except (ssl.SSLError, OSError) as error:
        raise click.UsageError(f"--tls-cert {cert}, --tls-key {key}: {error}") from error
    return context
