"""The folder of keys for a NATS that is not ours: looked at whole, refused in words."""

import os
from pathlib import Path

import pytest

from orchestrator.bus import claims
from orchestrator.bus.external import LONGEST, OPERATOR, SYSTEM, read_keys
from orchestrator.bus.keys import ACCOUNT, USER, make
from orchestrator.bus.keys import OPERATOR as OPERATOR_KIND
from orchestrator.errors import ConfigError

ADDRESS = "nats.example:4222"


def credentials(*, seed: bytes | None = None) -> bytes:
    user, account = make(USER), make(ACCOUNT)
    token = claims.encode(claims.user(user, name="sys"), account, 1)
    return claims.credentials(token, seed or user.seed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in (
        (OPERATOR, make(OPERATOR_KIND).seed + b"\n"),
        (SYSTEM, credentials()),
    ):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    return tmp_path


def refused(folder: Path) -> list[tuple[str, str, str]]:
    with pytest.raises(ConfigError) as caught:
        read_keys(ADDRESS, folder)
    return [(Path(each.file).name, each.message, each.fix) for each in caught.value.problems]


def test_a_good_folder_is_taken_as_it_is(folder):
    found = read_keys(ADDRESS, folder)
    assert found.address == ADDRESS
    assert found.operator_seed == (folder / OPERATOR).read_bytes().strip()
    assert found.system_credentials == (folder / SYSTEM).read_bytes()


def test_a_folder_that_is_none_is_one_problem(folder):
    ((_, words, fix),) = refused(folder / "nowhere")
    assert words == f"NTP_NATS names its folder of keys as {folder}/nowhere, which does not exist"
    assert fix == "make it, with operator.nk and system.creds in it (docs/cli.md), or name another"
    ((_, words, _),) = refused(folder / OPERATOR)
    assert words.endswith("which is no folder")
    ((_, words, _),) = refused(folder / OPERATOR / "below")
    assert words.endswith("which cannot be looked at: Not a directory")


def test_all_that_is_wrong_with_the_files_is_told_at_once(folder):
    (folder / OPERATOR).write_bytes(make(ACCOUNT).seed)
    (folder / OPERATOR).chmod(0o644)
    (folder / SYSTEM).unlink()
    assert refused(folder) == [
        (
            OPERATOR,
            "the file holds a key, and others may read or change it (mode 0644)",
            f"chmod 600 {folder / OPERATOR}",
        ),
        (
            OPERATOR,
            "the file holds no seed of an operator",
            "put it there: the seed of its operator, or of one of his signing keys, in one line (SO…)",
        ),
        (
            SYSTEM,
            "the file does not exist",
            "put it there: the .creds file of a user of its system account",
        ),
    ]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
@pytest.mark.parametrize("name", [OPERATOR, SYSTEM])
def test_a_key_that_others_may_read_or_change_is_refused(folder, name, mode):
    (folder / name).chmod(mode)
    ((file, words, _),) = refused(folder)
    assert (file, words[-11:]) == (name, f"(mode {mode:04o})")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is no .creds file (a user's token and seed)"),
        (os.urandom(LONGEST + 1), "the file is no .creds file (a user's token and seed)"),
        (claims.credentials("no.token.here", make(USER).seed), "the file holds a token that cannot be read"),
        (credentials(seed=make(USER).seed), "the file holds a user's token and the seed of another key"),
    ],
    ids=["empty", "anything", "no-token", "two-users"],
)  # fmt: skip
def test_credentials_that_are_none_are_refused(folder, content, words):
    (folder / SYSTEM).write_bytes(content)
    ((file, said, _),) = refused(folder)
    assert (file, said) == (SYSTEM, words)


def test_nothing_is_waited_for_and_no_descriptor_is_left(folder):
    before = len(list(Path("/proc/self/fd").iterdir()))
    (folder / OPERATOR).unlink()
    os.mkfifo(folder / OPERATOR, 0o600)
    (folder / SYSTEM).unlink()
    (folder / SYSTEM).mkdir(0o700)
    assert [(name, words) for name, words, _ in refused(folder)] == [
        (OPERATOR, "the file cannot be read: it is no regular file"),
        (SYSTEM, "the file cannot be read: it is no regular file"),
    ]
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.root
@pytest.mark.parametrize(("mode", "groups", "taken"), [(0o440, [7001], True), (0o460, [7001], False), (0o444, [7001], False), (0o440, [], False)])  # fmt: skip
def test_a_key_that_root_lets_our_group_read_is_taken_as_a_pod_is_given_it(
    folder, mode, groups, taken
):
    for parent in (folder, *folder.parents):
        if parent.stat().st_mode & 0o005 != 0o005:
            parent.chmod(parent.stat().st_mode | 0o005)
    for name in (OPERATOR, SYSTEM):
        os.chown(folder / name, 0, 7001)
        (folder / name).chmod(mode)
    reading, answer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups(groups)
            os.setgid(7000)
            os.setuid(7000)
            read_keys("127.0.0.1:4222", folder)
            os.write(answer, b"taken")
        except ConfigError as error:
            os.write(answer, str(error).encode())
        finally:
            os._exit(0)
    os.close(answer)
    with os.fdopen(reading, "rb") as said:
        words = said.read().decode()
    os.waitpid(child, 0)
    assert (words == "taken") is taken, words
