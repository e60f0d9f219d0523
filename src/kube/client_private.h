/*
 * client_private.h: a request under way, between kube/client.c, which begins and ends it, and
 * kube/send.c, which makes a transfer of libcurl of it.
 */
#ifndef FHA_KUBE_CLIENT_PRIVATE_H
#define FHA_KUBE_CLIENT_PRIVATE_H

#include "http/request.h"
#include "kube/answer.h"
#include "kube/client.h"
#include "base/secret.h"

typedef struct FhaKubeTransfer
{
	unsigned id; /* 0: the place is free */
	FhaKubeVerb verb;
	char *url;
	char *body;
	size_t body_size;
	size_t answer_max;
	int64_t deadline_at_ms;
	int64_t silence_ms;

	FhaHttpRequest request;
	bool sent;        /* the server may have read it */
	bool headed;      /* the head of its answer is there */
	size_t head_size; /* of that head so far */
	bool too_long;    /* what ended the transfer, if we did */
	bool no_memory;
	bool paused;         /* a watch: until its lines are taken */
	bool token_again;    /* after 401 the token was read again */
	int64_t again_at_ms; /* to be sent again then; 0: no */
	int64_t heard_at_ms; /* a watch: its last byte */
	FhaKubeAnswer answer;

	bool ended; /* event says how; its lines come before it */
	FhaKubeEvent event;
} FhaKubeTransfer;

struct FhaKube
{
	FhaKubeConfig config;
	FhaSecret token;
	FhaSecret ca;
	FhaSecret client_cert;
	FhaSecret client_key;
	FhaHttpClient client;
	unsigned last_id;
	int64_t failed_at_ms;  /* a connection went bad; 0: none has yet */
	FhaKubeTransfer *held; /* its end was told: it is kept for its data */
	FhaKubeTransfer transfers[FHA_KUBE_REQUESTS_MAX];
};

/* A watch that goes on: its answer is lines, not a whole. */
bool fha_kube_is_stream(const FhaKubeTransfer *transfer);

/* For the first time, or after an answer that allows another.  False: no memory. */
FHA_MUST_CHECK bool fha_kube_send(FhaKube *kube, FhaKubeTransfer *transfer, int64_t now_ms);

/* Nothing of the request is on its way any more. */
void fha_kube_hang_up(FhaKube *kube, FhaKubeTransfer *transfer);

#endif
