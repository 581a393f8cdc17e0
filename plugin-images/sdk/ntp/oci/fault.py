"""What is wrong with an image or a registry, in words."""


class OciError(Exception):
    """`fix`: what to do. `reason`: a CamelCase word. `transient`: trying again may help."""

    def __init__(
        self, message: str, *, fix: str = "", reason: str = "ImageRefused", transient: bool = False
    ) -> None:
        super().__init__(message)
        self.fix = fix
        self.reason = reason
        self.transient = transient


class LostError(OciError):
    """The bytes that a digest names are not there, or are others by now; no other failure to read them."""
