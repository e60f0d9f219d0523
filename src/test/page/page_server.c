/*
 * page_server.c: serves the status page of what a file says, for tests of the page in a browser.
 *
 * page_server FILE: prints its port.  FILE has a snapshot, and is read at each request; whoever writes
 * it is to rename a whole one into place.  Each request is a sample of the lag.  The holder's renewals
 * are seen as a member sees them, by the record's change.
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "record/record.h"
#include "show/page.h"
#include "show/status_document.h"
#include "test/show/snapshot_text.h"

#define SNAPSHOT_SIZE (256 * 1024)

static const char *path_of_snapshot;
static FhaLagRing ring;
static FhaVitals vitals = {.postgres = FHA_PG_STANDBY};
static FhaFenceState fence;
static FhaSnapshot snapshot;

static void
look(const char *text)
{
	static char seen[FHA_TIME_SIZE];

	vitals.at_ms = fha_now_ms();
	vitals.known = snapshot_read(text, &snapshot);
	if (!vitals.known || strcmp(seen, snapshot.cluster.renewed_at) == 0)
		return;
	(void) snprintf(seen, sizeof(seen), "%s", snapshot.cluster.renewed_at);
	vitals.renewed_at_ms = vitals.at_ms;
}

static char *
document(void)
{
	static char text[SNAPSHOT_SIZE];
	FILE *file = fopen(path_of_snapshot, "r");
	size_t size = file == NULL ? 0 : fread(text, 1, sizeof(text) - 1, file);
	FhaServerFacts facts;
	FhaStatusInput input = {.snapshot = &snapshot,
							.server = &facts,
							.vitals = &vitals,
							.fence = &fence,
							.agent = true,
							.wall_s = (int64_t) time(NULL),
							.ring = &ring};
	char *out = NULL;

	if (file != NULL)
		(void) fclose(file);
	text[size] = '\0';
	look(text);
	fha_facts_begin(&facts);
	input.now_ms = fha_now_ms();
	fha_status_sample(&ring, &snapshot, input.now_ms);
	return fha_status_document(&input, &out, NULL) == FHA_OK ? out : NULL;
}

static enum MHD_Result
handle(void *argument, struct MHD_Connection *connection, const char *path, const char *verb,
	   const char *version, const char *data, size_t *data_size, void **context)
{
	FhaPageFile file = {.type = "application/json"};
	struct MHD_Response *response;
	unsigned status = MHD_HTTP_OK;
	enum MHD_Result result;

	(void) argument, (void) verb, (void) version, (void) data, (void) data_size, (void) context;
	if (fha_page_file(path, &file))
		response = MHD_create_response_from_buffer(file.size, (void *) (uintptr_t) file.body,
												   MHD_RESPMEM_PERSISTENT);
	else
	{
		char *text = strcmp(path, "/status") == 0 ? document() : NULL;

		status = text == NULL ? MHD_HTTP_NOT_FOUND : MHD_HTTP_OK;
		response = MHD_create_response_from_buffer(text == NULL ? 0 : strlen(text), text,
												   MHD_RESPMEM_MUST_FREE);
	}
	if (response == NULL)
		return MHD_NO;
	(void) MHD_add_response_header(response, "Content-Type", file.type);
	for (const FhaHttpHeader *header = fha_page_headers(); header->name != NULL; header++)
		(void) MHD_add_response_header(response, header->name, header->value);
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

int
main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const union MHD_DaemonInfo *info;
	struct MHD_Daemon *daemon;

	if (argc != 2)
		return 2;
	path_of_snapshot = argv[1];
	daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, handle, NULL,
							  MHD_OPTION_SOCK_ADDR, (struct sockaddr *) &address, MHD_OPTION_END);
	info = daemon == NULL ? NULL : MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
	if (info == NULL)
		return 1;
	(void) printf("%d\n", info->port);
	(void) fflush(stdout);
	for (;;)
		(void) pause();
}
