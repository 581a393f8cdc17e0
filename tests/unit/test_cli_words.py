"""What a person sees: on a narrow terminal, in a pipe, at a mistake, on a full disk."""

import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from orchestrator.cli.detail import show
from orchestrator.cli.failure import agreed, first_signal_waits, guard
from orchestrator.cli.look import _event as print_event
from orchestrator.cli.output import Column, fitting, table
from orchestrator.cli.overview import warn_of_bare
from orchestrator.cli.progress import Progress
from orchestrator.ports import Revision
from orchestrator.spec.egress import written
from orchestrator.spec.load import read
from orchestrator.store.sqlite import SqliteStore
from tests.worlds.terminal import seen

COLUMNS = [
    Column("NAME", lambda row: row["name"]),
    Column("KIND", lambda row: row["kind"], rank=9),
    Column("RESTARTS", lambda row: row["restarts"], right=True, rank=2),
    Column("MESSAGE", lambda row: row["message"]),
]
ROW = {"name": "momentum", "kind": "strategy", "restarts": "3", "message": "m" * 300}


def ntpctl(*arguments, **given):
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *arguments],
        text=True,
        timeout=60,
        check=False,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **given},
    )


def titles(width):
    return [column.title for column in fitting([ROW], COLUMNS, width)]


def test_a_narrow_terminal_loses_what_matters_least():
    assert titles(200) == ["NAME", "KIND", "RESTARTS", "MESSAGE"]
    assert titles(55) == ["NAME", "RESTARTS", "MESSAGE"]
    assert titles(45) == ["NAME", "MESSAGE"]
    assert titles(3) == ["NAME", "MESSAGE"], "who and why stay"


def plugin(name, state="Running", message="", **fields):
    """A plugin as `status -o json` has it."""
    return {
        "name": name, "kind": "data_source", "state": state, "message": message, "ready": True,
        "restarts": 0, "since": "2026-03-02T12:00:00+00:00", "cpu_share": 0.13, "last_exit": None,
        "started": "2026-03-02T12:00:00+00:00", "egress_refused": {},
        "usage": {"memory": 19 << 20, "memory_limit": 512 << 20},
        "flow": {"received_per_s": 2115.0, "sent_per_s": 19.0, "lost": 0, "refused": 0},
        "isolation": {"tier": 3, "active": [], "missing": []}, **fields,
    }  # fmt: skip


OVERVIEW = """
import json, sys
from orchestrator.cli.overview import overview
overview(json.loads(sys.argv[1]))
"""


def overview(plugins, columns):
    answer = {"conditions": [], "at": "2026-03-02T12:00:02+00:00", "plugins": plugins}
    return seen([sys.executable, "-c", OVERVIEW, json.dumps(answer)], columns)


@pytest.mark.parametrize("columns", [60, 80, 90, 100, 110, 120, 200])
@pytest.mark.parametrize("message", ["resolved", "limit 512 MiB; raise resources.memory " * 2])
def test_on_a_terminal_no_title_and_no_figure_is_broken(columns, message):
    lines = overview([plugin("bollinger_strategy", message=message), plugin("rsi")], columns)
    titles, *rows = [re.split(" {2,}", line) for line in lines]

    assert max(map(len, lines)) <= columns
    assert set(titles) <= {
        "NAME", "KIND", "STATE", "READY", "RESTARTS", "SINCE", "MEMORY", "CPU", "IN/S", "OUT/S",
        "LOST", "TIER", "MESSAGE",
    }  # fmt: skip
    first, *goes_on, last = rows
    cells = {
        "NAME": "bollinger_strategy", "STATE": "Running", "READY": "yes", "RESTARTS": "0",
        "SINCE": "2s", "LOST": "0", "MEMORY": "19 MiB/512 MiB",
    }  # fmt: skip
    found = dict(zip(titles, first, strict=True))
    assert {title: found[title] for title in cells if title in found} == {
        title: cell for title, cell in cells.items() if title in found
    }
    told = [found["MESSAGE"], *(each[-1] for each in goes_on)]
    assert " ".join(told) == message.strip(), "only the message goes on below itself"
    assert last == ["rsi", *first[1:-1]]


def test_one_whose_every_result_is_refused_is_not_plainly_running():
    flow = {"received_per_s": 9.0, "sent_per_s": 0.0, "lost": 0, "refused": 886,
            "last_refusal": "price was NaN"}  # fmt: skip
    lines = overview([plugin("nan", flow=flow), plugin("good")], 300)

    assert lines[1].endswith("  886 results refused, the last: price was NaN")
    assert "refused" not in lines[2]


