"""Mutants of what comes back out of an archive: nothing half, nothing that is something else, and no fault taken for an end."""

from mutants_list import Mutant, unit

FETCH = "src/backup/fetch.c"
SPOOL = "src/backup/spool.c"

MUTANTS = [
    Mutant(
        "backup",
        "an empty store proves that a file is not there",
        FETCH,
        "\telse if (job->is_sealed)\n",
        "\telse if (!job->is_sealed)\n\t\tfetch_end(job, fha_error(&err, FHA_NOT_FOUND, \"no\"), &err);\n\telse if (job->is_sealed)\n",
        unit("fetch", "what_is_not_listed_is_proved_absent"),
    ),
    Mutant(
        "backup",
        "a fault while an archive is listed is taken for not there",
        FETCH,
        "\telse\n\t\tfetch_end(job, answer->code, &answer->error);",
        "\telse\n\t\tfetch_end(job, FHA_NOT_FOUND, &answer->error);",
        unit("fetch", "no_fault_is_taken_for_not_there"),
    ),
    Mutant(
        "backup",
        "a backup's label is taken for the segment",
        FETCH,
        "if (strcmp(file, job->file) != 0)",
        "if (strncmp(file, job->file, strlen(job->file)) != 0)",
        unit("fetch", "a_label_is_no_segment"),
    ),
    Mutant(
        "backup",
        "a file has its name before it is whole",
        FETCH,
        "\tif (code == FHA_AGAIN)\n\t\tcode = fha_error(err, FHA_INVALID, \"%s ends too early\", job->file);\n",
        "\tcode = FHA_OK;\n",
        unit("fetch", "a_history_file_is_found"),
    ),
    Mutant(
        "backup",
        "a segment of a wrong length is given to PostgreSQL",
        FETCH,
        "if (size != segment_size)",
        "if (size > segment_size)",
        unit("fetch", "half_objects_are_no_files"),
    ),
    Mutant(
        "backup",
        "a segment of another cluster is given to PostgreSQL",
        FETCH,
        "if (settings->systemid != 0 && systemid != settings->systemid)",
        "if (false)",
        unit("fetch", "a_segment_is_what_its_name_says"),
    ),
    Mutant(
        "backup",
        "a segment of another place is given to PostgreSQL",
        FETCH,
        "page_timeline > timeline || address != number * segment_size)",
        "page_timeline > timeline)",
        unit("fetch", "a_segment_is_what_its_name_says"),
    ),
    Mutant(
        "backup",
        "two processes write the same file",
        FETCH,
        "if (flock(out->fd, LOCK_EX | LOCK_NB) == 0 && fetch_is_still(out->fd, job->aside))",
        "if (fetch_is_still(out->fd, job->aside))",
        unit("fetch", "two_do_not_write_the_same_file"),
    ),
    Mutant(
        "backup",
        "what was fetched ahead is given to PostgreSQL unseen",
        SPOOL,
        "if (code == FHA_OK && rename(path, target) == 0)",
        "if (code != FHA_NOT_FOUND && rename(path, target) == 0)",
        unit("fetch", "a_half_file_is_not_taken"),
    ),
    Mutant(
        "backup",
        "two processes fetch ahead",
        SPOOL,
        "if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0)",
        "if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0)",
        unit("fetch", "there_is_one_keeper_and_it_leaves_nothing"),
    ),
]
