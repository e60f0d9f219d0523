/*
 * sim_judge.c: the promises, held against what happens.
 *
 * It knows the world's time and each disk, and nothing of what nodes believe.
 */
#include <stdlib.h>
#include <string.h>

#include "test/sim/sim.h"

#define TERMS 4096

typedef struct Commit
{
	uint64_t lsn;
	uint64_t term; /* in which it was acknowledged; 0: it was not */
	unsigned had;  /* which hosts' disks have had it */
	bool released; /* the last member that stopped cleanly has it */
	bool lost;     /* a leader came that does not have it */
	bool given_up; /* who took the lease does not have it, and may */
} Commit;

static Commit *commits; /* by the record's id */
static size_t commit_room;
static size_t acknowledged;
static size_t lost;
static uint64_t newest_term;
static int term_host[TERMS]; /* 1 + host; 0: nobody led in it */
static size_t terms;
static int released_by; /* cleanly, and nobody led since; -1: nobody */
static bool forced;
static bool rolled_back;
static bool strict;
/* What each host's disk remembers: of promises, and of records. */
static struct
{
	uint64_t heard_term;
	uint64_t heard_lsn;
	uint64_t seen_term;
} memory[SIM_HOSTS];

void
judge_clear(void)
{
	free(commits);
	commits = NULL;
	commit_room = acknowledged = lost = terms = 0;
	newest_term = 0;
	memset(term_host, 0, sizeof(term_host));
	released_by = -1;
	forced = rolled_back = strict = false;
	memset(memory, 0, sizeof(memory));
}

static Commit *
commit_of(uint32_t id)
{
	if (id >= commit_room)
	{
		size_t room = commit_room == 0 ? 4096 : commit_room;

		while (room <= id)
			room *= 2;
		commits = realloc(commits, room * sizeof(*commits));
		if (commits == NULL)
			abort();
		memset(commits + commit_room, 0, (room - commit_room) * sizeof(*commits));
		commit_room = room;
	}
	return &commits[id];
}

void
judge_has(const SimHost *host, size_t from)
{
	for (size_t i = from; i < host->wal.count; i++)
		commit_of(host->wal.of[i].id)->had |= 1u << host->index;
}

void
judge_has_nothing(const SimHost *host)
{
	for (size_t id = 0; id < commit_room; id++)
		commits[id].had &= ~(1u << host->index);
	judge_forgets(host);
}

void
judge_forgets(const SimHost *host)
{
	memset(&memory[host->index], 0, sizeof(memory[0]));
}

void
judge_commit(const SimHost *host, const SimRecord *record)
{
	(void) host;
	commit_of(record->id)->lsn = record->lsn;
}

void
judge_released(const SimHost *host)
{
	released_by = host->index;
	for (size_t id = 0; id < commit_room; id++)
		commits[id].released = false;
	for (size_t i = 0; i < host->wal.count; i++)
		commit_of(host->wal.of[i].id)->released = true;
}

void
judge_forced(void)
{
	forced = true;
}

void
judge_rolled_back(void)
{
	rolled_back = true;
}

void
judge_strict(bool is_strict)
{
	strict = is_strict;
}

void
judge_saw(const SimHost *host, uint64_t term)
{
	if (term > memory[host->index].seen_term)
		memory[host->index].seen_term = term;
}

void
judge_promised(const SimHost *host, const FhaPromiseTerms *asked)
{
	judge_saw(host, asked->term);
	if (asked->term > memory[host->index].heard_term)
		memory[host->index].heard_lsn = 0;
	if (asked->term >= memory[host->index].heard_term)
	{
		memory[host->index].heard_term = asked->term;
		if (asked->position.lsn > memory[host->index].heard_lsn &&
			asked->position.lsn != FHA_LSN_UNREAD)
			memory[host->index].heard_lsn = asked->position.lsn;
	}
}

/* Which records does it have, by their ids?  To be freed. */
static bool *
records_of(const SimHost *host)
{
	bool *here = sim_alloc(commit_room + 1);

	memset(here, 0, commit_room + 1);
	for (size_t i = 0; i < host->wal.count; i++)
		here[host->wal.of[i].id] = true;
	return here;
}

/* The furthest position of the holder of that record that is known to this member. */
static uint64_t
told_lsn(const SimHost *host, const FhaCluster *record)
{
	uint64_t told = record->position.lsn;

	if (told == FHA_LSN_UNREAD)
		told = 0;
	if (record->released && record->release.lsn != FHA_LSN_UNREAD && record->release.lsn > told)
		told = record->release.lsn;
	if (memory[host->index].heard_term == record->term && memory[host->index].heard_lsn > told)
		told = memory[host->index].heard_lsn;
	return told;
}

void
judge_took(const SimHost *host, const FhaCluster *before)
{
	uint64_t told = told_lsn(host, before);
	uint64_t limit = (uint64_t) host->config.max_lag_on_failover_bytes;
	bool *here;

	/* A holder begins a new term for data that is past its timeline. */
	if (rolled_back || forced ||
		(!before->released && strcmp(before->holder, host->config.member_name) == 0))
		return;
	here = records_of(host);
	for (size_t id = 0; id < commit_room; id++)
	{
		Commit *commit = &commits[id];

		if (commit->term == 0 || commit->lost || commit->given_up || here[id])
			continue;
		if (commit->lsn + limit < told)
			sim_fail("%s takes the lease of term %llu without commit %zu, which ends at %llu: the "
					 "limit is %llu behind %llu",
					 host->config.member_name, (unsigned long long) before->term, id,
					 (unsigned long long) commit->lsn, (unsigned long long) limit,
					 (unsigned long long) told);
		commit->given_up = true;
	}
	free(here);
}

