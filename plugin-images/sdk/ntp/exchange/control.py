"""The control endpoints, for this machine only: faults at run time, and when playing begins."""

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from ntp.exchange.faults import Board, Fault, FaultError, parse

FAULTS = "/fault"
PLAY = "/play"


def refusal(peer: str, origin: str | None) -> tuple[int, bytes] | None:
    """Return the answer to who may not command; None for who may.

    Args:
        peer: address of who asks.
        origin: header of a browser; a web page may not command.

    """
    try:
        near = ipaddress.ip_address(peer.partition("%")[0]).is_loopback
    except ValueError:
        near = False
    if near and origin is None:
        return None
    return 403, _error("the exchange is commanded from this machine, and not by a web page")


def play(
    method: str, state: Callable[[], Mapping[str, Any]], begin: Callable[[], None]
) -> tuple[int, bytes]:
    """Answer `GET /play` with how far playing has come, and `POST /play`, which ends a hold, too."""
    if method not in ("GET", "POST"):
        return 405, _error(f"method was {method}; use GET or POST")
    if method == "POST":
        begin()
    return 200, _line(state())


def faults(
    method: str, path: str, *, board: Board, strike: Callable[[Fault], None]
) -> tuple[int, bytes]:
    """Answer `GET`, `DELETE`, or `POST /fault?close=1006@5s&duplicate=0.1`.

    Args:
        method: of the request.
        path: with its query; each part of the query is a fault.
        board: where standing faults go.
        strike: called for a fault that strikes every open connection now.

    """
    match method:
        case "GET":
            pass
        case "DELETE":
            board.clear()
        case "POST":
            parts = [unquote(part) for part in urlsplit(path).query.split("&") if part]
            if not parts:
                return 400, _error("no fault was named; POST /fault?close=1006@5s")
            try:
                commanded = [parse(part) for part in parts]
            except FaultError as error:
                return 400, _error(str(error))
            for fault in commanded:
                if not board.add(fault):
                    strike(fault)
        case _:
            return 405, _error(f"method was {method}; use GET, POST or DELETE")
    return 200, _line({"standing": [str(fault) for fault in board.standing]})


def _error(message: str) -> bytes:
    return _line({"error": message})


def _line(document: Mapping[str, Any]) -> bytes:
    """JSON for `curl` in a terminal: the prompt comes below it."""
    return msgspec.json.encode(document) + b"\n"
