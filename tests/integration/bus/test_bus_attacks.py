"""What a hostile plugin may try with its own, real credential; each must fail.

The attacker speaks plain nats-py: nothing of the SDK's manners protects the others.
"""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import nats
import pytest
from nats.aio.client import Client

from ntp.contract.beat import Beat, Stage
from ntp.contract.names import Kind
from orchestrator.bus.beats import FLOODING
from orchestrator.bus.connection import listen


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
        "$JS.API.STREAM.MSG.GET.DLQ_gamma",
        "$JS.API.STREAM.MSG.GET.DLQ_mallory",
        "$JS.API.STREAM.MSG.DELETE.DLQ_gamma",
        "$JS.API.STREAM.PURGE.DLQ_gamma",
        "$JS.API.STREAM.PURGE.DLQ_mallory",
        "$JS.API.STREAM.PURGE.TRY_gamma",
        "$JS.API.STREAM.UPDATE.DLQ_mallory",
        "$JS.API.CONSUMER.CREATE.DLQ_gamma.mallory",
        "again.beta.gamma.BTCUSDT",
        "again.mallory.gamma.BTCUSDT",
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
        "dlq.>",
        "dlq.gamma.>",
        "again.>",
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
    stored = {"SIG_beta", "SIG_mallory", "FILL_gamma"}
    dead = {f"{kind}_{name}" for kind in ("DLQ", "TRY") for name in ("beta", "mallory", "gamma")}
    assert await attacked.streams() == stored | dead


async def test_state_and_captures_of_others_are_out_of_reach(attacked):
    """What another keeps for its next life, and what it is wired to, is neither read nor written."""
    attacked.add("other", Kind.DATA_SOURCE)
    attacked.wire("other", "data", "beta")
    await attacked.ensure()
    async with attacked.link("beta") as beta, attacked.link("other") as other:
        await beta.bucket.store(b"mine")
        await other.publish("data.BTCUSDT", b"paid for")
        await other.flush()
        async with attacker(attacked) as (client, errors):
            inbox, heard = client.new_inbox(), []

            async def note(message):
                heard.append(message.data)

            await client.subscribe(inbox, cb=note)
            for subject in (
                "state.beta",
                "$JS.API.DIRECT.GET.STATE_beta.state.beta",
                "$JS.API.STREAM.MSG.GET.STATE_beta",
                "$JS.API.STREAM.PURGE.STATE_beta",
                "$JS.API.CONSUMER.MSG.NEXT.MD_other.beta",
                "$JS.API.CONSUMER.RESET.MD_other.beta",
                "$JS.API.CONSUMER.CREATE.MD_other.mallory",
                "next.other",
                "md.other.data.BTCUSDT",
            ):
                await client.publish(subject, b'{"seq": 1, "batch": 1}', reply=inbox)
            # Its own is there, and is its own, whatever the question names.
            await client.publish("state", b"whose", reply=inbox)
            await attacked.until(lambda: heard)
            for last in ("state.mallory", "state.beta", ">"):
                for body in ({"last_by_subj": last}, {"next_by_subj": last}, {"seq": 1}):
                    await client.publish("recall", json.dumps(body).encode(), reply=inbox)
            await _flush(client)
            await attacked.until(lambda: len(heard) == 1 + 9)
            refused = "\n".join(str(error) for error in errors)
        answers = [json.loads(each) for each in heard]
        told = {each["message"]["data"] for each in answers if "message" in each}
        assert {base64.b64decode(each) for each in told} == {b"whose"}
        assert len([each for each in answers if "message" in each]) == 7
        for subject in ("state.beta", "msg.get.state_beta", "md.other.data", "next.other"):
            assert subject in refused.lower()
        assert await beta.bucket.load() == b"mine"
        assert [each.payload for each in await beta.captured("other")] == [b"paid for"]


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


async def test_a_dead_letter_of_another_is_out_of_reach(attacked):
    """Mallory names gamma's letters, its message ids and its headers: all of it is mallory's own."""
    async with attacked.link("gamma") as gamma, attacker(attacked) as (client, _):
        kept = await gamma.bury("dlq.letter.beta.1-1", b"mine", "SIG_beta:1-1:gamma", {})
        assert (await kept).stream == "DLQ_gamma"
        before = await attacked.stored("DLQ_gamma")
        forged = "dlq.gamma.letter.beta.1-1"
        for headers in (
            {"Nats-Msg-Id": "SIG_beta:1-1:gamma"},
            {"Nats-Msg-Id": "SIG_beta:2-1:gamma"},
            {"Nats-Rollup": "sub"},
            {"Nats-Rollup": "all"},
            {"Nats-TTL": "1s"},
        ):
            await client.publish(forged, b"forged", headers=headers)
            await client.publish("dlq.letter.beta.1-1", b"forged", headers=headers)
        await client.request("dlq.letter.beta.9-1", b"forged")  # answered once all is stored
        later = await gamma.bury("dlq.letter.beta.2-1", b"mine", "SIG_beta:2-1:gamma", {})
        assert not (await later).duplicate
    assert (await attacked.stored("DLQ_gamma"))[:1] == before
    assert {payload for _, _, payload in await attacked.stored("DLQ_gamma")} == {b"mine"}
    assert {payload for _, _, payload in await attacked.stored("DLQ_mallory")} == {b"forged"}


