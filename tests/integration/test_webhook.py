"""One POST to a webhook, against real servers that are slow, broken, gone, or somebody else."""

import asyncio
import hashlib
import hmac
import json
import os
import re
import socket
import ssl
import subprocess
import sys
from datetime import timedelta

import pytest
import trustme

from orchestrator.decide.alerts import Alert, Status
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.monitor.payload import text
from orchestrator.monitor.webhook import HANGING, HttpWebhook
from orchestrator.spec.webhook import Webhook
from tests.worlds.receiver import Receiver, receiving
from tests.worlds.specs import NOON

ALERT = Alert(
    id="desk/momentum/OOMKilled/20260302T120000.000000Z/firing",
    alert="desk/momentum/OOMKilled/20260302T120000.000000Z",
    status=Status.FIRING,
    project="desk",
    plugin="momentum",
    kind="strategy",
    reason="OOMKilled",
    state="BackOff",
    message="limit 128 MiB, peak 128 MiB; raise resources.memory",
    since=NOON,
    at=NOON + timedelta(seconds=1),
    suppressed=2,
)


@pytest.fixture
def receiver():
    with receiving(Receiver()) as made:
        yield made


def webhook(receiver, *, signing="", deadline_s=5.0):
    return HttpWebhook(Webhook(receiver.url, signing), version="1.2", deadline_s=deadline_s)


async def test_a_message_has_fields_for_programs_and_words_for_people(receiver):
    await webhook(receiver).tell(ALERT)
    ((path, headers, body),) = receiver.requests
    assert path == "/hook/hunter2?key=abc"
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert headers["User-Agent"] == "ntp/1.2"
    assert "X-Hub-Signature-256" not in headers
    assert json.loads(body) == {
        "format": 1,
        "id": ALERT.id,
        "alert": ALERT.alert,
        "status": "firing",
        "project": "desk",
        "plugin": "momentum",
        "kind": "strategy",
        "reason": "OOMKilled",
        "state": "BackOff",
        "message": "limit 128 MiB, peak 128 MiB; raise resources.memory",
        "since": "2026-03-02T12:00:00+00:00",
        "at": "2026-03-02T12:00:01+00:00",
        "suppressed": 2,
        "text": "desk: momentum: OOMKilled: limit 128 MiB, peak 128 MiB; raise resources.memory"
        " (2 alerts before it were not sent, for there were too many: `ntpctl status`)",
    }


async def test_a_secret_signs_the_body(receiver):
    await webhook(receiver, signing="s3cret").tell(ALERT)
    ((_, headers, body),) = receiver.requests
    made = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Signature-256"] == f"sha256={made}"


@pytest.mark.parametrize("status", [500, 503, 408, 429])
async def test_later_is_said_to_be_worth_another_try(receiver, status):
    receiver.status = status
    with pytest.raises(UnreachableError, match=f"it answered {status} "):
        await webhook(receiver).tell(ALERT)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "it answered 400 Bad Request"),
        (404, "it answered 404 Not Found"),
        (410, "it answered 410 Gone"),
        (302, "redirects are not followed, name the address that it leads to"),
        (307, "redirects are not followed"),
        (499, "it answered 499"),
    ],
)
async def test_no_is_final_and_a_redirect_is_a_no(receiver, status, words):
    receiver.status = status
    with pytest.raises(ActionError, match=words) as refused:
        await webhook(receiver).tell(ALERT)
    assert refused.value.permanent
    assert "hunter2" not in str(refused.value)
    assert len(receiver.requests) == 1, "nobody else was told"


@pytest.mark.parametrize("how", ["hold", "drip"])
async def test_a_slow_one_has_its_deadline_however_it_is_slow(receiver, how):
    setattr(receiver, how, True)
    hook = webhook(receiver, deadline_s=0.3)
    with pytest.raises(UnreachableError, match=r"no answer within 0\.3 s"):
        await hook.tell(ALERT)
    (call,) = hook._calls
    call.thread.join(10)
    assert not call.thread.is_alive(), "the call was not ended"


