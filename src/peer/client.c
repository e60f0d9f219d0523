/*
 * client.c: peer calls, with libcurl.  See peer/client.h.
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

#define QUESTION_URL_SIZE (FHA_ADDRESS_SIZE + 31)

typedef struct PeerCall
{
	bool used;
	bool again; /* its second question: with the challenge that the first one was told */
	bool older; /* with the previous key */
	FhaKey key;
	char address[FHA_ADDRESS_SIZE];
	int64_t deadline_at_ms;
	FhaQuestion question;
	FhaHttpRequest request;
	char *body;
	char mac[FHA_MAC_TEXT_SIZE]; /* of the answer, "" if it has none */
	size_t answer_size;
	char answer[FHA_MEMBER_ANSWER_MAX];
} PeerCall;

struct FhaPeerClient
{
	FhaPeerCaller caller;
	FhaKey previous;
	int64_t previous_ends_at_ms; /* 0: there is none */
	FhaHttpClient http;
	PeerCall calls[FHA_MEMBERS_MAX];
};

FhaCode
fha_peer_client_open(FhaPeerClient **out, const FhaPeerCaller *caller, FhaError *err)
{
	FhaPeerClient *client = calloc(1, sizeof(*client));
	FhaCode code;

	*out = NULL;
	if (client == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	client->caller = *caller;
	code = fha_http_client_init(&client->http, err);
	if (code != FHA_OK)
	{
		/* LCOV_EXCL_START: libcurl finds no memory */
		fha_peer_client_close(client);
		return code;
		/* LCOV_EXCL_STOP */
	}
	*out = client;
	return FHA_OK;
}

void
fha_peer_client_new_key(FhaPeerClient *client, const FhaKey *key, int64_t ends_at_ms)
{
	client->previous = client->caller.key;
	client->previous_ends_at_ms = ends_at_ms;
	client->caller.key = *key;
}

bool
fha_peer_client_has_key(const FhaPeerClient *client, const FhaKey *key)
{
	return CRYPTO_memcmp(&client->caller.key, key, sizeof(*key)) == 0;
}

static void
hang_up(FhaPeerClient *client, PeerCall *call)
{
	fha_http_request_drop(&client->http, &call->request);
	free(call->body);
	call->body = NULL;
}

void
fha_peer_client_close(FhaPeerClient *client)
{
	if (client == NULL)
		return;
	for (size_t i = 0; i < FHA_MEMBERS_MAX; i++)
		hang_up(client, &client->calls[i]);
	fha_http_client_release(&client->http);
	free(client);
}

/* More than there is room for ends the transfer. */
static size_t
call_take_body(char *data, size_t one, size_t size, void *argument)
{
	PeerCall *call = argument;

	(void) one;
	if (size > sizeof(call->answer) - call->answer_size)
		return 0;
	memcpy(call->answer + call->answer_size, data, size);
	call->answer_size += size;
	return size;
}

static size_t
call_take_header(char *data, size_t one, size_t size, void *argument)
{
	static const char name[] = FHA_MEMBER_HEADER ":";
	PeerCall *call = argument;
	size_t at = sizeof(name) - 1;

	(void) one;
	if (size <= at || strncasecmp(data, name, at) != 0)
		return size;
	while (at < size && data[at] == ' ')
		at++;
	if (size - at >= FHA_MAC_TEXT_SIZE - 1)
	{
		memcpy(call->mac, data + at, FHA_MAC_TEXT_SIZE - 1);
		call->mac[FHA_MAC_TEXT_SIZE - 1] = '\0';
	}
	return size;
}

/* The call's question, with a nonce of its own. */
static FhaCode
send_question(FhaPeerClient *client, PeerCall *call, FhaError *err)
{
	char url[QUESTION_URL_SIZE];
	char header[sizeof(FHA_MEMBER_HEADER) + FHA_MAC_TEXT_SIZE + 8];
	char mac[FHA_MAC_TEXT_SIZE];
	int64_t left_ms = call->deadline_at_ms - fha_now_ms();
	FhaCode code = fha_random_hex(call->question.nonce, sizeof(call->question.nonce), err);

	call->answer_size = 0;
	call->mac[0] = '\0';
	if (left_ms <= 0)
		return fha_error(err, FHA_TIMEOUT, "no answer in time");
	if (code == FHA_OK)
		code = fha_question_print(&call->question, &call->key, &call->body, mac, err);
	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: no memory */
	(void) snprintf(url, sizeof(url), "http://%s" FHA_MEMBER_PATH, call->address);
	(void) snprintf(header, sizeof(header), FHA_MEMBER_HEADER ": %s", mac);
	fha_http_request_make(&call->request, &(FhaHttpParts){.url = url,
														  .scheme = "http",
														  .body = call->body,
														  .body_size = strlen(call->body),
														  .whole_ms = left_ms,
														  .take_header = call_take_header,
														  .take_body = call_take_body,
														  .owner = call});
	fha_http_request_header(&call->request, header);
	fha_http_request_header(&call->request, "Content-Type: application/json");
	if (!fha_http_request_start(&client->http, &call->request))
	{
		/* LCOV_EXCL_START: libcurl finds no memory */
		hang_up(client, call);
		return fha_error(err, FHA_NO_MEMORY, "a question could not be sent");
		/* LCOV_EXCL_STOP */
	}
	return FHA_OK;
}

FhaCode
fha_peer_call_start(FhaPeerClient *client, const char *address, const char *member,
					const char *kind, const FhaPromiseTerms *terms, int64_t deadline_at_ms,
					FhaError *err)
{
	FhaQuestion *question;
	PeerCall *call = client->calls;
	FhaCode code;

	while (call < client->calls + FHA_MEMBERS_MAX && call->used)
		call++;
	if (call == client->calls + FHA_MEMBERS_MAX)
		return fha_error(err, FHA_CONFLICT, "too many questions are under way");
	if (!fha_address_is_valid(address))
		return fha_error(err, FHA_INVALID, "\"%.80s\" is not host:port", address);
	memset(call, 0, sizeof(*call));
	(void) snprintf(call->address, sizeof(call->address), "%s", address);
	call->deadline_at_ms = deadline_at_ms;
	call->key = client->caller.key;
	question = &call->question;
	(void) snprintf(question->kind, sizeof(question->kind), "%s", kind);
	memcpy(question->cluster, client->caller.cluster, sizeof(question->cluster));
	question->system_identifier = client->caller.system_identifier;
	memcpy(question->from, client->caller.member, sizeof(question->from));
	memcpy(question->from_incarnation, client->caller.incarnation,
		   sizeof(question->from_incarnation));
	(void) snprintf(question->to, sizeof(question->to), "%s", member);
	if (terms != NULL)
		question->promise = *terms;
	code = send_question(client, call, err);
	call->used = code == FHA_OK;
	return code;
}

/* By what the answer's status means; see docs/reference.md. */
static FhaCode
call_refusal(long status, const PeerCall *call, const FhaReply *reply, FhaError *err)
{
	/* Unauthenticated: nobody's word but that of whatever listens there. */
	int length = (int) (call->answer_size < 100 ? call->answer_size : 100);
	const char *text = reply->error;
	FhaCode code = status == 409   ? FHA_CONFLICT
				   : status == 501 ? FHA_NOT_FOUND
				   : status == 503 ? FHA_IO
				   : status == 400 ? FHA_PROTOCOL
								   : FHA_DENIED;

	if (text[0] != '\0')
		return fha_error(err, code, "%s", text);
	while (length > 0 && (call->answer[length - 1] == '\n' || call->answer[length - 1] == '\r'))
		length--;
	for (int i = 0; i < length; i++)
		if (call->answer[i] < ' ' || call->answer[i] > '~')
			length = i;
	return fha_error(err, code, "HTTP status %ld: %.*s", status, length, call->answer);
}

/* True: the call goes on, with the challenge it was told. */
static bool
call_finish(FhaPeerClient *client, PeerCall *call, CURLcode result, FhaPeerCallEvent *event)
{
	long status = 0;

	memset(event, 0, sizeof(*event));
	memcpy(event->member, call->question.to, sizeof(event->member));
	(void) curl_easy_getinfo(call->request.curl, CURLINFO_RESPONSE_CODE, &status);
	if (result == CURLE_OPERATION_TIMEDOUT)
		event->code = fha_error(&event->error, FHA_TIMEOUT, "no answer in time");
	else if (result == CURLE_WRITE_ERROR)
		event->code = fha_error(&event->error, FHA_PROTOCOL, "the answer is too long");
	else if (result != CURLE_OK)
		event->code = fha_error(&event->error, FHA_IO, "%s", curl_easy_strerror(result));
	else if (call->mac[0] == '\0' && status != 200)
		event->code = call_refusal(status, call, &event->reply, &event->error);
	else
		event->code = fha_reply_parse(&call->question, &call->key, call->answer, call->answer_size,
									  call->mac, &event->reply, &event->error);
	hang_up(client, call);
	if (status == 401 && !call->older && fha_now_ms() < client->previous_ends_at_ms)
	{
		call->older = true;
		call->key = client->previous;
		event->code = send_question(client, call, &event->error);
		return event->code == FHA_OK;
	}
	if (event->code != FHA_OK || status == 200)
		return false;
	if (status == 409 && !call->again)
	{
		call->again = true;
		memcpy(call->question.challenge, event->reply.challenge, FHA_ID_SIZE);
		event->code = send_question(client, call, &event->error);
		return event->code == FHA_OK;
	}
	event->code = call_refusal(status, call, &event->reply, &event->error);
	return false;
}

FhaCode
fha_peer_client_step(FhaPeerClient *client, FhaPeerCallEvent *event)
{
	CURLcode result;
	PeerCall *call;

	fha_http_client_drive(&client->http);
	while ((call = fha_http_client_next(&client->http, &result)) != NULL)
	{
		if (call_finish(client, call, result, event))
			continue;
		call->used = false;
		return FHA_OK;
	}
	return FHA_AGAIN;
}

int
fha_peer_client_fd(const FhaPeerClient *client)
{
	return client->http.epoll;
}

int64_t
fha_peer_client_wake_at_ms(const FhaPeerClient *client)
{
	return client->http.timer_at_ms;
}
