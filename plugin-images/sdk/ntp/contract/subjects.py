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
    dlq.letter.<sender>.<place>    CORE dlq.<instance>.letter.<sender>.<place>, DLQ_<instance>  strategy, executor
    dlq.try.<sender>.<count>       CORE dlq.<instance>.try.<sender>.<count>, TRY_<instance>  strategy, executor
    -                              CORE again.<sender>.<instance>.<symbol>, stream SIG_ or FILL_<sender>:
                                   a dead letter on its way to its receiver once more           controller
    beat                           CORE beat.<instance>                                everyone
    ctl                            CORE ctl.<instance>                                 controller
    -                              CORE md.<producer>.data.<symbol>, md.<producer>.ind.<symbol>,
                                   stream MD_<producer>: what is captured of a source or an indicator
    state                          CORE state.<instance>, stream STATE_<instance>      everyone
    recall                         CORE $JS.API.STREAM.MSG.GET.STATE_<instance>      what was stored last
    next.<producer>                CORE $JS.API.CONSUMER.MSG.NEXT.<stream>.<instance>  pull request
    reset.<producer>               CORE $JS.API.CONSUMER.RESET.<stream>.<instance>     begin again after the last ack
    $JS.ACK.<stream>.<instance>.>  the same, as it is                                  acknowledgement

Each account exports what its plugin says (data, ind, sig, fill, beat) as streams too, to those who hold an
activation: its listeners, and `ntpctl tap`.

The durable consumer of a stream bears the name of the instance that reads it.
"""

import re

_SAFE = re.compile(r"[A-Za-z0-9-]")

BEAT = "beat"
CONTROL = "ctl"
PROGRESS_TOKEN = "_progress"
STATE = "state"
RECALL = "recall"
DEAD = "dlq.>"
AGAIN = "again"
_BYTE = re.compile("=([0-9A-F]{2})")


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


def symbol(encoded: str) -> str:
    """Return what `token` encoded; of anything else something printable.

    >>> symbol("BTC=2FUSDT"), symbol("EUR=2EUSD"), symbol("=")
    ('BTC/USDT', 'EUR.USD', '')
    """
    raw = _BYTE.sub(lambda found: chr(int(found[1], 16)), encoded.removesuffix("="))
    try:
        return raw.encode("latin-1").decode()
    except UnicodeError:
        return encoded


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


def dead_letter(sender: str, place: str) -> str:
    return f"dlq.letter.{sender}.{place}"


def attempt(sender: str, count: int) -> str:
    """Where it stands which message of `sender` was begun for the so manyth time."""
    return f"dlq.try.{sender}.{count}"


def pull(producer: str) -> str:
    """Ask for the next messages of a strategy's signals, of an executor's fills, or of what was captured."""
    return f"next.{producer}"


def reset(producer: str) -> str:
    """Have what is not acknowledged delivered again, in order, before anything newer."""
    return f"reset.{producer}"


def signal_stream(strategy: str) -> str:
    return f"SIG_{strategy}"


def fill_stream(executor: str) -> str:
    return f"FILL_{executor}"


def capture_stream(producer: str) -> str:
    return f"MD_{producer}"


def state_stream(instance: str) -> str:
    return f"STATE_{instance}"


def dead_stream(receiver: str) -> str:
    return f"DLQ_{receiver}"


def tries_stream(receiver: str) -> str:
    """Where it stands with which messages a receiver has begun; apart, for letters may fill theirs."""
    return f"TRY_{receiver}"


def letters(receiver: str) -> str:
    """All letters of a receiver, in CORE."""
    return f"dlq.{receiver}.letter.>"


def again(sender: str, receiver: str, symbol: str | None = None) -> str:
    """Where CORE sends a dead letter to its receiver once more; None: of all symbols."""
    return f"{AGAIN}.{sender}.{receiver}.{'>' if symbol is None else token(symbol)}"
