/*
 * sim_same.c: what the library computes again and again with the same result, computed once.
 *
 * The linker (--wrap, sim.mk) leads calls of these functions here.  None of them has a state, so that
 * a scenario is the same with them and without: `make sim SIM=-h` prints the hashes by which that is
 * seen.  Together they were two thirds of the time that a scenario took.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/json.h"
#include "record/record.h"
#include "test/sim/sim.h"

/* --- the cluster key, in 4,096 rounds of HMAC */

#define TEXT_SIZE 256
#define KEY_SIZE 256

typedef int Derive(const char *password, int password_size, const unsigned char *salt,
				   int salt_size, int rounds, const EVP_MD *digest, int size, unsigned char *out);

Derive __real_PKCS5_PBKDF2_HMAC;
Derive __wrap_PKCS5_PBKDF2_HMAC;

static struct
{
	char password[TEXT_SIZE];
	unsigned char salt[TEXT_SIZE];
	unsigned char key[KEY_SIZE];
	int password_size;
	int salt_size;
	int rounds;
	int size; /* 0: nothing is kept */
} derived;

int
__wrap_PKCS5_PBKDF2_HMAC(const char *password, int password_size, const unsigned char *salt,
						 int salt_size, int rounds, const EVP_MD *digest, int size,
						 unsigned char *out)
{
	if (derived.size != size || derived.rounds != rounds ||
		derived.password_size != password_size || derived.salt_size != salt_size ||
		memcmp(derived.password, password, (size_t) password_size) != 0 ||
		memcmp(derived.salt, salt, (size_t) salt_size) != 0)
	{
		if (password_size > TEXT_SIZE || salt_size > TEXT_SIZE || size > KEY_SIZE ||
			__real_PKCS5_PBKDF2_HMAC(password, password_size, salt, salt_size, rounds, digest, size,
									 derived.key) != 1)
			abort();
		memcpy(derived.password, password, (size_t) password_size);
		memcpy(derived.salt, salt, (size_t) salt_size);
		derived.password_size = password_size;
		derived.salt_size = salt_size;
		derived.rounds = rounds;
		derived.size = size;
	}
	memcpy(out, derived.key, (size_t) size);
	return 1;
}

/* --- records: all members read the text that one of them wrote */

#define ROWS 64

typedef enum What
{
	CLUSTER,
	MEMBER,
	OWNER,
	WHATS
} What;

typedef struct Row
{
	char *text; /* NULL: free */
	size_t size;
	void *read;
} Row;

static Row rows[WHATS][ROWS];

static Row *
row_of(What what, const char *text, size_t size)
{
	uint64_t hash = size;
	size_t at = 0;

	for (uint64_t part; at + sizeof(part) <= size; at += sizeof(part))
	{
		memcpy(&part, text + at, sizeof(part));
		hash = (hash ^ part) * UINT64_C(0x9E3779B97F4A7C15);
		hash ^= hash >> 29;
	}
	for (; at < size; at++)
		hash = (hash ^ (unsigned char) text[at]) * UINT64_C(0x100000001b3);
	return &rows[what][(hash ^ hash >> 32) % ROWS];
}

static bool
is_kept(const Row *row, const char *text, size_t size)
{
	return row->text != NULL && row->size == size && memcmp(row->text, text, size) == 0;
}

static void
keep(Row *row, const char *text, size_t size, const void *read, size_t read_size)
{
	free(row->text);
	row->text = sim_alloc(size + 1);
	memcpy(row->text, text, size);
	row->size = size;
	if (row->read == NULL)
		row->read = sim_alloc(read_size);
	memcpy(row->read, read, read_size);
}

typedef FhaCode ReadCluster(const char *data, size_t size, FhaCluster *out, FhaError *err);
typedef FhaCode ReadMember(const char *data, size_t size, FhaMember *out, FhaError *err);
typedef bool ReadOwner(const char *data, size_t size, FhaRecordOwner *out);

ReadCluster __real_fha_cluster_parse;
ReadCluster __wrap_fha_cluster_parse;
ReadMember __real_fha_member_parse;
ReadMember __wrap_fha_member_parse;
ReadOwner __real_fha_record_owner;
ReadOwner __wrap_fha_record_owner;

FhaCode
__wrap_fha_cluster_parse(const char *data, size_t size, FhaCluster *out, FhaError *err)
{
	Row *row = row_of(CLUSTER, data, size);
	FhaCode code = FHA_OK;

	if (is_kept(row, data, size))
		memcpy(out, row->read, sizeof(*out));
	else if ((code = __real_fha_cluster_parse(data, size, out, err)) == FHA_OK)
		keep(row, data, size, out, sizeof(*out));
	return code;
}

FhaCode
__wrap_fha_member_parse(const char *data, size_t size, FhaMember *out, FhaError *err)
{
	Row *row = row_of(MEMBER, data, size);
	FhaCode code = FHA_OK;

	if (is_kept(row, data, size))
		memcpy(out, row->read, sizeof(*out));
	else if ((code = __real_fha_member_parse(data, size, out, err)) == FHA_OK)
		keep(row, data, size, out, sizeof(*out));
	return code;
}

bool
__wrap_fha_record_owner(const char *data, size_t size, FhaRecordOwner *out)
{
	Row *row = row_of(OWNER, data, size);
	bool known = true;

	if (is_kept(row, data, size))
		memcpy(out, row->read, sizeof(*out));
	else if ((known = __real_fha_record_owner(data, size, out)))
		keep(row, data, size, out, sizeof(*out));
	return known;
}

/* --- what is printed is read again, to see whether memory was missing: it is not here */

typedef char *Finish(struct json_object *object, bool failed, FhaError *err);

Finish __wrap_fha_json_finish;

char *
__wrap_fha_json_finish(struct json_object *object, bool failed, FhaError *err)
{
	const char *built;
	char *text;

	(void) err;
	if (object == NULL || failed)
		abort();
	built = json_object_to_json_string_ext(object,
										   JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	text = built == NULL ? NULL : strdup(built);
	if (text == NULL)
		abort();
	json_object_put(object);
	return text;
}
