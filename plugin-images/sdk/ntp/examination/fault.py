"""Why an examination came to no end."""


class ConfinedError(Exception):
    """The process gave no answer: why, and `fix` what to do. `plugins`: it is the plugin's fault."""

    def __init__(self, message: str, fix: str = "", *, plugins: bool = True) -> None:
        super().__init__(message)
        self.fix = fix
        self.plugins = plugins
