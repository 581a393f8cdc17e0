import contextlib
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trustme

from orchestrator import settings
from orchestrator.app import Declaration
from orchestrator.errors import ConfigError


def find(folder, *files, project=None, **environment):
    return settings.find(files, project=project, environment=environment, cwd=folder)


def problems(*arguments, **named):
    with pytest.raises(ConfigError) as refused:
        find(*arguments, **named)
    return [(problem.file, problem.line, problem.message) for problem in refused.value.problems]


@pytest.fixture
def desk(tmp_path):
    folder = tmp_path / "My Desk"
    (folder / "config").mkdir(parents=True)
    return folder


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_folder_names_the_project(desk):
    found = find(desk)
    assert (found.project, found.folder) == ("my-desk", desk)
    assert found.files == (desk / "config" / "plugins.yaml",)
    assert found.state.name == "my-desk"
    assert (found.sandbox, found.runtime, found.nats, found.plugin_dir) == (
        True,
        "",
        None,
        None,
    )


@pytest.mark.parametrize(
    ("folder", "name"),
    [("Über uns", "uber-uns"), ("2024", "project-2024"), ("--", "project"), ("a" * 60, "a" * 40)],
)
def test_any_folder_has_a_name_that_containers_may_bear(tmp_path, folder, name):
    (tmp_path / folder).mkdir()
    assert find(tmp_path / folder).project == name


def test_the_file_names_the_project_before_the_folder_and_an_option_before_the_file(desk):
    write(desk / "config" / "plugins.yaml", "plugins: {}\nname: night\n")
    assert find(desk).project == "night"
    assert find(desk, project="day").project == "day"
    assert problems(desk, project="Day Trade")[0][0] == "--project"


def test_the_file_is_found_where_the_contract_says(desk):
    plain = write(desk / "plugins.yaml", "plugins: {}")
    assert find(desk).files == (plain,)
    below = write(desk / "config" / "plugins.yaml", "plugins: {}")
    assert find(desk).files == (below,)
    other = write(desk / "other.yaml", "plugins: {}")
    assert find(desk, PLUGIN_CONFIG="other.yaml").files == (other,)
    assert find(desk, "plugins.yaml", PLUGIN_CONFIG="other.yaml").files == (plain,)


def test_a_file_elsewhere_brings_its_own_project(desk, tmp_path):
    write(desk / ".env", "PLUGIN_DIR=mine\n")
    write(desk / "config" / "plugins.yaml", "plugins: {}")
    found = find(tmp_path, str(desk / "config" / "plugins.yaml"))
    assert (found.folder, found.project) == (desk, "my-desk")
    assert found.plugin_dir == desk / "mine"
    assert found.sources() == (("config/plugins.yaml", b"plugins: {}"),)


def test_the_process_wins_over_the_dotenv(desk):
    write(
        desk / ".env",
        "# the user's own\nPLUGIN_DIR=./plugins\nPLUGIN_MAX_MEMORY=256MB\n"
        "export PLUGIN_TIMEOUT='10'\nPLUGIN_SANDBOX=false\nKEY=a${B}$c\n",
    )
    found = find(desk, PLUGIN_SANDBOX="true", PLUGIN_TIMEOUT="5", PLUGIN_API_KEY="s3cret")
    assert found.sandbox
    assert found.plugin_dir == desk / "plugins"
    assert found.environment["KEY"] == "a${B}$c"
    assert found.plugin_settings == {
        "PLUGIN_DIR": "./plugins",
        "PLUGIN_MAX_MEMORY": "256MB",
        "PLUGIN_SANDBOX": "true",
        "PLUGIN_TIMEOUT": "5",
    }
    assert "a${B}" not in repr(found)
    assert "s3cret" not in repr(found)


def test_plugin_config_may_stand_in_the_dotenv(desk):
    other = write(desk / "conf" / "desk.yaml", "plugins: {}")
    write(desk / ".env", "PLUGIN_CONFIG=conf/desk.yaml\n")
    assert find(desk).files == (other,)


