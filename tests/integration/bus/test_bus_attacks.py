"""What a hostile plugin may try with its own, real credential; each must fail.

The attacker speaks plain nats-py: nothing of the SDK's manners protects the others.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import nats
import pytest
from nats.aio.client import Client

from ntp.contract.names import Kind


@pytest.fixture
async def attacked(world):
    """Beta and its executor work; mallory is another strategy of the same executor."""
    world.add("mallory", Kind.STRATEGY)
    world.wire("alpha", "data", "mallory")
    world.wire("mallory", "signal", "gamma")
    world.wire("gamma", "fill", "mallory")
    await world.ensure()
    return world


@asynccontextmanager
async def attacker(world, name: str = "mallory") -> AsyncIterator[tuple[Client, list[str]]]:
    file = world.folder / f"{name}.creds"
    file.write_bytes(world.broker.credentials(name))
    errors: list[str] = []

    async def heard(error: Exception) -> None:
        errors.append(str(error))

    client = Client()
    try:
        await client.connect(
            f"nats://{world.broker.address()}",
            user_credentials=str(file),
            error_cb=heard,
            allow_reconnect=False,
        )
        yield client, errors
    finally:
        await client.close()


async def _flush(client: Client) -> None:
    # Twice, for nats-py's first PING overtakes what its own queue still holds.
    await client.flush()
    await client.flush()


async def _violations(client: Client, errors: list[str]) -> list[str]:
    await _flush(client)
    return [words for words in errors if "permissions violation" in words]


@pytest.mark.parametrize(
    "subject",
    [
        "data.BTCUSDT",
        "in.alpha.data.BTCUSDT",
        "ind.BTCUSDT",
        "fill.beta.BTCUSDT",
        "fill.gamma.beta.BTCUSDT",
        "beat.beta",
        "ctl",
        "ctl.beta",
        "next.beta",
        "reset.beta",
        "$JS.API.INFO",
        "$JS.API.STREAM.CREATE.EVIL",
        "$JS.API.STREAM.DELETE.SIG_beta",
        "$JS.API.STREAM.PURGE.SIG_beta",
        "$JS.API.STREAM.MSG.GET.SIG_beta",
        "$JS.API.DIRECT.GET.SIG_beta",
        "$JS.API.CONSUMER.CREATE.SIG_beta.mallory",
        "$JS.API.CONSUMER.DURABLE.CREATE.SIG_beta.gamma",
        "$JS.API.CONSUMER.DELETE.SIG_beta.gamma",
        "$JS.API.CONSUMER.MSG.NEXT.SIG_beta.gamma",
        "$JS.API.CONSUMER.MSG.NEXT.FILL_gamma.beta",
        "$JS.API.CONSUMER.RESET.SIG_beta.gamma",
        "$JS.ACK.SIG_beta.gamma.1.1.1.0.0",
        "$JS.ACK.FILL_gamma.beta.1.1.1.0.0",
        "$JS.FC.SIG_beta.gamma.1",
        "$SYS.REQ.CLAIMS.UPDATE",
        "$SYS.REQ.CLAIMS.DELETE",
        "$SYS.REQ.SERVER.PING",
        "$SYS.REQ.ACCOUNT.PING.CONNZ",
        "$SRV.PING",
        "$KV.bucket.key",
        "_INBOX.beta.1",
        ">",
    ],
)
async def test_a_plugin_cannot_publish_what_is_not_its_own(attacked, subject):
    async with attacker(attacked) as (client, errors):
        await client.publish(subject, b"{}")
        assert await _violations(client, errors), subject
    assert await attacked.stored("SIG_beta") == []


@pytest.mark.parametrize(
    "subject",
    [
        ">",
        "*",
        "data.>",
        "in.>",
        "in.alpha.data.>.x",
        "sig.>",
        "sig.beta.>",
        "fill.>",
        "beat.*",
        "ctl.>",
        "ctl.beta",
        "$JS.>",
        "$JS.API.>",
        "$JS.ACK.>",
        "$JS.EVENT.>",
        "$SYS.>",
        "$SYS.ACCOUNT.*.CONNECT",
        "$SRV.>",
    ],
)
async def test_a_plugin_cannot_subscribe_to_what_is_not_its_own(attacked, subject):
    async with attacker(attacked) as (client, errors):
        await client._send_command(f"SUB {subject} 77\r\n".encode())
        await client._flush_pending()
        # A malformed one ends the connection, perhaps while its answer is waited for.
        with suppress(nats.errors.ConnectionClosedError, nats.errors.FlushTimeoutError):
            await _flush(client)
        refused = [words for words in errors if "violation" in words or "invalid" in words]
        assert refused or client.last_error, subject


async def test_everything_that_it_may_hear_is_its_own(attacked):
    """All that mallory can subscribe to, while the others are busy: nothing of theirs arrives."""
    heard: list[str] = []

    async def note(message) -> None:
        heard.append(f"{message.subject} {message.data!r}")

    async with (
        attacker(attacked) as (client, _),
        attacked.link("beta") as beta,
        attacked.link("gamma") as gamma,
    ):
        await client.subscribe("_INBOX.>", cb=note)
        await _flush(client)
        await beta.request_ack("sig.BTCUSDT", b"secret wish", "1")
        (signal,) = await gamma.pull("beta")
        await gamma.ack(signal)
        await gamma.request_ack("fill.beta.BTCUSDT", b"secret fill", "2")
        (fill,) = await beta.pull("gamma")
        await beta.ack(fill)
        await beta.publish("beat", b"{}")
        await beta.flush()
        await _flush(client)
    assert heard == []


async def test_a_subject_of_another_names_only_oneself(attacked):
    """`sig.beta.X` in mallory's account is `sig.mallory.beta.X` in CORE: it stays in its stream."""
    async with attacked.link("mallory") as mallory:
        ack = await mallory.request_ack("sig.beta.BTCUSDT", b"forged", "1")
        assert ack.stream == "SIG_mallory"
    assert await attacked.stored("SIG_beta") == []


