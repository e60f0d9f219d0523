"""Mutants of what the exporter lets in and shows."""

from mutants_list import Mutant, unit

LISTENER = "src/http/server.c"

MUTANTS = [
    Mutant(
        "trust",
        "a route is for everybody, whatever its row says",
        LISTENER,
        "if (client->route->asker == FHA_ASKER_ANYBODY)",
        "if (client->route != NULL)",
        unit("server", "a_token"),
    ),
    Mutant(
        "trust",
        "a body may be as long as it says it is",
        LISTENER,
        "if (size > client->route->body_max)",
        "if (false)",
        unit("server", "bodies_are_read_to_their_cap"),
    ),
    Mutant(
        "trust",
        "the exporter answers whoever brings another token",
        LISTENER,
        "strlen(value) == strlen(token) && CRYPTO_memcmp(value, token, strlen(token)) == 0",
        "strlen(value) == strlen(token)",
        unit("server", "a_token"),
    ),
    Mutant(
        "trust",
        "the exporter answers whoever has any certificate",
        LISTENER,
        "\t\t\t   GNUTLS_E_SUCCESS &&\n\t\t   status == 0",
        "\t\t\t   GNUTLS_E_SUCCESS",
        unit("server", "certificates"),
    ),
    Mutant(
        "trust",
        "a server's certificate is a client's",
        LISTENER,
        "(info->tls_session, &wanted, 1, &status)",
        "(info->tls_session, &wanted, 0, &status)",
        unit("server", "a_servers_certificate_is_no_clients"),
    ),
    Mutant(
        "trust",
        "the exporter speaks whatever TLS there is",
        LISTENER,
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:",
        "NORMAL:+VERS-ALL:",
        unit("server", "old_tls_is_not_spoken"),
    ),
    Mutant(
        "trust",
        "another site's page reads the exporter's under a name of its own",
        LISTENER,
        "\tif (is_misled(listener, connection, client))\n",
        "\tif (is_misled(listener, connection, client) && client->route == NULL)\n",
        unit("server", "another_sites_name_is_not_ours"),
    ),
    Mutant(
        "trust",
        "strangers who send nothing break off who waits for a page",
        LISTENER,
        "\treturn client->progress != other->progress ? client->progress < other->progress",
        "\treturn client->number == other->number ? client->progress < other->progress",
        unit("server", "strangers_do_not_break_off_who_waits"),
    ),
    Mutant(
        "trust",
        "a reason steers an operator's terminal",
        "src/cli/say.c",
        "\tfha_tame(text);\n",
        "",
        ("test/test_membership.py::test_a_reason_steers_no_terminal",),
        short=False,
    ),
    Mutant(
        "trust",
        "what is no character reaches a terminal",
        "src/base/tame.c",
        "(*character >= 0xD800 && *character <= 0xDFFF)",
        "false",
        unit("tame", "what_is_no_utf8_goes"),
    ),
    Mutant(
        "own",
        "a label's text can end the label",
        "src/show/prometheus.c",
        "if (*text == '\\\\' || *text == '\\n' || (quotes && *text == '\"'))",
        "if (false)",
        unit("prometheus", "what_is_special_is_escaped"),
    ),
]