def test_every_mistake_of_the_settings_is_told(desk):
    write(desk / ".env", "PLUGIN_SANDBOX=perhaps\nnot an assignment\nNTP_RUNTIME=podman\n")
    found = problems(desk, NTP_NATS="http://user:hunter2@example.com?keys=k")
    assert found == [
        (".env", 2, "the line is no assignment"),
        ("environment", 0, "NTP_NATS is no address of a NATS server"),
        ("environment", 0, "NTP_RUNTIME was 'podman'"),
        ("environment", 0, "PLUGIN_SANDBOX was 'perhaps'"),
    ]


@pytest.mark.parametrize(
    ("written", "address", "keys"),
    [
        ("nats://host:4222?keys=nats-keys", "host:4222", "nats-keys"),
        (" nats://host?keys=/etc/ntp/keys ", "host:4222", "/etc/ntp/keys"),
        ("nats://[::1]:4222?keys=k", "[::1]:4222", "k"),
        ("nats://[fd00::7]?keys=k", "[fd00::7]:4222", "k"),
        ("nats://10.0.0.7:5222/?keys=~/a+b%26c#d", "10.0.0.7:5222", "~/a+b&c#d"),
        ("nats://a,b:5222,nats://[::1]?keys=k", "a:4222,b:5222,[::1]:4222", "k"),
        ("nats://a:4222, a, b?keys=k", "a:4222,b:4222", "k"),
    ],
)
def test_another_nats_is_one_setting(desk, written, address, keys):
    found = find(desk, NTP_NATS=written).nats
    assert (found.address, found.keys) == (address, keys)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("nats://host:4222", [("names no folder of keys", "write nats://host:4222?keys=FOLDER")]),
        ("nats://host?keys=", [("names no folder of keys", "write nats://")]),
        ("nats://host?key=k", [("has an unknown parameter 'key'", "did you mean 'keys'?")]),
        ("nats://host?KEYS=k", [("has an unknown parameter 'KEYS'", "did you mean 'keys'?")]),
        (
            "nats://host?keys=k&tls=1",
            [("has an unknown parameter 'tls'", "write nats://host:4222?keys=FOLDER; there is no")],
        ),
        ("nats://host?keys=a&keys=b", [("has 'keys' 2 times", "name one folder")]),
        ("nats://host:0?keys=k", [("is no address of a NATS server", "write nats://host:4222?")]),
        ("nats://a,,b:x?keys=k", [("is no address of a NATS server", "write nats://")]),
        (
            "nats://a,tls://b,c/d?keys=k",
            [
                ("is no address of a NATS server", "write"),
                ("was a tls address; NATS is spoken without TLS so far", "write"),
            ],
        ),
        ("nats://host:port?keys=k", [("is no address of a NATS server", "write nats://")]),
        ("nats://host/way?keys=k", [("is no address of a NATS server", "write nats://")]),
        ("host:4222?keys=k", [("is no address of a NATS server", "write nats://")]),
        (
            "tls://host:4222?keys=k",
            [("was a tls address; NATS is spoken without TLS so far", "write nats://")],
        ),
        (
            "tls://host?folder=k",
            [
                ("has an unknown parameter 'folder'", "write nats://"),
                ("names no folder of keys", "write nats://"),
                ("was a tls address; NATS is spoken without TLS so far", "write nats://"),
            ],
        ),
    ],
)
def test_a_nats_setting_that_cannot_serve_is_told_in_all_its_parts(desk, written, told):
    with pytest.raises(ConfigError) as refused:
        find(desk, NTP_NATS=written)
    found = refused.value.problems
    assert [problem.message for problem in found] == [f"NTP_NATS {words}" for words, _ in told]
    for problem, (_, fix) in zip(found, told, strict=True):
        assert problem.fix.startswith(fix)


def test_no_part_of_a_password_in_a_nats_setting_is_shown(desk):
    with pytest.raises(ConfigError) as refused:
        find(desk, NTP_NATS="nats://me:hunt?er2@host:4222&keys=k")
    assert [problem.message for problem in refused.value.problems] == [
        "NTP_NATS has no parameter after its '?'",
        "NTP_NATS is no address of a NATS server",
    ]
    assert "er2" not in str(refused.value)


