/*
 * listener.c: what a member answers over HTTP.  See peer/listener.h.
 */
#include "peer/listener.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct MemberService
{
	FhaTell tell;
	void *argument;
	FhaConfig config;
	FhaPeerServer server;
} MemberService;

static void
answer_health(void *argument, const char *path, const char *query, const char *verb, FhaAnswer *out)
{
	const MemberService *service = argument;
	bool known =
		strcmp(verb, "GET") == 0 || strcmp(verb, "HEAD") == 0 || strcmp(verb, "OPTIONS") == 0;
	FhaHealthAnswer answer;
	FhaHealth health = {.decision = "hold", .because = "starting"};

	service->tell(service->argument, &health);
	fha_health_answer(&health, path, query, known, &answer);
	out->status = answer.status;
	out->text = answer.text;
	out->type = answer.json ? "application/json" : "text/plain";
	out->header = answer.wrong_verb ? "Allow" : NULL;
	(void) snprintf(out->value, sizeof(out->value), "GET, HEAD, OPTIONS");
}

static void
open_server(MemberService *service)
{
	FhaError ignored;

	if (fha_peer_server_open(&service->server, &service->config, &ignored) != FHA_OK)
		service->server.open = false;
}

static void
answer_member(void *argument, const char *body, size_t size, const char *mac, FhaAnswer *out)
{
	MemberService *service = argument;
	FhaHealth health = {.decision = "hold", .because = "starting"};
	FhaPeerServerReply reply;
	bool signed_too;

	/* The pgpass of a new member may be copied while it waits for it. */
	if (!service->server.open)
		open_server(service);
	service->tell(service->argument, &health);
	fha_peer_server_answer(&service->server, &health, body, size, mac, &reply);
	/* The password may be new here, and nobody has told us to reload. */
	if (reply.status == 401 && fha_peer_server_is_old(&service->server, &service->config))
	{
		free(reply.text);
		open_server(service);
		fha_peer_server_answer(&service->server, &health, body, size, mac, &reply);
	}
	signed_too = reply.mac[0] != '\0' && reply.status != 401;
	out->status = reply.status;
	out->text = reply.text;
	out->type = signed_too ? "application/json" : "text/plain";
	out->header = signed_too ? FHA_MEMBER_HEADER : reply.status == 401 ? "WWW-Authenticate" : NULL;
	(void) snprintf(out->value, sizeof(out->value), "%s", signed_too ? reply.mac : "Fawkes-MAC");
}

FhaCode
fha_listener_open(FhaListener **out, int fd, const FhaConfig *config, FhaTell tell,
				  FhaGivePromise promise, void *argument, FhaError *err)
{
	MemberService *member = calloc(1, sizeof(*member));
	FhaService service = {.ask = answer_health,
						  .post = answer_member,
						  .post_path = FHA_MEMBER_PATH,
						  .post_header = FHA_MEMBER_HEADER,
						  .body_max = FHA_MEMBER_BODY_MAX,
						  .not_posted = "members' questions come by POST\n",
						  .too_long = "the question is too long\n",
						  .close = free,
						  .argument = member};
	FhaCode code;

	*out = NULL;
	if (member == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	member->tell = tell;
	member->argument = argument;
	member->server.promise = promise;
	member->server.argument = argument;
	code = fha_listener_open_service(out, fd, &service, err);
	if (code != FHA_OK)
	{
		/* LCOV_EXCL_START: libmicrohttpd refuses */
		free(member);
		return code;
		/* LCOV_EXCL_STOP */
	}
	fha_listener_reload(*out, config);
	return FHA_OK;
}

void
fha_listener_reload(FhaListener *listener, const FhaConfig *config)
{
	MemberService *service = fha_listener_argument(listener);

	service->config = *config;
	open_server(service);
}
