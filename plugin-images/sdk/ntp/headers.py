"""The headers of a message as the server writes them: a first line, which may have a status, then `name: value`."""

FIRST = b"NATS/1.0"
STATUS, DESCRIPTION = "Status", "Description"


def parsed(block: bytes) -> dict[str, str]:
    """Return them; of the first line its status and what that means, where it has them.

    A line that is none is left out: its sender may have written anything.

    Raises:
        ValueError: it is no block of headers.
    """
    first, _, rest = block.partition(b"\r\n")
    if not first.startswith(FIRST):
        raise ValueError("nats: headers without their first line")
    found: dict[str, str] = {}
    status, _, description = first[len(FIRST) :].strip().partition(b" ")
    if status.isdigit():
        found[STATUS] = status.decode()
        if description:
            found[DESCRIPTION] = description.strip().decode(errors="replace")
    for line in rest.split(b"\r\n"):
        name, parted, value = line.partition(b":")
        key = name.strip()
        if parted and key.isascii() and len(key.split()) == 1:
            found[key.decode()] = value.strip().decode(errors="replace")
    return found
