"""`ntp plugin publish` and `ntp marketplace`, as they are typed."""

import json

import pytest
from click.testing import CliRunner

from ntp.cli import examined, main
from ntp.create.folder import create
from tests.worlds import base_image


@pytest.fixture
def folder(tmp_path):
    """A plugin as `ntp plugin create` makes it; a base to build it on lies beside it."""
    found = tmp_path / "my_strategy"
    create(found, "bollinger", symbol="BTCUSDT", author="Ann")
    base_image.make(tmp_path / "base")
    return found


@pytest.fixture
def report(tmp_path):
    """What a test said before, so that not every publication has to wait for one."""
    return "--report", said(tmp_path / "report.json")


def said(file, **changed):
    subject = {"name": "my_strategy", "version": "0.1.0"}
    file.write_text(json.dumps({"plugin": subject, "passed": True, **changed}))
    return file


def edit(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.fixture
def run(tmp_path):
    def typed(*arguments, code=0, home="author"):
        found = CliRunner().invoke(
            main,
            list(map(str, arguments)),
            env={
                "NTP_CONFIG": str(tmp_path / home),
                "NTP_BASE": str(tmp_path / "base"),
                "NTP_KEY_PASSPHRASE": None,
            },
            catch_exceptions=False,
        )
        assert found.exit_code == code, found.output
        return found

    return typed


def test_with_nothing_configured_a_local_marketplace_is_made_and_said(
    run, folder, report, tmp_path
):
    told = run("plugin", "publish", folder, "--marketplace")
    assert "made the key 'default'" in told.stderr
    assert f"made 'local' in {tmp_path / 'author' / 'marketplace'}" in told.stderr
    assert "ntp marketplace init NAME registry.example.com/team" in told.stderr
    assert "to install it: ntpctl plugin install my_strategy@0.1.0" in told.stdout
    again = json.loads(run("plugin", "publish", folder, "--output", "json").stdout)
    assert again["published"] is False
    assert again["image"] == f"localhost/my-strategy:0.1.0@{again['digest']}"
    code = folder / "my_strategy.py"
    code.write_text(f"{code.read_text()}# other bytes\n")
    refused = run("plugin", "publish", folder, *report, code=5).stderr
    assert "is published already" in refused
    edit(folder / "plugin.yaml", "version: 0.1.0", "version: 0.1.1")
    said(report[1], plugin={"name": "my_strategy", "version": "0.1.1"})
    assert json.loads(run("plugin", "publish", folder, *report, "--output", "json").stdout)[
        "published"
    ]


def test_a_file_of_package_is_published_as_it_is(run, folder, tmp_path):
    run("keys", "create", "me")
    out = tmp_path / "x.tar"
    run("plugin", "package", folder, "-o", out)
    assert "has no signature" in run("plugin", "publish", out, code=5).stderr
    made = json.loads(run("plugin", "package", folder, "-o", out, "--sign", "me", "--output", "json").stdout)  # fmt: skip
    done = run("plugin", "publish", out, "--output", "json")
    assert "not validated and not tested now, and has no report of a test" in done.stderr
    told = json.loads(done.stdout)
    assert (told["digest"], told["signer"]) == (made["digest"], made["signer"])


def test_a_buyer_adds_it_by_its_owners_fingerprint_alone(run, folder, report, tmp_path):
    where = tmp_path / "plugins"
    made = json.loads(run("marketplace", "init", "desk", where, "--output", "json").stdout)
    run("plugin", "publish", folder, *report)
    for wrong in ((), ("--fingerprint", "SHA256:AAAA=")):
        refused = run("marketplace", "add", "desk", where, *wrong, home="buyer", code=5).stderr
        assert f"is owned by {made['owner']}" in refused
    run("marketplace", "add", "desk", where, "--fingerprint", made["owner"], home="buyer")
    (listed,) = json.loads(run("marketplace", "list", "--output", "json", home="buyer").stdout)["marketplaces"]  # fmt: skip
    assert (listed["owner"], listed["key"]) == (made["owner"], None)
    assert "1 plugin, read" in run("marketplace", "sync", home="buyer").stdout
    refused = run("plugin", "publish", folder, *report, home="buyer", code=5).stderr
    assert "is signed by somebody else's key" in refused
    assert "base " not in refused
    assert json.loads(run("keys", "list", "--output", "json", home="buyer").stdout)["keys"] == []


def test_a_revoked_key_is_told_to_the_catalogue(run, folder, report):
    told = json.loads(run("plugin", "publish", folder, *report, "--output", "json").stdout)
    run("keys", "revoke", "default", "--reason", "stolen", "--yes")
    assert f"revoked {told['signer']}" in run("marketplace", "sync").stdout
    synced = json.loads(run("marketplace", "sync", "--output", "json").stdout)
    assert synced["marketplaces"][0]["revoked"] == []


def test_what_is_no_place_or_has_one_already_is_refused(run, tmp_path):
    run("marketplace", "init", "desk", tmp_path / "plugins")
    for arguments, words in (
        (("desk", tmp_path / "other"), "there is a marketplace 'desk' already"),
        (("other", tmp_path / "plugins"), "there is a catalogue at"),
        (("other", "plugins"), "no place for a marketplace"),
        (("other", "https://x/y"), "no place for a marketplace"),
        (("../x", tmp_path / "other"), "no name of a marketplace"),
    ):
        assert words in run("marketplace", "init", *arguments, code=5).stderr
    assert not (tmp_path / "other").exists()
    empty = run("marketplace", "add", "e", tmp_path / "empty", home="buyer", code=5).stderr
    assert "there is no catalogue" in empty


def test_what_validate_finds_is_not_published(run, folder, report):
    edit(folder / "plugin.yaml", "my_strategy:MyStrategy", "my_strategy:Mine")
    told = run("plugin", "publish", folder, *report, code=5).stderr
    assert "'my_strategy.py' has no class 'Mine'" in told
    assert "ends with 2" in told


def test_what_test_finds_is_not_published(run, folder):
    edit(folder / "my_strategy.py", "def analyze(", "def analyse(")
    edit(folder / "my_strategy.py", "class MyStrategy(StrategyPlugin):", 'class MyStrategy(StrategyPlugin):\n    def analyze(self, data, history):\n        raise RuntimeError("broken")\n')  # fmt: skip
    told = run("plugin", "publish", folder, code=5).stderr
    assert "broken" in told
    assert "ends with 6" in told


def test_the_report_of_a_test_is_published_with_it(run, folder):
    made = json.loads(examined.examine(folder, None))
    assert made["passed"], made
    assert examined.examine(folder, b"{}") == b"{}"


def test_another_key_takes_over_the_catalogue_and_buyers_follow(run, folder, report, tmp_path):
    where = tmp_path / "plugins"
    made = json.loads(run("marketplace", "init", "desk", where, "--output", "json").stdout)
    run("marketplace", "add", "desk", where, "--fingerprint", made["owner"], home="buyer")
    run("marketplace", "sync", home="buyer")
    refused = run("keys", "revoke", "catalogue-desk", "--yes", code=5).stderr
    assert "ntp marketplace rotate desk" in refused
    told = json.loads(run("marketplace", "rotate", "desk", "--output", "json").stdout)
    assert told["key"] == "catalogue-desk-2"
    run("keys", "revoke", "catalogue-desk", "--yes")
    run("plugin", "publish", folder, *report)
    assert "1 plugin, read" in run("marketplace", "sync", home="buyer").stdout
    # Whoever comes now compares the new key.
    run("marketplace", "add", "late", where, "--fingerprint", made["owner"], home="late", code=5)
    keys = json.loads(run("keys", "list", "--output", "json").stdout)["keys"]
    new = next(each["fingerprint"] for each in keys if each["name"] == "catalogue-desk-2")
    run("marketplace", "add", "late", where, "--fingerprint", new, home="late")
    assert "1 plugin, read" in run("marketplace", "sync", home="late").stdout


def test_a_root_elsewhere_names_the_next_key(run, tmp_path):
    run("keys", "create", "offline")
    run("marketplace", "init", "desk", tmp_path / "plugins", "--root-key", "offline")
    refused = run("marketplace", "rotate", "desk", code=5).stderr
    assert "is not the root's of this catalogue" in refused
    run("marketplace", "rotate", "desk", "--root-key", "offline")
    (listed,) = json.loads(run("marketplace", "list", "--output", "json").stdout)["marketplaces"]
    assert listed["key"].startswith("catalogue-desk-")
    run("marketplace", "sync")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"passed": False}, "says that 'my_strategy' 0.1.0 did not pass"),
        ({"plugin": {"name": "other", "version": "0.1.0"}}, "is of 'other' '0.1.0', and this is"),
        ({"plugin": {"name": "my_strategy", "version": "9.0.0"}}, "is of 'my_strategy' '9.0.0'"),
        ({"plugin": 99}, "is none of `ntp plugin test`"),
    ],
)
def test_a_report_of_something_else_is_not_signed(run, folder, tmp_path, changed, words):
    file = said(tmp_path / "report.json", **changed)
    assert words in run("plugin", "publish", folder, "--report", file, code=5).stderr
    # Nor is it taken when it was signed before.
    run("keys", "create", "me")
    out = tmp_path / "x.tar"
    run("plugin", "package", folder, "-o", out, "--sign", "me", "--report", file)
    assert words in run("plugin", "publish", out, code=5).stderr


