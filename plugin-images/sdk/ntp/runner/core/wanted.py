"""What one plugin subscribes to."""

from ntp.contract.launch import LaunchFile
from ntp.contract.names import Kind


def wanted(launch: LaunchFile, kind: Kind) -> list[tuple[str, str | None]]:
    """Return what to subscribe to: (instance, symbol), symbol None for all of it.

    Exactly what the rights of the bus allow: inputs of one instance are merged.
    """
    merged: dict[str, set[str] | None] = {}
    for one in launch.inputs:
        if one.kind is not kind:
            continue
        known = merged.setdefault(one.instance, set())
        merged[one.instance] = (
            None if known is None or not one.symbols else known | set(one.symbols)
        )
    found: list[tuple[str, str | None]] = []
    for instance, symbols in merged.items():
        if symbols is None:
            found.append((instance, None))
        else:
            found += [(instance, symbol) for symbol in sorted(symbols)]
    return found
