"""Mutants of what fawkes_ha measures of itself: what is said last is never taken for the present."""

from mutants_list import NODE_READ, Mutant, fence, unit

METRICS = "src/show/metrics.c"
NODE_HEALTH = "src/node/health.c"

MUTANTS = [
    Mutant(
        "own",
        "the lease that an agent saw last does not age with it",
        METRICS,
        "int64_t age_ms = now_ms - vitals->renewed_at_ms;",
        "int64_t age_ms = vitals->at_ms - vitals->renewed_at_ms;",
        unit("metrics", "what_a_standby_says"),
    ),
    Mutant(
        "own",
        "a bucket counts only what is not in the one before",
        METRICS,
        "sum += vitals->renewal_buckets[i];",
        "sum = vitals->renewal_buckets[i];",
        unit("metrics", "the_histogram_is_cumulative"),
    ),
    Mutant(
        "own",
        "the lease that the holder gave away has time left",
        METRICS,
        "vitals->released ? 0 : metric_not_negative(left_ms)",
        "metric_not_negative(left_ms)",
        unit("metrics", "what_a_standby_says"),
    ),
    Mutant(
        "own",
        "a renewal without an answer counts as confirmed",
        NODE_READ,
        "count_renewal(&node->counted, event->code, now_ms - write->sent_at_ms);",
        "count_renewal(&node->counted, FHA_OK, now_ms - write->sent_at_ms);",
        unit("node_vitals", "an_outage_of_the_lock_shows"),
    ),
    Mutant(
        "own",
        "a reclaim counts as a failover",
        NODE_READ,
        "if (take->reclaim)\n\t\treturn FHA_TAKEOVER_RECLAIM;",
        "if (false)\n\t\treturn FHA_TAKEOVER_RECLAIM;",
        unit("node_vitals", "a_reclaim_is_no_failover"),
    ),
    Mutant(
        "own",
        "a requested failover counts as one by itself",
        NODE_READ,
        "if (node_request_moves_lease(request) && request->state == FHA_REQUEST_RUNNING)\n\t\treturn request->kind",
        "if (false)\n\t\treturn request->kind",
        unit("node_vitals", "a_requested_failover_is_counted_as_one"),
    ),
    Mutant(
        "own",
        "every member says that it leads by promises",
        NODE_HEALTH,
        "out->promised = out->mine && world->tenure.promised;",
        "out->promised = world->bound_ends_at_ms > 0;",
        unit("node_vitals", "an_outage_of_the_lock_shows"),
    ),
    Mutant(
        "own",
        "a member that is dead is what it said last",
        "src/node/members.c",
        "fha_is_silent(now_ms - silent_at_ms(node, i),",
        "fha_is_silent(0,",
        unit("node_vitals", "who_writes_no_record_is_silent"),
    ),
    Mutant(
        "own",
        "while nobody renews the lock seems not to answer, and a dead member not to be silent",
        "src/node/members.c",
        "if (quiet_ms > FHA_UNREACHED_LEASES * node->config.lease_duration_ms)",
        "if (quiet_ms > node->config.lease_duration_ms)",
        unit("node_vitals", "a_dead_leader_is_silent_while_nobody_leads"),
    ),
    Mutant(
        "own",
        "whom the fence refuses is not counted",
        "src/pg/fence.c",
        "pg_atomic_fetch_add_u64(&shared->refusals[where], 1);",
        "(void) where;",
        fence("test_refusals_are_counted"),
        short=False,
    ),
]
