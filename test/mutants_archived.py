"""Mutants of what keeps the WAL archive without a gap and without a fork, over all failovers; see mutants_list.py."""

from mutants_list import Mutant, unit

ARCHIVED = "src/core/archived.c"
HOLDS = "a_standby_holds_what_the_leader_has_not_archived"
WAITS = "a_standby_s_last_segment_of_a_timeline_waits_for_the_next_timeline_s"

MUTANTS = [
    Mutant(
        "backup",
        "a leader archives the segment in which a timeline was left under that timeline's name",
        ARCHIVED,
        "(belongs == BELONGS_IN_PART && file->kind == FHA_WAL_PARTIAL)",
        "belongs == BELONGS_IN_PART",
        unit("archived", "a_leader_sends_no_fork"),
    ),
    Mutant(
        "backup",
        "a leader archives a fork",
        ARCHIVED,
        "\tif (step == NULL || file->begin >= step_end(step))",
        "\tif (step == NULL)",
        unit("archived", "a_leader_sends_no_fork"),
    ),
    Mutant(
        "backup",
        "a standby lets go what the leader has not archived",
        ARCHIVED,
        "\treturn needed <= end ? FHA_ARCHIVE_DONE : FHA_ARCHIVE_HOLD;",
        "\treturn file->begin <= end ? FHA_ARCHIVE_DONE : FHA_ARCHIVE_HOLD;",
        unit("archived", HOLDS),
    ),
    Mutant(
        "backup",
        "what a leader archived of a timeline counts beyond the place where that was left",
        ARCHIVED,
        "\treturn archived.lsn < step_end(step) ? archived.lsn : step_end(step);",
        "\treturn archived.lsn;",
        unit("archived", HOLDS),
    ),
    Mutant(
        "backup",
        "a standby lets go a fork's WAL before it has heard that it is one",
        ARCHIVED,
        "is_namesake(own, mine, theirs) || needed > step_end(theirs))",
        "is_namesake(own, mine, theirs))",
        unit("archived", WAITS),
    ),
    Mutant(
        "backup",
        "a standby takes another timeline of the same number for its own",
        ARCHIVED,
        "theirs == NULL || is_namesake(own, mine, theirs) ||",
        "theirs == NULL ||",
        unit("archived", "a_standby_on_a_namesake_holds"),
    ),
    Mutant(
        "backup",
        "the archived position jumps over a gap",
        ARCHIVED,
        "file->kind != FHA_WAL_SEGMENT || end < file->begin ||",
        "file->kind != FHA_WAL_SEGMENT ||",
        unit("archived", "the_position_leaves_no_gap"),
    ),
    Mutant(
        "backup",
        "a new leader that has archived nothing takes back how far the archive goes",
        "src/node/write.c",
        "\t\tif (fha_position_is_known(pg->archived))\n",
        "",
        unit("node", "what_is_archived_goes_with_renewals"),
    ),
]
