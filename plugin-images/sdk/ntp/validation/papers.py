"""What belongs to a plugin beside its code: a licence, a README, tests, a word on who wrote it."""

from collections.abc import Iterator

from ntp.contract.names import object_name
from ntp.validation.finding import Finding, Severity
from ntp.validation.subject import Subject

_LICENCES = ("license", "licence", "copying")
_MACHINE_CODE = (".so", ".pyd", ".dll", ".dylib", ".exe")


def papers(subject: Subject) -> Iterator[Finding]:
    """Yield what is missing, and what nobody can read."""
    names = {path.name.lower(): path for path in subject.path.iterdir() if not path.is_symlink()}
    if subject.manifest.licence is None and not any(name.startswith(_LICENCES) for name in names):
        yield subject.file(
            "", Severity.WARNING, "licence", "there is no licence, so nobody else may use the code",
            "choose one (https://choosealicense.com), and save it as LICENSE, or add 'licence: MIT' to plugin.yaml",
        )  # fmt: skip
    if not any(name.startswith("readme") and path.stat().st_size for name, path in names.items()):
        yield subject.file(
            "", Severity.WARNING, "readme", "there is no README",
            "write README.md: what it does, its config, its formula with the source",
        )  # fmt: skip
    tests = subject.path / "tests"
    if not any(tests.glob("**/test_*.py")) and not any(tests.glob("**/*_test.py")):
        yield subject.file(
            "", Severity.WARNING, "tests", "there are no tests",
            "write tests/test_….py with PluginTester",
        )  # fmt: skip
    manifest = subject.manifest
    for field in ("author", "description"):
        if not getattr(manifest, field).strip():
            yield subject.manifested(
                (field,), Severity.WARNING, field, f"'{field}' is empty or missing",
                f"add '{field}: …' to plugin.yaml",
            )  # fmt: skip
    folder = subject.path.resolve().name
    if object_name(folder) != object_name(manifest.name):
        yield subject.manifested(
            ("name",), Severity.NOTE, "name",
            f"the folder is called '{folder}', so an entry finds the plugin by `source` alone",
            f"call the folder '{manifest.name}'",
        )  # fmt: skip
    for path in subject.tree.files:
        if path.lower().endswith(_MACHINE_CODE):
            yield subject.file(
                path, Severity.WARNING, "machine-code", "it is machine code, which nobody can read",
                "put it into a wheel of its own, and name that in `requirements`",
            )  # fmt: skip