def test_one_without_a_sandbox_is_told_loudly(capsys):
    warn_of_bare([plugin("safe"), plugin("bare", isolation={"tier": 0})])

    assert "WITHOUT A SANDBOX, with your own rights: bare\n" in capsys.readouterr().err


def test_a_pipe_gets_every_message_whole_and_no_blanks_at_the_end(capsys):
    table([ROW, {**ROW, "message": ""}], COLUMNS)

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].endswith(" " + "m" * 300)
    assert lines[2].endswith("3")


def test_a_failure_that_repeats_is_one_line(capsys):
    def message(state, ready=0):
        return {"name": "a", "state": state, "message": "", "ready": ready, "total": 2}

    with Progress() as progress:
        for state in ("Waiting", "SecretMissing", "Preparing", "SecretMissing", "SecretMissing"):
            progress.tell(message(state))
        progress.tell(message("SecretMissing", ready=1))

    assert capsys.readouterr().err.splitlines() == [
        "0/2 ready  a Waiting",
        "0/2 ready  a SecretMissing",
        "1/2 ready  a SecretMissing",
    ]


def test_a_countdown_is_no_news(capsys):
    with Progress() as progress:
        for seconds in (5, 4, 3):
            words = f"ConnectFailed: x:1: try 6 in {seconds} s"
            progress.tell(
                {"name": "a", "state": "Running", "message": words, "ready": 0, "total": 2}
            )

    assert capsys.readouterr().err == "0/2 ready  a Running: ConnectFailed: x:1: try 6 in 5 s\n"


def test_progress_is_a_line_also_where_a_problem_has_two(capsys):
    message = {"name": "a", "state": "SecretMissing", "message": "p.yaml:8:16: KEY is not set\n  fix: set it",
               "ready": 0, "total": 2}  # fmt: skip
    with Progress() as progress:
        progress.tell(message)

    assert capsys.readouterr().err == "0/2 ready  a SecretMissing: p.yaml:8:16: KEY is not set\n"


def test_bare_ntpctl_prints_its_help_and_exits_2():
    run = ntpctl()

    assert run.returncode == 2
    assert run.stderr.startswith("Usage: ntpctl")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_result_that_cannot_be_written_is_said_and_is_no_success():
    with Path("/dev/full").open("w") as full:
        run = ntpctl("schema", "plugins", stdout=full)

    assert run.returncode == 5
    assert run.stderr == "error: no space left on device\n"


