"""Mutants of the way of WAL into the archive: nothing half or foreign gets there, nothing is replaced, nothing is told too early."""

from mutants_list import Mutant, unit

ARCHIVE = "src/backup/archive.c"
COMPARE = "src/backup/compare.c"
OTHERS = "src/backup/others.c"
SOURCE = "src/backup/wal_source.c"
READY = "src/backup/ready.c"

MUTANTS = [
    Mutant(
        "backup",
        "a segment of other content is taken for archived",
        COMPARE,
        "memcmp(data, compare->piece, some) == 0",
        "true",
        unit("archive", "other_content_is_a_conflict"),
    ),
    Mutant(
        "backup",
        "a segment of which the archive has the beginning is taken for archived",
        COMPARE,
        "if (compare_drain(compare) && compare->at < compare->source.size)",
        "if (compare_drain(compare) && false)",
        unit("archive", "other_content_is_a_conflict"),
    ),
    Mutant(
        "backup",
        "an object that is there is taken for archived, whatever it has",
        ARCHIVE,
        "\telse if (answer->code == FHA_CONFLICT)\n\t{",
        "\telse if (answer->code == FHA_CONFLICT)\n\t\tarchive_done(archive, entry);\n\telse if (false)\n\t{",
        unit("archive", "other_content_is_a_conflict"),
    ),
    Mutant(
        "backup",
        "an archived segment is replaced",
        ARCHIVE,
        ".if_absent = true,",
        ".if_absent = false,",
        unit("archive", "other_content_is_a_conflict"),
    ),
    Mutant(
        "backup",
        "a file is told archived before its own answer",
        ARCHIVE,
        "\tif (entry->state == ENTRY_DONE)\n\t\treturn FHA_OK;",
        "\tif (entry->state == ENTRY_DONE || entry->state == ENTRY_SENDING)\n\t\treturn FHA_OK;",
        unit("archive", "a_file_waits_for_its_own_answer"),
    ),
    Mutant(
        "backup",
        "a write whose end nobody knows is taken for archived",
        ARCHIVE,
        "\tif (answer->code == FHA_OK)\n\t{\n\t\tarchive->count.stored_bytes",
        "\tif (answer->code == FHA_OK || answer->code == FHA_UNKNOWN)\n\t{\n\t\tarchive->count.stored_bytes",
        unit("archive", "each_failure_of_the_store"),
    ),
    Mutant(
        "backup",
        "what was archived ahead is told of a file that was written anew",
        ARCHIVE,
        "\tif (entry->state == ENTRY_DONE)\n\t\t(void) archive_is_fresh(archive, entry);\n",
        "",
        unit("archive", "a_file_that_changes"),
    ),
    Mutant(
        "backup",
        "what was packed is sent of a file that was written anew",
        ARCHIVE,
        "else if (entry->state == ENTRY_PACKED && archive_is_fresh(archive, entry))",
        "else if (entry->state == ENTRY_PACKED)",
        unit("archive", "a_file_that_changes"),
    ),
    Mutant(
        "backup",
        "a file lies in the archive under two keys",
        OTHERS,
        "*found = others_is_file(&directory->names[i].wal, file);",
        "*found = false;",
        unit("archive", "a_file_under_another_key"),
    ),
    Mutant(
        "backup",
        "the first page of a listing is taken for all of it",
        OTHERS,
        "else if (answer->next != NULL)",
        "else if (false)",
        unit("archive", "a_listing_of_several_pages"),
    ),
    Mutant(
        "backup",
        "a store without the bucket is taken for a file that is gone",
        ARCHIVE,
        "code == FHA_NOT_FOUND ? FHA_INVALID : code",
        "code",
        unit("archive", "each_failure_of_the_store"),
    ),
    Mutant(
        "backup",
        "a short file is archived",
        SOURCE,
        "fha_wal_page_check(rules, file, source->name, page, source->size, err)",
        "fha_wal_page_check(rules, file, source->name, page, rules->segment_size, err)",
        unit("archive", "a_file_that_is_not_what_its_name_says"),
    ),
    Mutant(
        "backup",
        "an empty history file is archived",
        SOURCE,
        "if (source->size == 0 || source->size > FHA_WAL_TEXT_MAX)",
        "if (source->size > FHA_WAL_TEXT_MAX)",
        unit("archive", "a_file_that_is_not_what_its_name_says"),
    ),
    Mutant(
        "backup",
        "files are packed ahead without an end",
        ARCHIVE,
        "archive_used(archive) + archive_expected(archive, entry) <= archive->memory",
        "true",
        unit("archive", "memory_and_calls_have_a_cap"),
    ),
    Mutant(
        "backup",
        "a history file comes after the segments of its timeline",
        READY,
        "return a_is_history == b_is_history ? strcmp(a, b) < 0 : a_is_history;",
        "return strcmp(a, b) < 0;",
        unit("ready", "history_comes_first"),
    ),
]