async def test_calls_that_cannot_be_ended_are_bounded(receiver):
    hook = webhook(receiver, deadline_s=0.05)
    never = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang():
        asyncio.run_coroutine_threadsafe(never.wait(), loop).result()
        raise OSError("too late")

    hook._connect = hang
    try:
        for _ in range(HANGING):
            with pytest.raises(UnreachableError, match="no answer"):
                await hook.tell(ALERT)
        with pytest.raises(UnreachableError, match="have not ended"):
            await hook.tell(ALERT)
    finally:
        never.set()


async def test_nobody_there_is_told_in_words():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        gone = Receiver(port=taken.getsockname()[1])
        with pytest.raises(UnreachableError, match="Connection refused"):
            await webhook(gone).tell(ALERT)


async def test_who_does_not_speak_http_is_told_in_words():
    async def babble(reader, writer):
        await reader.readuntil(b"}")
        writer.write(b"220 mail.example.com ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        other = Receiver(port=server.sockets[0].getsockname()[1])
        with pytest.raises(UnreachableError, match="did not answer in HTTP"):
            await webhook(other).tell(ALERT)


@pytest.mark.parametrize("trusted", [True, False])
async def test_tls_is_checked(monkeypatch, tmp_path, trusted):
    authority = trustme.CA()
    if trusted:
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    asked = []

    async def answer(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}/x"
        hook = HttpWebhook(Webhook(url), version="1")
        if trusted:
            await hook.tell(ALERT)
            assert len(asked) == 1
        else:
            with pytest.raises(UnreachableError, match="its certificate is not trusted"):
                await hook.tell(ALERT)
            assert asked == []


def doctor(folder, *arguments, url):
    environment = {
        **os.environ,
        "NTP_STATE": str(folder / "state"),
        "NTP_CACHE": str(folder / "cache"),
        "NTP_WEBHOOK": url,
        "NTP_WEBHOOK_SECRET": "s3cret" if url else "",
    }
    run = subprocess.run(
        [sys.executable, "-m", "orchestrator", "doctor", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in run.stderr, run.stderr
    assert not {"hunter2", "s3cret"} & set(re.findall(r"\w+", run.stdout + run.stderr))
    return run


def test_doctor_sends_a_test_where_it_is_asked_to(tmp_path, receiver):
    place = f"http://127.0.0.1:{receiver.port}"
    run = doctor(tmp_path, url=receiver.url)
    assert (run.returncode, receiver.requests) == (0, [])
    assert f"webhook     {place}, signed" in run.stdout
    run = doctor(tmp_path, "--webhook", url=receiver.url)
    assert (run.returncode, [each["status"] for each in receiver.told]) == (0, ["test"])
    assert receiver.told[0]["text"].endswith(
        "a test of `ntpctl doctor --webhook`: nothing is wrong"
    )
    assert "the test message arrived" in run.stdout
    receiver.status = 404
    run = doctor(tmp_path, "--webhook", "-o", "json", url=receiver.url)
    found = json.loads(run.stdout)
    assert (run.returncode, found["webhook_arrived"]) == (5, False)
    assert f"the test message did not arrive: {place}: it answered 404 Not Found" in found["notes"]


def test_doctor_says_that_there_is_nobody_to_tell(tmp_path):
    run = doctor(tmp_path, "--webhook", url="")
    assert run.returncode == 5
    assert "NTP_WEBHOOK is not set, so nobody was told" in run.stdout
    run = doctor(tmp_path, url="")
    assert run.returncode == 0
    assert "webhook     none; NTP_WEBHOOK=https://… has alerts sent there" in run.stdout


def test_what_a_plugin_says_mentions_nobody_and_is_no_link():
    found = text(
        Alert(
            id="i",
            alert="a",
            status=Status.FIRING,
            project="desk",
            at=NOON,
            message="<!channel> <https://x|y> @all\n& \u202emore",
            plugin="p",
            reason="Stalled",
        )
    )
    assert found == (
        "desk: p: Stalled: &lt;!channel&gt; &lt;https://x|y&gt; @\u2060all &amp;  more"
    )
