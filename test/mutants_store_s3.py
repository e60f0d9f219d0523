"""Mutants of object stores of S3's kind: what is certain of a write, what proves that an object is absent, and who gets a token."""

from mutants_list import Mutant, unit

ANSWER = "src/store/s3/answer.c"

UNSURE = unit("s3", "what_may_have_been_applied_is_unknown")

MUTANTS = [
    Mutant(
        "store",
        "an object of S3 that must be new replaces another",
        "src/store/s3/send.c",
        'message_add_header(message, "if-none-match", "*");',
        "(void) message;",
        unit("s3", "writes_are_asked_as_s3_wants"),
    ),
    Mutant(
        "store",
        "a write of S3 whose answer is lost counts as refused",
        ANSWER,
        "if (answer_writes(attempt) && http->sent)",
        "if (false)",
        UNSURE,
    ),
    Mutant(
        "store",
        "a status of 200 ends an upload, whatever the body says",
        "src/store/s3/lists.c",
        "if (reader->code == FHA_OK && !reader->rooted)",
        "if (false)",
        UNSURE,
    ),
    Mutant(
        "store",
        "without a bucket no object is there",
        ANSWER,
        ": answer_go_on(attempt, FHA_S3_BUCKET);",
        ': answer_fail(attempt, FHA_NOT_FOUND, "there is no such object");',
        unit("s3", "no_bucket_is_no_proof_that_an_object_is_absent"),
    ),
    Mutant(
        "store",
        "a proxy's page proves that an object is not there",
        "src/store/s3/reason.c",
        "out->code = has_word ? FHA_INVALID : FHA_PROTOCOL;",
        "out->code = FHA_NOT_FOUND;",
        unit("s3", "a_status_without_words_has_a_meaning"),
    ),
    Mutant(
        "store",
        "bytes of another range are taken for those that were asked for",
        ANSWER,
        "return first == attempt->first && last + 1 == end &&",
        "return",
        unit("s3", "a_range_that_is_not_ours_is_refused"),
    ),
    Mutant(
        "store",
        "libcurl sends a request to a store a second time",
        "src/store/http_call.c",
        "return CURL_PREREQFUNC_ABORT;",
        "return CURL_PREREQFUNC_OK;",
        unit("http_call", "nothing_is_sent_twice"),
    ),
    Mutant(
        "trust",
        "a token for AWS's agent goes in clear to any host",
        "src/store/s3/aws.c",
        'strchr(":/", url[7 + length]) != NULL)',
        "url[7 + length] != ' ')",
        unit("credentials", "aws_refusals_are_told"),
    ),
]
