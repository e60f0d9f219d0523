/*
 * tar_test.c: archives as they come: entries, safe paths, damage and cuts; and what of BASE_BACKUP's archives is stored.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "backup/tar.h"
#include "backup/tar_filter.h"
#include "test/backup/tar_entries.h"

#define PLAIN (FHA_TAR_FILE | FHA_TAR_DIRECTORY)
#define LINKS (PLAIN | FHA_TAR_SYMLINK | FHA_TAR_LINK)

/* --- reading: what came, in words */

typedef struct Story
{
	char text[4000];
	FhaCode code;
	FhaError err;
} Story;

static void
tell(Story *story, const char *words)
{
	(void) strncat(story->text, words, sizeof(story->text) - strlen(story->text) - 1);
}

static void
tell_entry(Story *story, const FhaTarEntry *entry)
{
	char words[300];

	(void) snprintf(words, sizeof(words), "%d %.100s%s%.100s (%llu):", (int) entry->type,
					entry->path, entry->link[0] == '\0' ? "" : " -> ", entry->link,
					(unsigned long long) entry->size);
	tell(story, words);
}

static void
read_cut(Story *story, FhaTar *tar, const char *data, size_t size)
{
	FhaTarEvent event = FHA_TAR_DONE;

	while (story->code == FHA_OK && event != FHA_TAR_MORE)
	{
		const char *part;
		size_t part_size;
		char words[200];

		story->code = fha_tar_next(tar, &data, &size, &event, &part, &part_size, &story->err);
		if (story->code != FHA_OK)
			break;
		if (event == FHA_TAR_ENTRY)
			tell_entry(story, fha_tar_entry(tar));
		else if (event == FHA_TAR_DATA)
		{
			(void) snprintf(words, sizeof(words), "%.*s", (int) part_size, part);
			tell(story, words);
		}
		else if (event == FHA_TAR_DONE)
			tell(story, ";");
		else if (event == FHA_TAR_END)
			tell(story, "end");
	}
}

static Story
read_tar(const char *data, size_t size, size_t cut, unsigned allowed)
{
	Story story = {.code = FHA_OK};
	FhaTar *tar;

	assert_int_equal(fha_tar_open(&tar, allowed, &story.err), FHA_OK);
	for (size_t at = 0; at < size && story.code == FHA_OK; at += cut)
		read_cut(&story, tar, data + at, cut < size - at ? cut : size - at);
	if (story.code == FHA_OK)
		story.code = fha_tar_finish(tar, &story.err);
	fha_tar_close(tar);
	return story;
}

static void
assert_read(const Bytes *tar, unsigned allowed, const char *expected)
{
	static const size_t cuts[] = {1, 7, 511, 512, 513, 100000};

	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
	{
		Story story = read_tar(tar->data, tar->size, cuts[i], allowed);

		if (story.code != FHA_OK)
			fail_msg("%s", story.err.text);
		assert_string_equal(story.text, expected);
	}
}

static void
assert_refused(Bytes *tar, unsigned allowed, const char *words)
{
	Story story = read_tar(tar->data, tar->size, 1000, allowed);

	assert_int_equal(story.code, FHA_INVALID);
	if (strstr(story.err.text, words) == NULL)
		fail_msg("\"%s\" has no \"%s\"", story.err.text, words);
	bytes_free(tar);
}

static void
entries_come_one_after_another(void **state)
{
	Bytes tar = {.data = NULL};

	(void) state;
	add_file(&tar, "PG_VERSION", "15\n");
	add_entry(&tar, "./base/", '5', "", "");
	add_file(&tar, "base//1/./1259", "");
	add_entry(&tar, "old/", '\0', "", "");
	add_entry(&tar, "./", '5', "", "");
	add_file(&tar, "...", "dots");
	add_end(&tar);
	assert_read(&tar, PLAIN,
				"1 PG_VERSION (3):15\n;2 base (0):;1 base/1/1259 (0):;2 old (0):;2  (0):;"
				"1 ... (4):dots;end");
	/* As many zeros as there may be. */
	for (int i = 0; i < 9; i++)
		add_end(&tar);
	assert_int_equal(read_tar(tar.data, tar.size, 1000, PLAIN).code, FHA_OK);
	bytes_free(&tar);
}

