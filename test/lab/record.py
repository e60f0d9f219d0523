"""A person's hands in the lock: the files of the cluster record, read, edited, rolled back."""

import json
from pathlib import Path

from .cluster import CLUSTER_NAME, LEASE_S, Cluster
from .wait import now, until


HISTORY = f"{CLUSTER_NAME}.history"


def versions(cluster: Cluster, name: str = CLUSTER_NAME) -> list[Path]:
    """The files of a record, oldest first."""
    return sorted(path for path in cluster.lock.iterdir() if path.name.rsplit(".", 1)[0] == name)


def newest(cluster: Cluster) -> dict:
    def read() -> dict:
        return json.loads(versions(cluster)[-1].read_text())

    return until("the record is read", read, 10)


def write_next(cluster: Cluster, text: str, name: str = CLUSTER_NAME) -> Path:
    """As the lock's own writers do: complete, and linked to the next version."""
    aside = cluster.base / "edited"
    aside.write_text(text)

    def link() -> Path | None:
        last = versions(cluster, name)[-1]
        path = last.with_name(f"{name}.{int(last.suffix[1:]) + 1:020d}")
        path.hardlink_to(aside)
        # Somebody may have been faster with another version.
        return path if versions(cluster, name)[-1] == path else None

    path = until("the edited record is written", link, 30, every=0.001)
    aside.unlink()
    return path


def edit(cluster: Cluster, **more: object) -> Path:
    return write_next(cluster, json.dumps({**newest(cluster), **more}))


def copy_of(cluster: Cluster) -> list[tuple[Path, str]]:
    def read() -> list[tuple[Path, str]]:
        return [(path, path.read_text()) for path in versions(cluster)[-8:]]

    return until("the record's versions are copied", read, 10)


def put_back(cluster: Cluster, copy: list[tuple[Path, str]]) -> None:
    """As from a backup of the directory: what it had, and nothing of what came later."""

    def restore() -> bool:
        for path in versions(cluster):
            path.unlink()
        for path, text in copy:
            path.write_text(text)
        return [path for path, _ in copy] == versions(cluster)

    until("the copy is in place", restore, 10, every=0)


def delete_all(cluster: Cluster) -> None:
    """Every record, the older versions first; the cluster's until a renewal that was under way brings it back no more."""
    for path in sorted(cluster.lock.iterdir()):
        path.unlink(missing_ok=True)
    deleted = now()

    def gone() -> bool:
        nonlocal deleted
        for path in versions(cluster):
            path.unlink()
            deleted = now()
        return now() - deleted > LEASE_S / 6

    until("the record stays deleted", gone, 30, every=0.01)
