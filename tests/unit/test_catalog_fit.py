"""What an image holds fits this Python and SDK, or every reason why not is told at once."""

import platform
from pathlib import Path

import pytest

from ntp.contract import CONTRACT
from ntp.contract.manifest import Manifest
from ntp.oci.descriptor import LAYER, Descriptor
from ntp.oci.fault import OciError
from ntp.oci.own_layers import OwnLayers
from ntp.package.interpreter import compile_folder, platform_tag
from orchestrator.catalog.fit import obstacles
from orchestrator.catalog.unpacked import Folders

GIVEN = {"ntp-sdk": "0.1.0", "numpy": "2.4.6"}
PURE = "py3-none-any"
OTHER = "cp38-cp38-manylinux_2_17_s390x"


@pytest.fixture
def image(tmp_path):
    """Return what was taken out of an image, and let a test add to it."""
    code, wheels = tmp_path / "code", tmp_path / "wheels"
    code.mkdir()
    wheels.mkdir()

    class Made:
        contract = CONTRACT
        requirements = ()

        def file(self, name="mine.py", text="x = 1\n"):
            (code / name).write_text(text)

        def wheel(self, name, version="1.0", *, tags=(PURE,), more=""):
            about = wheels / f"{name}-{version}.dist-info"
            about.mkdir()
            head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}"
            (about / "METADATA").write_text(f"{head}\nA long story.\n")
            (about / "WHEEL").write_text("".join(f"Tag: {tag}\n" for tag in tags))

        def reasons(self):
            compile_folder(code)
            layer = Descriptor(LAYER, f"sha256:{'0' * 64}", 1)
            layers = OwnLayers(layer, layer, "cpython-38-s390x-linux-gnu", self.contract)
            manifest = Manifest(
                name="mine", version="1.0.0", kind="strategy", entrypoint="mine:Mine",
                requirements=list(self.requirements),
            )  # fmt: skip
            return obstacles(Folders(layers, Path(code), Path(wheels)), manifest, GIVEN)

    return Made()


def test_pure_wheels_and_code_of_any_python_fit(image):
    image.file()
    image.wheel("demo_lib", more="Requires-Dist: numpy>=2\nRequires-Dist: pandas; extra == 'all'\n")
    image.requirements = ["demo-lib>=1", "ntp-sdk>=0.1", "numpy"]
    assert image.reasons() == []


def test_a_compiled_wheel_fits_the_python_that_it_was_made_for(image):
    from packaging.tags import sys_tags

    image.wheel("mine_too", tags=[OTHER, str(next(iter(sys_tags())))])
    assert image.reasons() == []
    image.wheel("fast_lib", "2.0", tags=[OTHER])
    [(what, fix)] = image.reasons()
    assert what == f"its fast-lib 2.0 is compiled for {OTHER}, and this is {platform_tag()}"
    assert fix == (
        "run ntpctl with the Python that it was packaged with, or run it whole, on Docker (NTP_RUNTIME=docker)"
    )


@pytest.mark.parametrize(
    ("contract", "fits"),
    [("1.0", True), ("1.9", False), ("2.0", False), ("0.9", False), ("", False), ("x", False)],
)
def test_the_contract_of_the_sdk_has_to_be_spoken_here(image, contract, fits):
    assert CONTRACT == "1.0"
    image.contract = contract
    told = [what for what, _ in image.reasons()]
    assert told == ([] if fits else [f"it was packaged for contract {contract or 'unknown'}, and 1.0 is spoken here"])  # fmt: skip


def test_all_that_does_not_fit_is_told_at_once(image):
    image.contract = "9.0"
    image.file("mine.py", "x = (\n")
    image.wheel("old_lib", more="Requires-Python: >=3.99\nRequires-Dist: tomli>=2; python_version > '3'\n")  # fmt: skip
    image.requirements = ["numpy>=9", "old-lib>=2", "absent"]
    here = platform.python_version()
    assert [what for what, _ in image.reasons()] == [
        "it was packaged for contract 9.0, and 1.0 is spoken here",
        f"its old-lib 1.0 needs Python >=3.99, and this is {here}",
        "it needs numpy>=9, and numpy 2.4.6 is here",
        "it needs old-lib>=2, and old-lib 1.0 is here",
        "it needs absent, which is not in its image and not here",
        "its old-lib 1.0 needs tomli>=2, which is not in its image and not here",
        f"its 'mine.py' is no Python {here}: it was packaged for cpython-38-s390x-linux-gnu",
    ]


def test_a_wheel_of_a_stranger_is_read_with_care(image):
    image.wheel("odd", more="Requires-Dist: ???\n")
    with pytest.raises(OciError, match=r"'odd-1.0.dist-info' in it does not say what it is"):
        image.reasons()


def test_no_more_is_read_of_it_than_is_needed(image, tmp_path):
    image.wheel("long")
    about = tmp_path / "wheels" / "long-1.0.dist-info" / "METADATA"
    about.write_text(f"{about.read_text()}{'x' * 5_000_000}")
    assert image.reasons() == []
    about.write_text(f"Name: long\nVersion: 1.0\nSummary: {'x' * 5_000_000}\n")
    with pytest.raises(OciError, match="more than 1,048,576 bytes"):
        image.reasons()


@pytest.mark.parametrize(
    "more",
    [
        f"Requires-Dist: demo; {'(' * 3000}os_name == 'x'{')' * 3000}\n",
        "Requires-Dist: demo; os_name ~= 'posix'\n",
    ],
)
def test_a_wheel_that_asks_what_nobody_can_answer_is_refused(image, more):
    image.wheel("odd_lib", more=more)
    with pytest.raises(OciError):
        image.reasons()


def test_a_wheel_of_a_hundred_million_tags_is_refused_before_they_are_made(image):
    many = ".".join(f"a{number}" for number in range(400))
    image.wheel("odd_lib", tags=[f"{many}-{many}-{many}"])
    with pytest.raises(OciError, match="more than 1024 tags"):
        image.reasons()


def test_a_contract_of_endless_digits_is_none_that_is_spoken_here(image):
    image.contract = "9" * 5000
    [(what, _)] = image.reasons()
    assert what.endswith("1.0 is spoken here")


def test_a_file_with_brackets_in_its_name_is_python_too(image):
    image.file("a[1].py")
    assert image.reasons() == []
