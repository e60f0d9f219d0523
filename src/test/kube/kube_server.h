/*
 * kube_server.h: what the scripted server does, by the path that it is asked for.
 */
#ifndef KUBE_SERVER_H
#define KUBE_SERVER_H

#include "test/http/https_server.h"

#define SECRET "s3cret-token"

static void
answer_with(SSL *ssl, int status, const char *more_head, const char *body)
{
	char head[512];

	(void) snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n", status,
					strlen(body), more_head);
	https_send(ssl, head);
	https_send(ssl, body);
}

static void
echo(SSL *ssl, const HttpsRequest *request)
{
	static char text[20000];
	bool known = strstr(request->head, "\r\nAuthorization: Bearer " SECRET "\r\n") != NULL;

	(void) snprintf(text, sizeof(text), "%d %s %s|%s|%s|%s|%s|%s", request->connection,
					request->method, request->path, known ? "known" : "unknown", request->client,
					strstr(request->head, "merge-patch+json") != NULL ? "patch" : "",
					strstr(request->head, "User-Agent: fawkes-ha/1.") != NULL ? "ours" : "",
					request->body);
	answer_with(ssl, 200, "", text);
}

static void
chunk(SSL *ssl, const char *text)
{
	char head[32];

	(void) snprintf(head, sizeof(head), "%zx\r\n", strlen(text));
	https_send(ssl, head);
	https_send(ssl, text);
	https_send(ssl, "\r\n");
}

static void
send_lines(SSL *ssl, int count)
{
	char line[80];

	for (int i = 0; i < count; i++)
	{
		(void) snprintf(line, sizeof(line), "line %06d 0123456789012345678901234567890123456789\n",
						i);
		chunk(ssl, line);
	}
}

static bool
watch(SSL *ssl, const char *how)
{
	static char long_line[5000];

	https_send(ssl, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	if (strcmp(how, "many") == 0)
		send_lines(ssl, 5000);
	else if (strcmp(how, "long") == 0)
	{
		memset(long_line, 'x', sizeof(long_line) - 1);
		send_lines(ssl, 1);
		for (int i = 0; i < 20; i++)
			chunk(ssl, long_line);
	}
	else if (strcmp(how, "wide") == 0)
	{
		memset(long_line, 'x', sizeof(long_line) - 1);
		chunk(ssl, long_line);
		chunk(ssl, "\n");
	}
	else
	{
		chunk(ssl, "first\nsec");
		chunk(ssl, "ond\r\n\n");
		if (strcmp(how, "stall") == 0)
			(void) pause();
		if (strcmp(how, "half") == 0)
			chunk(ssl, "thi");
		else
			chunk(ssl, "third\n");
		if (strcmp(how, "cut") == 0)
			return false;
	}
	https_send(ssl, "0\r\n\r\n");
	return true;
}

static bool
https_answer(SSL *ssl, const HttpsRequest *request)
{
	const char *path = request->path;
	bool first;

	if (strncmp(path, "/marked", 7) == 0)
	{
		first = atomic_fetch_add(&shared->marked, 1) == 0;
		path += 7;
		if (strcmp(path, "/busy") == 0 && first)
			answer_with(ssl, 429, "Retry-After: 1\r\n", "");
		else if (strcmp(path, "/drop") == 0 && request->nth > 1)
			return false;
		else if (strcmp(path, "/token") == 0 &&
				 strstr(request->head, "Authorization: Bearer new\r\n") == NULL)
			answer_with(ssl, 401, "", "{\"kind\":\"Status\",\"message\":\"Unauthorized\"}");
		else
			echo(ssl, request);
		return true;
	}
	if (strncmp(path, "/status/", 8) == 0)
		answer_with(ssl, atoi(path + 8),
					atoi(path + 8) == 302 ? "Location: /echo\r\n" : "Retry-After: 7\r\n",
					"{\"kind\":\"Status\",\"reason\":\"AlreadyExists\",\"message\":\"it is\\nthere "
					"\\u001b[1m\"}");
	else if (strcmp(path, "/text") == 0)
		answer_with(ssl, 403, "", "no\r\n\x1b[31m\n");
	else if (strcmp(path, "/silent") == 0)
		(void) pause();
	else if (strcmp(path, "/cut") == 0)
		https_send(ssl, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half");
	else if (strcmp(path, "/half-head") == 0)
		https_send(ssl, "HTTP/1.1 200 OK\r\nContent-Le");
	else if (strncmp(path, "/watch/", 7) == 0)
		return watch(ssl, path + 7);
	else if (strcmp(path, "/close") != 0)
		echo(ssl, request);
	return strcmp(path, "/close") != 0 && strcmp(path, "/cut") != 0 &&
		   strcmp(path, "/half-head") != 0;
}

#endif