async def test_who_is_sent_nothing_that_is_stored_has_no_dead_letters(attacked):
    async with attacker(attacked, "alpha") as (client, errors):
        await client.publish("dlq.letter.beta.1-1", b"")
        assert await _violations(client, errors)


async def test_letters_without_end_push_out_nobodys_and_their_sender_is_told(attacked):
    from ntp.connection import Ack

    async with attacked.link("mallory") as mallory, attacked.link("gamma") as gamma:
        acks: list[Ack] = []
        payload = b"x" * 100_000
        while not acks or acks[-1].seq:
            place = str(len(acks))
            acks.append(await (await mallory.bury(f"dlq.letter.gamma.{place}", payload, place, {})))
        assert len(acks) > 30
        assert next(seq for seq, _, _ in await attacked.stored("DLQ_mallory")) == 1
        kept = await gamma.bury("dlq.letter.mallory.1-1", payload, "1", {})
        assert (await kept).seq == 1
        # What is begun is noted all the same.
        note = await mallory.bury("dlq.try.gamma.1", b"", "try", {})
        assert (await note).seq == 1


async def test_a_queue_group_takes_nothing_from_those_who_hear_the_same(attacked):
    """Mallory joins every group that it can think of on what it may hear: each hears all the same."""
    heard: list[bytes] = []
    async with (
        attacker(attacked) as (client, errors),
        attacked.link("alpha") as alpha,
        attacked.link("beta") as beta,
    ):
        await beta.subscribe("in.alpha.data.>", lambda _, tick: heard.append(tick))
        await beta.flush()
        for group in ("beta", "gamma", "MD_alpha", "CORE"):
            await client.subscribe("in.alpha.data.>", queue=group)
            await client.subscribe("_INBOX.>", queue=group)
        assert await _violations(client, errors) == []
        every = [b"%d" % number for number in range(100)]
        for tick in every:
            await alpha.publish("data.A", tick)
        await attacked.until(lambda: len(heard) >= len(every))
        assert heard == every
        assert [each.payload for each in await beta.captured("alpha")] == every
        kept = await beta.request_ack("sig.A", b"", "1")
        assert (kept.stream, kept.seq) == ("SIG_beta", 1)


async def test_who_said_something_is_told_by_its_subject_not_by_a_header(attacked):
    """`Nats-Request-Info` names an account; mallory writes another's there."""
    theirs = attacked.broker._authority.account("beta").public
    forged = {"Nats-Request-Info": json.dumps({"acc": theirs, "name": "beta", "user": "beta"})}
    async with (
        listen(attacked.broker.address, attacked.broker.core_credentials) as bus,
        attacker(attacked) as (client, _),
        attacked.link("gamma") as gamma,
    ):
        await attacked.until(lambda: bus.listening_since)
        await client.publish("sig.BTCUSDT", b"forged", headers=forged)
        await client.publish("beat", beat("beta"), headers=forged)
        await client.publish("beat", beat("mallory"), headers=forged)
        await attacked.until(lambda: "mallory" in bus.beats())
        assert ("beta" in bus.beats(), bus.forged) == (False, 1)
        (signal,) = await gamma.pull("mallory")
        assert (signal.subject, signal.stream) == ("sig.mallory.BTCUSDT", "SIG_mallory")
        assert await gamma.pull("beta", expires=0.3) == []


async def test_a_trace_shows_nothing_beyond_the_own_account(attacked):
    """The server would tell whoever asks through which accounts and to whom a message went."""
    async with attacker(attacked) as (client, _):
        traces = await client.subscribe("_INBOX.trace")
        for subject in ("sig.BTCUSDT", "beat", "recall", "next.gamma"):
            for only in ({}, {"Nats-Trace-Only": "true"}):
                headers = {"Nats-Trace-Dest": "_INBOX.trace", **only}
                await client.publish(subject, b"{}", headers=headers)
        await _flush(client)
        told = b"\n".join(
            [traces._pending_queue.get_nowait().data for _ in range(traces.pending_msgs)]
        )
    authority = attacked.broker._authority
    secrets = [
        authority.core.public,
        *(authority.account(each).public for each in ("beta", "gamma")),
    ]
    assert [each for each in (*secrets, "gamma", "SIG_") if each.encode() in told] == []


