"""Sets of IP addresses, v4 and v6, compared by arithmetic and never by equality of text."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class NetworkSet:
    """The union of CIDR blocks. Subtraction is by set, so two halves of the internet are the internet."""

    blocks: tuple[Network, ...] = ()

    @staticmethod
    def of(cidrs: Iterable[str]) -> "NetworkSet":
        """From CIDR texts or single addresses. Raises ValueError naming the first that is neither."""
        return NetworkSet(tuple(parse(cidr) for cidr in cidrs))

    def __bool__(self) -> bool:
        return bool(self.blocks)

    def __sub__(self, other: "NetworkSet") -> "NetworkSet":
        left = list(self.blocks)
        for taken in other.blocks:
            left = [rest for block in left for rest in _minus(block, taken)]
        return NetworkSet(tuple(left))

    def covers(self, other: "NetworkSet") -> bool:
        """Whether every address of `other` is in this set."""
        return not (other - self)

    def __str__(self) -> str:
        return ", ".join(str(block) for block in self.blocks) or "nothing"


def parse(cidr: str) -> Network:
    """One CIDR block or address; host bits set are a mistake. Raises ValueError; a v4-mapped v6 block is
    unmapped."""
    block = ip_network(cidr)
    if isinstance(block, IPv6Network) and block.prefixlen >= 96 and block.network_address.ipv4_mapped:
        return IPv4Network((int(block.network_address.ipv4_mapped), block.prefixlen - 96))
    return block


def _minus(block: Network, taken: Network) -> list[Network]:
    if block.version != taken.version or not block.overlaps(taken):
        return [block]
    if block.subnet_of(taken):  # type: ignore[arg-type]
        return []
    return list(block.address_exclude(taken))  # type: ignore[arg-type]