def test_a_dotenv_that_is_no_text_is_a_problem_with_a_line(desk):
    (desk / ".env").write_bytes(b"A=1\nB=\xff\n")
    assert problems(desk) == [(".env", 2, "the file is not UTF-8")]


def test_folders_for_state_and_cache(desk, tmp_path):
    found = find(desk, NTP_STATE=str(tmp_path / "s"), NTP_CACHE=str(tmp_path / "c"))
    assert (found.state, found.cache) == (tmp_path / "s" / "my-desk", tmp_path / "c")


def test_a_folder_of_files_is_read_in_the_order_of_names(desk):
    write(desk / "b.yml", "b")
    write(desk / "a.yaml", "a")
    write(desk / "c.txt", "c")
    write(desk / "other.yaml", "o")
    assert find(desk, ".").sources() == (("a.yaml", b"a"), ("b.yml", b"b"), ("other.yaml", b"o"))
    assert find(desk, "other.yaml", "a.yaml").sources() == (("other.yaml", b"o"), ("a.yaml", b"a"))


def test_standard_input(desk):
    found = find(desk, "-")
    assert (found.folder, found.sources(b"plugins: {}")) == (desk, (("<stdin>", b"plugins: {}"),))


def refused_sources(found):
    with pytest.raises(ConfigError) as refused:
        found.sources()
    return [(problem.file, problem.message) for problem in refused.value.problems]


def test_what_is_no_file_is_told_at_once(desk):
    os.mkfifo(desk / "pipe.yaml")
    (desk / "loop.yaml").symlink_to("loop.yaml")
    (desk / "empty").mkdir()
    found = find(desk, "missing.yaml", "pipe.yaml", "loop.yaml", "empty", "/dev/zero")
    told = dict(refused_sources(found))
    assert told["missing.yaml"] == "the file does not exist"
    assert "no regular file" in told["pipe.yaml"]
    assert "cannot be read" in told["loop.yaml"]
    assert told["empty"] == "the folder has no .yaml file"
    assert "no regular file" in told["/dev/zero"]


def test_too_much_is_not_read(desk):
    with (desk / "big.yaml").open("wb") as file:
        file.truncate(settings.MAX_BYTES + 5)
    assert refused_sources(find(desk, "big.yaml")) == [
        ("big.yaml", "all files together have more than 16 MiB")
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_not_read(desk):
    try:
        os.mknod(desk / "zero.yaml", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("no device can be made here")
    assert "no regular file" in dict(refused_sources(find(desk, "zero.yaml")))["zero.yaml"]


def test_a_socket_and_a_folder_of_that_name_are_not_read(desk):
    with socket.socket(socket.AF_UNIX) as listening:
        # The path of a socket is short, so it is named from inside its folder.
        with contextlib.chdir(desk):
            listening.bind("socket.yaml")
        (desk / "all").mkdir()
        (desk / "all" / "inner.yaml").mkdir()
        told = dict(refused_sources(find(desk, "socket.yaml", "all")))
    assert "cannot be read" in told["socket.yaml"]
    assert "no regular file" in told["all/inner.yaml"]


def test_a_link_leads_to_its_file_and_to_nothing_else(desk):
    write(desk / "real.yaml", "r")
    (desk / "link.yaml").symlink_to("real.yaml")
    (desk / "zero.yaml").symlink_to("/dev/zero")
    (desk / "one.yaml").symlink_to("two.yaml")
    (desk / "two.yaml").symlink_to("one.yaml")
    (desk / "dangling.yaml").symlink_to("nowhere.yaml")
    assert find(desk, "link.yaml").sources() == (("link.yaml", b"r"),)
    told = dict(refused_sources(find(desk, "zero.yaml", "one.yaml", "dangling.yaml")))
    assert "no regular file" in told["zero.yaml"]
    assert "cannot be read" in told["one.yaml"]
    assert told["dangling.yaml"] == "the file does not exist"


def test_of_a_terabyte_no_more_is_read_than_it_takes_to_know(desk):
    with (desk / "big.yaml").open("wb") as file:
        file.truncate(1 << 40)
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from orchestrator import settings; from orchestrator.errors import ConfigError\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))\n"
        "found = settings.find(['big.yaml'], environment={}, cwd=Path(sys.argv[1]))\n"
        "try:\n    found.sources()\n"
        "except ConfigError as error:\n    print(error.problems[0].message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, desk],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("all files together have more than 16 MiB\n", "")