async def test_who_does_not_read_is_cut_off_and_costs_nobody_anything(attacked):
    """16 MiB wait for it at most: of 150 MiB the server keeps a part, and the others miss nothing."""
    heard: list[int] = []
    async with (
        attacker(attacked) as (client, _),
        attacked.link("alpha") as alpha,
        attacked.link("beta") as beta,
    ):
        await client.subscribe("in.alpha.data.>")
        await _flush(client)
        await beta.subscribe("in.alpha.data.>", lambda _, tick: heard.append(len(tick)))
        await beta.flush()
        client._transport._io_writer.transport.pause_reading()
        before = resident(attacked.server.pid)
        for number in range(1, 1501):
            await alpha.publish("data.A", b"x" * 100_000)
            if number % 20 == 0:  # all are in one loop: beta's turn to read
                await attacked.until(lambda number=number: len(heard) >= number)
        assert resident(attacked.server.pid) < before + 100 * 1024
        client._transport._io_writer.transport.resume_reading()
        await attacked.until(lambda: client.is_closed)
        assert (len(heard), beta.stats.reconnects, beta.stats.dropped) == (1500, 0, 0)
        assert alpha.stats.reconnects == 0


def resident(pid: int) -> int:
    """Memory of a process, KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


async def test_who_floods_the_controller_is_shown_and_the_others_are_heard(attacked):
    """No server limits a rate: beats beyond a few a second are dropped unread."""
    async with (
        listen(attacked.broker.address, attacked.broker.core_credentials) as bus,
        attacker(attacked) as (client, _),
        attacked.link("beta") as beta,
    ):
        await attacked.until(lambda: bus.listening_since)
        for number in range(1, 5001):
            await client.publish("beat", beat("mallory", number))
        await _flush(client)
        await beta.publish("beat", beat("beta"))
        await attacked.until(lambda: "beta" in bus.beats())
        (condition,) = bus.beats()["mallory"][0].conditions
        assert (condition.type, beta.stats.reconnects) == (FLOODING, 0)


async def test_what_another_says_can_be_said_for_him_neither_again_nor_before(attacked):
    """A signal of beta's, to the byte, said by mallory is mallory's; its own again is stored once.

    `sig.beta.X` in mallory's account is `sig.mallory.beta.X` in CORE.
    """
    async with (
        attacked.link("beta") as beta,
        attacked.link("mallory") as mallory,
        attacked.link("gamma") as gamma,
    ):
        await beta.request_ack("sig.BTCUSDT", b"buy", "beta:BTCUSDT:1:0")
        (first,) = await gamma.pull("beta")
        await gamma.ack(first)
        again = [
            await mallory.request_ack(subject, b"buy", "beta:BTCUSDT:1:0")
            for subject in ("sig.BTCUSDT", "sig.BTCUSDT", "sig.beta.BTCUSDT")
        ]
        assert [(each.stream, each.duplicate) for each in again] == [
            ("SIG_mallory", False),
            ("SIG_mallory", True),
            ("SIG_mallory", True),
        ]
        await mallory.request_ack("sig.BTCUSDT", b"buy", "beta:BTCUSDT:2:0")
        ack = await beta.request_ack("sig.BTCUSDT", b"sell", "beta:BTCUSDT:2:0")
        assert (ack.stream, ack.duplicate) == ("SIG_beta", False)
        (second,) = await gamma.pull("beta")
        assert second.payload == b"sell"
        said = await gamma.pull("mallory")
        assert {each.subject for each in said} == {"sig.mallory.BTCUSDT"}
    assert [payload for _, _, payload in await attacked.stored("SIG_beta")] == [b"sell"]


async def test_an_old_life_is_not_heard_any_more(attacked):
    """Beats of a life that was succeeded, kept and sent again by whoever has the credential."""
    async with (
        listen(attacked.broker.address, attacked.broker.core_credentials) as bus,
        attacker(attacked) as (client, _),
        attacked.link("beta") as beta,
    ):
        await attacked.until(lambda: bus.listening_since)
        await client.publish("beat", beat("mallory", 1, life="old"))
        await client.publish("beat", beat("mallory", 1, life="new", days=1))
        await attacked.until(
            lambda: "mallory" in bus.beats() and bus.beats()["mallory"][0].incarnation == "new"
        )
        await client.publish("beat", beat("mallory", 9, life="old"))
        await _flush(client)
        await beta.publish("beat", beat("beta"))
        await attacked.until(lambda: "beta" in bus.beats())
        now = bus.beats()["mallory"][0]
        assert (now.incarnation, now.number) == ("new", 1)


def beat(instance: str, number: int = 1, *, life: str = "one", days: int = 0) -> bytes:
    return msgspec.json.encode(
        Beat(
            instance=instance,
            kind="strategy",
            incarnation=life,
            generation=1,
            number=number,
            at=datetime.now(UTC),
            started=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=days),
            stage=Stage.READY,
        )
    )
