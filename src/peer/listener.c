/*
 * listener.c: what a member answers over HTTP.  See peer/listener.h.
 */
#include "peer/listener.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From the accept to the last byte of the answer. */
#define CONNECTION_MS 2000

typedef struct MemberService
{
	FhaTell tell;
	void *argument;
	FhaConfig config;
	FhaPeerServer server;
} MemberService;

static void
listener_look(const MemberService *service, FhaHealth *out)
{
	*out = (FhaHealth){.decision = "hold", .because = "starting"};
	service->tell(service->argument, out);
}

static void
answer_check(void *argument, const FhaAsked *asked, FhaAnswer *out)
{
	FhaHealth health;
	char *text;
	int status;

	listener_look(argument, &health);
	status = fha_health_check(&health, (FhaHealthCheck) asked->route->what, asked->query, &text);
	fha_answer_give(out, status, text);
}

static void
answer_status(void *argument, const FhaAsked *asked, FhaAnswer *out)
{
	FhaHealth health;

	(void) asked;
	listener_look(argument, &health);
	fha_answer_give(out, 200, fha_health_print(&health));
}

static void
open_server(MemberService *service)
{
	FhaError ignored;

	if (fha_peer_server_open(&service->server, &service->config, &ignored) != FHA_OK)
		service->server.open = false;
}

static void
answer_member(void *argument, const FhaAsked *asked, FhaAnswer *out)
{
	MemberService *service = argument;
	FhaHealth health;
	FhaPeerServerReply reply;
	bool signed_too;

	/* The pgpass of a new member may be copied while it waits for it. */
	if (!service->server.open)
		open_server(service);
	listener_look(service, &health);
	fha_peer_server_answer(&service->server, &health, asked->body, asked->size, asked->header,
						   &reply);
	/* The password may be new here, and nobody has told us to reload. */
	if (reply.status == 401 && fha_peer_server_is_old(&service->server, &service->config))
	{
		free(reply.text);
		open_server(service);
		fha_peer_server_answer(&service->server, &health, asked->body, asked->size, asked->header,
							   &reply);
	}
	signed_too = reply.mac[0] != '\0' && reply.status != 401;
	fha_answer_give(out, reply.status, reply.text);
	out->type = signed_too ? "application/json" : "text/plain";
	out->header = signed_too ? FHA_MEMBER_HEADER : reply.status == 401 ? "WWW-Authenticate" : NULL;
	(void) snprintf(out->value, sizeof(out->value), "%s", signed_too ? reply.mac : "Fawkes-MAC");
}

/* What load balancers and kubelets ask, by any name of this machine. */
#define CHECK(path_, what_)                                                                     \
	{                                                                                           \
		.path = path_, .methods = FHA_GET | FHA_HEAD | FHA_OPTIONS, .asker = FHA_ASKER_ANYBODY, \
		.type = "text/plain", .answer = answer_check, .what = what_                             \
	}

static const FhaRoute routes[] = {
	CHECK("/healthz", FHA_CHECK_ALIVE),
	CHECK("/livez", FHA_CHECK_ALIVE),
	CHECK("/readyz", FHA_CHECK_READY),
	CHECK("/primary", FHA_CHECK_PRIMARY),
	CHECK("/read-write", FHA_CHECK_PRIMARY),
	CHECK("/replica", FHA_CHECK_REPLICA),
	CHECK("/read-only", FHA_CHECK_READY),
	{.path = "/status",
	 .methods = FHA_GET | FHA_HEAD | FHA_OPTIONS,
	 .asker = FHA_ASKER_ANYBODY,
	 .type = "application/json",
	 .answer = answer_status},
	/* The MAC of its body says whether a member asks. */
	{.path = FHA_MEMBER_PATH,
	 .methods = FHA_POST,
	 .asker = FHA_ASKER_ANYBODY,
	 .body_max = FHA_MEMBER_BODY_MAX,
	 .header = FHA_MEMBER_HEADER,
	 .type = "application/json",
	 .answer = answer_member},
	{.path = NULL},
};

FhaCode
fha_listener_open(FhaListener **out, int fd, const FhaConfig *config, FhaTell tell,
				  FhaGivePromise promise, void *argument, FhaError *err)
{
	MemberService *member = calloc(1, sizeof(*member));
	FhaService service = {
		.routes = routes, .argument = member, .close = free, .connection_ms = CONNECTION_MS};
	FhaCode code;

	*out = NULL;
	if (member == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	member->tell = tell;
	member->argument = argument;
	member->server.promise = promise;
	member->server.argument = argument;
	code = fha_listener_serve(out, fd, &service, err);
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
