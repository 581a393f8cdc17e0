"""The controller's socket: newline-delimited JSON, one call a connection. A stable interface.

`controller.sock` in the state folder (mode 0700; the peer must be the same user, or root); on a cluster port 8741 of the
leader's loopback, which whoever may `create pods/portforward` reaches through the API server. A client sends one
line and reads lines until the one with `result` or `error`; then the server hangs up. Times are ISO 8601 in UTC,
amounts of memory are bytes, durations are seconds. Receivers ignore fields they do not know.

    -> {"call": NAME, ...arguments}
    <- {"event": WHAT, ...}                  none or many: what happens meanwhile
    <- {"event": "alive"}                    every 5 s while nothing else is said; `client.call` swallows it
    <- {"result": {...}}                     the end, good
    <- {"error": {"kind": "config" | "unreachable" | "conflict" | "action" | "bug", "message": TEXT,
                  "problems": [PROBLEM],     config only
                  "reason": WORD, "permanent": BOOL}}   action only

Calls. `?` marks an argument that may be left out, with its default.

    info                                          INFO
    status      name?=null                        {"project", "revision", "at", "conditions": [CONDITION],
                                                   "plugins": [STATUS]}     null: all; unknown name: action NoSuchPlugin
    preview     sources, settings?={}, secrets?={}, pins?={}, update_images?=false
                                                  PREVIEW; never an error for a mistake in `sources`
    apply       sources, settings?={}, secrets?={}, expect?=null, allow_deletes?=false, pins?={},
                wait?=true, deadline?=120         {"event": "plan", ...PREVIEW}, PROGRESS...; result OUTCOME
    reapply     program, files, folder, seen, environment
                                                  UNCHANGED, if `apply` of these would find nothing to do and nothing to say: then
                                                  it is done; else {}, and nothing was done. For clients on this machine
    wait        names?=null, deadline?=120        PROGRESS...; result OUTCOME     null: all
    events      name?=null, limit?=200, follow?=false     {"event": "event", ...EVENT}... when following, oldest first;
                                                  result {"events": [EVENT]}      oldest first
    logs        name, follow?=false, tail?=200    {"event": "log", "at", "stream", "text"}...; result {}
    restart     name, wait?=true, deadline?=60    PROGRESS...; result OUTCOME
    rotate      name, wait?=true, deadline?=60    PROGRESS...; result OUTCOME     another credential for the bus; all before are refused
    stop        name, wait?=true, deadline?=60    PROGRESS...; result OUTCOME     a stored override: `start` clears it
    start       name, wait?=true, deadline?=60    PROGRESS...; result OUTCOME
    halt        names?=[], flatten?=false, wait?=true, deadline?=60    PROGRESS...; result OUTCOME, of the executors; no names: all.
                                                  A stored override: `resume` clears it
    resume      names?=[], wait?=true, deadline?=60    the same
    replay      names, ticks                      {"event": "capturing", "names", "ready", "message"}; no result, it lasts until the
                                                  client leaves: meanwhile each life of theirs is shown the last `ticks` of
                                                  each symbol before it is ready, in place of its history
    down        delete_data?=false, deadline?=120     PROGRESS...; result {"removed": [NAME], "kept": [NAME]}
                                                  sources first, the broker last; then the controller ends
    tap         name                              {"event": "tap", ...TAP}; whoever hangs up has the right no more; result {}
    captured    name                              {"event": "captured", "messages": [TEXT]}...; result {}     what the bus has kept of
                                                  a data source, as of now: batches, as it sent them
    letters     name?=null                        {"letters": [LETTER]}     dead letters of a receiver, null: of all; oldest first
    letter      id                                OPENED; unknown: action NoSuchLetter
    retry_letters   ids                           DISPOSED     each is sent to its receiver once more, and then gone
    drop_letters    ids                           DISPOSED
    beats       {"beats": {NAME: {"heard": TIME, "beat": BEAT}}}     BEAT is ntp.contract.beat.Beat as it came
    revisions   {"revisions": [{"number", "applied", "files": [FILE], "resolved": {NAME: DIGEST},
                 "change": TEXT (one line, against the one before; "" where it was not written),
                 "again": the first number that was the same in everything|null}]}     oldest first
    revision    number                            {"number", "applied", "sources": [[FILE, TEXT]], "resolved", "settings",
                                                   "change"}

    sources     [[FILE, TEXT], ...] in order; FILE as the user would name it in a message. Texts must be complete.
    settings    what else decides the result: PLUGIN_DIR, PLUGIN_MAX_MEMORY, PLUGIN_TIMEOUT, PLUGIN_SANDBOX,
                `folder` (absolute, where relative sources and .env are looked for), `project` (a name)
    secrets     {VARIABLE: VALUE}: kept in the controller's memory only, before its environment and .env
    expect      the revision that the caller saw; another one: conflict
    pins        {NAME: DIGEST}: give exactly that plugin again (rollback; an apply of the images that a preview showed)
    update_images   a tag means what it means now, not what it meant when it was applied last

    program     [DEVICE, INODE, MTIME_NS] of the client's `orchestrator/__init__.py`: another release reads in another way
    files       [FILE, ...] as `-f` named them; none: those that a command finds for itself
    folder      where the client stands (absolute)
    seen        [[DEVICE, INODE], ...] of /, of the client's mount namespace, and of each file that it would read: what its paths mean
    environment {VARIABLE: VALUE}, all of the client's; kept no longer than the call, but for `secrets`
    UNCHANGED   {"revision", "same": plugins that run as declared, "ready": plugins that are ready, which all are}

    INFO        {"project", "version", "python", "pid", "epoch", "started", "revision", "applied", "runtime",
                 "isolation": ISOLATION|null, "broker": {"address", "state", "message", "problems": [TEXT]},
                 "listening_since", "conditions": [CONDITION], "state_folder"}
    PROGRESS    {"event": "progress", "ready": N, "total": N, "name", "state", "message"}   one for each change of a plugin

    TAP         {"name", "address" (of the broker), "credentials" (a .creds file: one connection, listens only), "subjects": [TEXT],
                 "ends": when the credentials end, if nobody ends them before}

    PREVIEW, CHANGE, OUTCOME, STATUS, CONDITION, EVENT, ISOLATION, PROBLEM, LETTER, OPENED, DISPOSED: docs/json.md, for `--output json`
    prints them as they come.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from orchestrator.errors import (
    ActionError,
    ConfigError,
    ConflictError,
    NtpError,
    Problem,
    UnreachableError,
)

SOCKET = "controller.sock"
PORT = 8741
"""On a cluster: of the pod's loopback, reached through the API server's port-forward."""
LONGEST_LINE = 40 * 1024 * 1024
"""Bytes: sixteen MiB of files, escaped as JSON."""
_PROBLEM = {each.name for each in fields(Problem)}

ALIVE_S = 5.0
"""A server that has nothing to say says so this often."""


def line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def parse(raw: bytes) -> dict[str, Any]:
    """Raise UnreachableError where the other side does not speak this protocol."""
    try:
        message = json.loads(raw)
    except ValueError as error:
        raise UnreachableError("the controller's answer was not JSON") from error
    if not isinstance(message, dict):
        raise UnreachableError("the controller's answer was not a JSON object")
    return message


def error_line(error: NtpError) -> bytes:
    return line({"error": _describe(error)})


def _describe(error: NtpError) -> dict[str, Any]:
    match error:
        case ConfigError(problems=problems):
            return {
                "kind": "config",
                "message": str(error),
                "problems": list(map(asdict, problems)),
            }
        case UnreachableError():
            return {"kind": "unreachable", "message": str(error)}
        case ConflictError():
            return {"kind": "conflict", "message": str(error)}
        case ActionError(reason=reason, permanent=permanent):
            message = str(error)
            return {"kind": "action", "message": message, "reason": reason, "permanent": permanent}
        case _:
            return {"kind": "bug", "message": str(error)}


def rebuild(description: Mapping[str, Any]) -> NtpError:
    """Turn `error` of an answer back into the exception that the controller raised."""
    message = str(description.get("message", ""))
    match description.get("kind"):
        case "config":
            return ConfigError(
                [
                    Problem(**{key: each[key] for key in each if key in _PROBLEM})
                    for each in description.get("problems", ())
                ]
            )
        case "unreachable":
            return UnreachableError(message)
        case "conflict":
            return ConflictError(message)
        case "action":
            return ActionError(
                message,
                reason=str(description.get("reason", "Refused")),
                permanent=bool(description.get("permanent")),
            )
        case _:
            return NtpError(message)
