"""What only PostgreSQL 18 and later can do to a cluster; conftest.py leaves this out for earlier ones."""

from lab.cluster import Cluster
from lab.wait import until


def test_a_member_whose_slot_was_invalidated_streams_again(directory) -> None:
    """Section 7, slots: an invalidated one is made anew, for 18 lets nobody stream through it ever again."""
    cluster = Cluster(directory / "c", names=("n1", "n2"), first_port=5851)
    try:
        cluster.create()
        leader = cluster.start()
        (node,) = cluster.others(leader)
        node.stop()
        with leader.session() as session:
            slot = session.query("SELECT slot_name FROM pg_replication_slots")
            session.query("ALTER SYSTEM SET idle_replication_slot_timeout = '1s'")
            session.query("SELECT pg_reload_conf()")

            def is_invalidated() -> bool:
                session.query("CHECKPOINT", timeout=30)
                return "invalidating obsolete replication slot" in leader.log.read_text(errors="replace")

            until("the slot is invalidated", is_invalidated)
            session.query("ALTER SYSTEM RESET idle_replication_slot_timeout")
            session.query("SELECT pg_reload_conf()")
        node.start()
        cluster.wait_streams(node, 15)
        assert leader.value("SELECT slot_name FROM pg_replication_slots WHERE wal_status = 'reserved'") == slot[0][0]
    except BaseException:
        print(cluster.log_tails())
        raise
    finally:
        cluster.destroy()
