"""Values for references: passed by `ntpctl apply` (memory only), the environment, `.env`, files.

A value never leaves through a digest: that is keyed with a random key of the project.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from dotenv import dotenv_values

from orchestrator.errors import ActionError, Problem, UnreachableError
from orchestrator.spec.model import SecretRef

KEY_FILE = "secret-digest.key"
LONGEST = 1 << 20
"""Bytes of one secret."""


class LocalSecrets:
    """`folder`: where plugins.yaml, its `.env` and relative secret files lie."""

    def __init__(
        self,
        state: Path,
        *,
        folder: Path | None,
        environment: Mapping[str, str],
        passed: Mapping[str, str] | None = None,
    ) -> None:
        self._state = state
        self._folder = folder
        self._environment = environment
        self._passed = dict(passed or {})
        self._key: bytes | None = None

    def passing(self, values: Mapping[str, str], folder: Path | None) -> Self:
        """Return these with what a caller passed over the socket; it lives as long as the process."""
        return type(self)(
            self._state,
            folder=folder or self._folder,
            environment=self._environment,
            passed={**self._passed, **values},
        )

    def resolve(self, reference: SecretRef) -> str:
        """Return the value. `source` env: passed, then environment, then `.env`; file: its text.

        One newline at the end of a file is not part of the secret.
        """
        match reference.source:
            case "env":
                return self._variable(reference)
            case "file":
                return self._file(reference)
            case other:
                raise _missing(
                    reference,
                    f"secrets from {other!r} are not known here: this is no cluster",
                    "write env:NAME or file:path",
                )

    def digest(self, reference: SecretRef) -> str:
        value = self.resolve(reference)
        # Made when it is needed: who only asks for values leaves nothing behind.
        self._key = self._key or _project_key(self._state)
        return hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()[:32]

    def _variable(self, reference: SecretRef) -> str:
        for values in (self._passed, self._environment, self._dotenv()):
            value = values.get(reference.key)
            if value:
                return value
        raise _missing(
            reference,
            f"the variable {reference.key} is not set",
            f"put {reference.key}=… into .env beside plugins.yaml, or into the environment of `ntpctl apply`",
        )

    def _dotenv(self) -> Mapping[str, str | None]:
        if self._folder is None or not (self._folder / ".env").is_file():
            return {}
        # Without interpolation: a `$` in a password is a `$`.
        return dotenv_values(self._folder / ".env", interpolate=False)

    def _file(self, reference: SecretRef) -> str:
        path = Path(reference.key).expanduser()
        if not path.is_absolute() and self._folder is not None:
            path = self._folder / path
        try:
            with path.open("rb") as file:
                raw = file.read(LONGEST + 1)
            text = raw.decode()
        except OSError as error:
            what = f"the secret file {reference.key} cannot be read: {error.strerror}"
            raise _missing(reference, what, "make it readable for the controller") from error
        except UnicodeDecodeError as error:
            what = f"the secret file {reference.key} is not text"
            raise _missing(reference, what, "store it as UTF-8, for example base64") from error
        if len(raw) > LONGEST:
            raise _missing(
                reference, f"the secret file {reference.key} exceeds 1 MiB", "name another"
            )
        return text.removesuffix("\n").removesuffix("\r")


def _missing(reference: SecretRef, what: str, fix: str) -> ActionError:
    place = reference.place
    problem = Problem(place.file, place.line, place.column, what, fix)
    return ActionError(str(problem), reason="SecretMissing", problem=problem)


def _project_key(state: Path) -> bytes:
    """Return the random key of this project, made at first use, mode 0600."""
    path = state / KEY_FILE
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            key = path.read_bytes()
            if len(key) == 32:
                return key
        except FileNotFoundError:
            pass
        key = secrets.token_bytes(32)
        fresh = path.with_name(f"{KEY_FILE}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise UnreachableError(f"the state folder {state} cannot be written: {error}") from error
    return key
