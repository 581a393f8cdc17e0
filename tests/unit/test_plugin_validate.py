"""`ntp plugin validate`: every mistake by its place, and nothing of the plugin runs."""

import json
import re
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner

from ntp import validation
from ntp.cli import main
from ntp.contract.manifest import Manifest
from ntp.create.folder import create
from ntp.create.template import TEMPLATES
from ntp.validation import Severity, validate
from ntp.validation.rules import RULES
from tests.worlds import plugin_folder

ROOT = Path(__file__).parents[2]

MANIFEST = """\
name: mine
version: 1.2.0
author: me
description: Buys.
kind: strategy
entrypoint: mine:Mine
config_schema: {period: int}
"""
CODE = """\
from ntp import StrategyPlugin


class Mine(StrategyPlugin):
    def analyze(self, data, history):
        return None
"""


@pytest.fixture
def plugin(tmp_path):
    return plugin_folder.write(tmp_path / "mine", MANIFEST, CODE)


def found(folder, **options):
    """(rule, line, severity) of everything, in order; offline, for the rest of it."""
    findings = validate(folder, offline=True, **options).findings
    return [(each.rule, each.line, str(each.severity)) for each in findings]


def only(folder):
    (finding,) = validate(folder, offline=True).findings
    return finding


def run(*arguments, code=0):
    result = CliRunner().invoke(main, ["plugin", "validate", "--offline", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def test_there_is_nothing_to_say_about_a_good_one(plugin):
    assert found(plugin) == []
    assert (
        run(plugin, "--strict").stdout
        == "hosts    none\nsecrets  none\nmine 1.2.0: 0 errors, 0 warnings, 0 notes\n"
    )


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_new_plugin_lacks_a_licence_and_nothing_else(template, tmp_path):
    create(tmp_path / "fresh", template, symbol="BTCUSDT", author="me")
    assert found(tmp_path / "fresh") == [("licence", 0, "warning")]


INSIDE = [  # what stands in analyze(), whose first line is line 6; rule, severity
    ("eval('1')", "dynamic-code", "warning"),
    ("eval = eval", "dynamic-code", "warning"),
    ("import builtins; builtins.exec('1')", "dynamic-code", "warning"),
    ("__import__('os')", "dynamic-import", "warning"),
    ("import importlib as i; i.import_module('x')", "dynamic-import", "warning"),
    ("from subprocess import run as r; r(['ls'])", "process", "warning"),
    ("import os; os.system('ls')", "process", "warning"),
    ("import socket as s; s.create_connection(('a', 1))", "socket", "warning"),
    ("from os import environ as e; e['HOME']", "environment", "warning"),
    ("import os; os.getenv('HOME')", "environment", "warning"),
    ("import ctypes; ctypes.CDLL('libc.so.6')", "machine-code", "warning"),
    ("import pickle; pickle.loads(b'')", "pickle", "warning"),
    ("import numpy as np; np.load(self.storage / 'a', allow_pickle=True)", "pickle", "warning"),
    ("import sys; sys.exit(1)", "exit", "warning"),
    ("import time; time.sleep(1)", "sleep", "warning"),
    ("import time; time.time()", "clock", "warning"),
    ("import datetime as d; d.datetime.now(d.UTC)", "clock", "warning"),
    ("import random; random.random()", "chance", "warning"),
    ("import random; random.Random()", "chance", "warning"),
    ("import numpy as np; np.random.default_rng()", "chance", "warning"),
    ("open('/etc/passwd')", "foreign-files", "warning"),
    ("open(data.symbol)", "foreign-files", "note"),
    ("from pathlib import Path; Path.home()", "foreign-files", "warning"),
    ("getattr(self, data.symbol)", "dynamic-name", "note"),
    ("().__class__.__base__.__subclasses__()", "into-objects", "warning"),
    ("url = 'https://api.example.com/v1'", "host", "warning"),
    ("url = f'wss://{data.symbol}.example.com'; x = f'ws://a.example.com/{url}'", "host", "warning"),
    ("url = 'http://127.0.0.1:8080'", "host", "warning"),
    ("import urllib.request", "host", "warning"),
    ("api_key = 'sk3J9x0aPqW7zL2m'", "secret", "error"),
    ("dict(password='correct0horse1battery')", "secret", "error"),
    ("self.config['perod']", "config-key", "warning"),
    ("self.config.get('perod', 3)", "config-key", "warning"),
    ("import pandas", "import", "error"),
    ("from math import *", "syntax", "error"),
    ("input()", "person", "warning"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "rule", "severity"), INSIDE)
def test_what_a_reader_would_ask_about_is_told_by_its_line(plugin, line, rule, severity):
    if rule == "syntax":  # it can only stand at the top
        line = "def broken(:"
    (plugin / "mine.py").write_text(CODE.replace("return None", line))
    finding = only(plugin)
    assert (finding.rule, finding.line, finding.severity) == (rule, 6, severity)
    assert finding.file == str(plugin / "mine.py")
    assert finding.fix
    assert finding.column > 8


@pytest.mark.parametrize(
    "line",
    [
        "open(self.storage / 'a')",
        "import random; random.Random(7).random()",
        "import numpy as np; np.random.default_rng(7).normal()",
        "import time; time.monotonic()",
        "import socket; socket.gaierror",
        "self.open('x'); self.eval('y'); data.time()",
        "api_key = '${API_KEY}'; token = 'a token'",
        "self.config['period']; self.config.get('position_size')",
        "import msgspec, numpy, asyncio",
        "getattr(self, 'name'); setattr(self, 'name', 1)",
        "'see the docs, not a host'",
        "exit = data.price > 3; open = data.price; input = (exit, open); input",
    ],
)
def test_what_is_well_is_not_told(plugin, line):
    (plugin / "mine.py").write_text(CODE.replace("return None", line))
    assert found(plugin) == []


def test_a_source_may_look_at_the_clock_and_reach_what_it_declares(plugin):
    text = MANIFEST.replace("strategy", "data_source") + 'egress: ["api.example.com:443"]\n'
    (plugin / "plugin.yaml").write_text(text)
    (plugin / "mine.py").write_text(
        textwrap.dedent(
            """\
            import random, time, urllib.request
            from ntp import DataSourcePlugin


            class Mine(DataSourcePlugin):
                async def stream(self):
                    time.time(), random.random()
                    urllib.request.urlopen("https://API.example.com/ticker")
                    yield
            """
        )
    )
    report = validate(plugin, offline=True)
    assert report.findings == ()
    assert report.permissions.hosts == ("api.example.com:443",)


def test_a_host_that_nothing_mentions_is_a_note(plugin):
    (plugin / "plugin.yaml").write_text(
        MANIFEST + 'egress: ["a.example.com:443", "b.example.com:1"]\n'
    )
    (plugin / "mine.py").write_text(CODE + 'URL = "wss://a.example.com/x"\n')
    finding = only(plugin)
    assert (finding.line, finding.column, finding.severity) == (8, 31, "note")


def test_a_documentation_may_name_any_host(plugin):
    (plugin / "mine.py").write_text(f'"""https://example.com"""\n{CODE}')
    assert found(plugin) == []


def test_invisible_characters_are_errors(plugin):
    (plugin / "mine.py").write_text(CODE + "# a\u202eb\n")
    finding = only(plugin)
    assert (finding.rule, finding.line, finding.column, finding.severity) == (
        "deceiving",
        7,
        4,
        "error",
    )


def test_code_that_reads_otherwise_than_it_looks_is_an_error(plugin):
    (plugin / "mine.py").write_text("# coding: utf-7\n" + CODE)
    assert found(plugin) == [("deceiving", 1, "error")]


def test_a_sleep_of_a_thread_is_its_own_business(plugin):
    code = """\
import time
from ntp import StrategyPlugin


class Mine(StrategyPlugin):
    async def initialize(self):
        def wait():
            time.sleep(1)
        time.sleep(2)

    def analyze(self, data, history):
        return None

    def other(self):
        time.sleep(3)
"""
    (plugin / "mine.py").write_text(code)
    assert found(plugin) == [("sleep", 9, "warning")]


@pytest.mark.parametrize(
    ("code", "rule", "words"),
    [
        (CODE.replace("Mine", "Mein"), "entrypoint", "did you mean 'Mein'?"),
        (CODE.replace("StrategyPlugin", "IndicatorPlugin"), "kind", "write 'kind: indicator'"),
        (CODE.replace("analyze", "analyse"), "method", "add analyze() to it"),
        (CODE.replace("def", "async def"), "method", "def analyze(…)"),
        (CODE.replace("    def", "    prices = []\n    def"), "shared-state", "self.prices"),
        (CODE.replace("    def", "    prices: list = list()\n    def"), "shared-state", "self.prices"),
        (CODE + "    def initialize(self): ...\n", "method", "async def initialize(…)"),
        (CODE + "    def get_metadata(self):\n        return PluginMetadata('mine', '1.1.0')\n"
         "from ntp import PluginMetadata\n", "metadata", "leave get_metadata() out"),
    ],
)  # fmt: skip
def test_a_class_that_cannot_be_the_plugin_is_told(plugin, code, rule, words):
    (plugin / "mine.py").write_text(code)
    finding = only(plugin)
    assert finding.rule == rule
    assert words in finding.fix


@pytest.mark.parametrize(
    "code",
    [
        "from mine_parts import Mine\n",
        "import ntp\n" + CODE.replace("(StrategyPlugin)", "(ntp.StrategyPlugin)"),
        CODE.replace("(StrategyPlugin)", "(Base)").replace("analyze", "other")
        + "class Base(StrategyPlugin): ...\n",
        CODE.replace("    def", "    NAMES = ['a']\n    def"),
    ],
)
def test_a_class_that_may_well_be_the_plugin_is_left_alone(plugin, code):
    (plugin / "mine.py").write_text(code)
    (plugin / "mine_parts.py").write_text(CODE)
    assert found(plugin) == []


SCHEMAS = [
    ("{type: object, properties: {a: {type: int}}}", "schema", "error", "it is no JSON Schema"),
    ("{type: object, properties: {a: {type: integer, description: A}}}", "schema", "warning", "a misspelt one"),
    ("{type: object, additionalProperties: false, properties: {a: {type: integer}}}", "schema", "note", "no description"),
    ("{type: object, additionalProperties: false, properties: {a: {type: integer, description: A, default: b}}}",
     "schema", "error", "the default of 'a' is not what it describes"),
    ("{type: object, additionalProperties: false, required: [a], properties: {a: {description: A, default: b}}}",
     "schema", "note", "its default is never taken"),
    ("{}", "schema", "note", "any config is taken"),
    ("{api_key: str}", "secret", "warning", "`secrets` does not have it"),
    ("{period: integer}", "manifest", "error", "the type of 'period' was 'integer'"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "rule", "severity", "words"), SCHEMAS)
def test_a_schema_that_does_not_say_what_it_means_is_told(plugin, schema, rule, severity, words):
    (plugin / "plugin.yaml").write_text(MANIFEST.replace("{period: int}", schema))
    finding = only(plugin)
    assert (finding.rule, finding.severity) == (rule, severity)
    assert words in finding.message


def test_all_mistakes_are_told_at_once(plugin):
    (plugin / "plugin.yaml").write_text("name: Mine\nversion: 1\nkind: strat\n")
    (plugin / "mine.py").write_text("def broken(:\n")
    assert found(plugin) == [
        ("syntax", 1, "error"),
        ("manifest", 1, "error"),
        ("manifest", 1, "error"),
        ("manifest", 2, "error"),
        ("manifest", 3, "error"),
    ]


def test_papers_that_are_missing_are_warnings(plugin):
    for name in ("README.md", "LICENSE", "tests/test_mine.py"):
        (plugin / name).unlink()
    text = MANIFEST.replace("author: me\ndescription: Buys.\n", "")
    (plugin / "plugin.yaml").write_text(text)
    (plugin / "fast.so").touch()
    rules = {(rule, severity) for rule, _, severity in found(plugin)}
    missing = ("licence", "readme", "tests", "author", "description", "machine-code")
    assert rules == {(rule, "warning") for rule in missing}
    assert run(plugin).exit_code == 0
    run(plugin, "--strict", code=2)


def test_a_licence_is_a_file_or_an_expression_of_the_manifest(plugin):
    (plugin / "LICENSE").unlink()
    (plugin / "plugin.yaml").write_text(f"{MANIFEST}licence: LicenseRef-Desk OR mit\n")
    assert found(plugin) == []
    (plugin / "plugin.yaml").write_text(f"{MANIFEST}licence: do what you want\n")
    assert "'do what you want' is no SPDX expression" in run(plugin, code=2).stdout


def test_nothing_of_the_plugin_runs(plugin, tmp_path, monkeypatch):
    mark = tmp_path / "ran"
    code = f"open({str(mark)!r}, 'w')\n"
    (plugin / "mine.py").write_text(code + CODE)
    (plugin / "conftest.py").write_text(code)
    (plugin / "tests" / "test_mine.py").write_text(code)
    (plugin / "ntp.py").write_text(code)
    monkeypatch.chdir(plugin)
    run(".")
    assert not mark.exists()


def test_code_that_is_nested_too_deep_is_a_finding(plugin):
    (plugin / "mine.py").write_text(CODE + "x = " + "(" * 5000 + ")" * 5000 + "\n")
    assert [rule for rule, *_ in found(plugin)] == ["syntax"]
    (plugin / "mine.py").write_text(CODE + "x = " + "-" * 200_000 + "1\n")
    assert [rule for rule, *_ in found(plugin)] == ["syntax"]
    deep = "a" + ".a" * 1500  # Python reads it, and cannot write it again
    (plugin / "mine.py").write_text(
        f"{CODE}    def get_metadata(self):\n        {deep}(open({deep}))\n"
    )
    assert found(plugin) == [("foreign-files", 8, "note")]


def test_a_module_that_is_too_large_is_not_read(plugin):
    (plugin / "mine.py").write_text(CODE + "#" * 1024 * 1024)
    assert [rule for rule, *_ in found(plugin)] == ["syntax"]


def test_what_is_found_a_thousand_times_is_told_fifty_times(plugin):
    (plugin / "mine.py").write_text(CODE + "eval\n" * 1000)
    findings = validate(plugin, offline=True).findings
    assert len(findings) == 51
    assert [each.message for each in findings if each.line == 1006] == ["and 950 more"]


def test_words_of_the_plugin_do_not_steer_a_terminal(plugin):
    (plugin / "mine.py").write_text(CODE.replace("return None", 'self.config["\\x1b[2J\\u202e"]'))
    (plugin / "plugin.yaml").write_text(MANIFEST)
    assert r"config has no '\x1b[2J\u202e'" in run(plugin).stdout
    (plugin / "plugin.yaml").write_text(MANIFEST + '"\\e[2J": 1\n')
    assert r"unknown field '\x1b[2J'" in run(plugin, code=2).stdout


def test_a_link_out_of_the_folder_is_refused(plugin):
    (plugin / "more.py").symlink_to("/etc/passwd")
    assert only(plugin).rule == "folder"


def test_what_is_no_folder_of_a_plugin_says_what_to_do(plugin, tmp_path):
    result = run(plugin / "mine.py", code=2)
    assert "fix: make a folder of it: `ntp plugin create mine`" in result.stdout
    result = run(tmp_path, code=2)
    assert "the folder has no plugin.yaml" in result.stdout
    result = run(tmp_path / "none", code=2)
    assert "was not found" in result.stderr


def keys(page, shape):
    rows = page.partition(f"### {shape}\n")[2].partition("\n### ")[0]
    return set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", rows, re.MULTILINE))))


def test_json_has_each_finding_with_its_place(plugin):
    (plugin / "plugin.yaml").write_text(
        MANIFEST + 'secrets: [api_key]\negress: ["a.example.com:1"]\n'
    )
    (plugin / "mine.py").write_text(CODE.replace("return None", "return eval('a.example.com')"))
    said = json.loads(run(plugin, "--output", "json").stdout)
    assert {key: said[key] for key in ("plugin", "version", "passed", "errors", "warnings", "notes")} == {
        "plugin": "mine", "version": "1.2.0", "passed": True, "errors": 0, "warnings": 1, "notes": 0,
    }  # fmt: skip
    assert said["permissions"] == {"hosts": ["a.example.com:1"], "secrets": ["api_key"]}
    (finding,) = said["findings"]
    assert (finding["line"], finding["column"], finding["severity"]) == (6, 16, "warning")
    page = (ROOT / "docs" / "json.md").read_text()
    assert set(finding) == keys(page, "FINDING")
    assert set(said) == keys(page, "FITNESS")
    assert not json.loads(run(plugin, "--strict", "--output", "json", code=2).stdout)["passed"]


def test_the_page_for_authors_shows_what_is_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "authors.md").read_text()
    git = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "me"}
    blocks = dict(re.findall(r"```console\n\$ ntp ([^\n]+)\n(.*?)```", page, re.DOTALL))
    for command in (
        "plugin create my_strategy --template bollinger",
        "plugin validate my_strategy",
    ):
        result = CliRunner().invoke(main, command.split(), env=git)
        assert result.stdout == blocks[command]


def test_every_rule_is_on_the_page_for_authors():
    texts = "".join(path.read_text() for path in Path(validation.__file__).parent.glob("*.py"))
    rules = set(re.findall(r'(?i:severity)(?:\.[A-Z]+)?,\s*"([a-z-]+)"', texts))
    rules |= {rule.id for rule in RULES} | {"manifest", "author", "description"}
    assert {"licence", "lock", "import", "breaking", "clock"} < rules
    table = (ROOT / "docs" / "authors.md").read_text().partition("| rule |")[2].partition("\n\n")[0]
    assert rules == set(
        re.findall(r"`([a-z-]+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)))
    )


def test_a_report_is_what_publishing_asks_for(plugin):
    report = validate(plugin, offline=True)
    assert isinstance(report.manifest, Manifest)
    assert report.passed(strict=True)
    (plugin / "LICENSE").unlink()
    report = validate(plugin, offline=True)
    assert (report.passed(), report.passed(strict=True), report.count(Severity.WARNING)) == (
        True,
        False,
        1,
    )
