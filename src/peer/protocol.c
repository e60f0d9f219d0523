/*
 * protocol.c: questions between members.  See peer/protocol.h.
 */
#include "peer/protocol.h"

#include <inttypes.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/json.h"
#include "config/pgpass.h"
#include "config/state_directory.h"

/* As many as scram-sha-256: who listens learns no more of the password than at a login. */
#define ITERATIONS 4096
/* What the name of a key is made from: it tells keys apart, and nothing about them. */
#define KEY_ID_OF "fawkes_ha key id"

static const char hex[] = "0123456789abcdef";

static bool
text_authenticate(const unsigned char key[FHA_MAC_BYTES], const char *data, size_t size,
				  char out[FHA_MAC_TEXT_SIZE])
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned length = 0;

	out[0] = '\0';
	if (HMAC(EVP_sha256(), key, FHA_MAC_BYTES, (const unsigned char *) data, size, mac, &length) ==
			NULL ||
		length != FHA_MAC_BYTES)
		return false; /* LCOV_EXCL_LINE: OpenSSL finds no memory */
	for (size_t i = 0; i < FHA_MAC_BYTES; i++)
	{
		out[2 * i] = hex[mac[i] >> 4];
		out[2 * i + 1] = hex[mac[i] & 15];
	}
	out[FHA_MAC_TEXT_SIZE - 1] = '\0';
	return true;
}

FhaCode
fha_key_read(const FhaConfig *config, FhaKey *out, FhaError *err)
{
	char password[FHA_PGPASS_SIZE];
	char salt[FHA_NAME_SIZE + 31];
	unsigned char all[3 * FHA_MAC_BYTES];
	char mac[FHA_MAC_TEXT_SIZE];
	FhaCode code = fha_password_read(config, password, sizeof(password), err);

	if (code != FHA_OK)
		return code;
	(void) snprintf(salt, sizeof(salt), "fawkes_ha members of %s", config->cluster_name);
	if (PKCS5_PBKDF2_HMAC(password, (int) strlen(password), (const unsigned char *) salt,
						  (int) strlen(salt), ITERATIONS, EVP_sha256(), (int) sizeof(all),
						  all) != 1)
		/* LCOV_EXCL_START: OpenSSL finds no memory */
		code = fha_error(err, FHA_NO_MEMORY, "the cluster key could not be computed");
	/* LCOV_EXCL_STOP */
	else
	{
		memcpy(out->question, all, FHA_MAC_BYTES);
		memcpy(out->answer, all + FHA_MAC_BYTES, FHA_MAC_BYTES);
		memcpy(out->record, all + 2 * (size_t) FHA_MAC_BYTES, FHA_MAC_BYTES);
		out->id[0] = '\0';
		if (text_authenticate(out->record, KEY_ID_OF, strlen(KEY_ID_OF), mac))
			(void) snprintf(out->id, sizeof(out->id), "%.8s", mac);
	}
	OPENSSL_cleanse(password, sizeof(password));
	OPENSSL_cleanse(all, sizeof(all));
	return code;
}

/* In constant time: how much of a guess is right must not show. */
static bool
is_authentic(const unsigned char key[FHA_MAC_BYTES], const char *data, size_t size, const char *mac)
{
	char right[FHA_MAC_TEXT_SIZE];

	return mac != NULL && strlen(mac) == FHA_MAC_TEXT_SIZE - 1 &&
		   text_authenticate(key, data, size, right) &&
		   CRYPTO_memcmp(mac, right, FHA_MAC_TEXT_SIZE - 1) == 0;
}

/* What is signed, line by line: neither a name nor a value can hold a line's end.  *text: free it. */
static FhaCode
settings_text(const FhaCluster *cluster, char **text, size_t *size, FhaError *err)
{
	const FhaSignature *signature = &cluster->settings_signature;
	FILE *out = open_memstream(text, size);
	bool good = out != NULL;

	if (good)
	{
		good = fprintf(out, "fawkes_ha settings\n%s\n%" PRIu64 "\n%s\n", cluster->cluster_uuid,
					   signature->serial, signature->key_id) > 0;
		for (size_t i = 0; i < cluster->setting_count && good; i++)
			good =
				fprintf(out, "%s=%s\n", cluster->settings[i].name, cluster->settings[i].value) > 0;
		if (fclose(out) != 0)
			good = false; /* LCOV_EXCL_LINE: no memory */
	}
	if (good)
		return FHA_OK;
	/* LCOV_EXCL_START: no memory */
	if (out != NULL)
		free(*text);
	*text = NULL;
	return fha_error(err, FHA_NO_MEMORY, "out of memory signing settings");
	/* LCOV_EXCL_STOP */
}

