"""The control endpoint: faults at run time, from this machine only."""

import ipaddress
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

import msgspec

from ntp.exchange.faults import Board, Fault, FaultError, parse

PATH = "/fault"


def respond(
    method: str,
    path: str,
    *,
    peer: str,
    origin: str | None,
    board: Board,
    strike: Callable[[Fault], None],
) -> tuple[int, bytes]:
    """Answer `GET`, `DELETE`, or `POST /fault?close=1006@5s&duplicate=0.1`.

    Args:
        method: of the request.
        path: with its query; each part of the query is a fault.
        peer: address of who asks.
        origin: header of a browser; a web page may not command.
        board: where standing faults go.
        strike: called for a fault that strikes every open connection now.

    """
    try:
        near = ipaddress.ip_address(peer.partition("%")[0]).is_loopback
    except ValueError:
        near = False
    if not near or origin is not None:
        return 403, _error("faults are commanded from this machine, and not by a web page")
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
                faults = [parse(part) for part in parts]
            except FaultError as error:
                return 400, _error(str(error))
            for fault in faults:
                if not board.add(fault):
                    strike(fault)
        case _:
            return 405, _error(f"method was {method}; use GET, POST or DELETE")
    return 200, msgspec.json.encode({"standing": [str(fault) for fault in board.standing]})


def _error(message: str) -> bytes:
    return msgspec.json.encode({"error": message})
