"""Where the value of a reference comes from, and what a refusal says."""

import stat

import pytest

from orchestrator.errors import ActionError
from orchestrator.spec.model import Place, SecretRef
from orchestrator.store.secrets import KEY_FILE, LocalSecrets

PLACE = Place("plugins.yaml", 9, 14)


def variable(name="POLYGON_API_KEY"):
    return SecretRef("env", name, PLACE)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def secrets(tmp_path, folder, environment=None):
    return LocalSecrets(tmp_path / "state", folder=folder, environment=environment or {})


def test_a_passed_value_wins_over_the_environment_and_that_over_dotenv(tmp_path, folder):
    (folder / ".env").write_text("POLYGON_API_KEY='from $dotenv'\n")
    assert secrets(tmp_path, folder).resolve(variable()) == "from $dotenv"
    found = secrets(tmp_path, folder, {"POLYGON_API_KEY": "from the environment"})
    assert found.resolve(variable()) == "from the environment"
    passed = found.passing({"POLYGON_API_KEY": "passed"}, None)
    assert passed.resolve(variable()) == "passed"
    assert passed.passing({"OTHER": "x"}, folder).resolve(variable()) == "passed"
    assert found.resolve(variable()) == "from the environment"


def test_an_edited_dotenv_is_read_again(tmp_path, folder):
    found = secrets(tmp_path, folder)
    (folder / ".env").write_text("POLYGON_API_KEY=one\n")
    before = found.digest(variable())
    (folder / ".env").write_text("POLYGON_API_KEY=two\n")
    assert found.resolve(variable()) == "two"
    assert found.digest(variable()) != before


def test_a_missing_variable_is_refused_with_its_place_and_what_to_do(tmp_path, folder):
    with pytest.raises(ActionError) as refusal:
        secrets(tmp_path, folder, {"POLYGON_API_KEY": ""}).resolve(variable())
    assert refusal.value.reason == "SecretMissing"
    assert str(refusal.value).startswith(
        "plugins.yaml:9:14: the variable POLYGON_API_KEY is not set\n  fix: put POLYGON_API_KEY="
    )


def test_a_file_is_read_without_its_last_newline(tmp_path, folder):
    (folder / "key").write_text("a\nb\n")
    reference = SecretRef("file", "key", PLACE)
    assert secrets(tmp_path, folder).resolve(reference) == "a\nb"


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), (b"\xff\xfe", "is not text"), (b"x" * (1 << 21), "exceeds 1 MiB")],
)
def test_a_file_that_is_no_secret_is_refused(tmp_path, folder, content, words):
    if content is not None:
        (folder / "key").write_bytes(content)
    with pytest.raises(ActionError, match=words):
        secrets(tmp_path, folder).resolve(SecretRef("file", "key", PLACE))


def test_an_unknown_kind_of_reference_is_refused(tmp_path, folder):
    with pytest.raises(ActionError, match="'vault' are not known"):
        secrets(tmp_path, folder).resolve(SecretRef("vault", "a/b", PLACE))


def test_a_digest_reveals_nothing_and_differs_between_projects(tmp_path, folder):
    found = secrets(tmp_path, folder, {"POLYGON_API_KEY": "value"})
    other = LocalSecrets(
        tmp_path / "other", folder=folder, environment={"POLYGON_API_KEY": "value"}
    )
    again = secrets(tmp_path, folder, {"POLYGON_API_KEY": "value"})
    assert found.digest(variable()) == again.digest(variable())
    assert found.digest(variable()) != other.digest(variable())
    assert stat.S_IMODE((tmp_path / "state" / KEY_FILE).stat().st_mode) == 0o600


def test_who_asks_for_values_alone_leaves_nothing_behind(tmp_path):
    secrets = LocalSecrets(tmp_path / "state", folder=None, environment={"KEY": "value"})
    reference = SecretRef("env", "KEY", Place("plugins.yaml", 1, 1))
    assert secrets.resolve(reference) == "value"
    assert not (tmp_path / "state").exists()
    secrets.digest(reference)
    assert (tmp_path / "state").exists()
