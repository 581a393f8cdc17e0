"""Who signs: the operator and the accounts SYS and CORE, with their users; kept over restarts.

Tokens of unchanged meaning are kept as they are, `iat` included, so that the server's configuration
is the same text after a restart of the controller, and the broker is left alone. One that says
something else is issued later than the one before it, whatever the clock says: servers of a cluster
that were apart go by that.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from orchestrator.bus import claims
from orchestrator.bus.external import External
from orchestrator.bus.keys import (
    ACCOUNT,
    OPERATOR,
    USER,
    Key,
    Keyring,
    file_of,
    make,
    write_private,
)
from orchestrator.spec.model import Import, Rights
from orchestrator.spec.rights import CORE, TAP

_ACCOUNT, _USER = "account", "user"
CORE_KEY = file_of(f"{_ACCOUNT}.{CORE}")
"""File of the key of the account that every stream is in: with another one they are nobody's."""
_GRAVES = 1000
"""Accounts that are gone and remembered: the newest."""


@dataclass(frozen=True, slots=True)
class Passing:
    """An account made for one listener: its public key, its token, and who its only user is."""

    public: str
    token: str
    credentials: bytes = field(repr=False)
    """A .creds file."""


class Authority:
    """Signs for one project. `folder` becomes 0700 with keys and tokens, 0600 each."""

    def __init__(
        self,
        folder: Path,
        *,
        project: str,
        external: External | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._ring = Keyring(folder)
        self._folder = folder
        self._project = project
        self._now = now
        self._external = external
        if external is None:
            self._operator = self._ring.key("operator", OPERATOR)
            self._signing = self._ring.key("operator-signing", OPERATOR)
        else:
            self._operator = self._signing = Key(external.operator_seed)
        self.core = self._ring.key(f"{_ACCOUNT}.{CORE}", ACCOUNT)

    @property
    def signer(self) -> str:
        """The public key of what signs accounts: the operator's, or one of his signing keys'."""
        return self._signing.public

    @property
    def operator(self) -> str:
        """The operator's public key."""
        return self._operator.public

    def operator_token(self) -> str:
        """Return the operator's own token: for the configuration of a server of ours."""
        body = claims.operator(
            self._operator, self._signing, self._system(), name=f"ntp {self._project}"
        )
        return self._kept("operator", body, self._operator)

    def system(self) -> tuple[str, str]:
        """Return SYS: its public key and its token."""
        key = self._system()
        return key.public, self._kept("SYS", claims.system_account(key), self._signing)

    def core_token(self, captured: Sequence[Import] = (), *, again: bool = False) -> str:
        """Return CORE's token; `captured`: what it imports, which differs from time to time.

        `again`: another one, though it says the same.
        """
        exporters = {item.account: self.account(item.account) for item in captured}
        body = claims.core_account(self.core, captured, exporters, int(self._now()))
        return self._kept(CORE, body, self._signing, again=again)

    def system_credentials(self) -> bytes:
        """Return a .creds file that may push claims; it never leaves the controller."""
        if self._external is not None:
            return self._external.system_credentials
        return self._credentials("SYS", self._system())

    def core_credentials(self) -> bytes:
        return self._credentials(CORE, self.core)

    def credentials(self, instance: str) -> bytes:
        """Return the .creds file of one plugin: the same one until `rotate`."""
        return self._credentials(instance, self.account(instance))

    def account(self, instance: str) -> Key:
        return self._ring.key(f"{_ACCOUNT}.{instance}", ACCOUNT)

    def account_token(self, rights: Rights, *, again: bool = False) -> str:
        """Return a token of these rights, issued now; for several servers, the same one until they change.

        `again`: another one, though it says the same, issued later; to be asked for at most once a second.
        """
        key, exporters = self.account(rights.instance), self._exporters(rights)
        refused = self._refused(rights.instance)

        def token(issued: int) -> str:
            body = claims.plugin_account(
                key, rights, exporters, project=self._project, issued=issued, refused=refused
            )
            return claims.encode(body, self._signing, issued)

        if self._external is None:
            return token(int(self._now()) + again)
        return self._repeated(f"{_ACCOUNT}.{rights.instance}", token, again=again)

    def passing(self, rights: Rights, lifetime: timedelta) -> Passing:
        """Return an account for one connection that lasts so long at most; its keys are kept nowhere."""
        account, key = make(ACCOUNT), make(USER)
        issued = int(self._now())
        ends = {"exp": issued + int(lifetime.total_seconds())}
        body = claims.plugin_account(
            account,
            rights,
            self._exporters(rights),
            project=self._project,
            issued=issued,
            connections=1,
        )
        user = claims.encode(claims.user(key, name=rights.instance) | ends, account, issued)
        return Passing(
            public=account.public,
            token=claims.encode(body | ends, self._signing, issued),
            credentials=claims.credentials(user, key.seed),
        )

    def is_passing(self, token: str) -> bool:
        """Say whether a token that a server holds is of an account that `passing` made."""
        try:
            name = claims.decode(token).get("name")
        except ValueError:  # of somebody else, on a NATS that is not ours
            return False
        return isinstance(name, str) and name.startswith(f"{self._project}/{TAP} ")

    def _exporters(self, rights: Rights) -> dict[str, Key]:
        return {CORE: self.core} | {
            item.account: self.account(item.account)
            for item in rights.imports
            if item.account != CORE
        }

    def deletion_token(self, accounts: Mapping[str, str]) -> str:
        body = claims.deletion(self._signing, sorted(accounts.values()))
        return claims.encode(body, self._signing, int(self._now()))

    def rotate(self, instance: str) -> None:
        """Forget its credential: the next one is another, and its account refuses all before."""
        name = f"{_USER}.{instance}"
        try:
            issued = int(claims.decode(self._token_file(name).read_text())["iat"])
        except (FileNotFoundError, ValueError, KeyError):
            issued = 0
        self._forget_user(instance)
        # The clock may have been set back since, and two may be asked for within one second.
        refused = max(int(self._now()), issued, self._refused(instance))
        write_private(self._refused_file(instance), b"%d" % refused)

    def forget(self, instance: str) -> None:
        """Drop the keys of a plugin that is gone: whoever kept its credential holds nothing."""
        self._ring.forget(f"{_ACCOUNT}.{instance}")
        self._issued_file(f"{_ACCOUNT}.{instance}").unlink(missing_ok=True)
        self._forget_user(instance)
        self._refused_file(instance).unlink(missing_ok=True)

    def bury(self, accounts: Iterable[str]) -> None:
        """Remember accounts (public keys) that are to be gone: a server that is down holds them still."""
        if self._external is not None:
            graves = dict.fromkeys([*self.buried(), *accounts])
            write_private(self._graves_file(), "\n".join([*graves][-_GRAVES:]).encode())

    def buried(self) -> Sequence[str]:
        """Return what `bury` was told, the oldest first."""
        try:
            return self._graves_file().read_text().split()
        except FileNotFoundError:
            return ()

    def _forget_user(self, instance: str) -> None:
        self._ring.forget(f"{_USER}.{instance}")
        self._token_file(f"{_USER}.{instance}").unlink(missing_ok=True)

    def known(self) -> Mapping[str, str]:
        """Return the instances that have an account, with its public key."""
        prefix = f"{_ACCOUNT}."
        names = [
            name.removeprefix(prefix) for name in self._ring.names() if name.startswith(prefix)
        ]
        return {name: self.account(name).public for name in names if name not in {CORE, "SYS"}}

    def _system(self) -> Key:
        return self._ring.key(f"{_ACCOUNT}.SYS", ACCOUNT)

    def _credentials(self, name: str, account: Key) -> bytes:
        key = self._ring.key(f"{_USER}.{name}", USER)
        after = self._refused(name)
        token = self._kept(f"{_USER}.{name}", claims.user(key, name=name), account, after=after)
        return claims.credentials(token, key.seed)

    def _kept(
        self, name: str, body: dict[str, Any], issuer: Key, *, after: int = 0, again: bool = False
    ) -> str:
        """`after`: what is issued until then, in seconds since 1970, is refused."""
        file = self._token_file(name)
        try:
            old = file.read_text()
            after = max(after, int(claims.decode(old)["iat"]))
        except (FileNotFoundError, ValueError, KeyError):
            old = ""
        fresh = claims.encode(body, issuer, max(int(self._now()), after + 1))
        if old and not again and claims.meaning(old) == claims.meaning(fresh):
            return old
        write_private(file, fresh.encode())
        return fresh

    def _repeated(self, name: str, token: Callable[[int], str], *, again: bool) -> str:
        """Return the token that was made last, as long as it would be made the same; else one issued now.

        Signatures of Ed25519 are the same for the same text, so that no more is kept of it than when it was
        issued, and its digest: a token has 18 KB with fifteen imports, and there may be thousands.
        """
        file = self._issued_file(name)
        try:
            at, digest = file.read_text().split()
            before = int(at)
        except (FileNotFoundError, ValueError):
            before, digest = 0, ""
        if before and not again and _digest(old := token(before)) == digest:
            return old
        issued = max(int(self._now()), before + 1)
        fresh = token(issued)
        write_private(file, f"{issued} {_digest(fresh)}\n".encode())
        return fresh

    def _refused(self, instance: str) -> int:
        """Until when what was issued to this instance is refused; 0: it was never rotated."""
        try:
            return int(self._refused_file(instance).read_text())
        except FileNotFoundError:
            return 0

    def _refused_file(self, instance: str) -> Path:
        return self._folder / f"{_USER}.{instance}.refused"

    def _graves_file(self) -> Path:
        return self._folder / "accounts.gone"

    def _issued_file(self, name: str) -> Path:
        return self._folder / f"{name}.issued"

    def _token_file(self, name: str) -> Path:
        return self._folder / f"{name}.jwt"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