FhaCode
fha_settings_sign(FhaCluster *cluster, const FhaKey *key, FhaError *err)
{
	FhaSignature *signature = &cluster->settings_signature;
	size_t size = 0;
	char *text;
	FhaCode code;

	memcpy(signature->key_id, key->id, sizeof(signature->key_id));
	code = settings_text(cluster, &text, &size, err);
	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: no memory */
	if (!text_authenticate(key->record, text, size, signature->mac))
		/* LCOV_EXCL_START: OpenSSL finds no memory */
		code = fha_error(err, FHA_NO_MEMORY, "settings could not be signed");
	/* LCOV_EXCL_STOP */
	free(text);
	return code;
}

bool
fha_settings_are_signed(const FhaCluster *cluster, const FhaKey *key)
{
	const FhaSignature *signature = &cluster->settings_signature;
	size_t size = 0;
	char *text;
	bool good;

	if (signature->serial == 0 || strcmp(signature->key_id, key->id) != 0 ||
		settings_text(cluster, &text, &size, NULL) != FHA_OK)
		return false;
	good = is_authentic(key->record, text, size, signature->mac);
	free(text);
	return good;
}

static void
question_put_position(struct json_object *to, FhaPosition position, bool *failed)
{
	struct json_object *object = json_object_new_object();

	fha_json_put_int(object, "timeline", position.timeline, failed);
	fha_json_put_lsn(object, "lsn", position.lsn, failed);
	fha_json_put(to, "position", object, failed);
}

static void
read_position(struct json_object *from, FhaPosition *out, FhaError *err)
{
	struct json_object *position = fha_json_object(from, "position", err);
	int64_t timeline = 0;

	if (position == NULL)
		return;
	fha_json_int(position, "timeline", 0, UINT32_MAX, &timeline, err);
	out->timeline = (uint32_t) timeline;
	fha_json_lsn(position, "lsn", &out->lsn, err);
}

FhaCode
fha_question_print(const FhaQuestion *question, const FhaKey *key, char **text,
				   char mac[FHA_MAC_TEXT_SIZE], FhaError *err)
{
	struct json_object *object = json_object_new_object();
	bool failed = false;

	fha_json_put_text(object, "kind", question->kind, &failed);
	fha_json_put_text(object, "cluster", question->cluster, &failed);
	fha_json_put_u64(object, "system_identifier", question->system_identifier, &failed);
	fha_json_put_text(object, "from", question->from, &failed);
	fha_json_put_text(object, "from_incarnation", question->from_incarnation, &failed);
	fha_json_put_text(object, "to", question->to, &failed);
	fha_json_put_text(object, "challenge", question->challenge, &failed);
	fha_json_put_text(object, "nonce", question->nonce, &failed);
	if (question->promise.term != 0)
	{
		fha_json_put_text(object, "cluster_uuid", question->promise.cluster_uuid, &failed);
		fha_json_put_u64(object, "term", question->promise.term, &failed);
		fha_json_put_int(object, "duration_ms", question->promise.duration_ms, &failed);
		if (question->promise.position.timeline != 0)
			question_put_position(object, question->promise.position, &failed);
	}
	*text = fha_json_finish(object, failed, err);
	if (*text == NULL)
		return FHA_NO_MEMORY; /* LCOV_EXCL_LINE: no memory */
	if (text_authenticate(key->question, *text, strlen(*text), mac))
		return FHA_OK;
	/* LCOV_EXCL_START: OpenSSL finds no memory */
	free(*text);
	*text = NULL;
	return fha_error(err, FHA_NO_MEMORY, "a question could not be authenticated");
	/* LCOV_EXCL_STOP */
}

/* `length` hexadecimal digits, or none at all where that is allowed. */
static bool
is_hex(const char *text, size_t length, bool or_empty)
{
	return (or_empty && text[0] == '\0') || (strlen(text) == length && strspn(text, hex) == length);
}