def test_a_file_that_grows_while_it_is_read_is_read_to_a_bound(desk):
    """A file whose writer is never done: each answer is one moment's, and all of them end."""
    path = desk / "growing.yaml"
    write(path, "a: 1\n")
    done = threading.Event()
    grown = threading.Event()

    def grow():
        with path.open("ab") as file:
            while not done.is_set() and file.tell() < 3 * settings.MAX_BYTES:
                file.write(b"#" * 65_536)
                file.flush()
                grown.set()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        assert grown.wait(30)
        found, told = find(desk, "growing.yaml"), []
        while not told:
            content = found.sources(tolerated=told)
            assert sum(len(each) for _, each in content) <= settings.MAX_BYTES
    finally:
        done.set()
        writer.join(30)
    assert [each.message for each in told] == ["all files together have more than 16 MiB"]


def test_settings_are_quick_because_they_import_little():
    code = (
        "import sys; from orchestrator import settings; settings.find(environment={});"
        "print([m for m in ('pydantic', 'jsonschema', 'nats', 'docker') if m in sys.modules])"
    )
    folder = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_dotenv_beside_the_file_counts_where_the_project_has_none(desk):
    write(desk / "config" / "plugins.yaml", "plugins: {}")
    write(desk / "config" / ".env", "PLUGIN_DIR=mine\n")
    assert find(desk).plugin_dir == desk / "config" / "mine"
    write(desk / ".env", "PLUGIN_DIR=ours\n")
    assert find(desk).plugin_dir == desk / "ours"


def test_a_broken_dotenv_of_the_working_folder_is_no_business_of_another_project(desk, tmp_path):
    write(tmp_path / ".env", "not an assignment\n")
    write(desk / "config" / "plugins.yaml", "plugins: {}")
    assert find(tmp_path, str(desk / "config" / "plugins.yaml")).folder == desk
    assert problems(tmp_path)[0][0] == ".env"


def test_standard_input_may_name_the_project(desk):
    found = settings.find(["-"], environment={}, cwd=desk, stdin=b"name: night\nplugins: {}\n")
    assert found.project == "night"


def test_who_tolerates_mistakes_gets_the_safe_defaults_and_what_keeps_a_controller_off(desk):
    write(desk / ".env", "PLUGIN_SANDBOX=perhaps\nNTP_RUNTIME=podman\n")
    mistakes = []
    found = settings.find((), environment={}, cwd=desk, tolerated=mistakes)
    assert found.sandbox
    assert len(mistakes) == 2
    assert [each.message for each in found.unservable] == ["NTP_RUNTIME was 'podman'"]


SIGNED = {"NTP_WEBHOOK_SECRET": "s3cret"}


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://hooks.example.com/services/T0/B0/hunter2", "https://hooks.example.com"),
        ("https://hooks.example.com:8443/x?key=hunter2", "https://hooks.example.com:8443"),
        ("http://127.0.0.1:8080/hunter2", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/hunter2", "http://[::1]:8080"),
        ("http://localhost/hunter2", "http://localhost"),
    ],
)
def test_a_webhook_is_an_address_that_is_never_shown_whole(desk, url, place):
    found = find(desk, NTP_WEBHOOK=url, **SIGNED)
    assert (found.webhook.url, found.webhook.secret, found.webhook.place) == (url, "s3cret", place)
    assert "hunter2" not in repr(found)
    assert "s3cret" not in repr(found)


def test_no_webhook_is_no_webhook(desk):
    assert find(desk).webhook is None
    assert find(desk, NTP_WEBHOOK=" ").webhook is None


