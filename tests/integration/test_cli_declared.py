"""What `validate` and `plan` say of files on disk, plugins and .env included; nothing runs."""

import json
import subprocess
import sys

from tests.worlds.users import plain


def ntpctl(*arguments, cwd, **environment):
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *arguments],
        text=True,
        timeout=120,
        check=False,
        capture_output=True,
        cwd=cwd,
        env={**plain(), "NTP_STATE": f"{cwd}/s", "NTP_CACHE": f"{cwd}/c", **environment},
    )


def test_plan_says_what_each_plugin_may_reach(tmp_path):
    plugin = tmp_path / "plugins" / "news"
    plugin.mkdir(parents=True)
    (plugin / "news.py").touch()
    (plugin / "plugin.yaml").write_text(
        "name: news\nversion: 1.0.0\nkind: strategy\nentrypoint: news:News\n"
        "egress: ['a.example:443']\n"
    )
    (tmp_path / "plugins.yaml").write_text(
        "plugins:\n  strategies:\n    - name: news\n      config: {url: 'https://b.example/x'}\n"
        "    - {name: deaf, plugin: news, network: {egress: []}}\n"
    )
    run = ntpctl("plan", cwd=tmp_path, PLUGIN_DIR="plugins")
    found = json.loads(ntpctl("plan", "-o", "json", cwd=tmp_path, PLUGIN_DIR="plugins").stdout)

    assert run.returncode == 6, run.stderr
    assert [line.split() for line in run.stdout.splitlines() if "reach" in line] == [
        ["may", "reach", "news", "b.example:443,", "a.example:443"]
    ]
    assert {each["name"]: each["egress"] for each in found["changes"]} == {
        "news": ["b.example:443", "a.example:443"],
        "deaf": [],
    }


def test_problems_of_env_files_plugins_and_configs_come_together(tmp_path):
    (tmp_path / ".env").write_text("A=1\nno assignment\nNTP_RUNTIME=podman\n")
    (tmp_path / "a.yaml").write_text(
        "plugins:\n  data_sources:\n"
        "    - {name: replay_data, config: {sped: 1}}\n"
        "    - {name: nowhere}\n"
        "    - {name: more, plugin: replay_data, timeout: soon, config: {loop: perhaps}}\n"
    )
    (tmp_path / "b.yaml").write_text("plugins: [\n")
    files = ("-f", "a.yaml", "-f", "b.yaml", "-f", "c.yaml")
    run = ntpctl("validate", *files, cwd=tmp_path, PLUGIN_DIR=".")

    assert run.returncode == 2
    told = [line for line in run.stderr.splitlines() if not line.startswith("  fix:")]
    starts = [
        ".env:2:1: the line is no assignment",
        "a.yaml:3:36: unknown key 'sped'",
        "a.yaml:4:7: the plugin 'nowhere' was not found",
        "a.yaml:5:41: timeout was 'soon'",
        "a.yaml:5:65: loop was 'perhaps'",
        "b.yaml:2:1: a value is missing here",
        "c.yaml: the file does not exist",
        "environment: NTP_RUNTIME was 'podman'",
        "8 problems; nothing was changed",
    ]
    assert [(line, line.startswith(start)) for line, start in zip(told, starts, strict=True)] == [
        (line, True) for line in told
    ]


def test_a_plugin_dir_that_env_may_have_named_makes_no_plugin_missing(tmp_path):
    (tmp_path / ".env").write_text("PLUGIN_DIR plugins\n")
    (tmp_path / "plugins.yaml").write_text("plugins:\n  strategies: [{name: mine}]\n")
    run = ntpctl("validate", cwd=tmp_path)

    assert run.stderr.startswith(".env:1:1: the line is no assignment\n")
    assert run.stderr.endswith("\n1 problem; nothing was changed\n")


def test_who_asks_for_no_sandbox_is_told_loudly_by_every_command_on_files(tmp_path):
    (tmp_path / "plugins.yaml").write_text("plugins:\n  data_sources: [{name: replay_data}]\n")
    runs = [
        ntpctl(*command, cwd=tmp_path, PLUGIN_SANDBOX="false")
        for command in (["validate"], ["plan"], ["plan", "-o", "json"], ["apply", "--dry-run"])
    ]

    assert [run.returncode for run in runs] == [0, 6, 6, 6]
    assert [
        "plugins run WITHOUT A SANDBOX, with your own rights" in run.stderr for run in runs
    ] == [True] * 4


def test_a_missing_secret_is_told_and_no_mistake_of_the_file(tmp_path):
    (tmp_path / "plugins.yaml").write_text(
        "plugins:\n"
        "  data_sources:\n"
        "    - name: polygon_data\n"
        '      config: {api_key: "${NTP_TEST_KEY}", symbols: [AAPL]}\n'
        "  strategies:\n"
        "    - name: momentum_strategy\n"
    )
    run = ntpctl("validate", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (0, "")
    assert run.stderr == (
        "plugins.yaml:4:16: the variable NTP_TEST_KEY is not set\n"
        "  fix: put NTP_TEST_KEY=… into .env beside plugins.yaml,"
        " or into the environment of `ntpctl apply`\n"
        "plugins.yaml: good; polygon_data cannot be started without it\n"
    )
    document = json.loads(ntpctl("validate", "-o", "json", cwd=tmp_path).stdout)
    assert document["problems"] == []
    assert [each["entry"] for each in document["missing_secrets"]] == ["polygon_data"]

    (tmp_path / ".env").write_text("NTP_TEST_KEY=k\n")
    assert ntpctl("validate", cwd=tmp_path).stderr == "plugins.yaml: good\n"
