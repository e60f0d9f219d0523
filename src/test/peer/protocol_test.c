/*
 * protocol_test.c: questions between members: who is believed, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "peer/protocol.h"

static char directory[] = "/tmp/fha-member-XXXXXX";
static char pgpass[64];
static FhaConfig config;

static void
write_pgpass(const char *text)
{
	FILE *out = fopen(pgpass, "w");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

static int
make_directory(void **state)
{
	(void) state;
	if (mkdtemp(directory) == NULL)
		return -1;
	(void) snprintf(pgpass, sizeof(pgpass), "%s/pgpass", directory);
	fha_config_defaults(&config);
	(void) snprintf(config.cluster_name, sizeof(config.cluster_name), "c");
	(void) snprintf(config.state_directory, sizeof(config.state_directory), "%s", directory);
	write_pgpass("*:*:*:fawkes_replication:secret\n");
	return 0;
}

static int
remove_directory(void **state)
{
	(void) state;
	(void) unlink(pgpass);
	return rmdir(directory);
}

static FhaKey
read_key(void)
{
	FhaKey key;
	FhaError err = {.text = ""};

	if (fha_key_read(&config, &key, &err) != FHA_OK)
		fail_msg("%s", err.text);
	return key;
}

static FhaPeerServer server;

static void
open_server(void)
{
	FhaError err = {.text = ""};

	memset(&server, 0, sizeof(server));
	if (fha_peer_server_open(&server, &config, &err) != FHA_OK)
		fail_msg("%s", err.text);
}

static const FhaHealth health = {
	.cluster = "c",
	.member = "n2",
	.incarnation = "00000000000000aa",
	.system_identifier = 42,
	.agent = true,
	.postgres = FHA_PG_PRIMARY,
	.fence_left_ms = 1234,
	.position = {3, 0x1600000028},
	.decision = "hold",
	.because = "a sentence",
	.known = true,
	.holder = "n2",
	.term = 7,
	.timeline = 3,
};

/* The question that the server would answer; each has a nonce of its own. */
static FhaQuestion
good_question(void)
{
	static unsigned count = 0;
	FhaQuestion question = {
		.kind = "status",
		.cluster = "c",
		.system_identifier = 42,
		.from = "n1",
		.from_incarnation = "00000000000000bb",
		.to = "n2",
	};

	memcpy(question.challenge, server.challenge, sizeof(question.challenge));
	(void) snprintf(question.nonce, sizeof(question.nonce), "%032x", ++count);
	return question;
}

static int status_of(const FhaQuestion *question, const FhaKey *key);

static FhaPeerServerReply
put(const FhaQuestion *question, const FhaKey *key)
{
	FhaPeerServerReply reply;
	FhaError err = {.text = ""};
	char mac[FHA_MAC_TEXT_SIZE];
	char *text;

	if (fha_question_print(question, key, &text, mac, &err) != FHA_OK)
		fail_msg("%s", err.text);
	fha_peer_server_answer(&server, &health, text, strlen(text), mac, &reply);
	free(text);
	return reply;
}

static int
status_of(const FhaQuestion *question, const FhaKey *key)
{
	FhaPeerServerReply reply = put(question, key);

	assert_non_null(reply.text);
	free(reply.text);
	return reply.status;
}

static void
a_question_is_answered(void **state)
{
	FhaKey key = read_key();
	FhaQuestion question;
	FhaPeerServerReply reply;
	FhaReply read;
	FhaError err = {.text = ""};

	(void) state;
	open_server();
	question = good_question();
	reply = put(&question, &key);
	assert_int_equal(reply.status, 200);
	if (fha_reply_parse(&question, &key, reply.text, strlen(reply.text), reply.mac, &read, &err) !=
		FHA_OK)
		fail_msg("%s", err.text);
	assert_string_equal(read.role, "primary");
	assert_true(read.fence_open);
	assert_int_equal(read.fence_left_ms, 1234);
	assert_int_equal(read.term, 7);
	assert_int_equal(read.position.timeline, 3);
	assert_int_equal(read.position.lsn, 0x1600000028);
	assert_string_equal(read.because, "a sentence");
	assert_string_equal(read.challenge, server.challenge);
	free(reply.text);
}

