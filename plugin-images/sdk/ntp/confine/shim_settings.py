"""What the watching shim is told on its command line."""


class Settings:
    """`key=value …` and, behind `--`, what the door hands out."""

    def __init__(self, folder: str, words: list[str]) -> None:
        self.folder = folder
        border = words.index("--")
        self.egress = words[border + 1 :]
        given = dict(word.split("=", 1) for word in words[:border])
        self.pid = int(given["pid"])
        self.verifier = int(given["verifier"])
        """A child that looks at the isolation and ends soon."""
        self.lock = int(given["lock"])
        self.control = int(given["control"])
        self.stdout = int(given["stdout"])
        self.stderr = int(given["stderr"])
        self.door = int(given["door"])
        """The listening socket of the door; -1: none."""
        self.private = given["private"].split(",") if given["private"] else []
        """Those of `egress` whose name may lead to a private address."""
        self.detours = given["detours"].split(",") if given["detours"] else []
        """`host:port=address:port`: those of `egress` that lead somewhere else."""
        self.uid = int(given["uid"])
        """What the door runs as; -1: as we do."""
        self.oom = given["oom"]
        """The kernel's file with a line `oom_kill N`; empty: none."""
        self.sandboxed = given["sandboxed"] == "1"
        self.storage = given["storage"]
        self.quota = int(given["quota"])
