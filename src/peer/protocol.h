/*
 * protocol.h: questions between members: POST /member on the listener.
 *
 * A question is a JSON object that names the cluster, who asks, who is asked, a kind and a nonce;
 * its HMAC-SHA-256 under the cluster key stands in a header.  The answer carries the nonce back
 * under another key of the same secret, so that it belongs to this question and no other, and a
 * question is no answer.  A question also repeats the challenge of the one who is asked, who
 * remembers every nonce under it: none is answered twice.  No clock is in any of it (S3).
 *
 * The cluster key comes of the replication password in pgpass, which every member has anyway.
 */
#ifndef FHA_PEER_PROTOCOL_H
#define FHA_PEER_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "config/config.h"
#include "show/health.h"

#define FHA_MEMBER_PATH "/member"
#define FHA_MEMBER_HEADER "Fawkes-MAC"
#define FHA_MEMBER_BODY_MAX 4096    /* a question has some 300 bytes */
#define FHA_MEMBER_ANSWER_MAX 16384 /* an answer of kind status has some 1000 */
#define FHA_MAC_BYTES 32            /* SHA-256 */
#define FHA_NONCE_SIZE 33           /* 32 hex digits */
#define FHA_PEER_SERVER_NONCES 512  /* remembered under one challenge; then a new one begins */

typedef struct FhaKey
{
	unsigned char question[FHA_MAC_BYTES];
	unsigned char answer[FHA_MAC_BYTES];
	unsigned char record[FHA_MAC_BYTES]; /* signs what members take from the lock's records */
	char id[FHA_KEY_ID_SIZE];            /* of the record key */
} FhaKey;

/*
 * The cluster key, from the password of fawkes_replication in pgpass.  NOT_FOUND: no pgpass;
 * INVALID: no password in it; IO.  It takes some milliseconds.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_key_read(const FhaConfig *config, FhaKey *out, FhaError *err);

/*
 * The settings of all members with their serial, signed with the record key.  The serial is the
 * caller's to count up.  NO_MEMORY.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_settings_sign(FhaCluster *cluster, const FhaKey *key,
												 FhaError *err);

/* Did a holder of this key sign these settings, with this serial, for this cluster? */
FHA_API bool fha_settings_are_signed(const FhaCluster *cluster, const FhaKey *key);

/* Tells one content of pgpass from another; zero: there is none. */
typedef struct FhaKeyFile
{
	uint64_t device;
	uint64_t inode;
	int64_t changed_at_ns;
} FhaKeyFile;

/* Kinds of questions. */
#define FHA_KIND_STATUS "status"   /* what do you say of yourself? */
#define FHA_KIND_PROMISE "promise" /* do you promise not to contend for the lease? (S10) */

/* What a promise is asked for; zeroed in questions of other kinds. */
typedef struct FhaPromiseTerms
{
	char cluster_uuid[FHA_UUID_SIZE];
	uint64_t term;        /* in which the caller holds the lease */
	int64_t duration_ms;  /* from the receipt of the question */
	FhaPosition position; /* where the caller's WAL ends; timeline 0: it does not say */
} FhaPromiseTerms;

typedef struct FhaPromise
{
	bool given;
	char data_incarnation[FHA_ID_SIZE]; /* of who promises; "": it has no data */
	char why[FHA_SENTENCE_SIZE];        /* why not */
	bool soon;                          /* not yet: it is being written down */
} FhaPromise;

typedef struct FhaQuestion
{
	char kind[32];
	char cluster[FHA_NAME_SIZE];
	uint64_t system_identifier; /* 0: the caller does not know it */
	char from[FHA_NAME_SIZE];
	char from_incarnation[FHA_ID_SIZE];
	char to[FHA_NAME_SIZE];
	char challenge[FHA_ID_SIZE]; /* "": not known yet; the answer tells it */
	char nonce[FHA_NONCE_SIZE];
	FhaPromiseTerms promise;
} FhaQuestion;

/* Whoever decides for this node answers; *out is zeroed. */
typedef void (*FhaGivePromise)(void *argument, const FhaQuestion *asked, FhaPromise *out);

/* *text: free it; mac: its authentication. */
FHA_API FHA_MUST_CHECK FhaCode fha_question_print(const FhaQuestion *question, const FhaKey *key,
												  char **text, char mac[FHA_MAC_TEXT_SIZE],
												  FhaError *err);

/* PROTOCOL: not our JSON, a key is missing, has the wrong type or a value that cannot be. */
FHA_API FHA_MUST_CHECK FhaCode fha_question_parse(const char *data, size_t size, FhaQuestion *out,
												  FhaError *err);

/* What answers: the key and what was answered already.  Zeroed: without a key, answers 503. */
typedef struct FhaPeerServer
{
	bool open;
	FhaKey key;
	FhaKey previous; /* before the password was changed: others may not have it yet ... */
	int64_t previous_ends_at_ms; /* ... so it counts until then */
	FhaKeyFile file;             /* that the key was read from */
	FhaGivePromise promise;      /* NULL: nobody here decides anything */
	void *argument;              /* promise's */
	char challenge[FHA_ID_SIZE];
	size_t nonce_count;
	char nonces[FHA_PEER_SERVER_NONCES][FHA_NONCE_SIZE];
} FhaPeerServer;

/*
 * Read the key and begin a new challenge; as fha_key_read.  On failure the server is shut.  A key
 * that it had counts for one lease duration more.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_peer_server_open(FhaPeerServer *server, const FhaConfig *config,
													FhaError *err);

/* Was pgpass changed since the server was opened? */
FHA_API bool fha_peer_server_is_old(const FhaPeerServer *server, const FhaConfig *config);

typedef struct FhaPeerServerReply
{
	int status;                  /* HTTP; see docs/reference.md */
	char *text;                  /* free it; NULL: out of memory */
	char mac[FHA_MAC_TEXT_SIZE]; /* "": not authenticated */
} FhaPeerServerReply;

/* The answer to a body of `size` bytes with this header (NULL: none). */
FHA_API void fha_peer_server_answer(FhaPeerServer *server, const FhaHealth *health,
									const char *body, size_t size, const char *mac,
									FhaPeerServerReply *out);

/* An answer that has been found to be one to the question. */
typedef struct FhaReply
{
	char challenge[FHA_ID_SIZE];   /* of the one who was asked */
	char error[FHA_SENTENCE_SIZE]; /* "": answered */
	/* Kind status: what it says of itself. */
	char role[FHA_WORD_SIZE];
	char incarnation[FHA_ID_SIZE];
	char answered_by[FHA_WORD_SIZE];
	bool fence_open;
	int64_t fence_left_ms;
	uint64_t term;
	FhaPosition position;
	char because[FHA_SENTENCE_SIZE];
	/* Kind promise. */
	FhaPromise promise;
} FhaReply;

/* DENIED: not authenticated, or not the answer to this question.  PROTOCOL: nonsense in it. */
FHA_API FHA_MUST_CHECK FhaCode fha_reply_parse(const FhaQuestion *asked, const FhaKey *key,
											   const char *data, size_t size, const char *mac,
											   FhaReply *out, FhaError *err);

#endif