static void
the_key_comes_of_cluster_and_password(void **state)
{
	FhaKey key = read_key();
	FhaKey other;
	FhaError err;

	(void) state;
	write_pgpass("*:*:*:fawkes_replication:secreT\n");
	other = read_key();
	assert_memory_not_equal(&key, &other, sizeof(key));
	write_pgpass("host:5432:*:fawkes_replication:se\\cret\nsecond:*:*:x:y\n");
	other = read_key();
	assert_memory_equal(&key, &other, sizeof(key));
	assert_memory_not_equal(key.question, key.answer, sizeof(key.question));
	(void) snprintf(config.cluster_name, sizeof(config.cluster_name), "d");
	other = read_key();
	assert_memory_not_equal(&key, &other, sizeof(key));
	(void) snprintf(config.cluster_name, sizeof(config.cluster_name), "c");
	write_pgpass("*:*:*:fawkes_replication:\n");
	assert_int_equal(fha_key_read(&config, &other, &err), FHA_INVALID);
	(void) unlink(pgpass);
	assert_int_equal(fha_key_read(&config, &other, &err), FHA_NOT_FOUND);
	write_pgpass("*:*:*:fawkes_replication:secret\n");
}

/* Others may not have a new password yet: for one lease the one before counts too, and no other. */
static void
a_new_password_replaces_the_old_one_after_a_lease(void **state)
{
	FhaKey first = read_key();
	FhaKey second;
	FhaQuestion question;
	FhaPeerServerReply reply;
	FhaReply read;
	FhaError err = {.text = ""};

	(void) state;
	open_server();
	assert_false(fha_peer_server_is_old(&server, &config));
	write_pgpass("*:*:*:fawkes_replication:secreT\n");
	assert_true(fha_peer_server_is_old(&server, &config));
	assert_int_equal(fha_peer_server_open(&server, &config, &err), FHA_OK);
	second = read_key();
	/* The answer to a question with the old key is signed with it. */
	question = good_question();
	reply = put(&question, &first);
	assert_int_equal(reply.status, 200);
	assert_int_equal(
		fha_reply_parse(&question, &first, reply.text, strlen(reply.text), reply.mac, &read, &err),
		FHA_OK);
	free(reply.text);
	question = good_question();
	assert_int_equal(status_of(&question, &second), 200);
	/* A reload changes nothing of that. */
	assert_int_equal(fha_peer_server_open(&server, &config, &err), FHA_OK);
	question = good_question();
	assert_int_equal(status_of(&question, &first), 200);
	server.previous_ends_at_ms = 1;
	question = good_question();
	assert_int_equal(status_of(&question, &first), 401);
	question = good_question();
	assert_int_equal(status_of(&question, &second), 200);
	write_pgpass("*:*:*:fawkes_replication:secret\n");
}

static void
without_a_key_nobody_is_answered(void **state)
{
	FhaKey key = read_key();
	FhaQuestion question;

	(void) state;
	memset(&server, 0, sizeof(server));
	question = good_question();
	assert_int_equal(status_of(&question, &key), 503);
}

static void
what_is_not_authentic_is_not_looked_at(void **state)
{
	static const char *const macs[] = {
		NULL, "", "0", "0000000000000000000000000000000000000000000000000000000000000000",
		"00000000000000000000000000000000000000000000000000000000000000000"};
	FhaKey key = read_key();
	FhaQuestion question;
	FhaPeerServerReply reply;
	FhaError err;
	char mac[FHA_MAC_TEXT_SIZE];
	char *text;

	(void) state;
	open_server();
	question = good_question();
	assert_int_equal(fha_question_print(&question, &key, &text, mac, &err), FHA_OK);
	for (size_t i = 0; i < sizeof(macs) / sizeof(macs[0]); i++)
	{
		fha_peer_server_answer(&server, &health, text, strlen(text), macs[i], &reply);
		assert_int_equal(reply.status, 401);
		assert_string_equal(reply.mac, "");
		free(reply.text);
	}
	/* One bit of the body, or of the MAC's last digit. */
	text[10] ^= 1;
	fha_peer_server_answer(&server, &health, text, strlen(text), mac, &reply);
	assert_int_equal(reply.status, 401);
	free(reply.text);
	text[10] ^= 1;
	mac[63] = mac[63] == '0' ? '1' : '0';
	fha_peer_server_answer(&server, &health, text, strlen(text), mac, &reply);
	assert_int_equal(reply.status, 401);
	free(reply.text);
	free(text);
	key.question[31] ^= 1;
	assert_int_equal(status_of(&question, &key), 401);
}