async def test_a_reply_subject_cannot_inject_a_message(attacked):
    """The server answers where the asker says: not on another account's subject, not in a stream."""
    heard: list[bytes] = []
    async with (
        attacker(attacked) as (client, errors),
        attacked.link("beta") as beta,
        attacked.link("gamma") as gamma,
    ):
        await beta.subscribe("ctl", lambda _, payload: heard.append(payload))
        await beta.flush()
        for victim in (
            "sig.beta.BTCUSDT",
            "ctl.beta",
            "beat.beta",
            "fill.gamma.beta.X",
            "$JS.API.STREAM.DELETE.SIG_beta",
            "$JS.ACK.SIG_beta.gamma.1.1.1.0.0",
        ):
            await client.publish("sig.X", b"{}", reply=victim)
            body = json.dumps({"batch": 1, "no_wait": True}).encode()
            await client.publish("next.gamma", body, reply=victim)
            await client.publish("reset.gamma", b"", reply=victim)
            await client.publish("beat", b"{}", reply=victim)
        await _flush(client)
        # The victims' ways still work, and hold what their owners sent.
        await beta.request_ack("sig.BTCUSDT", b"mine", "mine")
        (message,) = await gamma.pull("beta")
        assert message.payload == b"mine"
        del errors
    assert heard == []
    assert {msg_id for _, msg_id, _ in await attacked.stored("SIG_beta")} <= {"mine"}
    assert await attacked.streams() == {"SIG_beta", "SIG_mallory", "FILL_gamma"}


async def test_a_message_id_of_another_does_not_swallow_his_signal(attacked):
    async with attacked.link("mallory") as mallory, attacked.link("beta") as beta:
        await mallory.request_ack("sig.BTCUSDT", b"first", "beta:BTCUSDT:1:0")
        ack = await beta.request_ack("sig.BTCUSDT", b"buy", "beta:BTCUSDT:1:0")
        assert not ack.duplicate


@pytest.mark.parametrize(
    "headers",
    [
        {"Nats-Rollup": "all"},
        {"Nats-Rollup": "sub"},
        {"Nats-Expected-Stream": "SIG_beta"},
        {"Nats-TTL": "1s"},
        {"Nats-Schedule": "@every 1s", "Nats-Schedule-Target": "sig.beta.X"},
        {"Nats-Trace-Dest": "sig.beta.X"},
        {"Nats-Batch-Id": "x", "Nats-Batch-Sequence": "1", "Nats-Batch-Commit": "1"},
        {"Nats-Incr": "+1"},
    ],
)
async def test_a_header_cannot_change_another_stream(attacked, headers):
    async with attacked.link("beta") as beta:
        await beta.request_ack("sig.BTCUSDT", b"kept", "kept")
    before = await attacked.stored("SIG_beta")
    async with attacker(attacked) as (client, _):
        await client.publish("sig.X", b"{}", headers=headers)
        await client.publish("beat", b"{}", headers=headers)
        await _flush(client)
    assert await attacked.stored("SIG_beta") == before
    assert len(before) == 1