void
judge_told_lineage(const SimHost *host)
{
	bool *here = records_of(host);
	bool has_all = true;

	for (size_t id = 0; id < commit_room; id++)
		has_all = has_all && (!commits[id].released || here[id]);
	if (has_all)
		released_by = -1;
	free(here);
}

/* A member begins to lead: what was acknowledged that it does not have? */
static void
count_losses(const SimHost *host)
{
	bool *here = records_of(host);

	for (size_t id = 0; id < commit_room; id++)
	{
		Commit *commit = &commits[id];

		if (commit->term == 0)
			continue;
		if (here[id])
		{
			commit->given_up = false;
			if (commit->lost && !rolled_back)
				sim_fail(
					"%s leads term %llu with commit %zu of term %llu, which a leader before it "
					"did not have",
					host->config.member_name, (unsigned long long) host->open_term, id,
					(unsigned long long) commit->term);
			continue;
		}
		if (commit->lost)
			continue;
		commit->lost = true;
		lost++;
		if (rolled_back)
			continue;
		if (strict)
			sim_fail("%s leads term %llu without commit %zu of term %llu, although nothing "
					 "happened that may lose it",
					 host->config.member_name, (unsigned long long) host->open_term, id,
					 (unsigned long long) commit->term);
		if ((commit->had & (1u << host->index)) != 0)
			sim_fail("%s leads term %llu without commit %zu of term %llu, which its disk had",
					 host->config.member_name, (unsigned long long) host->open_term, id,
					 (unsigned long long) commit->term);
		else if (released_by >= 0 && commit->released && !forced)
			sim_fail("%s leads term %llu without commit %zu of term %llu, although %s stopped "
					 "cleanly and had released the lease with its end",
					 host->config.member_name, (unsigned long long) host->open_term, id,
					 (unsigned long long) commit->term, sim_hosts[released_by].config.member_name);
	}
	free(here);
}

/* A copy may go on with the term of its original, if that was down when it was copied. */
static bool
is_same_member(const SimHost *a, const SimHost *b)
{
	return strcmp(a->config.member_name, b->config.member_name) == 0;
}

void
judge_fence(const SimHost *host)
{
	uint64_t term = host->open_term;

	for (int i = 0; i < sim_host_count; i++)
	{
		const SimHost *other = &sim_hosts[i];

		if (i != host->index && other->open_until > host->open_from &&
			other->open_from < host->open_until)
			sim_fail("two fences are open: %s's (term %llu) from %lld to %lld us, %s's (term %llu) "
					 "from %lld to %lld us",
					 host->config.member_name, (unsigned long long) term,
					 (long long) host->open_from, (long long) host->open_until,
					 other->config.member_name, (unsigned long long) other->open_term,
					 (long long) other->open_from, (long long) other->open_until);
	}
	if (term >= TERMS)
		sim_fail("term %llu is too high for the simulation", (unsigned long long) term);
	else if (term < memory[host->index].seen_term)
		sim_fail("%s leads term %llu, and has seen term %llu", host->config.member_name,
				 (unsigned long long) term, (unsigned long long) memory[host->index].seen_term);
	else if (!rolled_back && term_host[term] != 0 &&
			 !is_same_member(host, &sim_hosts[term_host[term] - 1]))
		sim_fail("two led in term %llu: %s and %s", (unsigned long long) term,
				 host->config.member_name, sim_hosts[term_host[term] - 1].config.member_name);
	else if (!rolled_back && term < newest_term)
		sim_fail("%s leads term %llu after term %llu was led", host->config.member_name,
				 (unsigned long long) term, (unsigned long long) newest_term);
	else
	{
		if (host->open_from == sim_host_us(host))
		{
			count_losses(host);
			released_by = -1;
			forced = forced && term == newest_term;
		}
		if (term_host[term] == 0)
			terms++;
		term_host[term] = host->index + 1;
		newest_term = term;
	}
}

void
judge_acknowledged(const SimHost *host, uint32_t id, uint64_t lsn)
{
	Commit *commit = commit_of(id);

	(void) lsn;
	acknowledged++;
	if (!rolled_back && host->open_term != newest_term)
		sim_fail("%s acknowledges in term %llu, and term %llu was led since",
				 host->config.member_name, (unsigned long long) host->open_term,
				 (unsigned long long) newest_term);
	commit->term = host->open_term;
}

bool
judge_leads(const SimHost *host)
{
	return host->phase == SIM_PRIMARY && sim_us >= host->open_from && sim_us < host->open_until;
}

static bool
follows(const SimHost *host, const SimHost *leader)
{
	return host->phase == SIM_STANDBY && host->streaming && host->leader == leader->index &&
		   host->wal.count + 200 > leader->wal.count;
}

bool
judge_is_settled(void)
{
	int leader = -1;

	for (int i = 0; i < sim_host_count; i++)
		if (sim_hosts[i].phase == SIM_PRIMARY && sim_hosts[i].open_until > sim_us)
			leader = i;
	for (int i = 0; i < sim_host_count; i++)
		if (leader < 0 ||
			(i != leader && !sim_hosts[i].gone && !follows(&sim_hosts[i], &sim_hosts[leader])))
			return false;
	return true;
}

size_t
judge_count(void)
{
	return acknowledged;
}

size_t
judge_lost(void)
{
	return lost;
}

size_t
judge_terms(void)
{
	return terms;
}