FhaCode
fha_question_parse(const char *data, size_t size, FhaQuestion *out, FhaError *err)
{
	FhaError local = {.code = FHA_OK};
	struct json_object *object;

	memset(out, 0, sizeof(*out));
	object = fha_json_parse(data, size, &local);
	if (object != NULL)
	{
		fha_json_text(object, "kind", out->kind, sizeof(out->kind), &local);
		fha_json_text(object, "cluster", out->cluster, sizeof(out->cluster), &local);
		fha_json_u64(object, "system_identifier", &out->system_identifier, &local);
		fha_json_text(object, "from", out->from, sizeof(out->from), &local);
		fha_json_text(object, "from_incarnation", out->from_incarnation,
					  sizeof(out->from_incarnation), &local);
		fha_json_text(object, "to", out->to, sizeof(out->to), &local);
		fha_json_text(object, "challenge", out->challenge, sizeof(out->challenge), &local);
		fha_json_text(object, "nonce", out->nonce, sizeof(out->nonce), &local);
		fha_json_text(object, "cluster_uuid", out->promise.cluster_uuid,
					  sizeof(out->promise.cluster_uuid), &local);
		fha_json_u64(object, "term", &out->promise.term, &local);
		fha_json_int(object, "duration_ms", 0, FHA_LEASE_MAX_MS, &out->promise.duration_ms, &local);
		read_position(object, &out->promise.position, &local);
		json_object_put(object);
	}
	if (local.code == FHA_OK &&
		(!fha_name_is_valid(out->cluster) || !fha_name_is_valid(out->from) ||
		 !fha_name_is_valid(out->to) || out->kind[0] == '\0' ||
		 !is_hex(out->from_incarnation, FHA_ID_SIZE - 1, false) ||
		 !is_hex(out->challenge, FHA_ID_SIZE - 1, true) ||
		 !is_hex(out->nonce, FHA_NONCE_SIZE - 1, false)))
		(void) fha_error(&local, FHA_PROTOCOL,
						 "kind, cluster, from, from_incarnation, to or nonce is missing or wrong");
	if (local.code != FHA_OK && err != NULL)
		*err = local;
	return local.code;
}

/* --- who answers */

static FhaCode
begin_challenge(FhaPeerServer *server, FhaError *err)
{
	server->nonce_count = 0;
	return fha_random_hex(server->challenge, sizeof(server->challenge), err);
}

static FhaKeyFile
look_at_file(const FhaConfig *config)
{
	FhaKeyFile file = {0, 0, 0};
	char path[FHA_PATH_SIZE];
	struct stat status;

	if (fha_state_path(config, "pgpass", path, sizeof(path), NULL) == FHA_OK &&
		stat(path, &status) == 0)
	{
		file.device = (uint64_t) status.st_dev;
		file.inode = (uint64_t) status.st_ino;
		file.changed_at_ns = (int64_t) status.st_ctim.tv_sec * 1000000000 + status.st_ctim.tv_nsec;
	}
	return file;
}

bool
fha_peer_server_is_old(const FhaPeerServer *server, const FhaConfig *config)
{
	FhaKeyFile now = look_at_file(config);

	return now.device != server->file.device || now.inode != server->file.inode ||
		   now.changed_at_ns != server->file.changed_at_ns;
}

FhaCode
fha_peer_server_open(FhaPeerServer *server, const FhaConfig *config, FhaError *err)
{
	FhaKey before = server->key;
	bool had = server->open;
	FhaCode code;

	/* Before it is read: what is written meanwhile is read again. */
	server->file = look_at_file(config);
	code = fha_key_read(config, &server->key, err);
	if (code == FHA_OK && had && CRYPTO_memcmp(&before, &server->key, sizeof(before)) != 0)
	{
		server->previous = before;
		server->previous_ends_at_ms = fha_now_ms() + config->lease_duration_ms;
	}
	OPENSSL_cleanse(&before, sizeof(before));
	if (code == FHA_OK)
		code = begin_challenge(server, err);
	server->open = code == FHA_OK;
	return code;
}

static void
tell_status(const FhaPeerServer *server, const FhaHealth *health, const FhaQuestion *question,
			struct json_object *to, bool *failed)
{
	(void) server;
	(void) question;
	fha_json_put(to, "status", fha_health_object(health, failed), failed);
}

static void
tell_promise(const FhaPeerServer *server, const FhaHealth *health, const FhaQuestion *question,
			 struct json_object *to, bool *failed)
{
	struct json_object *object = json_object_new_object();
	FhaPromise promise = {.given = false, .why = "nobody here decides for this member"};

