"""Squid's helper: may this plugin go to that place, and at which address does it lie?

Squid writes `CHANNEL host:port Bearer%20TOKEN`, one line a CONNECT; the answer is
`CHANNEL OK rewrite-url="address:port" answer=allowed …`, so that it connects to the very address that was
looked at here (a name that changes its mind in between cannot lead it anywhere), or `CHANNEL ERR answer=… words=…`.

Files of its folder, read again when they change (two ConfigMaps are mounted there):
    rules/keys, rules/keys-founded
                                `PROJECT KEY` a line: who signs tokens of which project; KEY is base64 of 32
                                bytes, and a project may have two while they are exchanged. One is the
                                controller's, the other was there before it: what both say together counts
    rules/private               host:port a line, that may lie at private addresses; metadata addresses never
    serving/PROJECT.INSTANCE    `GENERATION SINCE`: tokens that were issued before, in milliseconds, are withdrawn
    serving/PROJECT             `SINCE`, of instances without a file
"""

import argparse
import base64
import os
import random
import select
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote, unquote

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from ntp.confine import addresses, door_places
from ntp.confine.door_names import Names
from ntp.contract import egress_token
from ntp.contract.egress_token import Claims

RESOLVE_S = 5.0
RESOLVERS = 16
EACH = 4
"""Names that one plugin may have looked up at a time: one whose name server hangs delays itself."""
KEYS = ("rules/keys", "rules/keys-founded")
_FILE_LIMIT = 4 * 1024 * 1024
_NOT_LISTED = "not in network.egress of its entry; `ntpctl status NAME` shows the line to add"

Place = tuple[str, int]


class NoError(Exception):
    """The answer is no. `kind`: one of ntp.contract.egress_token's."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind = kind


class Rules:
    """What the folder says now."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[str, tuple[tuple[int, int], str]] = {}

    def claims(self, token: str) -> Claims:
        """Return what a token claims, if a key of its project signed it and it was not withdrawn."""
        try:
            message, signature = egress_token.split(token)
            # Before anything of it is read: whoever reaches this port can write a token.
            projects = {
                project for project, key in self._keys() if _verifies(key, message, signature)
            }
            claims = egress_token.claims(message) if projects else None
        except ValueError as error:
            raise NoError(egress_token.UNKNOWN, str(error)) from error
        if claims is None or claims.project not in projects:
            words = "no key that this proxy trusts signed that token"
            raise NoError(egress_token.UNKNOWN, words)
        who = f"{claims.project}.{claims.instance}"
        if not is_name(who):
            raise NoError(egress_token.UNKNOWN, "its token names no instance")
        told = self._content(f"serving/{who}") or self._content(f"serving/{claims.project}")
        since = (told.split() or ["0"])[-1]
        if not since.isdecimal() or claims.issued < int(since):
            words = (
                f"the token of generation {claims.generation} of"
                f" {claims.project}/{claims.instance} was withdrawn"
            )
            raise NoError(egress_token.UNKNOWN, words)
        return claims

    def private(self, place: Place) -> bool:
        return any(_place(line) == place for line in self._lines("rules/private"))

    def _keys(self) -> list[tuple[str, str]]:
        pairs = (line.split() for name in KEYS for line in self._lines(name))
        return [(pair[0], pair[1]) for pair in pairs if len(pair) == 2]

    def _lines(self, name: str) -> list[str]:
        return self._content(name).splitlines()

    def _content(self, name: str) -> str:
        path = self._folder / name
        try:
            about = path.stat()
            mark = (about.st_ino, about.st_mtime_ns)
            if name not in self._seen or self._seen[name][0] != mark:
                with path.open(encoding="utf-8", errors="replace") as stream:
                    self._seen[name] = (mark, stream.read(_FILE_LIMIT))
        except FileNotFoundError:
            return ""
        return self._seen[name][1]


class Question:
    """One line of Squid's, on its way to an answer."""

    def __init__(self, line: str) -> None:
        self.channel, _, rest = line.partition(" ")
        self.asked, _, shown = rest.partition(" ")
        self.token = unquote(shown.split(" ")[0]).removeprefix("Bearer ")
        self.who = "-"
        self.place: Place = ("", 0)
        self.to: Place = ("", 0)
        self.deadline = monotonic() + RESOLVE_S

    def decide(self, rules: Rules) -> None:
        """Say where it leads, or raise NoError."""
        host, _, port = self.asked.rpartition(":")
        try:
            self.place = self.to = door_places.parse(f"{host.strip('[]')} {port}".encode())
        except ValueError as error:
            raise NoError(egress_token.REFUSED, f"that is no host:port ({error})") from error
        claims = rules.claims(self.token)
        self.who = f"{claims.project}/{claims.instance}"
        if self.place not in {door_places.place(each) for each in claims.hosts}:
            raise NoError(egress_token.REFUSED, f"{self.shown} is refused: {_NOT_LISTED}")
        pairs = (each.partition("=") for each in claims.detours)
        detours = {door_places.place(a): door_places.place(b) for a, _, b in pairs}
        self.to = detours.get(self.place, self.place)

    def choose(self, found: list[tuple[int, str]], rules: Rules) -> str:
        """Return an address that the proxy may connect to, or raise NoError."""
        local = rules.private(self.to)
        words = ""
        fit: list[tuple[int, str]] = []
        for family, address in found:
            # What the entry writes as an address is no more public than a name that leads there.
            against = addresses.objection(address, written=False, local=local)
            if against is None:
                fit.append((family, address))
            else:
                words = f"{address} is {against}; who runs the cluster may allow it: egressProxy.private"
        if not fit:
            raise NoError(egress_token.REFUSED, f"{self.shown} is refused: {words}")
        # Any of the family that the system prefers: the next try meets another one, if this one is dead.
        return random.choice([address for family, address in fit if family == fit[0][0]])  # noqa: S311

    @property
    def shown(self) -> str:
        return egress_token.place(*self.place)


