"""Which ports of loopback a process may give to what it starts.

The lab's ports end below the range that the kernel gives to outgoing connections: a client must not sit on a node's
port while the node is down.  Runs beside each other have parts of their own, because a node that is down leaves its
port free for a moment.  $FAWKES_PORTS is such a part, "FIRST-LAST"; a run may divide it further.
"""

import os
from pathlib import Path

FIRST = 5400
LAST = 31999
MANY = 100  # what one cluster may want


def own() -> range:
    """The ports of this process."""
    if part := os.environ.get("FAWKES_PORTS"):
        first, last = map(int, part.split("-"))
        return range(first, last + 1)
    outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    # A machine whose outgoing connections may have any port leaves nothing below them.
    last = min(LAST, outgoing - 1) if outgoing > FIRST + MANY else LAST
    return range(FIRST, last + 1)


def part(number: int, parts: int) -> str:
    """The `number`th of so many equal parts of them, counted from 0, as a value of $FAWKES_PORTS."""
    mine = own()
    size = len(mine) // parts
    if size < MANY:
        raise ValueError(f"{len(mine)} ports are too few for {parts} runs")
    first = mine.start + number % parts * size
    return f"{first}-{first + size - 1}"