	(void) health;
	if (server->promise != NULL)
	{
		memset(&promise, 0, sizeof(promise));
		server->promise(server->argument, question, &promise);
	}
	fha_json_put_bool(object, "given", promise.given, failed);
	fha_json_put_text(object, "data_incarnation", promise.data_incarnation, failed);
	fha_json_put_text(object, "why", promise.why, failed);
	if (promise.soon)
		fha_json_put_bool(object, "soon", true, failed);
	fha_json_put(to, "promise", object, failed);
}

static const struct
{
	const char *name;
	void (*answer)(const FhaPeerServer *server, const FhaHealth *health,
				   const FhaQuestion *question, struct json_object *to, bool *failed);
} kinds[] = {
	{FHA_KIND_STATUS, tell_status},
	{FHA_KIND_PROMISE, tell_promise},
};

static bool
was_asked(const FhaPeerServer *server, const char *nonce)
{
	for (size_t i = 0; i < server->nonce_count; i++)
		if (strcmp(server->nonces[i], nonce) == 0)
			return true;
	return false;
}

/* The challenge ends with its last nonce: whoever asks next is told the new one. */
static bool
nonce_remember(FhaPeerServer *server, const char *nonce)
{
	memcpy(server->nonces[server->nonce_count++], nonce, FHA_NONCE_SIZE);
	return server->nonce_count < FHA_PEER_SERVER_NONCES || begin_challenge(server, NULL) == FHA_OK;
}

static void
refuse_plainly(FhaPeerServerReply *out, int status, const char *text)
{
	out->status = status;
	out->text = malloc(strlen(text) + 2);
	if (out->text != NULL)
		(void) snprintf(out->text, strlen(text) + 2, "%s\n", text);
}

/* The status for an authentic question, and why; the kind to answer if it is 200. */
static int
question_judge(FhaPeerServer *server, const FhaHealth *health, const FhaQuestion *question,
			   size_t *kind, const char **why)
{
	*kind = 0;
	while (*kind < sizeof(kinds) / sizeof(kinds[0]) &&
		   strcmp(kinds[*kind].name, question->kind) != 0)
		(*kind)++;
	if (strcmp(question->cluster, health->cluster) != 0)
	{
		*why = "another cluster is asked";
		return 403;
	}
	if (question->system_identifier != 0 && health->system_identifier != 0 &&
		question->system_identifier != health->system_identifier)
	{
		*why = "this member's data is another cluster's: the system identifiers differ";
		return 403;
	}
	if (strcmp(question->to, health->member) != 0)
	{
		*why = "another member is asked";
		return 421;
	}
	if (strcmp(question->challenge, server->challenge) != 0)
	{
		*why = "ask again with this challenge";
		return 409;
	}
	if (was_asked(server, question->nonce))
	{
		*why = "this question was answered already";
		return 409;
	}
	if (*kind == sizeof(kinds) / sizeof(kinds[0]))
	{
		*why = "this kind of question is not known here";
		return 501;
	}
	return 200;
}

void
fha_peer_server_answer(FhaPeerServer *server, const FhaHealth *health, const char *body,
					   size_t size, const char *mac, FhaPeerServerReply *out)
{
	const FhaKey *key = &server->key;
	struct json_object *object;
	FhaQuestion question;
	FhaError err;
	const char *why = NULL;
	size_t kind;
	bool failed = false;

	memset(out, 0, sizeof(*out));
	if (!server->open)
	{
		refuse_plainly(out, 503, "this member has no cluster key: pgpass is missing");
		return;
	}
	/* Nothing of it is looked at before. */
	if (!is_authentic(key->question, body, size, mac) && fha_now_ms() < server->previous_ends_at_ms)
		key = &server->previous;
	if (!is_authentic(key->question, body, size, mac))
	{
		refuse_plainly(out, 401, "not authenticated with this cluster's key");
		return;
	}
	if (fha_question_parse(body, size, &question, &err) != FHA_OK)
	{
		refuse_plainly(out, 400, err.text);
		return;
	}
	out->status = question_judge(server, health, &question, &kind, &why);
	object = json_object_new_object();
	fha_json_put_text(object, "kind", question.kind, &failed);
	fha_json_put_text(object, "cluster", health->cluster, &failed);
	fha_json_put_text(object, "from", health->member, &failed);
	fha_json_put_text(object, "to", question.from, &failed);
	fha_json_put_text(object, "nonce", question.nonce, &failed);
	if (out->status == 200)
	{
		failed = !nonce_remember(server, question.nonce) || failed;
		kinds[kind].answer(server, health, &question, object, &failed);
	}
	else
		fha_json_put_text(object, "error", why, &failed);
	fha_json_put_text(object, "challenge", server->challenge, &failed);
	out->text = fha_json_finish(object, failed, NULL);
	if (out->text != NULL &&
		!text_authenticate(key->answer, out->text, strlen(out->text), out->mac))
	{
		/* LCOV_EXCL_START: OpenSSL finds no memory */
		free(out->text);
		out->text = NULL;
		/* LCOV_EXCL_STOP */
	}
}

