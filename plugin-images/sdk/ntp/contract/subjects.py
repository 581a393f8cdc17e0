"""Every subject of the bus, with its grammar. Symbols are token-encoded.

A plugin sees short local names only; accounts map them (remote subject <-> local subject), so that
nobody can name a subject of someone else:

    local to the plugin            in its own account / in CORE                        who sends
    data.<symbol>                  export of the source: data.<symbol>                 source
    in.<source>.data.<symbol>      import of the above, in each listener's account     -
    ind.<symbol>                   export of the indicator: ind.<symbol>               indicator
    in.<indicator>.ind.<symbol>    import of the above                                 -
    sig.<symbol>                   CORE sig.<strategy>.<symbol>, stream SIG_<strategy>  strategy
    sig._progress                  CORE sig.<strategy>._progress, the same stream       strategy
    fill.<strategy>.<symbol>       CORE fill.<executor>.<strategy>.<symbol>, FILL_<executor>  executor
    beat                           CORE beat.<instance>                                everyone
    ctl                            CORE ctl.<instance>                                 controller
    -                              CORE md.<producer>.data.<symbol>, md.<producer>.ind.<symbol>, stream MD:
                                   what is captured of a source or an indicator, while somebody asks for it
    next.<producer>                CORE $JS.API.CONSUMER.MSG.NEXT.<stream>.<instance>  pull request
    reset.<producer>               CORE $JS.API.CONSUMER.RESET.<stream>.<instance>     begin again after the last ack
    $JS.ACK.<stream>.<instance>.>  the same, as it is                                  acknowledgement

Each account exports what its plugin says (data, ind, sig, fill, beat) as streams too, to those who hold an
activation: its listeners, and `ntpctl tap`.

Streams are named SIG_<strategy> and FILL_<executor>; the durable consumer bears the instance's name.
What was captured is asked for as that of the producer `_captured`, whose name no instance can have.
"""

import re

_SAFE = re.compile(r"[A-Za-z0-9-]")

BEAT = "beat"
CONTROL = "ctl"
PROGRESS_TOKEN = "_progress"
CAPTURE_STREAM = "MD"
CAPTURED = "_captured"


def token(symbol: str) -> str:
    """Encode any text as one subject token: letters, digits, `-` stay; the rest is `=XX` per UTF-8 byte.

    >>> token("BTC/USDT"), token("EUR.USD"), token("BTCUSDT")
    ('BTC=2FUSDT', 'EUR=2EUSD', 'BTCUSDT')
    """
    if not symbol:
        return "="
    return "".join(
        chr(byte) if byte < 128 and _SAFE.match(chr(byte)) else f"={byte:02X}"
        for byte in symbol.encode()
    )


def data(symbol: str) -> str:
    return f"data.{token(symbol)}"


def indicator(symbol: str) -> str:
    return f"ind.{token(symbol)}"


def data_in(source: str, symbol: str | None = None) -> str:
    """Where `source`'s ticks arrive in a listener's account; None: all its symbols."""
    return f"in.{source}.data.{'>' if symbol is None else token(symbol)}"


def indicator_in(instance: str, symbol: str | None = None) -> str:
    return f"in.{instance}.ind.{'>' if symbol is None else token(symbol)}"


def captured(producer: str, channel: str, symbol: str | None = None) -> str:
    """Where CORE keeps what `producer` sent; `channel`: data or ind; None: of all its symbols."""
    return f"md.{producer}.{channel}.{'>' if symbol is None else token(symbol)}"


def signal(symbol: str) -> str:
    return f"sig.{token(symbol)}"


def progress() -> str:
    return f"sig.{PROGRESS_TOKEN}"


def fill(strategy: str, symbol: str) -> str:
    return f"fill.{strategy}.{token(symbol)}"


def pull(producer: str) -> str:
    """Ask for the next messages of a strategy's signals, or of an executor's fills."""
    return f"next.{producer}"


def reset(producer: str) -> str:
    """Have what is not acknowledged delivered again, in order, before anything newer."""
    return f"reset.{producer}"


def signal_stream(strategy: str) -> str:
    return f"SIG_{strategy}"


def fill_stream(executor: str) -> str:
    return f"FILL_{executor}"