def test_a_webhook_in_dotenv_counts_as_any_other_setting(desk):
    write(desk / ".env", "NTP_WEBHOOK=https://hooks.example.com/x\n")
    assert find(desk).webhook.place == "https://hooks.example.com"
    assert find(desk, NTP_WEBHOOK="").webhook is None


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("hooks.example.com/hunter2", "NTP_WEBHOOK is no http(s) address"),
        ("ftp://h/hunter2", "NTP_WEBHOOK is no http(s) address"),
        ("https:///hunter2", "NTP_WEBHOOK is no http(s) address"),
        ("https://h:hunter2/", "NTP_WEBHOOK is no http(s) address"),
        ("https://h/hunter2 x", "NTP_WEBHOOK is no http(s) address"),
        ("https://h/hunter2\r\nX: y", "NTP_WEBHOOK is no http(s) address"),
        ("https://h/" + "hunter2" * 400, "NTP_WEBHOOK is no http(s) address"),
        ("https://u:hunter2@h/", "NTP_WEBHOOK has a user or a '#' in it, which is not sent"),
        (
            "http://example.com/hunter2",
            "NTP_WEBHOOK was http://, so anybody on the way reads and forges alerts",
        ),
        (
            "http://127.0.0.1.example.com/hunter2",
            "NTP_WEBHOOK was http://, so anybody on the way reads and forges alerts",
        ),
    ],
)
def test_what_is_no_webhook_is_told_without_being_shown(desk, url, message):
    with pytest.raises(ConfigError) as refused:
        find(desk, NTP_WEBHOOK=url)
    assert [each.message for each in refused.value.problems] == [message]
    assert "hunter2" not in str(refused.value)
    tolerated = []
    assert (
        settings.find((), environment={"NTP_WEBHOOK": url}, cwd=desk, tolerated=tolerated).webhook
        is None
    )
    assert len(tolerated) == 1


def test_http_needs_a_reason_and_a_secret_an_address(desk):
    url = "http://alerts.example.com/x"
    found = find(desk, NTP_WEBHOOK=url, NTP_WEBHOOK_PLAIN="a tunnel\nof ours")
    assert found.webhook.plain_because == "a tunnel of ours"
    assert problems(desk, NTP_WEBHOOK_PLAIN="y", **SIGNED) == [
        ("environment", 0, "NTP_WEBHOOK_PLAIN is set, NTP_WEBHOOK is not"),
        ("environment", 0, "NTP_WEBHOOK_SECRET is set, NTP_WEBHOOK is not"),
    ]


MAP = "stream.example.com:9443=127.0.0.1:8443"


def test_where_hosts_lead_decides_how_files_are_read_and_the_ca_goes_along_as_text(desk):
    pem = trustme.CA().cert_pem.bytes().decode()
    write(desk / "ca.pem", pem)
    write(desk / ".env", f"NTP_EGRESS_MAP={MAP}\nNTP_EGRESS_CA=ca.pem\n")
    write(desk / "plugins.yaml", "plugins: {}\n")
    elsewhere = desk.parent
    for found in (find(desk), find(elsewhere, str(desk / "plugins.yaml"))):
        assert found.egress == {"NTP_EGRESS_MAP": MAP, "egress_ca": pem}
        assert Declaration(found, ()).decisive["egress_ca"] == pem
    assert find(elsewhere).egress == {}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (None, "NTP_EGRESS_CA names ca.pem, which cannot be read: no such file or directory"),
        ("", "NTP_EGRESS_CA names ca.pem, which is empty"),
        ("hunter2", "NTP_EGRESS_CA names a file without a certificate in PEM"),
        ("x" * (300 << 10), "NTP_EGRESS_CA names ca.pem, which has more than 256 KiB"),
    ],
)
def test_a_ca_that_is_none_is_a_problem(desk, written, message):
    if written is not None:
        write(desk / "ca.pem", written)
    assert problems(desk, NTP_EGRESS_MAP=MAP, NTP_EGRESS_CA="ca.pem") == [
        ("environment", 0, message)
    ]


def test_a_mistake_in_the_map_is_a_problem_of_the_settings(desk):
    assert problems(desk, NTP_EGRESS_MAP="a.example:1") == [
        ("environment", 0, "NTP_EGRESS_MAP was 'a.example:1'")
    ]