/* --- who asks */

static void
read_status(struct json_object *status, FhaReply *out, FhaError *err)
{
	struct json_object *fence = fha_json_object(status, "fence", err);
	struct json_object *lease = fha_json_object(status, "lease", err);

	fha_json_text(status, "role", out->role, sizeof(out->role), err);
	fha_json_text(status, "incarnation", out->incarnation, sizeof(out->incarnation), err);
	fha_json_text(status, "answered_by", out->answered_by, sizeof(out->answered_by), err);
	fha_json_text(status, "because", out->because, sizeof(out->because), err);
	if (fence != NULL)
	{
		fha_json_bool(fence, "open", &out->fence_open, err);
		fha_json_int(fence, "left_ms", 0, INT64_MAX, &out->fence_left_ms, err);
	}
	if (lease != NULL)
		fha_json_u64(lease, "term", &out->term, err);
	read_position(status, &out->position, err);
}

static void
read_promise(struct json_object *promise, FhaPromise *out, FhaError *err)
{
	fha_json_bool(promise, "given", &out->given, err);
	fha_json_text(promise, "data_incarnation", out->data_incarnation, sizeof(out->data_incarnation),
				  err);
	fha_json_text(promise, "why", out->why, sizeof(out->why), err);
	fha_json_bool(promise, "soon", &out->soon, err);
}

/* Is it ours, and the answer to what was asked? */
static bool
answer_belongs(const FhaQuestion *asked, struct json_object *object, FhaError *err)
{
	FhaQuestion echo = {.kind = ""};

	fha_json_text(object, "kind", echo.kind, sizeof(echo.kind), err);
	fha_json_text(object, "cluster", echo.cluster, sizeof(echo.cluster), err);
	fha_json_text(object, "from", echo.from, sizeof(echo.from), err);
	fha_json_text(object, "to", echo.to, sizeof(echo.to), err);
	fha_json_text(object, "nonce", echo.nonce, sizeof(echo.nonce), err);
	return strcmp(echo.kind, asked->kind) == 0 && strcmp(echo.cluster, asked->cluster) == 0 &&
		   strcmp(echo.from, asked->to) == 0 && strcmp(echo.to, asked->from) == 0 &&
		   strcmp(echo.nonce, asked->nonce) == 0;
}

FhaCode
fha_reply_parse(const FhaQuestion *asked, const FhaKey *key, const char *data, size_t size,
				const char *mac, FhaReply *out, FhaError *err)
{
	FhaError local = {.code = FHA_OK};
	struct json_object *object;
	struct json_object *status;
	struct json_object *promise;

	memset(out, 0, sizeof(*out));
	if (!is_authentic(key->answer, data, size, mac))
		return fha_error(err, FHA_DENIED, "the answer is not authenticated with the cluster key");
	object = fha_json_parse(data, size, &local);
	if (object != NULL)
	{
		if (!answer_belongs(asked, object, &local))
			(void) fha_error(&local, FHA_DENIED, "this is the answer to another question");
		fha_json_text(object, "challenge", out->challenge, sizeof(out->challenge), &local);
		fha_json_text(object, "error", out->error, sizeof(out->error), &local);
		status = fha_json_object(object, "status", &local);
		if (status != NULL)
			read_status(status, out, &local);
		promise = fha_json_object(object, "promise", &local);
		if (promise != NULL)
			read_promise(promise, &out->promise, &local);
		json_object_put(object);
	}
	if (local.code != FHA_OK && err != NULL)
		*err = local;
	return local.code;
}