def test_a_marketplace_is_forgotten(run, tmp_path):
    where = tmp_path / "plugins"
    made = json.loads(run("marketplace", "init", "desk", where, "--output", "json").stdout)
    refused = run("marketplace", "remove", "desk", code=5).stderr
    assert "is signed by your key 'catalogue-desk'" in refused
    run("marketplace", "add", "desk", where, "--fingerprint", made["owner"], home="buyer")
    run("marketplace", "add", "second", where, "--fingerprint", made["owner"], home="buyer")
    told = json.loads(run("marketplace", "remove", "desk", "--output", "json", home="buyer").stdout)
    assert told["name"] == "desk"
    assert not (tmp_path / "buyer" / "marketplaces" / "desk").exists()
    (left,) = json.loads(run("marketplace", "list", "--output", "json", home="buyer").stdout)["marketplaces"]  # fmt: skip
    assert left["name"] == "second"
    assert "there is no marketplace 'desk'" in run("marketplace", "remove", "desk", home="buyer", code=5).stderr  # fmt: skip
    # What it was trusted by is forgotten with it: it can be added anew, and is asked for again.
    run("marketplace", "add", "desk", where, home="buyer", code=5)
    run("marketplace", "add", "desk", where, "--fingerprint", made["owner"], home="buyer")
    run("marketplace", "remove", "desk", "--force")
    assert where.exists()
