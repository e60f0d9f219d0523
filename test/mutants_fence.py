"""Mutants of the fence where there is no client, of what errors show, and of the admission of a new primary."""

from mutants_list import FENCE, SEND, Mutant, fence

WORKER = "src/pg/fence_worker.c"
MESSAGE = "src/pg/fence_message.c"

MUTANTS = [
    # --- S2: processes without a client
    Mutant(
        "S2",
        "the fence: a worker's commit does not raise the ack watermark",
        WORKER,
        "\t\tfence_raise_acked(end_lsn);",
        "\t\t;",
        fence(
            "test_a_subscription_s_commit_raises_the_ack_watermark",
            "test_a_worker_s_commit_raises_the_ack_watermark",
        ),
        short=False,
    ),
    Mutant(
        "S2",
        "the fence: a worker's COMMIT PREPARED does not raise the ack watermark",
        WORKER,
        " && !IsLogicalWorker()))",
        "))",
        fence("test_a_subscription_s_prepared_commit_raises_the_ack_watermark"),
        short=False,
    ),
    Mutant(
        "S2",
        "the fence: a worker's late commit raises the ack watermark",
        WORKER,
        "\tif (!fence_refuses())\n\t{\n\t\tfence_raise_acked(end_lsn);\n\t\treturn;\n\t}",
        "\tfence_raise_acked(end_lsn);\n\tif (!fence_refuses())\n\t\treturn;",
        fence("test_a_worker_ends_before_it_tells"),
        short=False,
    ),
    Mutant(
        "S2",
        "the fence: a worker tells of a late commit",
        WORKER,
        "\tProcDiePending = true;\n",
        "",
        fence("test_a_worker_ends_before_it_tells"),
        short=False,
    ),
    Mutant(
        "S2",
        "the fence: a subscription confirms behind the lapse",
        WORKER,
        "\tif (!fence_refuses_still())\n\t\treturn;\n\tsay_why();",
        "\tif (true)\n\t\treturn;\n\tsay_why();",
        fence("test_a_subscription_confirms_nothing_behind_the_lapse"),
        short=False,
    ),
    Mutant(
        "S2",
        "the fence: a session whose login was not seen acknowledges",
        "src/pg/login.c",
        "\tif (is_admitted)\n\t\treturn;",
        "\treturn;",
        fence("test_a_module_that_calls_no_hook_but_its_own"),
        short=False,
    ),
    # --- S2: the frequent path, on which nothing is withheld
    Mutant(
        "S2",
        "the fence: what is put behind a commit record is not tested",
        SEND,
        "return !(lapsed || unacked || committing",
        "return !(lapsed || committing",
        fence("test_a_client_that_does_not_read"),
        short=False,
    ),
    # --- S2b: errors, notices, settings
    Mutant(
        "S2b",
        "the fence: errors show rows",
        MESSAGE,
        "\tbool passes = ours || ends_session(body, size);",
        "\tbool passes = true;",
        fence("test_an_error_shows_no_row", "test_a_key_that_is_not_acknowledged_is_not_confirmed"),
        short=True,
    ),
    Mutant(
        "S2b",
        "the fence: whatever has our SQLSTATE passes",
        MESSAGE,
        '\treturn field_is(message_field(body, size, \'F\'), "fence.c") &&',
        '\tif (field_is(message_field(body, size, \'C\'), "25006"))\n\t\treturn true;\n'
        '\treturn field_is(message_field(body, size, \'F\'), "fence.c") &&',
        fence("test_an_error_shows_no_row[raised]"),
        short=False,
    ),
    Mutant(
        "S2b",
        "the fence: the context of an error passes",
        MESSAGE,
        "\tif (passes)\n\t{",
        "\tused = message_put(out, used, 'W', message_field(body, size, 'W'));\n\tif (passes)\n\t{",
        fence("test_an_order_to_end_is_told"),
        short=False,
    ),
    Mutant(
        "S2b",
        "the fence: notices pass",
        SEND,
        "\t\tif (type == 'N')\n\t\t\treturn 0;",
        "\t\tif (type == 'N')\n\t\t\treturn original->putmessage(type, body, size);",
        fence("test_a_notice_shows_no_row"),
        short=False,
    ),
    Mutant(
        "S2b",
        "the fence: new values of settings pass",
        SEND,
        "(type == 'A' || is_parameter(type, body))",
        "(type == 'A')",
        fence("test_a_setting_shows_no_row"),
        short=False,
    ),
    # --- S9: the wait for an admission
    Mutant(
        "S9",
        "the fence: an admission is waited for without end",
        FENCE,
        "if ((uint64) fence_now_ms() >= pg_atomic_read_u64(&shared->expected_ends_at_ms))",
        "if (pg_atomic_read_u64(&shared->expected_ends_at_ms) == 0)",
        fence("test_nobody_waits_for_an_admission_for_ever"),
        short=False,
    ),
    Mutant(
        "S2b",
        "a standby that is promoted refuses its readers",
        "src/pg/agent.c",
        "\tif (action->holds_lease && view->state != FHA_PG_PRIMARY)\n",
        "\tif (false)\n",
        ("test/test_failover.py::test_a_promotion_refuses_no_reader",),
        short=False,
    ),
    Mutant(
        "S2b",
        "a plain primary that was replaced keeps its sessions",
        "src/pg/agent.c",
        "\tif (view->state == FHA_PG_PRIMARY && action->node == FHA_NODE_HOLD)\n",
        "\tif (false)\n",
        ("test/test_failover.py::test_a_standby_of_pg_ctl_is_elected",),
        short=False,
    ),
]
