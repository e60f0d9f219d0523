"""Mutants of what flows into a backup and out of it: a restore's safety, truncation, encryption."""

from mutants_list import Mutant, unit

TAR = "src/backup/tar.c"
FILTER = "src/backup/tar_filter.c"
SEAL = "src/backup/seal.c"
DECOMPRESS = "src/backup/decompress.c"

MUTANTS = [
    Mutant(
        "backup",
        "a path in an archive leads out of the directory",
        TAR,
        "if (size == 2 && at[0] == '.' && at[1] == '.')",
        "if (false)",
        unit("tar", "no_path_leads_outside"),
    ),
    Mutant(
        "backup",
        "a path in an archive is absolute",
        TAR,
        "\tif (*at == '/')\n\t\treturn false;",
        "\tif (false)\n\t\treturn false;",
        unit("tar", "no_path_leads_outside"),
    ),
    Mutant(
        "backup",
        "a link in an archive leads anywhere",
        TAR,
        "if (path[0] == '\\0' || !tar_clean_path(path))",
        "if (path[0] == '\\0')",
        unit("tar", "no_path_leads_outside"),
    ),
    Mutant(
        "backup",
        "an archive that was cut off is whole",
        TAR,
        "\tif (tar->state == TAR_AT_END)\n\t\treturn FHA_OK;",
        "\tif (tar->state != TAR_IN_DATA)\n\t\treturn FHA_OK;",
        unit("tar", "each_place_to_be_cut_off"),
    ),
    Mutant(
        "backup",
        "the paths of the server's tablespaces go into a backup",
        FILTER,
        'if (filter_is(entry, "tablespace_map"))',
        "if (false)",
        unit("tar", "what_of_a_data_directory_is_stored"),
    ),
    Mutant(
        "backup",
        "links to the server's tablespaces go into a backup",
        FILTER,
        'if (entry->type == FHA_TAR_SYMLINK && strncmp(entry->path, "pg_tblspc/", 10) == 0)\n\t\treturn FILTER_DROP;',
        'if (entry->type == FHA_TAR_SYMLINK && strncmp(entry->path, "pg_tblspc/", 10) == 0)\n\t\treturn FILTER_ON;',
        unit("tar", "what_of_a_data_directory_is_stored"),
    ),
    Mutant(
        "backup",
        "backup_label comes before what it is about",
        FILTER,
        'if (filter_is(entry, "backup_label"))',
        "if (false)",
        unit("tar", "what_of_a_data_directory_is_stored"),
    ),
    Mutant(
        "backup",
        "compressed bytes that end too early are whole",
        DECOMPRESS,
        "if (decompress->state != FLOW_WHOLE)",
        "if (false)",
        unit("compress", "each_cut_and_each_way_to_end_early"),
    ),
    Mutant(
        "backup",
        "an encrypted object stands in for another",
        SEAL,
        "\tmemcpy(info, object, size);\n",
        "\tmemset(info, 0, size);\n",
        unit("seal", "an_object_does_not_stand_in_for_another"),
    ),
    Mutant(
        "backup",
        "an encrypted object that lost its end is whole",
        SEAL,
        "nonce[SEAL_NONCE - 1] = is_last;",
        "nonce[SEAL_NONCE - 1] = 0 * is_last;",
        unit("seal", "segments_have_their_places"),
    ),
    Mutant(
        "backup",
        "segments of an encrypted object may change places",
        SEAL,
        "(unsigned char) (seal->segment >> (24 - 8 * i));",
        "(unsigned char) (seal->segment >> 31);",
        unit("seal", "segments_have_their_places"),
    ),
    Mutant(
        "backup",
        "bytes come out of an encrypted object that nothing proves",
        SEAL,
        "EVP_DecryptFinal_ex(seal->cipher, to + size, &made) == 1;",
        "EVP_DecryptFinal_ex(seal->cipher, to + size, &made) >= 0;",
        unit("seal", "each_cut_and_each_way_to_end_early"),
    ),
]