static void
an_answer_is_no_question(void **state)
{
	FhaKey key = read_key();
	FhaKey swapped = key;
	FhaQuestion question;

	(void) state;
	open_server();
	memcpy(swapped.question, key.answer, sizeof(key.answer));
	question = good_question();
	assert_int_equal(status_of(&question, &swapped), 401);
}

static void
each_refusal_has_its_status(void **state)
{
	FhaKey key = read_key();
	FhaQuestion question;

	(void) state;
	open_server();
	question = good_question();
	(void) snprintf(question.cluster, sizeof(question.cluster), "other");
	assert_int_equal(status_of(&question, &key), 403);
	question = good_question();
	question.system_identifier = 43;
	assert_int_equal(status_of(&question, &key), 403);
	question = good_question();
	(void) snprintf(question.to, sizeof(question.to), "n3");
	assert_int_equal(status_of(&question, &key), 421);
	question = good_question();
	(void) snprintf(question.kind, sizeof(question.kind), "oracle");
	assert_int_equal(status_of(&question, &key), 501);
	question = good_question();
	(void) snprintf(question.nonce, sizeof(question.nonce), "short");
	assert_int_equal(status_of(&question, &key), 400);
	question = good_question();
	(void) snprintf(question.from, sizeof(question.from), "N 1");
	assert_int_equal(status_of(&question, &key), 400);
	/* Whoever does not know it yet asks without. */
	question = good_question();
	question.system_identifier = 0;
	assert_int_equal(status_of(&question, &key), 200);
}

static void
a_question_is_answered_once(void **state)
{
	FhaKey key = read_key();
	FhaQuestion question;

	(void) state;
	open_server();
	question = good_question();
	assert_int_equal(status_of(&question, &key), 200);
	assert_int_equal(status_of(&question, &key), 409);
	/* Nor by another life of this member, which remembers nothing. */
	open_server();
	assert_int_equal(status_of(&question, &key), 409);
}

static void
a_full_memory_begins_a_new_challenge(void **state)
{
	FhaKey key = read_key();
	FhaQuestion first;
	FhaQuestion question;
	FhaPeerServerReply reply;
	FhaReply read;
	FhaError err = {.text = ""};

	(void) state;
	open_server();
	first = good_question();
	assert_int_equal(status_of(&first, &key), 200);
	for (int i = 1; i < FHA_PEER_SERVER_NONCES; i++)
	{
		question = good_question();
		assert_int_equal(status_of(&question, &key), 200);
	}
	assert_int_equal(server.nonce_count, 0);
	assert_int_equal(status_of(&first, &key), 409);
	reply = put(&first, &key);
	assert_int_equal(
		fha_reply_parse(&first, &key, reply.text, strlen(reply.text), reply.mac, &read, &err),
		FHA_OK);
	assert_string_equal(read.challenge, server.challenge);
	assert_non_null(strstr(read.error, "challenge"));
	free(reply.text);
	question = good_question();
	assert_int_equal(status_of(&question, &key), 200);
}

/* The answer as parsed for a question that differs from the one that was asked. */
static FhaCode
parse_for(const FhaQuestion *other, const FhaKey *key, const FhaPeerServerReply *reply)
{
	FhaReply read;
	FhaError err;

	return fha_reply_parse(other, key, reply->text, strlen(reply->text), reply->mac, &read, &err);
}

