/*
 * speakers.h: which processes have spoken for a node under one incarnation, and how far each counted
 * its nonces (S1b).
 *
 * It lies in memory that these processes share, beside the ack watermark: so it lives as long as the
 * incarnation does, no disk can refuse it, and a machine that is copied while it runs has what was
 * noted up to then, and nothing of what is noted on the other machine.  One process writes at a
 * time, the one that has the ownership lock.  Zeroed: nobody has spoken.
 */
#ifndef FHA_NODE_SPEAKERS_H
#define FHA_NODE_SPEAKERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A write of one that is older than these is taken for a copy's. */
#define FHA_SPEAKERS_MAX 16

typedef struct FhaSpeakers
{
	_Atomic uint32_t count;                    /* so many have spoken; the newest ones are kept */
	_Atomic uint64_t newest[FHA_SPEAKERS_MAX]; /* the tag and the count of its newest nonce */
} FhaSpeakers;

/* This process is about to send a write with that nonce. */
void fha_speakers_note(FhaSpeakers *speakers, const char *nonce);

/* A process that notes nothing, of a version before this, has written with that nonce. */
void fha_speakers_note_silent(FhaSpeakers *speakers, const char *nonce);

/* Is that nonce one which a process that was noted has made? */
bool fha_speakers_know(const FhaSpeakers *speakers, const char *nonce);

bool fha_speakers_are_none(const FhaSpeakers *speakers);

#endif
