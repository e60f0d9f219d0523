/*
 * client.c: ask other members, with libcurl.  See peer/client.h.
 */
#include "peer/client.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/listen.h"
#include "http/request.h"

#define URL_SIZE (FHA_ADDRESS_MAX + 32)

typedef struct Talk
{
	bool used;
	bool again; /* its second question: with the challenge that the first one was told */
	bool older; /* with the previous key */
	FhaKey key;
	char address[FHA_ADDRESS_MAX + 1];
	int64_t deadline_ms;
	FhaQuestion question;
	FhaHttpRequest request;
	char *body;
	char mac[FHA_MAC_TEXT_SIZE]; /* of the answer, "" if it has none */
	size_t answer_size;
	char answer[FHA_MEMBER_ANSWER_MAX];
} Talk;

struct FhaAsk
{
	FhaAsker asker;
	FhaKey previous;
	int64_t previous_until_ms; /* 0: there is none */
	FhaHttpClient client;
	Talk talks[FHA_MEMBERS_MAX];
};

FhaCode
fha_ask_open(FhaAsk **out, const FhaAsker *asker, FhaError *err)
{
	FhaAsk *ask = calloc(1, sizeof(*ask));
	FhaCode code;

	*out = NULL;
	if (ask == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	ask->asker = *asker;
	code = fha_http_client_init(&ask->client, err);
	if (code != FHA_OK)
	{
		/* LCOV_EXCL_START: libcurl finds no memory */
		fha_ask_close(ask);
		return code;
		/* LCOV_EXCL_STOP */
	}
	*out = ask;
	return FHA_OK;
}

void
fha_ask_new_key(FhaAsk *ask, const FhaKey *key, int64_t until_ms)
{
	ask->previous = ask->asker.key;
	ask->previous_until_ms = until_ms;
	ask->asker.key = *key;
}

bool
fha_ask_has_key(const FhaAsk *ask, const FhaKey *key)
{
	return CRYPTO_memcmp(&ask->asker.key, key, sizeof(*key)) == 0;
}

static void
hang_up(FhaAsk *ask, Talk *talk)
{
	fha_http_request_drop(&ask->client, &talk->request);
	free(talk->body);
	talk->body = NULL;
}

void
fha_ask_close(FhaAsk *ask)
{
	if (ask == NULL)
		return;
	for (size_t i = 0; i < FHA_MEMBERS_MAX; i++)
		hang_up(ask, &ask->talks[i]);
	fha_http_client_release(&ask->client);
	free(ask);
}

/* More than there is room for ends the transfer. */
static size_t
take_body(char *data, size_t one, size_t size, void *argument)
{
	Talk *talk = argument;

	(void) one;
	if (size > sizeof(talk->answer) - talk->answer_size)
		return 0;
	memcpy(talk->answer + talk->answer_size, data, size);
	talk->answer_size += size;
	return size;
}

static size_t
take_header(char *data, size_t one, size_t size, void *argument)
{
	static const char name[] = FHA_MEMBER_HEADER ":";
	Talk *talk = argument;
	size_t at = sizeof(name) - 1;

	(void) one;
	if (size <= at || strncasecmp(data, name, at) != 0)
		return size;
	while (at < size && data[at] == ' ')
		at++;
	if (size - at >= FHA_MAC_TEXT_SIZE - 1)
	{
		memcpy(talk->mac, data + at, FHA_MAC_TEXT_SIZE - 1);
		talk->mac[FHA_MAC_TEXT_SIZE - 1] = '\0';
	}
	return size;
}

/* The talk's question, with a nonce of its own. */
static FhaCode
send_question(FhaAsk *ask, Talk *talk, FhaError *err)
{
	char url[URL_SIZE];
	char header[sizeof(FHA_MEMBER_HEADER) + FHA_MAC_TEXT_SIZE + 8];
	char mac[FHA_MAC_TEXT_SIZE];
	int64_t left_ms = talk->deadline_ms - fha_now_ms();
	FhaCode code = fha_random_hex(talk->question.nonce, sizeof(talk->question.nonce), err);

	talk->answer_size = 0;
	talk->mac[0] = '\0';
	if (left_ms <= 0)
		return fha_error(err, FHA_TIMEOUT, "no answer in time");
	if (code == FHA_OK)
		code = fha_question_print(&talk->question, &talk->key, &talk->body, mac, err);
	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: no memory */
	(void) snprintf(url, sizeof(url), "http://%s" FHA_MEMBER_PATH, talk->address);
	(void) snprintf(header, sizeof(header), FHA_MEMBER_HEADER ": %s", mac);
	fha_http_request_make(&talk->request, &(FhaHttpParts){.url = url,
														  .scheme = "http",
														  .body = talk->body,
														  .body_size = strlen(talk->body),
														  .whole_ms = left_ms,
														  .take_header = take_header,
														  .take_body = take_body,
														  .owner = talk});
	fha_http_request_header(&talk->request, header);
	fha_http_request_header(&talk->request, "Content-Type: application/json");
	if (!fha_http_request_start(&ask->client, &talk->request))
	{
		/* LCOV_EXCL_START: libcurl finds no memory */
		hang_up(ask, talk);
		return fha_error(err, FHA_NO_MEMORY, "a question could not be sent");
		/* LCOV_EXCL_STOP */
	}
	return FHA_OK;
}

FhaCode
fha_ask_start(FhaAsk *ask, const char *address, const char *member, const char *kind,
			  const FhaPromiseTerms *terms, int64_t deadline_ms, FhaError *err)
{
	FhaQuestion *question;
	Talk *talk = ask->talks;
	FhaCode code;

	while (talk < ask->talks + FHA_MEMBERS_MAX && talk->used)
		talk++;
	if (talk == ask->talks + FHA_MEMBERS_MAX)
		return fha_error(err, FHA_CONFLICT, "too many questions are under way");
	if (!fha_address_is_valid(address))
		return fha_error(err, FHA_INVALID, "\"%.80s\" is not host:port", address);
	memset(talk, 0, sizeof(*talk));
	(void) snprintf(talk->address, sizeof(talk->address), "%s", address);
	talk->deadline_ms = deadline_ms;
	talk->key = ask->asker.key;
	question = &talk->question;
	(void) snprintf(question->kind, sizeof(question->kind), "%s", kind);
	memcpy(question->cluster, ask->asker.cluster, sizeof(question->cluster));
	question->system_identifier = ask->asker.system_identifier;
	memcpy(question->from, ask->asker.member, sizeof(question->from));
	memcpy(question->from_incarnation, ask->asker.incarnation, sizeof(question->from_incarnation));
	(void) snprintf(question->to, sizeof(question->to), "%s", member);
	if (terms != NULL)
		question->promise = *terms;
	code = send_question(ask, talk, err);
	talk->used = code == FHA_OK;
	return code;
}

/* By what the answer's status means; see docs/reference.md. */
static FhaCode
refusal(long status, const Talk *talk, const FhaReply *reply, FhaError *err)
{
	/* Unauthenticated: nobody's word but that of whatever listens there. */
	int length = (int) (talk->answer_size < 100 ? talk->answer_size : 100);
	const char *text = reply->error;
	FhaCode code = status == 409   ? FHA_CONFLICT
				   : status == 501 ? FHA_NOT_FOUND
				   : status == 503 ? FHA_IO
				   : status == 400 ? FHA_PROTOCOL
								   : FHA_DENIED;

	if (text[0] != '\0')
		return fha_error(err, code, "%s", text);
	while (length > 0 && (talk->answer[length - 1] == '\n' || talk->answer[length - 1] == '\r'))
		length--;
	for (int i = 0; i < length; i++)
		if (talk->answer[i] < ' ' || talk->answer[i] > '~')
			length = i;
	return fha_error(err, code, "HTTP status %ld: %.*s", status, length, talk->answer);
}

/* True: the talk goes on, with the challenge it was told. */
static bool
finish(FhaAsk *ask, Talk *talk, CURLcode result, FhaAskEvent *event)
{
	long status = 0;

	memset(event, 0, sizeof(*event));
	memcpy(event->member, talk->question.to, sizeof(event->member));
	(void) curl_easy_getinfo(talk->request.curl, CURLINFO_RESPONSE_CODE, &status);
	if (result == CURLE_OPERATION_TIMEDOUT)
		event->code = fha_error(&event->error, FHA_TIMEOUT, "no answer in time");
	else if (result == CURLE_WRITE_ERROR)
		event->code = fha_error(&event->error, FHA_PROTOCOL, "the answer is too long");
	else if (result != CURLE_OK)
		event->code = fha_error(&event->error, FHA_IO, "%s", curl_easy_strerror(result));
	else if (talk->mac[0] == '\0' && status != 200)
		event->code = refusal(status, talk, &event->reply, &event->error);
	else
		event->code = fha_reply_parse(&talk->question, &talk->key, talk->answer, talk->answer_size,
									  talk->mac, &event->reply, &event->error);
	hang_up(ask, talk);
	if (status == 401 && !talk->older && fha_now_ms() < ask->previous_until_ms)
	{
		talk->older = true;
		talk->key = ask->previous;
		event->code = send_question(ask, talk, &event->error);
		return event->code == FHA_OK;
	}
	if (event->code != FHA_OK || status == 200)
		return false;
	if (status == 409 && !talk->again)
	{
		talk->again = true;
		memcpy(talk->question.challenge, event->reply.challenge, FHA_ID_SIZE);
		event->code = send_question(ask, talk, &event->error);
		return event->code == FHA_OK;
	}
	event->code = refusal(status, talk, &event->reply, &event->error);
	return false;
}

FhaCode
fha_ask_step(FhaAsk *ask, FhaAskEvent *event)
{
	CURLcode result;
	Talk *talk;

	fha_http_client_drive(&ask->client);
	while ((talk = fha_http_client_next(&ask->client, &result)) != NULL)
	{
		if (finish(ask, talk, result, event))
			continue;
		talk->used = false;
		return FHA_OK;
	}
	return FHA_AGAIN;
}

int
fha_ask_fd(const FhaAsk *ask)
{
	return ask->client.epoll;
}

int64_t
fha_ask_wake_ms(const FhaAsk *ask)
{
	return ask->client.timer_ms;
}
