"""The judge is judged: what the lab calls an overlap, an outage and a forbidden loss."""

from lab import evidence
from lab.load import Ack


def ack(at: float, timeline: int = 1, port: int = 1, row: int = 1, transaction: int = 1) -> Ack:
    return Ack(at, row, 1, port, timeline, transaction, 100, 1)


def test_one_primary_after_the_other_is_no_overlap() -> None:
    acks = [ack(1), ack(2), ack(3, timeline=2, port=2), ack(4, timeline=2, port=2)]
    assert evidence.overlap(acks) == 0


def test_a_late_acknowledgement_of_the_old_primary_is_an_overlap() -> None:
    acks = [ack(1), ack(3, timeline=2, port=2), ack(5), ack(6, timeline=2, port=2)]
    assert evidence.overlap(acks) == 2


def test_an_old_primary_beside_its_second_successor_is_an_overlap() -> None:
    acks = [ack(1), ack(2, timeline=2, port=2), ack(4, timeline=3, port=3), ack(5)]
    assert evidence.overlap(acks) == 3


def test_the_outage_is_the_longest_gap_that_ends_after_the_event() -> None:
    times = [1, 4, 5, 5.5, 7.5, 8]  # the first gap was over before
    assert evidence.outage([ack(at) for at in times], since=5.2) == (2, 5.5, 7.5)


def test_only_what_lies_beyond_the_fork_may_be_missing() -> None:
    rows = [ack(1, row=7, transaction=10), ack(1, row=8, transaction=11), ack(1, row=9, transaction=12)]
    loss = evidence.Loss(rows, fork=1000, commits={10: 1000, 11: 999})
    before, unknown = loss.problems()
    assert "row 8" in before and "0/3E7" in before
    assert "row 9" in unknown


def test_commit_records_are_read_from_what_pg_waldump_prints() -> None:
    text = (
        "rmgr: Transaction len (rec/tot):     34/    34, tx:        735, lsn: 1/01500028, prev 0/015, "
        "desc: COMMIT 2026-11-22 18:00:00 UTC\n"
        "rmgr: Transaction len (rec/tot):     34/    34, tx:        736, lsn: 1/01500050, prev 0/015, "
        "desc: ABORT 2026-11-22 18:00:00 UTC\n"
    )
    assert evidence.COMMIT_RECORD.findall(text) == [("735", "1", "01500028")]
    assert evidence.lsn_number("1/01500028") == 0x1_01500028
    assert evidence.lsn_text(0x1_01500028) == "1/1500028"
