"""Mutants of what keeps the WAL archive without a gap and without a fork, over all failovers; see mutants_list.py."""

from mutants_list import Edit, Mutant, unit

ARCHIVED = "src/core/archived.c"
MODULE = "src/pg/archive.c"
HOLDS = "a_standby_holds_what_the_leader_has_not_archived"
WAITS = "a_standby_s_last_segment_of_a_timeline_waits_for_the_next_timeline_s"


def archive(*names: str) -> tuple[str, ...]:
    return tuple(f"test/test_archive.py::{name}" for name in names)


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
    Mutant(
        "backup",
        "a former primary goes on to archive",
        MODULE,
        "\tif (!fence_is_open())\n\t\treturn FHA_ARCHIVE_HOLD;\n",
        "",
        archive("test_a_former_primary_archives_nothing"),
        short=False,
        more=(
            Edit(MODULE, "sender.archive == NULL || !fence_is_open())", "sender.archive == NULL)"),
            Edit(MODULE, " || (code == FHA_OK && !fence_is_open());", ";"),
        ),
    ),
    Mutant(
        "backup",
        "a standby lets go what the leader has yet to archive",
        MODULE,
        "\treturn fha_archive_duty_of_standby(&errand->span, errand_lineage(errand), leader,\n"
        "\t\t\t\t\t\t\t\t\t   snapshot.cluster.archived);",
        "\t(void) leader;\n\treturn FHA_ARCHIVE_DONE;",
        archive("test_no_gap_over_two_failovers"),
        short=False,
    ),
    Mutant(
        "backup",
        "what a clone has fetched passes for archived",
        "src/cli/rejoin.c",
        "\tif (config->backup_store[0] == '\\0')\n\t\treturn FHA_OK;\n",
        "\tif (config->backup_store[0] != '\\1')\n\t\treturn FHA_OK;\n",
        archive("test_no_gap_over_two_failovers"),
        short=False,
    ),
    Mutant(
        "backup",
        "a timeline that never led leaves a gap among the histories",
        MODULE,
        "code == FHA_OK && number < errand->own[i].timeline; number++)",
        "code == FHA_OK && number < 1; number++)",
        archive("test_a_timeline_that_never_led"),
        short=False,
    ),
    Mutant(
        "backup",
        "an archiver keeps the settings with which it began",
        MODULE,
        "sender.archive != NULL && memcmp(&config, &sender.config, sizeof(config)) == 0)",
        "sender.archive != NULL)",
        archive("test_one_member_archives"),
        short=False,
    ),
    Mutant(
        "backup",
        "the history of a timeline that was left must be in the archive as this member has it",
        MODULE,
        "if (code == FHA_CONFLICT && is_left_timeline(errand, errand->own[i].timeline))",
        "if (false && is_left_timeline(errand, errand->own[i].timeline))",
        archive("test_there_and_back_within_a_segment"),
    ),
]