@pytest.mark.parametrize(
    "command",
    [
        "orchestrator schema plugins",
        "orchestrator validate --help",
        "orchestrator --help",
        "orchestrator --version",
        "orchestrator doctor",  # printed by rich
        "ntp.cli --help",
        "ntp.cli exchange --list-faults",
        "ntp.cli exchange --port 0",
    ],
)
def test_a_reader_that_has_gone_ends_every_command_quietly_and_alike(command, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.run(
        [sys.executable, "-m", *command.split()],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    os.close(writer)

    assert (run.returncode, run.stderr) == (141, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_waits_the_second_does_not(number, capfd):
    handler = signal.getsignal(number)
    done = []

    def signalled(times):
        with first_signal_waits("once more ends it\n"):
            for _ in range(times):
                os.kill(os.getpid(), number)
            done.append(times)

    with pytest.raises(KeyboardInterrupt):
        signalled(1)
    assert (done, capfd.readouterr().err) == ([1], "once more ends it\n")
    with pytest.raises(KeyboardInterrupt):
        signalled(2)
    signalled(0)
    assert done == [1, 0]
    assert signal.getsignal(number) is handler


def test_a_closed_standard_output_is_no_bug():
    run = subprocess.run(
        ["/bin/sh", "-c", '"$0" -m orchestrator schema plugins >&-', sys.executable],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments",
    [["apply", "--deadline", "-5"], ["logs", "-n", "-4", "a"], ["events", "-n", "-1"]],
)
def test_a_negative_number_is_wrong_usage(arguments):
    run = ntpctl(*arguments)

    assert run.returncode == 2
    assert "is not in the range" in run.stderr


def test_without_a_controller_a_person_learns_what_that_means(tmp_path):
    environment = {**os.environ, "NTP_STATE": str(tmp_path)}
    never = ntpctl("status", "--project", "mine", env=environment)
    with SqliteStore.open(tmp_path / "mine" / "state.db") as store:
        served = ntpctl("status", "--project", "mine", env=environment)
        revision = Revision(1, datetime.now(UTC), sources=(), resolved={})
        store.save(revision, expect=None)
    gone = ntpctl("status", "--project", "mine", env=environment)

    assert (never.returncode, served.returncode, gone.returncode) == (3, 3, 3)
    assert served.stderr == never.stderr, "a store alone is nothing that was applied"
    assert "nothing of project 'mine' was applied here" in never.stderr
    assert "what ran goes on without one" in gone.stderr
    assert "fix: `ntpctl apply`" in gone.stderr


def test_no_is_an_answer():
    @click.command()
    def command():
        agreed("Go on?")
        click.echo("went on")

    from click.testing import CliRunner

    refused = CliRunner().invoke(command, input="n\n")
    accepted = CliRunner().invoke(command, input="y\n")

    assert (refused.exit_code, "went on" in refused.output) == (5, False)
    assert (accepted.exit_code, "went on" in accepted.output) == (0, True)


def test_what_the_machine_refuses_is_told_with_its_place(capsys):
    with pytest.raises(SystemExit) as ended, guard():
        raise PermissionError(13, "Permission denied", "/nowhere/ntp")

    assert ended.value.code == 5
    assert capsys.readouterr().err == "error: /nowhere/ntp: permission denied\n"


def test_the_last_end_of_a_plugin_that_runs_again_is_told(capsys):
    show(
        {
            "name": "allocates", "kind": "strategy", "plugin": "allocates", "version": "1",
            "place": "plugins.yaml:3", "state": "Running", "message": "", "since": None,
            "restarts": 1, "generation": 1, "next_try": None, "isolation": None, "flow": None,
            "indicators": {}, "report": {}, "egress": [], "egress_refused": {}, "conditions": [], "last_output": [],
            "usage": {"memory": 1 << 20, "memory_peak": 1 << 20, "memory_limit": 0, "cpu_s": 0.0,
                      "throttled_s": 0.0, "pids": 1, "pids_refused": 0},
            "last_exit": {"at": "2024-08-08T00:00:00Z", "code": None, "signal": 9, "message": "",
                          "reason": "OOMKilled", "memory_peak": 512 << 20},
        }
    )  # fmt: skip

    out = capsys.readouterr().out
    assert "last end     OOMKilled (signal 9, peak 512 MiB) at 2024-08-08T00:00:00Z\n" in out
    assert "1 MiB now, 1 MiB peak, not limited as a whole\n" in out


def detail(capsys, **fields):
    show(
        {
            "name": "feed", "kind": "data_source", "plugin": "feed", "version": "1",
            "place": "plugins.yaml:5", "state": "Running", "message": "", "since": None,
            "restarts": 0, "generation": 1, "next_try": None, "isolation": None, "flow": None,
            "indicators": {}, "report": {}, "egress": [], "egress_refused": {}, "conditions": [], "last_output": [],
            "usage": {"memory": 0, "memory_limit": 0}, "last_exit": None, **fields,
        }
    )  # fmt: skip
    return capsys.readouterr().out


def test_what_a_plugin_says_of_itself_is_shown(capsys):
    out = detail(
        capsys,
        indicators={"BTCUSDT": {"sma": 61234.5, "width": 0.1 + 0.2}, "ETHUSDT": {"sma": None}},
        report={"momentum": {"signals": 3, "held": {"BTC": 0.5}}, "phase": "warm"},
    )

    assert "indicators   BTCUSDT: sma 61234.5, width 0.3\n             ETHUSDT: sma -\n" in out
    assert "report       momentum: signals 3, held (BTC 0.5)\n             phase: warm\n" in out


def test_what_is_empty_is_told_as_such_and_lists_are_words(capsys):
    report = {
        "never_heard": [],
        "last_end": "",
        "missed": {},
        "held": {"BTC": {}},
        "heard": ["A", "B"],
    }
    lines = detail(capsys, report=report).splitlines()

    told = [
        line.split(maxsplit=1)[-1] if line.startswith("report") else line.strip() for line in lines
    ]
    assert told[-5:] == ["never_heard: -", "last_end: -", "missed: -", "held: BTC -", "heard: A, B"]


def test_a_condition_does_not_repeat_the_line_of_the_state(capsys):
    def condition(type_, status, reason, message):
        return {"type": type_, "status": status, "reason": reason, "message": message}

    out = detail(
        capsys,
        message="FeedStale: no data",
        conditions=[
            condition("Ready", True, "Running", "FeedStale: no data"),
            condition("Reconciling", True, "Update", "memory 1GiB -> 2GiB"),
            condition("ClockAhead", True, "ClockAhead", "4.9 s ahead"),
        ],
    )

    assert "state        Running: FeedStale: no data\n" in out
    assert "condition    Ready=True Running\n" in out
    assert "condition    Reconciling=True Update memory 1GiB -> 2GiB\n" in out
    assert "condition    ClockAhead=True 4.9 s ahead\n" in out


def test_the_fix_of_an_event_stays_in_the_column_of_its_text(capsys):
    told = {"at": "2026-11-29T21:16:11.737", "name": "", "reason": "FileInvalid", "count": 2}
    print_event({**told, "message": "plugins.yaml:7:16: unknown key\n  fix: another"}, "table")

    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("unknown key")
    assert second == " " * first.index("plugins.yaml") + "  fix: another (x2)"


def test_what_was_replayed_is_told_with_the_signals_that_were_not_sent(capsys):
    made = {"signal_type": "SELL", "symbol": "BTCUSDT", "price": 64012.5, "confidence": 0.5, "size": None}  # fmt: skip
    shown = {"ticks": 1000, "signals": 2, "seconds": 0.0123, "last": made, "problem": ""}
    assert (
        "replayed     1,000 ticks in 12 ms, 2 signals made of them and not sent;"
        " the last: SELL BTCUSDT, price 64012.5, confidence 0.5\n"
    ) in detail(capsys, replayed=shown)
    none = {**shown, "signals": 0, "last": None}
    assert "replayed     1,000 ticks in 12 ms\n" in detail(capsys, replayed=none)
    failed = {**none, "problem": "the broker did not answer in time"}
    assert "nothing: the broker did not answer" in detail(capsys, replayed=failed)
    assert "replayed" not in detail(capsys)


def test_the_newest_signal_is_told_with_its_size_and_time(capsys):
    made = {"signal_type": "BUY", "symbol": "BTCUSDT", "price": 64012.5, "confidence": 0.8333,
            "size": 0.02, "time": "2024-08-08T00:00:00Z", "at": "2026-03-02T12:00:00Z"}  # fmt: skip

    assert (
        "last signal  BUY BTCUSDT, price 64012.5, size 0.02, confidence 0.83, at 2026-03-02T12:00:00Z\n"
        in detail(capsys, signal=made)
    )
    assert "price 64012.5, confidence" in detail(capsys, signal={**made, "size": None})
    assert "last signal" not in detail(capsys)


def test_a_host_that_leads_elsewhere_is_told_with_its_address(capsys):
    out = detail(
        capsys, egress=["a.example:443"], egress_mapped={"a.example:443": "127.0.0.1:8443"}
    )
    assert "may reach    a.example:443 -> 127.0.0.1:8443\n" in out


def test_a_refused_host_is_told_with_the_line_that_allows_it_beside_what_is_allowed(capsys):
    out = detail(
        capsys,
        egress=["a.example:443"],
        egress_refused={"b.example:443": 3, "2001:db8::1:80": 1, "(others)": 2},
    )
    assert "may reach    a.example:443\n" in out
    assert "refused      b.example:443: 3 times\n" in out
    assert "refused      [2001:db8::1]:80: 1 time\n" in out
    assert "to allow them, the entry at plugins.yaml:5 needs this line:\n" in out
    assert "network: {egress: [a.example:443, b.example:443, '[2001:db8::1]:80']}\n" in out


def test_the_line_for_a_refused_host_is_one_that_plugins_yaml_understands(capsys):
    out = detail(capsys, egress=["a.example:443"], egress_refused={"2001:db8::1:80": 1})
    line = next(each.strip() for each in out.splitlines() if "network:" in each)
    assert "to allow it, the entry" in out
    declared = read(
        [("plugins.yaml", f"plugins:\n  data_sources:\n    - name: feed\n      {line}\n")],
        environment={},
        project="desk",
    )
    reached = declared.entries["feed"].fields["network"]["egress"]
    assert [written(each) for each in reached] == ["a.example:443", "[2001:db8::1]:80"]


def test_an_allowed_name_that_leads_inside_is_not_told_to_be_allowed_again(capsys):
    out = detail(capsys, egress=["a.example:443"], egress_refused={"a.example:443": 1})
    assert "private network; if that is meant, allow the address itself" in out
    assert "needs this line" not in out


def test_doctor_notices_folders_that_can_keep_nothing(tmp_path):
    (tmp_path / "file").touch()
    run = ntpctl(
        "doctor",
        env={**os.environ, "NTP_STATE": str(tmp_path / "file"), "NTP_CACHE": "/proc/nowhere"},
    )

    assert run.returncode == 0, run.stderr
    assert f"! state: {tmp_path}/file is no folder; set NTP_STATE" in run.stdout
    assert "! cache: /proc " in run.stdout
    assert "; set NTP_CACHE to another folder" in run.stdout