static void
rights_and_times(void **state)
{
	Bytes tar = {.data = NULL};
	const char *data;
	size_t size = 512;
	FhaTarEvent event;
	const char *part;
	size_t part_size;
	FhaTar *reader;
	FhaError err;

	(void) state;
	add_file(&tar, "x", "");
	data = tar.data;
	assert_int_equal(fha_tar_open(&reader, PLAIN, &err), FHA_OK);
	assert_int_equal(fha_tar_next(reader, &data, &size, &event, &part, &part_size, &err), FHA_OK);
	assert_int_equal(event, FHA_TAR_ENTRY);
	assert_int_equal(fha_tar_entry(reader)->mode, 0640);
	assert_int_equal(fha_tar_entry(reader)->modified_s, 014723456710);
	assert_memory_equal(fha_tar_headers(reader, &size), tar.data, 512);
	assert_int_equal(size, 512);
	fha_tar_close(reader);
	bytes_free(&tar);
}

static void
long_names_and_pax(void **state)
{
	Bytes tar = {.data = NULL};
	char block[512] = "";
	char name[200];

	(void) state;
	add_entry(&tar, "pax", 'x',
			  "28 path=a/name/of/more/word\n"
			  "22 mtime=1700000000.5\n"
			  "10 size=4\n"
			  "16 SCHILY.x=abc\n",
			  "");
	/* Its own size does not count then. */
	add_header(&tar, "short", '0', "00000000000", "");
	bytes_add(&tar, "four", 4);
	add_padding(&tar);
	/* GNU's, and the next entry has a name of its own again. */
	memset(name, 'n', 150);
	name[150] = '\0';
	add_entry(&tar, "././@LongLink", 'L', name, "");
	add_entry(&tar, "././@LongLink", 'K', "base/x", "");
	add_entry(&tar, "short", '1', "", "shorter");
	add_entry(&tar, "global", 'g', "20 comment=whatever\n", "");
	add_file(&tar, "plain", "p");
	/* ustar's prefix. */
	memcpy(block, "name", 4);
	memcpy(block + 124, "00000000000", 11);
	memcpy(block + 257, "ustar\00000", 8);
	memcpy(block + 345, "some/prefix", 11);
	block[156] = '0';
	add_sum(block);
	bytes_add(&tar, block, 512);
	add_end(&tar);
	{
		char expected[600];

		(void) snprintf(expected, sizeof(expected),
						"1 a/name/of/more/word (4):four;8 %.100s -> base/x (0):;1 plain (1):p;"
						"1 some/prefix/name (0):;end",
						name);
		assert_read(&tar, LINKS, expected);
	}
	bytes_free(&tar);
}

