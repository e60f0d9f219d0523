"""The judge is judged: what the lab calls an overlap, an outage and a forbidden loss, how sure a mean is; and its ports."""

import bench_fence
import bench_instructions
import demo
import pytest
from lab import evidence, interval, ports
from lab.load import Ack
from lab.node import free_ports


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


def test_students_t_has_its_known_quantiles() -> None:
    known = {(0.975, 1): 12.7062, (0.975, 2): 4.3027, (0.975, 9): 2.2622, (0.95, 4): 2.1318, (0.975, 1000): 1.9623}
    for (probability, freedom), value in known.items():
        assert interval.t_quantile(probability, freedom) == pytest.approx(value, abs=5e-5)
    assert interval.t_cdf(0, 5) == pytest.approx(0.5)


def test_the_interval_of_a_mean() -> None:
    found = interval.of_mean([1, 2, 3, 4, 5])  # 3 +- 2.7764 * sqrt(2.5 / 5)
    assert (found.mean, found.low, found.high) == pytest.approx((3, 1.0368, 4.9632), abs=5e-5)
    with pytest.raises(ValueError, match="two values"):
        interval.of_mean([1])


def test_the_interval_of_a_ratio_is_of_pairs() -> None:
    """What disturbs both halves of a pair cancels out; swapped, the ratio is the inverse."""
    steady = interval.of_ratio([(90, 100), (9, 10), (0.9, 1)])
    assert (steady.mean, steady.low, steady.high) == pytest.approx((0.9, 0.9, 0.9))
    pairs = [(1, 1), (2, 1), (4, 1)]  # logarithms to base 2: 0, 1, 2; 1 +- 4.3027 / sqrt(3)
    found = interval.of_ratio(pairs)
    assert (found.mean, found.low, found.high) == pytest.approx((2, 2**-1.48414, 2**3.48414), rel=1e-4)
    swapped = interval.of_ratio([(second, first) for first, second in pairs])
    assert (swapped.low, swapped.high) == pytest.approx((1 / found.high, 1 / found.low))


def test_a_start_gives_one_ratio_of_cpu_time() -> None:
    """Of its runs together, by their transactions; a run without any is none."""
    said = "number of transactions actually processed: 100\nnumber of failed transactions: {}\n"
    speed = "tps = 12.5 (without initial connection time)\n"
    run = bench_fence.run_of(said.format("0 (0.000%)") + speed)
    assert (run.tps, run.transactions) == (12.5, 100)
    for text in (said.format("1 (1.000%)") + speed, said, speed, ""):
        with pytest.raises(RuntimeError, match="no figure"):
            bench_fence.run_of(text)
    runs = [bench_fence.Run(10, 100, 100_000), bench_fence.Run(30, 300, 500_000)]
    start = bench_fence.Start((runs[0], runs[1]), (runs[0], runs[0]))
    assert start.cpu_us == (1.5, 1)
    assert start.tps == (20, 10)


@pytest.mark.parametrize(("with_fence", "missed"), ((1.004, 0), (1.006, 1)))
def test_the_goal_is_for_the_cpu_time_and_its_interval(with_fence: float, missed: int) -> None:
    def starts(noise: float) -> list[bench_fence.Start]:
        without = bench_fence.Run(1, 10_000, 10**9)
        runs = [bench_fence.Run(1, 10_000, int(1e9 * with_fence * wide)) for wide in (1 + noise, 1 / (1 + noise))]
        return [bench_fence.Start((run, run), (without, without)) for run in runs] * 5

    costs = {"commit": [100.0, 101.0]}
    assert len(bench_fence.misses({"read-only": starts(0.001)}, costs)) == missed
    assert len(bench_fence.misses({"read-only": starts(0.05)}, costs)) == missed + 1


def test_one_in_a_hundred_is_left_out_of_the_fences_time() -> None:
    histogram = [0] * 1000
    histogram[100], histogram[200], histogram[999] = 50, 49, 1
    assert bench_fence.mean_of_most(histogram) == pytest.approx((50 * 100 + 49 * 200) / 99)
    with pytest.raises(ValueError, match="longer"):
        bench_fence.mean_of_most([0, 90, 10])


def test_runs_beside_each_other_have_ports_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [ports.part(number, 3) for number in range(3)]
    found = []
    for part in parts:
        monkeypatch.setenv("FAWKES_PORTS", part)
        servers = free_ports(3, 5501)
        # A port of one's own is one from which to go on.
        listeners = free_ports(3, max(servers) + 1)
        assert min(listeners) > max(servers) and {*servers, *listeners} <= set(ports.own())
        assert free_ports(1, ports.own().stop - 1) and free_ports(2, ports.own().stop - 1), "it begins again at the first"
        found += [*servers, *listeners, *free_ports(1, 9390)]
    assert len(set(found)) == len(found)


def test_the_parts_of_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAWKES_PORTS", "6000-6999")
    assert [ports.part(number, 4) for number in (0, 3, 4)] == ["6000-6249", "6750-6999", "6000-6249"]
    with pytest.raises(ValueError):
        ports.part(0, 100)


STATUS = """
cluster db-demo-dev   term 3   timeline 3

n1           primary  holds it         3  0/7003DB0             -        -  127.0.0.1:5501        this member leads

status page and metrics:  n1 http://127.0.0.1:5603/  n2 http://127.0.0.1:5604/
"""


def test_what_the_demo_says_of_the_status() -> None:
    assert "http" not in demo.without_links(STATUS) and "this member leads" in demo.without_links(STATUS)
    assert not demo.WRONG.search(STATUS)
    for severity in ("warning ", "critical"):
        assert demo.WRONG.search(f"{STATUS}\n{severity}  n2 does not stream from the primary\n          do: wait\n")


CALLGRIND = """\
creator: callgrind-3.19.0
positions: line
events: Ir

fl=(unknown)
fn=fence_refuses_still
0 35
cfn=clock_gettime@@GLIBC_2.17
calls=4 0
0 40
fn=clock_gettime@@GLIBC_2.17
0 40

totals: 75
"""


def test_counts_of_callgrind(tmp_path) -> None:
    """What a call takes is of the function that is called; the short session is subtracted."""
    file = tmp_path / "1"
    file.write_text(CALLGRIND)
    counts = bench_instructions.counts_of(file)
    assert counts.total == 75 and counts.clock_readings == 4
    assert counts.instructions["fence_refuses_still"] == 35
    none = bench_instructions.per_transaction(counts, counts)
    assert none.total == 0 and none.clock_readings == 0
    more = bench_instructions.per_transaction(bench_instructions.Counts(), counts)
    assert more.total == pytest.approx(75 / (bench_instructions.LONG - bench_instructions.SHORT))
