"""`ntp plugin create`: a folder that works at once, or none at all."""

import csv
import doctest
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator

import ntp
from ntp.cli import main
from ntp.cli.create import _NAMES
from ntp.contract.config_schema import expand
from ntp.contract.manifest import read
from ntp.contract.names import Kind
from ntp.create import folder
from ntp.create.sample import FIRST_CENTS, TICKS, sample
from ntp.create.template import EVERY, FOLDER, TEMPLATES, Chosen, class_name, rendered


def run(*arguments, code=0, given=None):
    result = CliRunner().invoke(main, ["plugin", "create", *map(str, arguments)], input=given)
    assert result.exit_code == code, result.output
    return result


def program(*arguments, cwd, **options):
    """Options and environment of a Python that has this ntp, wherever it starts."""
    environment = {**os.environ, "PYTHONPATH": str(Path(ntp.__file__).parents[1])}
    return {
        "args": [sys.executable, *map(str, arguments)],
        "cwd": cwd,
        "env": environment,
        **options,
    }


def own_pytest(folder, scratch, *arguments):
    """Run pytest as an author does."""
    options = [
        "-q",
        "-W",
        "error",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
        "-p",
        "ntp.pytest_plugin",
    ]
    return subprocess.run(
        **program("-m", "pytest", *options, "--basetemp", scratch, *arguments, cwd=folder),
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip


def test_every_template_that_lies_there_can_be_chosen():
    lying = {path.name for path in FOLDER.iterdir()} - {EVERY}
    assert set(_NAMES) == set(TEMPLATES) == lying


def test_new_plugins_pass_their_own_tests(tmp_path):
    for template in TEMPLATES:
        # Names with '-', so that name, module and class differ; a symbol that is not the templates' own.
        run(tmp_path / f"my-{template}", "--template", template, "--symbol", "eth/usd")
    # From the folder above: each test still finds the plugin that it lies beside.
    done = own_pytest(tmp_path, tmp_path / "own", *(f"my-{template}" for template in TEMPLATES))
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 7 * len(TEMPLATES)
    assert not re.search("failed|skipped|error", done.stdout)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_new_plugin_is_what_was_chosen_and_its_examples_are_true(template, tmp_path, monkeypatch):
    made = tmp_path / "made-here"
    run(made, "--template", template, "--symbol", "eth/usd", "--author", 'Ann "A" Other')
    text = (made / "plugin.yaml").read_text()
    manifest, problems = read(yaml.safe_load(text), file="plugin.yaml")
    assert problems == ()
    assert (manifest.name, manifest.author) == ("made-here", 'Ann "A" Other')
    assert manifest.entrypoint.startswith("made_here:MadeHere")
    texts = "".join(path.read_text() for path in made.rglob("*") if path.is_file())
    assert not re.search(
        r"my.plugin|MyPlugin|AUTHOR|DESCRIPTION|SECTION|TEST_COMMAND|BTCUSDT", texts
    )
    monkeypatch.chdir(made)
    spec = importlib.util.spec_from_file_location("made_here", made / "made_here.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = doctest.testmod(module)
    assert found.failed == 0
    assert found.attempted or "Examples" not in (made / "made_here.py").read_text()


@pytest.mark.parametrize("template", ["websocket", "rest"])
def test_the_local_exchange_is_where_the_config_for_it_says(template):
    new = rendered(Chosen(template, "mine", "ETHUSDT", ""))
    local = yaml.safe_load(new.files["tests/local.yaml"])
    manifest, _ = read(yaml.safe_load(new.files["plugin.yaml"]), file="plugin.yaml")
    Draft202012Validator(expand(manifest.config_schema)).validate(local)
    assert local["symbols"] == ["ETHUSDT"]
    (port,) = re.findall(rb"^PORT = ([0-9]+)", new.files["tests/mine_exchange.py"], re.MULTILINE)
    address = f"127.0.0.1:{port.decode()}"
    assert any(address in str(value) for value in local.values())
    assert f"--allow {address} " in new.test


def test_a_test_that_fails_is_told(tmp_path):
    made = tmp_path / "made"
    run(made, "-t", "bollinger")
    code = made / "made.py"
    code.write_text(code.read_text().replace("if away < 0 else", "if away > 0 else"))
    done = own_pytest(made, tmp_path / "own")
    assert done.returncode == 1
    assert "test_it_signals_where_the_definition_says_so" in done.stdout


@pytest.mark.parametrize(
    ("name", "kind", "class_"),
    [("bollinger", Kind.STRATEGY, "BollingerStrategy"), ("my_dip2", Kind.STRATEGY, "MyDip2"),
     ("config", Kind.EXECUTOR, "ConfigExecutor")],
)  # fmt: skip
def test_a_class_never_takes_a_name_that_the_module_has(name, kind, class_):
    text = (FOLDER / "bollinger" / "my_plugin.py").read_text()
    assert class_name(name, kind, text) == class_


def test_the_sample_is_the_same_for_everyone_and_could_be_a_market():
    text = sample("ABC")
    assert text == sample("ABC")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == TICKS
    for row in rows:
        cents = {name: round(100 * float(row[name])) for name in ("price", "bid", "ask")}
        assert cents["bid"] < cents["price"] < cents["ask"]
        assert FIRST_CENTS / 2 < cents["price"] < 2 * FIRST_CENTS
        assert float(row["volume"]) > 0
    assert sorted(row["timestamp"] for row in rows) == [row["timestamp"] for row in rows]


def test_json_lists_what_is_there(tmp_path):
    made = tmp_path / "made"
    said = json.loads(run(made, "-t", "rest", "--author", "A", "--output", "json").stdout)
    there = sorted(p.relative_to(made).as_posix() for p in made.rglob("*") if p.is_file())
    assert said == {
        "name": "made", "folder": str(made), "template": "rest", "symbol": "BTCUSDT", "author": "A",
        "files": there, "test": "python tests/made_exchange.py ntp plugin test . --config tests/local.yaml"
        " --allow 127.0.0.1:8766 --ticks 100",
    }  # fmt: skip
    assert {".gitignore", ".github/workflows/ci.yml", "README.md", "made.py", "plugin.yaml",
            "sample_data.csv", "tests/local.yaml", "tests/made_exchange.py", "tests/test_made.py"} == set(there)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "words", "fix"),
    [
        ("My Strategy", "it is no name for a plugin", "'my_strategy'"),
        ("1up", "it is no name for a plugin", "a letter first"),
        ("csv", "its module 'csv' would hide one", "write 'csv_plugin'"),
        ("numpy", "its module 'numpy' would hide one", "write 'numpy_plugin'"),
        ("conftest", "its module 'conftest' would hide one", "write 'conftest_plugin'"),
        ("class", "its module 'class' would hide one", "write 'class_plugin'"),
        ("broker", "a name that the system uses itself", "write 'broker_plugin'"),
        ("taken", "it is there already", "choose another name"),
        ("lone-one", "lone_one.py is a plugin whose name cannot be told", "choose another name"),
        ("a_b", "a-b is a plugin whose name cannot be told", "choose another name"),
        ("none/here", "none does not exist", "mkdir -p"),
    ],
)
def test_what_cannot_be_made_says_why_and_leaves_nothing(tmp_path, name, words, fix):
    (tmp_path / "taken").mkdir()
    (tmp_path / "lone_one.py").touch()
    (tmp_path / "a-b").mkdir()
    (tmp_path / "a-b" / "plugin.yaml").touch()
    before = sorted(tmp_path.rglob("*"))
    result = run(tmp_path / name, "-t", "blank", code=2)
    assert words in result.stderr
    assert f"fix: {fix}" in result.stderr or fix in result.stderr.partition("fix: ")[2]
    assert result.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_every_mistake_is_told_at_once(tmp_path):
    result = run(tmp_path / "No Name", "-t", "blank", "--symbol", "A\nB", code=2)
    assert "it is no name" in result.stderr
    assert "--symbol: the symbol was 'A\\nB'" in result.stderr


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path, monkeypatch):
    write, written = Path.write_bytes, []

    def full(self, content):
        written.append(self)
        if len(written) == 4:
            raise OSError(28, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(folder.Path, "write_bytes", full)
    result = run(tmp_path / "made", "-t", "blank", code=5)
    assert "no space left on device; nothing was made" in result.stderr
    assert len(written) == 4
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(_path, _content):
        raise KeyboardInterrupt

    monkeypatch.setattr(folder.Path, "write_bytes", interrupted)
    assert "interrupted; nothing was made" in run(tmp_path / "made", "-t", "blank", code=130).stderr
    assert list(tmp_path.iterdir()) == []


def test_without_a_terminal_nobody_is_asked(tmp_path):
    result = run(tmp_path / "made", code=2, given="blank\n")
    assert "no template was named, and there is no terminal to ask on" in result.stderr
    assert all(name in result.stderr for name in TEMPLATES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal")
def test_on_a_terminal_it_asks(tmp_path):
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        **program("-m", "ntp.cli", "plugin", "create", "made", "--author", "A", cwd=tmp_path),
        stdin=theirs, stdout=subprocess.PIPE, stderr=theirs,
    ) as process:  # fmt: skip
        with os.fdopen(ours, "wb", buffering=0) as terminal:
            terminal.write(b"nonsense\nindicator\nSOL\n")
            out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
    assert b"an indicator" in out
    assert ",SOL," in (tmp_path / "made" / "sample_data.csv").read_text()
    assert "kind: indicator" in (tmp_path / "made" / "plugin.yaml").read_text()


def test_the_workflow_takes_no_action_that_can_change_under_it():
    chosen = Chosen("blank", "mine", "BTCUSDT", "")
    text = rendered(chosen).files[".github/workflows/ci.yml"].decode()
    document = yaml.safe_load(text)
    assert document["permissions"] == {"contents": "read"}
    steps = document["jobs"]["plugin"]["steps"]
    for step in steps:
        assert "run" in step or re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"])
        assert "${{" not in step.get("run", "")
    runs = [step["run"] for step in steps if "run" in step]
    assert [line.split(" .")[0] for line in runs if line.startswith("ntp")] == [
        "ntp plugin validate", "ntp plugin test", "ntp plugin package",
    ]  # fmt: skip


def test_pytest_is_told_where_the_fixtures_are():
    project = tomllib.loads((Path(ntp.__file__).parents[1] / "pyproject.toml").read_text())
    entries = project["project"]["entry-points"]["pytest11"]
    # Under its own name, or `-p ntp.pytest_plugin` beside the entry point would register it twice.
    assert entries == {"ntp.pytest_plugin": "ntp.pytest_plugin"}