static void
an_answer_belongs_to_its_question(void **state)
{
	FhaKey key = read_key();
	FhaKey wrong = key;
	FhaQuestion question;
	FhaQuestion other;
	FhaPeerServerReply reply;

	(void) state;
	open_server();
	question = good_question();
	reply = put(&question, &key);
	assert_int_equal(parse_for(&question, &key, &reply), FHA_OK);
	other = question;
	other.nonce[31] ^= 1;
	assert_int_equal(parse_for(&other, &key, &reply), FHA_DENIED);
	other = question;
	(void) snprintf(other.to, sizeof(other.to), "n3");
	assert_int_equal(parse_for(&other, &key, &reply), FHA_DENIED);
	other = question;
	(void) snprintf(other.from, sizeof(other.from), "n3");
	assert_int_equal(parse_for(&other, &key, &reply), FHA_DENIED);
	other = question;
	(void) snprintf(other.cluster, sizeof(other.cluster), "d");
	assert_int_equal(parse_for(&other, &key, &reply), FHA_DENIED);
	other = question;
	(void) snprintf(other.kind, sizeof(other.kind), "oracle");
	assert_int_equal(parse_for(&other, &key, &reply), FHA_DENIED);
	wrong.answer[0] ^= 1;
	assert_int_equal(parse_for(&question, &wrong, &reply), FHA_DENIED);
	reply.text[20] ^= 1;
	assert_int_equal(parse_for(&question, &key, &reply), FHA_DENIED);
	free(reply.text);
}

static void
questions_that_are_none(void **state)
{
	static const char *const texts[] = {
		"",
		"{}",
		"[]",
		"null",
		"{\"kind\":1}",
		"{\"kind\":\"status\"",
		"{\"kind\":\"status\",\"cluster\":\"c\",\"from\":\"n1\",\"to\":\"n2\"}",
		"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}",
		"{\"kind\":\"a kind whose name is longer than any that could be known\"}",
		"\xff\xfe\x00",
	};
	FhaQuestion question;
	FhaError err;

	(void) state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(fha_question_parse(texts[i], strlen(texts[i]), &question, &err),
						 FHA_PROTOCOL);
}

/* --- promises (S10) */

static FhaQuestion asked_for;

static void
promise_this(void *argument, const FhaQuestion *asked, FhaPromise *out)
{
	asked_for = *asked;
	*out = *(const FhaPromise *) argument;
}

static FhaPromise
promised(const FhaQuestion *question)
{
	FhaPeerServerReply reply = put(question, &server.key);
	FhaReply read;
	FhaError err = {.text = ""};

	assert_int_equal(reply.status, 200);
	if (fha_reply_parse(question, &server.key, reply.text, strlen(reply.text), reply.mac, &read,
						&err) != FHA_OK)
		fail_msg("%s", err.text);
	free(reply.text);
	return read.promise;
}

static void
a_promise_is_asked_for_and_given(void **state)
{
	FhaQuestion question = good_question();
	FhaPromise given = {.given = true, .data_incarnation = "00000000000000dd"};
	FhaPromise heard;

	(void) state;
	(void) snprintf(question.kind, sizeof(question.kind), FHA_KIND_PROMISE);
	(void) snprintf(question.promise.cluster_uuid, sizeof(question.promise.cluster_uuid),
					"0123456789abcdef0123456789abcdef");
	question.promise.term = UINT64_MAX;
	question.promise.duration_ms = FHA_LEASE_MAX_MS;
	heard = promised(&question);
	assert_false(heard.given);
	assert_string_equal(heard.why, "nobody here decides for this member");
	server.promise = promise_this;
	server.argument = &given;
	question = good_question();
	(void) snprintf(question.kind, sizeof(question.kind), FHA_KIND_PROMISE);
	question.promise = (FhaPromiseTerms){.term = 7, .duration_ms = 15000};
	heard = promised(&question);
	assert_true(heard.given);
	assert_string_equal(heard.data_incarnation, "00000000000000dd");
	assert_string_equal(asked_for.from, "n1");
	assert_string_equal(asked_for.from_incarnation, "00000000000000bb");
	assert_int_equal(asked_for.promise.term, 7);
	assert_int_equal(asked_for.promise.duration_ms, 15000);
	server.promise = NULL;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_is_answered),
		cmocka_unit_test(the_key_comes_of_cluster_and_password),
		cmocka_unit_test(a_new_password_replaces_the_old_one_after_a_lease),
		cmocka_unit_test(without_a_key_nobody_is_answered),
		cmocka_unit_test(what_is_not_authentic_is_not_looked_at),
		cmocka_unit_test(an_answer_is_no_question),
		cmocka_unit_test(each_refusal_has_its_status),
		cmocka_unit_test(a_question_is_answered_once),
		cmocka_unit_test(a_full_memory_begins_a_new_challenge),
		cmocka_unit_test(an_answer_belongs_to_its_question),
		cmocka_unit_test(questions_that_are_none),
		cmocka_unit_test(a_promise_is_asked_for_and_given),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
