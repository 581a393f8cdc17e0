"""Small rules of the catalog, each by itself."""

import sys
from textwrap import dedent

import pytest

from ntp import stand_in
from ntp.declared import declared
from ntp.package.cache import Cache
from ntp.package.fault import PackageError
from ntp.package.tree import Tree
from ntp.package.wheels import unmet
from orchestrator.catalog.describe import undeclared

VERSIONS = {"numpy": "2.4.6", "msgspec": "0.22.0", "ntp-sdk": "0.1.0"}


@pytest.mark.parametrize(
    ("requirement", "left"),
    [
        ("numpy", False),
        ("NumPy>=2,<3", False),
        ("numpy<2", True),
        ("numpy[extra]", True),
        ("pandas", True),
        ("pandas; python_version < '3'", False),
        ("numpy<2; sys_platform == 'nowhere'", False),
        ("ntp_sdk>=0.1", False),
    ],
)
def test_a_requirement_is_met_by_what_is_there(requirement, left):
    assert unmet([requirement], VERSIONS) == ((requirement,) if left else ())


@pytest.mark.parametrize(
    ("modules", "requirements", "accused"),
    [
        (["pandas"], ["pandas>=2"], []),
        (["sklearn"], ["scikit-learn"], []),
        (["yaml"], ["PyYAML"], []),
        (["binance"], ["python-binance==1.0"], []),
        (["pandas", "scipy"], ["pandas"], ["scipy"]),
        (["oddly_named"], ["quite-different"], []),
        (["pandas", "oddly_named"], ["pandas", "quite-different"], []),
        ([], ["pandas"], []),
        (None, ["pandas"], []),
    ],
)
def test_nobody_is_accused_who_may_be_declared(modules, requirements, accused):
    assert undeclared(modules, requirements) == accused


def text_of(source):
    return declared(dedent(source).encode(), "mine.py")


def test_requirements_are_read_without_running_anything():
    said = text_of(
        """
        import os
        os._exit(1)

        class Mine:
            def get_metadata(self):
                return PluginMetadata(
                    name="x", version="1.0.0", requirements=["pandas>=2", "ta-lib"]
                )
        """
    )
    assert said.requirements == ("pandas>=2", "ta-lib")


def test_requirements_may_stand_in_fifth_place():
    said = text_of(
        """
        def get_metadata(self):
            return PluginMetadata("x", "1.0.0", "me", "what", ["pandas"], {})
        """
    )
    assert said.requirements == ("pandas",)


def test_what_is_computed_is_not_guessed():
    said = text_of(
        """
        def get_metadata(self):
            return PluginMetadata(requirements=[name for name in NAMES])
        """
    )
    assert said.requirements == ()


def test_a_block_comes_before_metadata():
    said = text_of(
        """
        # /// script
        # dependencies = [
        #   "polars",
        # ]
        # requires-python = ">=3.12"
        # [tool.ntp]
        # egress = ["a.example:443"]
        # ///
        def get_metadata(self):
            return PluginMetadata(requirements=["pandas"])
        """
    )
    assert said.requirements == ("polars",)
    assert said.requires_python == ">=3.12"
    assert said.table == {"egress": ["a.example:443"]}


@pytest.mark.parametrize("block", ["# /// script\n# [\n# ///\n", "# /// other\n# a = 1\n# ///\n"])
def test_a_block_that_says_nothing_is_nothing(block):
    assert declared(block.encode(), "mine.py").requirements == ()


@pytest.mark.parametrize(
    "source", [b"def x(:", b"x = '\0'", b"\xff\xfe\x00", b"# coding: nonsense"]
)
def test_what_is_not_python_is_said_so(source):
    with pytest.raises(SyntaxError):
        declared(source, "mine.py")


def test_a_stand_in_agrees_to_what_modules_do_at_import():
    with stand_in.installed(active=True) as used:
        namespace = {}
        source = """
            import absent_lib as lib
            import absent_lib.deep.inside
            from absent_lib import thing, Base
            LIMIT = 3 * lib.UNIT + thing["a"] ** 2 - 1
            FLAG = thing > 3
            class Mine(Base, lib.Mixin[int]):
                field: lib.Frame | None = None
                @lib.jit
                def plain(self): return 1
                @lib.jit(cache=True)
                def called(self): return 2
            with lib.context():
                ITEMS = [item for item in lib.items()]
            """
        exec(dedent(source), namespace)  # noqa: S102 - our own text, a few lines above
    assert used == {"absent_lib"}
    assert (namespace["Mine"]().plain(), namespace["Mine"]().called()) == (1, 2)
    assert namespace["ITEMS"] == []
    for name in [name for name in sys.modules if name.startswith("absent_lib")]:
        del sys.modules[name]


def test_a_stand_in_does_not_hide_a_missing_part_of_a_real_package():
    with (
        stand_in.installed(active=True) as used,
        pytest.raises(ModuleNotFoundError),
    ):
        __import__("json.absent_part")
    assert used == set()


def test_an_inactive_stand_in_changes_nothing():
    with stand_in.installed(active=False) as used, pytest.raises(ModuleNotFoundError):
        __import__("absent_lib")
    assert used == set()


def test_a_busy_cache_is_given_up(tmp_path):
    with (
        Cache(tmp_path).lock("demo"),
        pytest.raises(PackageError, match=r"holds 'demo\.lock'") as caught,
        Cache(tmp_path).lock("demo", timeout_s=0.2),
    ):
        pass
    assert caught.value.reason == "CacheBusy"


def test_a_cache_that_cannot_be_made_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PackageError, match="set NTP_CACHE to a folder"):
        Cache(tmp_path / "file").write("room", "key", 1)


def test_a_failed_maker_leaves_nothing(tmp_path):
    def fail(folder):
        (folder / "half").write_text("")
        raise PackageError("no", reason="CacheFailed")

    with pytest.raises(PackageError):
        Cache(tmp_path).folder("env", "abc", fail)
    assert list((tmp_path / "env").iterdir()) == []


def test_an_altered_copy_is_made_again_and_stays_for_who_runs_from_it(tmp_path):
    cache, tree = Cache(tmp_path), Tree({"a.py": b"a = 1\n", "late.py": b"b = 2\n"})
    folder = cache.tree(tree)
    (folder / "a.py").chmod(0o644)
    (folder / "a.py").write_bytes(b"a = 9\n")
    assert cache.tree(tree) == folder
    assert (folder / "a.py").read_bytes() == b"a = 1\n"
    [aside] = set(folder.parent.iterdir()) - {folder}
    assert {each.name: each.read_bytes() for each in aside.iterdir()} == {
        "a.py": b"a = 9\n",
        "late.py": b"b = 2\n",
    }
    assert cache.tree(tree) == folder


def test_what_cannot_be_laid_aside_says_what_to_do(tmp_path):
    # There is room for the name itself, and none for a longer one.
    name = "a" * 240
    Cache(tmp_path).folder("env", name, lambda _: None)
    with pytest.raises(PackageError, match="set NTP_CACHE to a folder") as caught:
        Cache(tmp_path).aside("env", name)
    assert caught.value.reason == "CacheFailed"


DAMAGED = [b"", b"{", b"[]", b'{"check": "x", "value": 1}', b"\xff", b"[" * 200_000]


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_document_is_no_document(tmp_path, damage):
    cache = Cache(tmp_path)
    cache.write("room", "key", {"a": [1]})
    assert cache.read("room", "key") == {"a": [1]}
    (tmp_path / "room" / "key.json").write_bytes(damage)
    assert cache.read("room", "key") is None