class Helper:
    """The loop: questions of Squid's come in, answers go out, in any order."""

    def __init__(self, rules: Rules, look_up: Any = None) -> None:
        self._rules = rules
        self._names = Names(look_up, resolvers=RESOLVERS)
        self._waiting: dict[str, Question] = {}
        self._looking: Counter[str] = Counter()
        self._rest = b""

    def run(self) -> None:
        """Until Squid closes."""
        while True:
            ends = [each.deadline for each in self._waiting.values()]
            patience = max(min(ends) - monotonic(), 0.0) if ends else None
            ready, _, _ = select.select([0, self._names.bell], [], [], patience)
            if 0 in ready:
                read = os.read(0, 64 * 1024)
                if not read:
                    return
                *lines, self._rest = (self._rest + read).split(b"\n")
                for line in lines:
                    question = Question(line.decode(errors="replace"))
                    self._answer(question, partial(self._ask, question))
            if self._names.bell in ready:
                for question, found, _, words in self._names.answers():
                    self._looking[question.who] -= 1
                    if self._looking[question.who] <= 0:
                        del self._looking[question.who]
                    if self._waiting.get(question.channel) is question:
                        del self._waiting[question.channel]
                        self._answer(question, partial(self._found, question, found, words))
            for late in [q for q in self._waiting.values() if q.deadline <= monotonic()]:
                del self._waiting[late.channel]
                self._no(
                    late,
                    egress_token.UNRESOLVED,
                    f"{late.to[0]} was not resolved in {RESOLVE_S:g} s",
                )

    def _answer(self, question: Question, step: Callable[[], None]) -> None:
        """Whatever one question meets, the others go on: Squid has one helper, and ends if it does."""
        try:
            step()
        except NoError as no:
            self._no(question, no.kind, str(no))
        except Exception as error:  # noqa: BLE001 - a plugin wrote what led here
            words = f"{type(error).__name__}: {error}"
            sys.stderr.write(f"egress: {question.who} {question.asked}: {words}\n")
            self._no(question, egress_token.UNKNOWN, f"the proxy failed at it: {words}")

    def _ask(self, question: Question) -> None:
        question.decide(self._rules)
        family = door_places.family(question.to[0])
        if family is not None:
            self._found(question, [(family, question.to[0])], "")
            return
        # Until a resolver is free of it, which may be long after Squid had its answer.
        if self._looking[question.who] >= EACH or not self._names.ask(question, *question.to):
            raise NoError(egress_token.BUSY, f"{question.shown}: too many names are looked up")
        self._looking[question.who] += 1
        self._waiting[question.channel] = question

    def _found(self, question: Question, found: list[tuple[int, str]], words: str) -> None:
        if not found:
            raise NoError(egress_token.UNRESOLVED, f"{question.to[0]}: {words}")
        address = question.choose(found, self._rules)
        where = egress_token.place(address, question.to[1])
        self._say(question, "OK", f'rewrite-url="{where}" answer=allowed')

    def _no(self, question: Question, kind: str, words: str) -> None:
        self._say(question, "ERR", f"answer={kind} words={quote(words)}")

    def _say(self, question: Question, result: str, fields: str) -> None:
        about = f"plugin={quote(question.who)} place={quote(question.shown, safe=':[]')}"
        # In one piece: Squid takes half a line for garbage. A full pipe blocks, as it should.
        os.write(1, f"{question.channel} {result} {fields} {about}\n".encode())


def is_name(text: str) -> bool:
    """Whether it can be a file's name here, and nothing above."""
    return bool(text) and text[0] != "." and all(c.isalnum() or c in "-_." for c in text)


def _place(line: str) -> Place | None:
    """Return a place that somebody wrote; None: it is none, and allows nothing."""
    try:
        return door_places.place(line)
    except ValueError:
        return None


def _verifies(key: str, message: bytes, signature: bytes) -> bool:
    try:
        VerifyKey(base64.b64decode(key, validate=True)).verify(message, signature)
    except (BadSignatureError, ValueError, TypeError):
        return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="holds rules/ and serving/")
    Helper(Rules(parser.parse_args().folder)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