/* 8 GiB and more do not fit in eleven octal digits. */
static void
large_sizes(void **state)
{
	static const char binary[11] = {(char) 0x80, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0};
	Bytes tar = {.data = NULL};
	Story story;

	(void) state;
	add_header(&tar, "large", '0', binary, "");
	story = read_tar(tar.data, tar.size, 512, PLAIN);
	assert_string_equal(story.text, "1 large (21474836480):");
	assert_int_equal(story.code, FHA_INVALID);
	assert_string_equal(story.err.text, "the archive ends too early, in \"large\"");
	bytes_free(&tar);
	add_header(&tar, "negative", '0', "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "");
	assert_refused(&tar, PLAIN, "damaged archive, or none");
	add_header(&tar, "huge", '0', "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "");
	assert_refused(&tar, PLAIN, "damaged archive, or none");
	add_header(&tar, "words", '0', "0000000x000", "");
	assert_refused(&tar, PLAIN, "damaged archive, or none");
}

static void
no_path_leads_outside(void **state)
{
	static const char *const paths[] = {"/etc/passwd", "../x", "a/../../x", "a/..", "..",
										"./../x",      "",     "./",        "//x"};
	static const char *const links[] = {"/etc", "..", "../x", "x/../../y", ""};
	Bytes tar = {.data = NULL};

	(void) state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
	{
		add_entry(&tar, paths[i], '0', "", "");
		/* An old way to say that it is a directory. */
		if (strcmp(paths[i], "./") == 0)
			bytes_free(&tar);
		else
			assert_refused(&tar, LINKS, "unsafe path");
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
	{
		for (char type = '1'; type <= '2'; type++)
		{
			add_entry(&tar, "a/b", type, "", links[i]);
			assert_refused(&tar, LINKS, "leads outside");
		}
	}
	/* Long ones are no way around it. */
	add_entry(&tar, "x", 'L', "a/../../b", "");
	add_file(&tar, "b", "");
	assert_refused(&tar, LINKS, "unsafe path: \"a/../../b\"");
	add_file(&tar, "\033[2J/../b", "");
	assert_refused(&tar, LINKS, "unsafe path: \"?[2J/../b\"");
	add_entry(&tar, "x", 'x', "11 path=/b\n", "");
	add_file(&tar, "b", "");
	assert_refused(&tar, LINKS, "unsafe path");
	add_entry(&tar, "x", 'x', "18 linkpath=/root\n", "");
	add_entry(&tar, "b", '2', "", "c");
	assert_refused(&tar, LINKS, "leads outside");
	add_entry(&tar, "x", 'K', "../..", "");
	add_entry(&tar, "b", '2', "", "c");
	assert_refused(&tar, LINKS, "leads outside");
	add_entry(&tar, "pg_wal", '2', "", "pg_stat/wal");
	add_end(&tar);
	assert_read(&tar, LINKS, "4 pg_wal -> pg_stat/wal (0):;end");
	bytes_free(&tar);
}

static void
types_that_are_not_allowed(void **state)
{
	Bytes tar = {.data = NULL};

	(void) state;
	add_entry(&tar, "pg_wal", '2', "", "x");
	assert_refused(&tar, PLAIN, "\"pg_wal\" of the archive is no file or directory");
	add_entry(&tar, "x", '1', "", "y");
	assert_refused(&tar, PLAIN, "no file or directory");
	for (const char *type = "346V"; *type != '\0'; type++)
	{
		add_entry(&tar, "dev", *type, "", "");
		assert_refused(&tar, 0xff, "no file or directory");
	}
	add_entry(&tar, "sparse", 'S', "", "");
	assert_refused(&tar, LINKS, "sparse");
	add_entry(&tar, "x", 'x', "22 GNU.sparse.major=1\n", "");
	assert_refused(&tar, LINKS, "sparse");
}

static void
damaged_archives(void **state)
{
	static const char *const records[] = {"7 path\n",
										  "x path=a\n",
										  "99 path=a\n",
										  "9 path=ab\n",
										  "10 path=a\n\n\n",
										  "10size=4\n",
										  "11 size=4x\n",
										  "10 size=x\n",
										  "8 path=\n",
										  "3\n",
										  "29 size=18446744073709551616\n"};
	Bytes tar = {.data = NULL};
	char *large = malloc(40000);

	(void) state;
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++)
	{
		add_entry(&tar, "x", 'x', records[i], "");
		assert_refused(&tar, PLAIN, "pax header");
	}
	memset(large, 'p', 39999);
	large[39999] = '\0';
	add_entry(&tar, "x", 'x', large, "");
	assert_refused(&tar, PLAIN, "more than 32768 bytes of headers");
	large[5000] = '\0';
	add_entry(&tar, "x", 'L', large, "");
	assert_refused(&tar, PLAIN, "a long name of");
	add_entry(&tar, "x", 'L', "", "");
	assert_refused(&tar, PLAIN, "a long name of 0");
	add_header(&tar, "x", 'x', "77777777777", "");
	assert_refused(&tar, PLAIN, "of headers");
	/* Extensions without an entry. */
	add_entry(&tar, "x", 'L', "name", "");
	add_end(&tar);
	assert_refused(&tar, PLAIN, "an entry has no header");
	/* A damaged byte of a header. */
	add_file(&tar, "one", "1");
	add_file(&tar, "two", "2");
	tar.data[1024] ^= 1;
	assert_refused(&tar, PLAIN, "behind \"one\"");
	add_file(&tar, "one", "1");
	add_end(&tar);
	bytes_add(&tar, "\0\0x", 3);
	assert_refused(&tar, PLAIN, "goes on behind its end");
	add_file(&tar, "one", "1");
	tar.data[148] = 'x';
	assert_refused(&tar, PLAIN, "damaged archive, or none");
	free(large);
}

/* Wherever it is cut off: told, but for zeros behind the end. */
static void
each_place_to_be_cut_off(void **state)
{
	Bytes tar = {.data = NULL};

	(void) state;
	add_file(&tar, "one", "content");
	add_entry(&tar, "x", 'L', "a long name", "");
	add_file(&tar, "two", "");
	add_end(&tar);
	for (size_t size = 0; size < tar.size; size++)
	{
		Story story = read_tar(tar.data, size, 600, PLAIN);

		if (story.code != FHA_INVALID || strstr(story.err.text, "too early") == NULL)
			fail_msg("%zu bytes of %zu", size, tar.size);
	}
	bytes_free(&tar);
}

/* --- the filter */

/* The way through it; the stream is closed. */
static FhaCode
filtered(const Bytes *tar, size_t cut, bool is_data_directory, Bytes *out, FhaTarFilterCount *count,
		 FhaError *err)
{
	const FhaTarFilterSettings settings = {.is_data_directory = is_data_directory};
	FhaStream *stream;
	FhaCode code = FHA_OK;
	size_t at = 0;

	*out = (Bytes){.data = NULL};
	assert_int_equal(fha_tar_filter_open(&stream, &settings, err), FHA_OK);
	assert_string_equal(fha_tar_filter_label(stream), "");
	while (at < tar->size && code == FHA_OK)
	{
		size_t some = cut < tar->size - at ? cut : tar->size - at;
		size_t taken;

		code = fha_stream_write(stream, tar->data + at, some, &taken, err);
		at += taken;
		if (code == FHA_OK)
			code = stream_drain(stream, cut, false, out, err);
		if (code == FHA_AGAIN)
			code = FHA_OK;
	}
	if (code == FHA_OK)
		code = fha_stream_finish(stream, err);
	if (code == FHA_OK)
		code = stream_drain(stream, cut, true, out, err);
	if (code == FHA_OK && is_data_directory)
		assert_string_equal(fha_tar_filter_label(stream), "START WAL\n");
	*count = fha_tar_filter_count(stream);
	fha_stream_close(stream);
	return code;
}

static Bytes
data_directory(void)
{
	Bytes tar = {.data = NULL};

	add_file(&tar, "backup_label", "START WAL\n");
	add_file(&tar, "tablespace_map", "16384 /srv/ts\n");
	add_file(&tar, "standby.signal", "");
	add_file(&tar, "recovery.signal", "");
	add_entry(&tar, "pg_wal", '5', "", "");
	add_file(&tar, "base/1/1259", "rows");
	add_entry(&tar, "pg_tblspc", '5', "", "");
	add_entry(&tar, "pg_tblspc/16384", '2', "", "/srv/ts");
	add_file(&tar, "global/pg_control", "control");
	add_end(&tar);
	return tar;
}

static void
what_of_a_data_directory_is_stored(void **state)
{
	static const size_t cuts[] = {1, 511, 512, 5000, 100000};
	Bytes tar = data_directory();

	(void) state;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
	{
		FhaTarFilterCount count;
		Bytes out;
		FhaError err;

		assert_int_equal(filtered(&tar, cuts[i], true, &out, &count, &err), FHA_OK);
		assert_read(&out, PLAIN,
					"2 pg_wal (0):;1 base/1/1259 (4):rows;2 pg_tblspc (0):;"
					"1 global/pg_control (7):control;1 backup_label (10):START WAL\n;end");
		assert_int_equal(count.files, 3);
		assert_int_equal(count.bytes, 4 + 7 + 10);
		bytes_free(&out);
	}
	bytes_free(&tar);
}

static void
a_tablespace_goes_as_it_is(void **state)
{
	Bytes tar = {.data = NULL};
	Bytes out;
	FhaTarFilterCount count;
	FhaError err;

	(void) state;
	add_entry(&tar, "PG_15_202209061", '5', "", "");
	add_file(&tar, "PG_15_202209061/5/1", "rows");
	add_file(&tar, "backup_label", "of somebody else");
	add_end(&tar);
	assert_int_equal(filtered(&tar, 1000, false, &out, &count, &err), FHA_OK);
	assert_true(bytes_are(&out, tar.data, tar.size));
	assert_int_equal(count.files, 2);
	bytes_free(&out);
	bytes_free(&tar);
}

static void
assert_filter_refuses(Bytes *tar, const char *words)
{
	Bytes out;
	FhaTarFilterCount count;
	FhaError err;

	assert_int_equal(filtered(tar, 700, true, &out, &count, &err), FHA_INVALID);
	if (strstr(err.text, words) == NULL)
		fail_msg("\"%s\" has no \"%s\"", err.text, words);
	bytes_free(&out);
	bytes_free(tar);
}

static void
what_is_no_data_directory(void **state)
{
	Bytes tar = {.data = NULL};
	Bytes whole = data_directory();
	char *large = malloc(FHA_BACKUP_LABEL_MAX + 2);

	(void) state;
	memset(large, 'l', FHA_BACKUP_LABEL_MAX + 1);
	large[FHA_BACKUP_LABEL_MAX + 1] = '\0';
	add_file(&tar, "global/pg_control", "control");
	add_end(&tar);
	assert_filter_refuses(&tar, "no backup_label");
	add_file(&tar, "backup_label", "START WAL\n");
	add_end(&tar);
	assert_filter_refuses(&tar, "no global/pg_control");
	add_file(&tar, "global/pg_control", "control");
	add_file(&tar, "base/1/1", "late");
	assert_filter_refuses(&tar, "\"base/1/1\" of the archive comes after pg_control");
	add_file(&tar, "backup_label", "1");
	add_file(&tar, "backup_label", "2");
	assert_filter_refuses(&tar, "there are two");
	add_file(&tar, "backup_label", large);
	assert_filter_refuses(&tar, "too large");
	add_entry(&tar, "postgresql.conf", '2', "", "/etc/postgresql.conf");
	assert_filter_refuses(&tar, "\"postgresql.conf\" of the archive is a link");
	whole.size -= 600;
	assert_filter_refuses(&whole, "ends too early");
	free(large);
}

static void
take_manifest(const char *data, size_t size, void *owner)
{
	bytes_add(owner, data, size);
}

static void
a_manifest_is_given_aside(void **state)
{
	Bytes manifest = {.data = NULL};
	const FhaTarFilterSettings settings = {
		.is_data_directory = true, .take_manifest = take_manifest, .owner = &manifest};
	Bytes tar = {.data = NULL};
	Bytes out = {.data = NULL};
	FhaStream *stream;
	FhaError err;

	(void) state;
	add_file(&tar, "backup_label", "START WAL\n");
	add_file(&tar, "global/pg_control", "control");
	add_file(&tar, "backup_manifest", "{\"PostgreSQL-Backup-Manifest-Version\": 1}");
	add_end(&tar);
	assert_int_equal(fha_tar_filter_open(&stream, &settings, &err), FHA_OK);
	assert_int_equal(stream_pass(stream, tar.data, tar.size, 100, NULL, &out, &err), FHA_OK);
	assert_true(bytes_are(&manifest, "{\"PostgreSQL-Backup-Manifest-Version\": 1}", 41));
	assert_read(&out, PLAIN, "1 global/pg_control (7):control;1 backup_label (10):START WAL\n;end");
	bytes_free(&manifest);
	bytes_free(&out);
	bytes_free(&tar);
}

/* Behind 2,000 bytes each archive ends, and the next one is an archive, too. */
static void
several_archives(void **state)
{
	static const char *const expected[] = {
		"2 pg_wal (0):;1 base/1/1259 (4):rows;2 pg_tblspc (0):;end",
		"1 global/pg_control (7):control;1 backup_label (10):START WAL\n;end"};
	const FhaTarFilterSettings settings = {.is_data_directory = true, .archive_size = 2000};
	Bytes tar = data_directory();
	Bytes out = {.data = NULL};
	FhaStream *stream;
	FhaError err;
	size_t taken;
	size_t at;

	(void) state;
	assert_int_equal(fha_tar_filter_open(&stream, &settings, &err), FHA_OK);
	assert_int_equal(fha_stream_write(stream, tar.data, tar.size, &at, &err), FHA_OK);
	assert_int_equal(stream_drain(stream, 300, false, &out, &err), FHA_OK);
	assert_true(fha_tar_filter_is_cut(stream));
	assert_read(&out, PLAIN, expected[0]);
	bytes_free(&out);
	/* Nothing is taken before it goes on. */
	assert_int_equal(fha_stream_write(stream, tar.data + at, tar.size - at, &taken, &err), FHA_OK);
	assert_int_equal(taken, 0);
	fha_tar_filter_go_on(stream);
	assert_int_equal(stream_drain(stream, 300, false, &out, &err), FHA_AGAIN);
	assert_int_equal(fha_stream_write(stream, tar.data + at, tar.size - at, &taken, &err), FHA_OK);
	assert_int_equal(taken, tar.size - at);
	assert_int_equal(fha_stream_finish(stream, &err), FHA_OK);
	assert_int_equal(stream_drain(stream, 300, false, &out, &err), FHA_OK);
	assert_false(fha_tar_filter_is_cut(stream));
	assert_read(&out, PLAIN, expected[1]);
	fha_stream_close(stream);
	bytes_free(&out);
	bytes_free(&tar);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_come_one_after_another),
		cmocka_unit_test(rights_and_times),
		cmocka_unit_test(long_names_and_pax),
		cmocka_unit_test(large_sizes),
		cmocka_unit_test(no_path_leads_outside),
		cmocka_unit_test(types_that_are_not_allowed),
		cmocka_unit_test(damaged_archives),
		cmocka_unit_test(each_place_to_be_cut_off),
		cmocka_unit_test(what_of_a_data_directory_is_stored),
		cmocka_unit_test(a_tablespace_goes_as_it_is),
		cmocka_unit_test(what_is_no_data_directory),
		cmocka_unit_test(a_manifest_is_given_aside),
		cmocka_unit_test(several_archives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
