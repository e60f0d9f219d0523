"""What an object store promises to its caller: src/store/store.h."""

from mutants_list import Mutant, unit

STORE = "src/store/store.c"
FILES = "src/store/dir/files.c"
UPLOADS = "src/store/dir/uploads.c"

MUTANTS = [
    Mutant(
        "store",
        "a reading that was cut goes on in another object",
        STORE,
        "if (size != call->size || strcmp(identity, call->identity) != 0)",
        "if (false && strcmp(identity, call->identity) != 0)",
        unit("store", "test_object", "replaced_after_a_cut"),
    ),
    Mutant(
        "store",
        "a body that ends early is whole",
        STORE,
        "if (at < store_get_end(call))",
        "if (false && at < store_get_end(call))",
        unit("store", "test_a_body_that_ends_early"),
    ),
    Mutant(
        "store",
        "a write that may have been applied is denied by the next try",
        STORE,
        "if (call->unsure && code != FHA_CONFLICT)",
        "if (call->unsure && code == FHA_IO)",
        unit("store", "test_doubt_stays"),
    ),
    Mutant(
        "store",
        "an upload that an earlier try completed was never there",
        STORE,
        "return call->asked->request.verb == FHA_STORE_COMPLETE && call->unsure &&",
        "return false && call->unsure &&",
        unit("store", "test_completed_by_an_earlier_try"),
    ),
    Mutant(
        "store",
        "a wrong secret is tried until the deadline",
        STORE,
        "store_end_failed(call, result->code);\n\t\t\tbreak;",
        "store_try_again(store, call, now_ms);\n\t\t\tbreak;",
        unit("store", "test_what_is_final"),
    ),
    Mutant(
        "store",
        "the pause that a store asks for is cut short",
        STORE,
        "if (pause_ms < call->result.retry_after_ms)",
        "if (false && pause_ms < call->result.retry_after_ms)",
        unit("store", "test_store_says_when"),
    ),
    Mutant(
        "store",
        "an object is seen before it is on disk",
        FILES,
        "if (code == FHA_OK && fsync(*fd) != 0)",
        "if (code == FHA_OK && *fd < 0)",
        unit("store_dir", "test_durable"),
    ),
    Mutant(
        "store",
        "an object is there before its name is on disk",
        FILES,
        "if ((code == FHA_OK || code == FHA_CONFLICT) && !fha_store_dir_flush_folder(parent_fd))",
        "if ((code == FHA_OK || code == FHA_CONFLICT) && parent_fd < 0)",
        unit("store_dir", "test_durable"),
    ),
    Mutant(
        "store",
        "a link leads out of the directory",
        FILES,
        "*fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);",
        "*fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);",
        unit("store_dir", "test_links_are_not_followed"),
        waits=True,
    ),
    Mutant(
        "store",
        "a part is written while an earlier write of it goes on",
        UPLOADS,
        "if (fcntl(fd, F_OFD_SETLK, &range) == 0)",
        "if (fcntl(fd, F_OFD_SETLK, &range) == 0 || fd >= 0)",
        unit("store_dir", "test_late_writer_of_a_part"),
    ),
    Mutant(
        "store",
        "a part is written into the object that its upload became",
        UPLOADS,
        "else if (status.st_nlink != 1)",
        "else if (status.st_nlink == 0)",
        unit("store_dir", "test_completed_and_not_cleaned"),
    ),
]
