/*
 * client.c: libcurl's multi interface behind one epoll descriptor.  See http/client.h.
 *
 * libcurl tells which sockets it waits for, and we watch them.
 */
#include "http/client.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"

static int
watch_socket(CURL *curl, curl_socket_t fd, int what, void *argument, void *known)
{
	FhaHttpClient *client = argument;
	struct epoll_event interest = {.data.fd = fd};

	(void) curl;
	if (what == CURL_POLL_REMOVE)
	{
		(void) epoll_ctl(client->epoll, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	if (what != CURL_POLL_OUT)
		interest.events |= EPOLLIN;
	if (what != CURL_POLL_IN)
		interest.events |= EPOLLOUT;
	if (epoll_ctl(client->epoll, known == NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &interest) != 0)
		return -1; /* LCOV_EXCL_LINE: the kernel refuses */
	(void) curl_multi_assign(client->multi, fd, client);
	return 0;
}

static int
set_timer(CURLM *multi, long timeout_ms, void *argument)
{
	FhaHttpClient *client = argument;

	(void) multi;
	client->timer_at_ms = timeout_ms < 0 ? INT64_MAX : fha_now_ms() + timeout_ms;
	return 0;
}

FhaCode
fha_http_client_init(FhaHttpClient *client, FhaError *err)
{
	client->multi = NULL;
	client->timer_at_ms = INT64_MAX;
	client->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (client->epoll >= 0 && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		client->multi = curl_multi_init();
	if (client->multi == NULL ||
		curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, watch_socket) != CURLM_OK ||
		curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client) != CURLM_OK ||
		curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, set_timer) != CURLM_OK ||
		curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client) != CURLM_OK)
		return fha_error(err, FHA_IO, "no HTTP client"); /* LCOV_EXCL_LINE: no memory */
	return FHA_OK;
}

void
fha_http_client_release(FhaHttpClient *client)
{
	if (client->multi != NULL)
		(void) curl_multi_cleanup(client->multi);
	if (client->epoll >= 0)
		(void) close(client->epoll);
	client->multi = NULL;
	client->epoll = -1;
}

bool
fha_http_client_start(FhaHttpClient *client, CURL *curl)
{
	return curl_multi_add_handle(client->multi, curl) == CURLM_OK;
}

/* libcurl looks names up in threads of its own: none of them may take a signal that is its host's. */
static void
client_act(FhaHttpClient *client, curl_socket_t fd, int what)
{
	sigset_t all;
	sigset_t before;
	int running;

	(void) sigfillset(&all);
	(void) pthread_sigmask(SIG_SETMASK, &all, &before);
	(void) curl_multi_socket_action(client->multi, fd, what, &running);
	(void) pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void
fha_http_client_drop(FhaHttpClient *client, CURL **curl)
{
	if (*curl == NULL)
		return;
	(void) curl_multi_remove_handle(client->multi, *curl);
	curl_easy_cleanup(*curl);
	*curl = NULL;
}

void
fha_http_client_drive(FhaHttpClient *client)
{
	struct epoll_event events[16];
	int count = epoll_wait(client->epoll, events, 16, 0);

	for (int i = 0; i < count; i++)
	{
		int what = (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? CURL_CSELECT_IN : 0) |
				   (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
				   (events[i].events & EPOLLERR ? CURL_CSELECT_ERR : 0);

		client_act(client, events[i].data.fd, what);
	}
	if (fha_now_ms() >= client->timer_at_ms)
	{
		client->timer_at_ms = INT64_MAX;
		client_act(client, CURL_SOCKET_TIMEOUT, 0);
	}
}

void *
fha_http_client_next(FhaHttpClient *client, CURLcode *result)
{
	const CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(client->multi, &left)) != NULL)
	{
		char *private = NULL;

		*result = message->data.result;
		if (message->msg == CURLMSG_DONE &&
			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private) == CURLE_OK)
			return private;
	}
	return NULL;
}
