"""Mutants of what the exporter lets in and shows."""

from mutants_list import Mutant, unit

LISTENER = "src/control/listener.c"

EXPORTER = [
    Mutant(
        "trust",
        "the exporter answers whoever brings another token",
        LISTENER,
        "strlen(value) == strlen(token) && CRYPTO_memcmp(value, token, strlen(token)) == 0",
        "strlen(value) == strlen(token)",
        unit("listener_pages", "a_token"),
    ),
    Mutant(
        "trust",
        "the exporter answers whoever has any certificate",
        LISTENER,
        "gnutls_certificate_verify_peers2(info->tls_session, &status) == GNUTLS_E_SUCCESS &&\n\t\t   status == 0",
        "gnutls_certificate_verify_peers2(info->tls_session, &status) == GNUTLS_E_SUCCESS",
        unit("listener_pages", "certificates"),
    ),
    Mutant(
        "own",
        "a label's text can end the label",
        "src/control/prometheus.c",
        "bool special = *text == '\\\\' || *text == '\\n' || (quotes && *text == '\"');",
        "bool special = false;",
        unit("prometheus", "what_is_special_is_escaped"),
    ),
]
