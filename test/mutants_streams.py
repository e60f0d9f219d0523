"""Mutants of what flows into a backup and out of it: a restore's safety, truncation, encryption."""

from mutants_list import Mutant, unit

TAR = "src/backup/tar.c"
FILTER = "src/backup/tar_filter.c"
SEAL = "src/backup/seal.c"
DECOMPRESS = "src/backup/decompress.c"
BASE_BACKUP = "src/backup/base_backup.c"
UPLOAD = "src/backup/upload.c"
REMOVAL = "src/backup/removal.c"

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
    Mutant(
        "backup",
        'a mark of a standby goes into a backup',
        FILTER,
        'filter_is(entry, "standby.signal") ||',
        'false &&',
        unit("tar", "what_of_a_data_directory_is_stored"),
    ),
    Mutant(
        "backup",
        "a base backup is done before its data is stored",
        BASE_BACKUP,
        "return backup->state == BACKUP_TAKES && object->upload == NULL ?",
        "return backup->state == BACKUP_TAKES ?",
        unit("base_backup", "the_order_of_calls"),
    ),
    Mutant(
        "backup",
        "a base backup without a tablespace is done",
        BASE_BACKUP,
        "if (!backup->has_tablespace[i])",
        "if (false)",
        unit("base_backup", "what_is_not_whole_is_not_done"),
    ),
    Mutant(
        "backup",
        "a base backup takes the id of another",
        BASE_BACKUP,
        ".if_absent = backup->state == BACKUP_CLAIMS",
        ".if_absent = false",
        unit("base_backup", "an_id_of_another_backup_is_left_alone"),
    ),
    Mutant(
        "backup",
        "a base backup ends on another timeline",
        BASE_BACKUP,
        "if (timeline != backup->info.timeline)",
        "if (false)",
        unit("base_backup", "what_is_not_whole_is_not_done"),
    ),
    Mutant(
        "backup",
        "an object is completed before its parts are stored",
        UPLOAD,
        "upload->has_last &&\n\t\tupload->call_count == 0",
        "upload->has_last",
        unit("base_backup", "the_order_of_calls"),
    ),
    Mutant(
        "backup",
        "backup.info is removed with the data",
        REMOVAL,
        "strcmp(object->key, removal->info) == 0",
        "false",
        unit("base_backup", "what_is_abandoned_is_gone"),
    ),
]