async def test_a_consumer_cannot_be_stolen_by_body_or_name(attacked):
    """What mallory may pull is its own fills, whatever the request's body says."""
    async with attacked.link("gamma") as gamma, attacker(attacked) as (client, _):
        await gamma.request_ack("fill.beta.BTCUSDT", b"for beta", "1")
        body = {"batch": 10, "no_wait": True, "stream": "SIG_beta", "consumer": "gamma"}
        inbox = client.new_inbox()
        answers = await client.subscribe(inbox)
        await client.publish("next.gamma", json.dumps(body).encode(), reply=inbox)
        answer = await answers.next_msg(timeout=5)
        assert (answer.headers or {}).get("Status") == "404"
        await client.publish("reset.gamma", json.dumps({"seq": 1}).encode(), reply=inbox)
        await client.publish("next.gamma", json.dumps(body).encode(), reply=inbox)
        for _ in range(2):
            answer = await answers.next_msg(timeout=5)
            assert b"for beta" not in answer.data


async def test_a_credential_serves_its_own_account_alone(attacked):
    """A JWT of one plugin with the seed of another, or an unsigned one, is refused."""
    from orchestrator.bus import claims
    from orchestrator.bus.client import dial
    from orchestrator.bus.keys import ACCOUNT, USER, make
    from orchestrator.errors import UnreachableError

    mine = attacked.broker.credentials("mallory").splitlines()
    theirs = attacked.broker.credentials("beta").splitlines()
    mixed = b"\n".join(mine[:4] + theirs[4:])
    account, user = make(ACCOUNT), make(USER)
    own = claims.credentials(claims.encode(claims.user(user, name="x"), account, 1), user.seed)
    for credentials in (mixed, own):
        with pytest.raises(UnreachableError, match=r"(?i)authorization|credentials"):
            async with dial(attacked.broker.address(), credentials, name="forged"):
                pass


async def test_connections_beyond_three_are_refused_and_others_stay(attacked):
    from contextlib import AsyncExitStack

    async with AsyncExitStack() as stack, attacked.link("beta") as beta:
        for _ in range(3):
            await stack.enter_async_context(attacker(attacked))
        with pytest.raises(nats.errors.Error):
            await stack.enter_async_context(attacker(attacked))
        await beta.request_ack("sig.X", b"", "1")
        assert beta.stats.reconnects == 0


async def test_subscriptions_beyond_the_limit_are_refused(attacked):
    async with attacker(attacked) as (client, errors):
        for _ in range(64):
            await client.subscribe(client.new_inbox())
        with suppress(nats.errors.Error):
            await client.flush()
            await client.flush()
        assert any("maximum subscriptions" in words for words in errors) or client.is_closed


async def test_a_message_that_is_too_large_costs_only_the_sender(attacked):
    async with attacker(attacked) as (client, _), attacked.link("beta") as beta:
        client._max_payload = 1 << 24
        await client.publish("sig.X", b"x" * 200_000)
        await attacked.until(lambda: client.is_closed)
        await beta.request_ack("sig.X", b"", "1")
        assert beta.stats.reconnects == 0


async def test_a_full_stream_of_one_leaves_the_others_theirs(attacked):
    """Mallory fills its own stream; what it had is kept, and beta's signals are stored."""
    async with attacker(attacked) as (client, _), attacked.link("beta") as beta:
        payload = b"x" * 100_000
        answers: list[dict[str, object]] = []
        for number in range(400):
            answer = await client.request("sig.X", payload, timeout=10)
            answers.append(json.loads(answer.data))
            if "error" in answers[-1]:
                break
            del number
        assert "maximum bytes exceeded" in str(answers[-1])
        ack = await beta.request_ack("sig.X", b"", "1")
        assert ack.seq == 1
        stored = await attacked.stored("SIG_mallory")
        assert len(stored) == len(answers) - 1, "nothing was pushed out"
