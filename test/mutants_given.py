"""Mutants of what is given to a node from outside, and of a stop that hands over."""

from mutants_list import Mutant, unit


def given(*names: str) -> tuple[str, ...]:
    return tuple(f"test/test_given.py::{name}" for name in names)


GIVEN = [
    Mutant(
        "trust",
        "whoever has a password logs in as the role that metrics are read as",
        "src/pg/steward_exporter.c",
        "if (status == STATUS_OK && strcmp(port->user_name, EXPORTER_ROLE) == 0)",
        "if (false)",
        ("test/test_extension.py::test_nobody_logs_in_as_the_exporter",),
        short=False,
    ),
    Mutant(
        "S9",
        "one chore of the steward that fails keeps the others from being done",
        "src/pg/session.c",
        "EmitErrorReport();",
        "PG_RE_THROW();",
        ("test/test_extension.py::test_what_cannot_be_made_keeps_no_role_from_being_made",),
        short=False,
    ),
    Mutant(
        "S7",
        "whoever reads that another member founds the cluster founds one",
        "src/control/config.c",
        "strcmp(text + strlen(FOUNDER), config->member_name) == 0);",
        "true);",
        unit("config", "knows_who_founds"),
    ),
    Mutant(
        "S9",
        "a leader that comes back under another address is sought at the old one",
        "src/pg/agent.c",
        "strcmp(order->leader_address, progress->following_address) != 0)",
        "false)",
        given("test_a_leader_that_comes_back_under_another_address"),
        short=False,
    ),
    Mutant(
        "S9",
        "a primary that is told to stop writes its pages when nobody can write any more",
        "src/cli/supervisor_stop.c",
        "if (is_prepared_to_stop(self))",
        "if (true)",
        given("test_a_primary_that_is_told_to_stop_writes_its_pages_first"),
        short=False,
    ),
    Mutant(
        "trust",
        "a member tells its password to whoever asks in the leader's place",
        "src/control/follow.h",
        "channel_binding=require",
        "channel_binding=prefer",
        given("test_an_impostor_learns_no_password"),
        short=False,
    ),
    Mutant(
        "trust",
        "hosts may connect without TLS",
        "src/cli/rejoin_own.c",
        'tls ? "hostssl" : "host   "',
        '"host   "',
        given("test_hosts_connect_with_tls_alone"),
        short=False,
    ),
    Mutant(
        "trust",
        "the owner's password stands in the statement that sets it",
        "src/pg/steward_owner.c",
        "encrypt_password(PASSWORD_TYPE_SCRAM_SHA_256, name, password)",
        "pstrdup(password)",
        given("test_no_secret_is_told"),
        short=False,
    ),
    Mutant(
        "trust",
        "the key of a certificate need not be that of its key file",
        "src/cli/certificate.c",
        "else if (X509_check_private_key(certificate, key) != 1)",
        "else if (false)",
        given("test_a_given_certificate_is_served_and_changes"),
        short=False,
    ),
]
