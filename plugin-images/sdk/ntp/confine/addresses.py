"""Which addresses the door may connect to when a *name* was allowed.

A name is somebody else's promise: its owner can point it at this machine, at the private network
behind it or at a cloud's metadata service (DNS rebinding). So a name gives public addresses only;
whoever means a private one writes the address itself, or `localhost`, in `network.egress`.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")


def objection(text: str, *, written: bool, local: bool = False) -> str | None:
    """Say in words why this address must not be connected to, or None.

    Args:
        text: as the resolver or the allow-list gives it, a zone (`%eth0`) included.
        written: the allow-list names this very address.
        local: the allow-list names `localhost`, or a host that may be private (a broker).
    """
    try:
        address = _innermost(ip_address(text.partition("%")[0]))
    except ValueError:
        return "no address"
    if address.is_link_local:
        return "a link-local address (a cloud's metadata service listens there)"
    if address.is_unspecified or address.is_multicast:
        return "no address of one machine"
    if address.is_global or written or local:
        return None
    return "an address of this machine or its private network"


def _innermost(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one stands for, as often as it does."""
    if isinstance(address, IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
    if inner is None and int(address) > 1 and (address in _NAT64 or address in _COMPATIBLE):
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    return address if inner is None else inner
