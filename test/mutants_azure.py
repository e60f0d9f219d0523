"""Mutants of the store of Azure: what it takes from outside."""

from mutants_list import Mutant, fuzz

MUTANTS = [
    Mutant(
        "fuzz",
        "the server of a connection string has bytes that no server has",
        "src/store/azure/connection.c",
        'connection_is_plain(out->base, "?#@\\\\");',
        "true;",
        fuzz("azure"),
    ),
    Mutant(
        "fuzz",
        "Azure's words reach the log as they are",
        "src/store/azure/answer.c",
        "fha_copy_printable(fault->message, sizeof(fault->message), text, strlen(text));",
        '(void) snprintf(fault->message, sizeof(fault->message), "%s", text);',
        fuzz("azure"),
    ),
]
