"""Mutants of the Kubernetes client: what it says of a write is certain, in time, and the API server's own."""

from mutants_list import Mutant, fuzz, unit

KUBE = "src/control/kube.c"
SEND = "src/control/kube_send.c"
ANSWER = "src/control/kube_answer.c"
CONFIG = "src/control/kube_config.c"

UNKNOWN = unit("kube", "a_write_without_a_whole_answer_is_unknown")
REFUSED = unit("kube", "a_write_that_was_never_sent_is_refused")

LEASES = "src/control/lock_kube_object.c"

ROUTING = "src/core/routing.c"
FRESHNESS = "src/core/freshness.c"
PODS = "src/control/node_pods.c"

KUBERNETES = [
    Mutant(
        "S1",
        "a renewal of a Lease does not name the version that it replaces",
        LEASES,
        "if (request->verb == FHA_LOCK_SWAP)",
        "if (false)",
        unit("lock_kube_object", "other_tools_see_who_holds_it"),
    ),
    Mutant(
        "S1",
        "a Lease that another tool's candidate took is still our holder's",
        LEASES,
        "if (!is_cluster(record) || holder[0] == '\\0' ||",
        "if (true || holder[0] == '\\0' ||",
        unit("lock_kube_object", "s1_whoever_the_lease_names_holds_it"),
    ),
    Mutant(
        "S1",
        "a Lease whose holder somebody erased is free",
        LEASES,
        "is_cluster(record) || holder[0] == '\\0' ||",
        "is_cluster(record) ||",
        unit("lock_kube_object", "s1_whoever_the_lease_names_holds_it"),
    ),
    Mutant(
        "S1",
        "a write to the API server whose answer was lost counts as refused",
        KUBE,
        "if (fha_kube_is_write(call->verb) && call->sent)",
        "if (false)",
        UNKNOWN,
    ),
    Mutant(
        "S1",
        "an answer of the API server whose head is cut off counts as whole",
        KUBE,
        "if (result == CURLE_OK && call->headed)",
        "if (result == CURLE_OK)",
        UNKNOWN,
    ),
    Mutant(
        "S1",
        "a 5xx to a write counts as refused",
        ANSWER,
        "return fha_kube_is_write(verb) ? FHA_UNKNOWN : FHA_IO;",
        "return FHA_IO;",
        unit("kube", "each_status_says_what_is_certain"),
    ),
    Mutant(
        "S1",
        "libcurl sends a write again when a kept connection ends",
        SEND,
        "if (call->sent && fha_kube_is_write(call->verb))",
        "if (false)",
        unit("kube", "a_write_is_sent_once"),
    ),
    Mutant(
        "S1",
        "what was never sent to the API server counts as perhaps carried out",
        KUBE,
        "if (fha_kube_is_write(call->verb) && call->sent)",
        "if (fha_kube_is_write(call->verb))",
        REFUSED,
    ),
    Mutant(
        "S9",
        "a request to the API server has no deadline",
        KUBE,
        "\t\treturn call->deadline_ms;\n",
        "\t\treturn INT64_MAX;\n",
        UNKNOWN,
        short=False,
    ),
    Mutant(
        "S9",
        "a watch that has gone silent is waited for",
        KUBE,
        "return call->silence_ms == 0 || call->paused ?",
        "return true ?",
        unit("kube", "a_watch_tells_lines_until_it_ends"),
        short=False,
    ),
    Mutant(
        "S9",
        "after a timeout a connection that may be as dead is taken",
        SEND,
        "if (kube->failed_ms == 0 || seconds > IDLE_MAX_S)",
        "if (true)",
        unit("kube", "after_a_timeout_no_older_connection_is_taken"),
    ),
    Mutant(
        "S9",
        "lines of a watch come before the answer to a renewal",
        KUBE,
        "if (call->ended && !fha_kube_is_stream(call))",
        "if (false)",
        unit("kube", "a_watch_has_caps_and_holds_up_nobody"),
    ),
    Mutant(
        "S1",
        "anybody's certificate is an API server's",
        SEND,
        "CURLOPT_SSL_VERIFYPEER, 1L",
        "CURLOPT_SSL_VERIFYPEER, 0L",
        REFUSED,
    ),
    Mutant(
        "S1",
        "a certificate for another name is the API server's",
        SEND,
        "CURLOPT_SSL_VERIFYHOST, 2L",
        "CURLOPT_SSL_VERIFYHOST, 0L",
        REFUSED,
    ),
    Mutant(
        "S1",
        "a kubeconfig may leave the server unverified, without a word",
        CONFIG,
        'if (insecure != NULL && strcmp(insecure, "false") != 0)',
        "if (false)",
        unit("kube_config", "what_is_not_safe_is_refused"),
    ),
    Mutant(
        "fuzz",
        "an API server's address has bytes that no address has",
        CONFIG,
        "while (*text > ' ' && *text <= '~')",
        "while (*text != '\\0')",
        fuzz("kube_config"),
    ),
    Mutant(
        "fuzz",
        "an API server's words reach the log as they are",
        ANSWER,
        "if (out[used] < ' ' || out[used] > '~')",
        "if (false)",
        fuzz("kube_answer"),
    ),
    Mutant(
        "routing",
        "the new primary leaves the old one's label",
        ROUTING,
        "if (serves == FHA_SERVES_NOTHING || serves == pod->serves)",
        "if (serves == FHA_SERVES_NOTHING || serves == pod->serves || pod->serves == FHA_SERVES_PRIMARY)",
        unit("routing", "a_new_primary_takes_the_label_from_the_old_one"),
    ),
    Mutant(
        "routing",
        "the new primary does not look at the others' labels",
        ROUTING,
        "if (now_ms >= routing->look_ms)\n\t\ttask->verb",
        "if (false)\n\t\ttask->verb",
        unit("routing", "a_new_primary_takes_the_label_from_the_old_one"),
    ),
    Mutant(
        "routing",
        "a member that cannot prove its lease is labelled primary",
        ROUTING,
        "return may_lead && (world->pg.state",
        "return (world->pg.state",
        unit("routing", "who_cannot_prove_its_lease_writes_nothing"),
    ),
    Mutant(
        "routing",
        "a former primary that comes back is labelled primary",
        ROUTING,
        "if (fha_lease_is_mine(world))\n\t\t/*",
        "if (strcmp(world->cluster.holder, world->self.member) == 0 || world->pg.state == FHA_PG_PRIMARY)\n\t\t/*",
        unit("routing", "nobody_but_the_holder_is_ever_primary"),
    ),
    Mutant(
        "routing",
        "the primary does not notice who is cut off",
        ROUTING,
        "now_ms - routing->streamed_ms[member - world->members] > limit_ms",
        "false",
        unit("routing", "the_primary_says_who_is_cut_off"),
    ),
    Mutant(
        "routing",
        "a failed label keeps a new primary waiting",
        ROUTING,
        "try_at_once(routing);\n\t}\n\trouting->leads",
        "}\n\trouting->leads",
        unit("routing", "a_failure_is_tried_again_with_growing_pauses"),
    ),
    Mutant(
        "routing",
        "a standby that has replayed all that it received has no lag",
        FRESHNESS,
        "return freshness->fresh_ms == 0 ? FHA_LAG_UNKNOWN : now_ms - freshness->fresh_ms;",
        "return freshness->fresh_ms == 0 ? FHA_LAG_UNKNOWN : freshness->count == 0 ? 0 : now_ms - freshness->fresh_ms;",
        unit("freshness", "who_hears_nothing_falls_behind"),
    ),
    Mutant(
        "routing",
        "a standby comes back as soon as it is within the limit",
        FRESHNESS,
        "else if (lag_ms <= limit_ms / 2)",
        "else",
        unit("freshness", "it_comes_back_at_half_the_limit"),
    ),
    Mutant(
        "routing",
        "a standby waits for the WAL that only the leader before had",
        FRESHNESS,
        "{\n\tfreshness->count = 0;",
        "{\n\t(void) freshness;",
        unit("freshness", "another_leader_may_be_behind_the_one_before"),
    ),
    Mutant(
        "routing",
        "a standby that does not stream goes by the record",
        PODS,
        "if (streams && pods->streamed)",
        "if (true)",
        unit("node", "a_standby_that_does_not_stream_ages"),
    ),
]
