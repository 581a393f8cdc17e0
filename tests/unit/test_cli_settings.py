"""A typo in .env: told with all else by who declares something, a warning for who looks or stops."""

import os
import subprocess
import sys

import pytest

WARNING = "warning: .env:2: the line is no assignment (and 1 more); `ntpctl validate` lists all"


@pytest.fixture
def desk(tmp_path):
    (tmp_path / ".env").write_text("PLUGIN_SANDBOX=maybe\nno assignment\nPLUGIN_TIMEOUT=soon\n")
    (tmp_path / "plugins.yaml").write_text(
        "plugins:\n  data_sources:\n    - name: replay_data\n      enabld: true\n"
    )
    return tmp_path


def ntpctl(folder, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *arguments],
        cwd=folder,
        env={**os.environ, "NTP_STATE": str(folder / "state"), "NTP_CACHE": str(folder / "cache")}
        | environment,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("command", ["validate", "plan", "apply"])
def test_every_mistake_is_told_at_once_and_nothing_is_started(desk, command):
    run = ntpctl(desk, command)
    assert run.returncode == 2
    for words in (
        ".env:2:1: the line is no assignment",
        "environment: PLUGIN_SANDBOX was 'maybe'",
        "environment: PLUGIN_TIMEOUT",
        "plugins.yaml:4:7: unknown field 'enabld'",
        "4 problems",
    ):
        assert words in run.stderr, run.stderr
    assert not (desk / "state").exists()


def test_also_where_the_file_itself_is_missing(desk):
    (desk / "plugins.yaml").unlink()
    run = ntpctl(desk, "plan")
    assert run.returncode == 2
    assert "the file does not exist" in run.stderr
    assert "PLUGIN_SANDBOX was 'maybe'" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["status"], 3), (["logs", "replay_data"], 3), (["events"], 3), (["stop", "replay_data"], 3),
     (["down"], 0)],
)  # fmt: skip
def test_looking_and_stopping_go_on_with_one_line_of_warning(desk, arguments, code):
    run = ntpctl(desk, *arguments)
    # 3 is the answer of a project that was never applied: it was not .env that ended it.
    assert run.returncode == code, run.stderr
    assert run.stderr.splitlines()[0] == WARNING


def test_a_controller_is_not_run_with_another_broker_than_was_meant(desk):
    run = ntpctl(desk, "serve", NTP_NATS="example.com:4222?keys=nats-keys")
    assert run.returncode == 2
    assert "NTP_NATS is no address of a NATS server" in run.stderr
    assert f"its folder of keys as {desk / 'nats-keys'}, which does not exist" in run.stderr
    assert not (desk / "state").exists()


@pytest.mark.parametrize("command", ["validate", "plan", "apply"])
def test_what_is_wrong_with_the_keys_of_another_broker_is_told_with_all_else(desk, command):
    (desk / "nats-keys").mkdir()
    (desk / "nats-keys" / "operator.nk").write_text("SOAN")
    (desk / "nats-keys" / "operator.nk").chmod(0o644)
    run = ntpctl(desk, command, NTP_NATS="nats://example.com?keys=nats-keys&tls=1")
    assert run.returncode == 2
    for words in (
        "NTP_NATS has an unknown parameter 'tls'",
        "operator.nk: the file holds a key, and others may read or change it (mode 0644)",
        "operator.nk: the file holds no seed of an operator",
        "system.creds: the file does not exist",
        "plugins.yaml:4:7: unknown field 'enabld'",
        "8 problems",
    ):
        assert words in run.stderr, run.stderr
    assert not (desk / "state").exists()
