/*
 * sim_lock.c: in place of lock/dir/driver.c: the lock in memory, at the other end of a network.
 *
 * A request is applied when it arrives, and its reply comes later.  Either may be lost or late: a
 * write may be applied after its sender was told that nobody knows.
 */
#include "lock/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "record/record.h"
#include "record/request.h"
#include "test/sim/sim.h"

#define CLUSTER "db"
#define RECORDS 64
#define NAME_SIZE 128
#define WATCH_RETRY_US (500 * SIM_MS)

typedef struct Stored
{
	char name[NAME_SIZE];
	uint64_t version;
	char *text;
} Stored;

/* Something that has come to a handle. */
typedef struct Told
{
	struct Told *next;
	FhaLockEventKind kind;
	FhaCode code;
	char name[NAME_SIZE];
	uint64_t version; /* 0: no record */
	bool has_text;
	char text[];
} Told;

typedef struct SimLock
{
	FhaLock base;
	struct SimLock *next;
	uint64_t id;
	SimHost *host;
	int fd;
	bool watch;
	bool watching;      /* it has been told what there is, and is told what changes */
	int64_t told_at_us; /* what the watch told last comes then */
	uint64_t request;
	Told *first;
	Told **last;
} SimLock;

/* On its way, there or back. */
typedef struct Parcel
{
	uint64_t lock;
	uint64_t request; /* 0: of the watch */
	int host;
	FhaLockVerb verb;
	FhaLockEventKind kind;
	FhaCode code;
	char name[NAME_SIZE];
	uint64_t version;
	bool has_text;
	char text[];
} Parcel;

bool sim_lock_outage;
bool sim_lock_stalls;
int sim_lock_loss;

static Stored store[RECORDS];
static size_t store_count;
static Stored kept[RECORDS]; /* an older copy */
static size_t kept_count;
static uint64_t
	highest_before; /* version of the cluster's record that the lock had when it was put back */
static char *newest_text; /* the cluster's record as it was last in the highest term */
static uint64_t newest_term;
static SimLock *handles;
static uint64_t last_id;

static void
forget(Stored *records, size_t *count)
{
	for (size_t i = 0; i < *count; i++)
		free(records[i].text);
	memset(records, 0, RECORDS * sizeof(*records));
	*count = 0;
}

void
sim_lock_clear(void)
{
	forget(store, &store_count);
	forget(kept, &kept_count);
	free(newest_text);
	newest_text = NULL;
	newest_term = 0;
	highest_before = 0;
	sim_lock_outage = sim_lock_stalls = false;
	sim_lock_loss = 0;
}

static SimLock *
find_handle(uint64_t id)
{
	SimLock *at = handles;

	while (at != NULL && at->id != id)
		at = at->next;
	return at;
}

static Stored *
find_record(const char *name)
{
	for (size_t i = 0; i < store_count; i++)
		if (strcmp(store[i].name, name) == 0)
			return &store[i];
	return NULL;
}

static bool
is_reachable(const SimHost *host)
{
	return !sim_lock_outage && !host->cut_from_lock;
}

static int64_t
delay_us(void)
{
	return sim_chance(sim_habits.late_lock) ? sim_between(SIM_MS, 1800 * SIM_MS)
											: sim_between(100, 8 * SIM_MS);
}

static Parcel *
make_parcel(const SimLock *lock, FhaLockEventKind kind, const char *name, const char *text)
{
	size_t size = text == NULL ? 0 : strlen(text);
	Parcel *parcel = sim_alloc(sizeof(*parcel) + size + 1);

	memset(parcel, 0, sizeof(*parcel));
	parcel->lock = lock->id;
	parcel->host = lock->host->index;
	parcel->kind = kind;
	(void) snprintf(parcel->name, sizeof(parcel->name), "%s", name);
	parcel->has_text = text != NULL;
	if (text != NULL)
		memcpy(parcel->text, text, size);
	parcel->text[size] = '\0';
	return parcel;
}

static Parcel *
copy_parcel(const Parcel *parcel)
{
	size_t size = sizeof(*parcel) + strlen(parcel->text) + 1;
	Parcel *copy = sim_alloc(size);

	memcpy(copy, parcel, size);
	return copy;
}

/* --- to a handle */

static void
deliver(SimLock *lock, const Parcel *parcel, FhaCode code)
{
	size_t size = strlen(parcel->text);
	Told *told = sim_alloc(sizeof(*told) + size + 1);

	told->next = NULL;
	told->kind = parcel->kind;
	told->code = code;
	memcpy(told->name, parcel->name, sizeof(told->name));
	told->version = parcel->version;
	told->has_text = parcel->has_text;
	memcpy(told->text, parcel->text, size + 1);
	*lock->last = told;
	lock->last = &told->next;
	sim_host_wake(lock->host);
}

static void
come_back(void *argument)
{
	const Parcel *parcel = argument;
	SimLock *lock = find_handle(parcel->lock);

	if (lock == NULL)
		return;
	if (parcel->request == 0)
		deliver(lock, parcel, FHA_OK);
	else if (lock->request == parcel->request)
	{
		lock->request = 0;
		deliver(lock, parcel, parcel->code);
	}
}

static void
expire(void *argument)
{
	Parcel *parcel = argument;
	SimLock *lock = find_handle(parcel->lock);

	if (lock == NULL || lock->request != parcel->request)
		return;
	lock->request = 0;
	parcel->version = 0;
	parcel->has_text = false;
	parcel->text[0] = '\0';
	deliver(lock, parcel, fha_lock_verb_writes(parcel->verb) ? FHA_UNKNOWN : FHA_TIMEOUT);
}

/* --- the watch */

static void
tell(SimLock *lock, FhaLockEventKind kind, const Stored *record)
{
	Parcel *parcel = make_parcel(lock, kind, record == NULL ? "" : record->name,
								 record == NULL ? NULL : record->text);
	int64_t at_us = sim_us + delay_us();

	if (sim_lock_stalls)
		at_us += sim_between(0, 4 * SIM_S);
	if (at_us < lock->told_at_us)
		at_us = lock->told_at_us;
	lock->told_at_us = at_us;
	parcel->version = record == NULL ? 0 : record->version;
	sim_at(at_us, lock->host->index, come_back, parcel);
}

static void
watch(void *argument)
{
	const Parcel *parcel = argument;
	SimLock *lock = find_handle(parcel->lock);

	if (lock == NULL)
		return;
	if (!lock->watching && is_reachable(lock->host) && !lock->host->refused_by_lock)
	{
		lock->watching = true;
		for (size_t i = 0; i < store_count; i++)
			tell(lock, FHA_LOCK_CHANGE, &store[i]);
		tell(lock, FHA_LOCK_SYNCED, NULL);
	}
	sim_at(sim_us + WATCH_RETRY_US, -1, watch, make_parcel(lock, FHA_LOCK_CHANGE, "", NULL));
}

static void
tell_all(const Stored *record)
{
	for (SimLock *lock = handles; lock != NULL; lock = lock->next)
	{
		if (!lock->watch || !lock->watching)
			continue;
		/* A watch that is lost begins anew. */
		if (!is_reachable(lock->host))
			lock->watching = false;
		else
			tell(lock, FHA_LOCK_CHANGE, record);
	}
}

/* --- at the lock */

bool
sim_lock_read(FhaCluster *out, uint64_t *version)
{
	const Stored *record = find_record(CLUSTER);

	*version = record == NULL ? 0 : record->version;
	return record != NULL &&
		   fha_cluster_parse(record->text, strlen(record->text), out, NULL) == FHA_OK;
}

/* What the cluster's record says of its holder, since that was written by `writer`. */
static void
look_at_holder(const FhaCluster *cluster, int writer, const FhaCluster *before)
{
	bool was_released = before != NULL && before->released;
	int holder = strcmp(sim_hosts[writer].config.member_name, cluster->holder) == 0
					 ? writer
					 : sim_host_named(cluster->holder);

	if (holder < 0)
		return;
	if (cluster->released && !was_released && writer == holder &&
		sim_host_knows_end(&sim_hosts[holder]))
	{
		judge_released(&sim_hosts[holder]);
		sim_hosts[holder].was_up = false;
	}
	if (cluster->released && !was_released && sim_habits.keeps_releases)
		sim_lock_keep();
	if (!cluster->released && !cluster->release_final && cluster->lineage_term == cluster->term &&
		sim_hosts[holder].was_up)
		judge_told_lineage(&sim_hosts[holder]);
}

/* before: what stood there until then; NULL: nothing. */
static void
look_at_cluster(const Stored *record, int writer, const FhaCluster *before)
{
	FhaCluster *cluster;

	if (strcmp(record->name, CLUSTER) != 0)
		return;
	cluster = sim_alloc(sizeof(*cluster));
	if (fha_cluster_parse(record->text, strlen(record->text), cluster, NULL) != FHA_OK)
		sim_fail("the cluster's record cannot be read");
	else
	{
		look_at_holder(cluster, writer, before);
		/* It may be written long after it was asked for. */
		if (cluster->request.kind == FHA_REQUEST_FAILOVER &&
			(cluster->request.state == FHA_REQUEST_PENDING ||
			 cluster->request.state == FHA_REQUEST_RUNNING))
			judge_forced();
		if (before != NULL && cluster->term > before->term)
			judge_took(&sim_hosts[writer], before);
		if (cluster->term >= newest_term)
		{
			newest_term = cluster->term;
			free(newest_text);
			newest_text = strdup(record->text);
		}
	}
	free(cluster);
}

void
sim_lock_keep(void)
{
	forget(kept, &kept_count);
	for (size_t i = 0; i < store_count; i++)
	{
		kept[i] = store[i];
		kept[i].text = strdup(store[i].text);
	}
	kept_count = store_count;
}

bool
sim_lock_put_back(void)
{
	const Stored *record = find_record(CLUSTER);

	if (kept_count == 0)
		return false;
	if (record != NULL && record->version > highest_before)
		highest_before = record->version;
	forget(store, &store_count);
	for (size_t i = 0; i < kept_count; i++)
	{
		store[i] = kept[i];
		store[i].text = strdup(kept[i].text);
	}
	store_count = kept_count;
	for (SimLock *lock = handles; lock != NULL; lock = lock->next)
		lock->watching = false;
	return true;
}

bool
sim_lock_is_at_old_version(void)
{
	const Stored *record = find_record(CLUSTER);

	return record != NULL && record->version <= highest_before;
}

void
sim_lock_withdraw(const char *request_id)
{
	Stored *record = find_record(CLUSTER);
	FhaCluster *cluster = sim_alloc(sizeof(*cluster));
	char *text = NULL;

	if (record != NULL &&
		fha_cluster_parse(record->text, strlen(record->text), cluster, NULL) == FHA_OK &&
		cluster->request.state == FHA_REQUEST_PENDING &&
		strcmp(cluster->request.id, request_id) == 0)
	{
		memset(&cluster->request, 0, sizeof(cluster->request));
		if (fha_cluster_print(cluster, &text, NULL) != FHA_OK)
			abort();
		sim_trace(-1, "the request is withdrawn");
		free(record->text);
		record->text = text;
		record->version++;
		tell_all(record);
	}
	free(cluster);
}

void
sim_lock_resume(void)
{
	FhaRequest request = {.kind = FHA_REQUEST_RESUME};
	Stored *record = find_record(CLUSTER);
	FhaCluster *cluster = sim_alloc(sizeof(*cluster));
	char *text = NULL;

	if (record != NULL &&
		fha_cluster_parse(record->text, strlen(record->text), cluster, NULL) == FHA_OK &&
		cluster->paused)
	{
		if (fha_request_enter(cluster, &request, NULL) != FHA_OK ||
			fha_cluster_print(cluster, &text, NULL) != FHA_OK)
			abort();
		sim_trace(-1, "an operator resumes elections");
		free(record->text);
		record->text = text;
		record->version++;
		tell_all(record);
	}
	free(cluster);
}

void
sim_lock_mend(void)
{
	Stored *record = find_record(CLUSTER);
	FhaCluster *cluster = sim_alloc(sizeof(*cluster));
	bool is_old = record != NULL && newest_text != NULL &&
				  fha_cluster_parse(record->text, strlen(record->text), cluster, NULL) == FHA_OK &&
				  cluster->term < newest_term;

	if (is_old)
	{
		sim_trace(-1, "a person puts back the record of term %llu",
				  (unsigned long long) newest_term);
		free(record->text);
		record->text = strdup(newest_text);
		record->version++;
		tell_all(record);
	}
	free(cluster);
}

void
sim_lock_touch(void)
{
	Stored *record = find_record(CLUSTER);

	if (record == NULL || sim_lock_outage)
		return;
	record->version++;
	tell_all(record);
}

void
sim_lock_delete(void)
{
	for (size_t i = 0; i < store_count; i++)
	{
		store[i].version = 0;
		free(store[i].text);
		store[i].text = NULL;
		tell_all(&store[i]);
	}
	forget(store, &store_count);
}

static void
apply(Parcel *parcel)
{
	static FhaCluster last;
	Stored *record = find_record(parcel->name);
	bool creates = parcel->verb == FHA_LOCK_CREATE;
	const FhaCluster *before = NULL;

	parcel->code = FHA_OK;
	if (parcel->verb == FHA_LOCK_GET)
	{
		if (record == NULL)
			parcel->code = FHA_NOT_FOUND;
		return;
	}
	if (record == NULL && !creates)
		parcel->code = FHA_NOT_FOUND;
	else if (record != NULL && (creates || record->version != parcel->version))
		parcel->code = FHA_CONFLICT;
	if (strcmp(parcel->name, CLUSTER) == 0)
		sim_trace(parcel->host, "its write on version %llu of the cluster's record %s",
				  (unsigned long long) parcel->version,
				  parcel->code == FHA_OK ? "is applied" : "comes too late");
	if (parcel->code != FHA_OK)
		return;
	if (record == NULL)
	{
		if (store_count == RECORDS)
			abort();
		record = &store[store_count++];
		memcpy(record->name, parcel->name, sizeof(record->name));
	}
	else if (strcmp(parcel->name, CLUSTER) == 0 &&
			 fha_cluster_parse(record->text, strlen(record->text), &last, NULL) == FHA_OK)
		before = &last;
	free(record->text);
	record->text = strdup(parcel->text);
	record->version++;
	parcel->version = record->version;
	look_at_cluster(record, parcel->host, before);
	tell_all(record);
}

static void
arrive(void *argument)
{
	Parcel *parcel = argument;
	const SimHost *host = &sim_hosts[parcel->host];
	SimLock *lock;
	Parcel *reply;
	const Stored *record;

	if (host->writes_lost && fha_lock_verb_writes(parcel->verb))
		return;
	if (!is_reachable(host))
	{
		/* Lost, or it waits where it is, and comes when its sender has long given up. */
		if (sim_chance(50))
			sim_at(sim_us + sim_between(SIM_MS, 500 * SIM_MS), -1, arrive, copy_parcel(parcel));
		return;
	}
	if (host->refused_by_lock)
		parcel->code = FHA_IO;
	else
		apply(parcel);
	lock = find_handle(parcel->lock);
	if (lock == NULL || !is_reachable(host) || sim_chance(sim_lock_loss))
		return;
	record = parcel->code == FHA_OK ? find_record(parcel->name) : NULL;
	reply = make_parcel(lock, FHA_LOCK_ANSWER, parcel->name,
						record != NULL && parcel->verb == FHA_LOCK_GET ? record->text : NULL);
	reply->request = parcel->request;
	reply->verb = parcel->verb;
	reply->code = parcel->code;
	reply->version = record == NULL ? 0 : record->version;
	sim_at(sim_us + delay_us(), parcel->host, come_back, reply);
}

/* --- the driver */

static FhaCode
open_lock(FhaLock **out, const char *rest, const char *cluster, bool with_watch, FhaError *err)
{
	SimLock *lock = sim_alloc(sizeof(*lock));

	(void) rest;
	(void) cluster;
	memset(lock, 0, sizeof(*lock));
	lock->base.driver = &fha_lock_dir_driver;
	lock->id = ++last_id;
	lock->host = sim_here;
	lock->watch = with_watch;
	lock->last = &lock->first;
	lock->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (lock->fd < 0)
	{
		free(lock);
		return fha_error_errno(err, FHA_IO, "eventfd");
	}
	lock->next = handles;
	handles = lock;
	if (with_watch)
		sim_at(sim_host_us(lock->host) + delay_us(), -1, watch,
			   make_parcel(lock, FHA_LOCK_CHANGE, "", NULL));
	*out = &lock->base;
	return FHA_OK;
}

static void
close_lock(FhaLock *base)
{
	SimLock *lock = (SimLock *) base;
	SimLock **at = &handles;

	while (*at != lock)
		at = &(*at)->next;
	*at = lock->next;
	while (lock->first != NULL)
	{
		Told *told = lock->first;

		lock->first = told->next;
		free(told);
	}
	(void) close(lock->fd);
	fha_record_set_release(&base->records);
	free(lock);
}

static int
fd_of(const FhaLock *base)
{
	return ((const SimLock *) base)->fd;
}

static int64_t
wake_at_ms(const FhaLock *base)
{
	(void) base;
	return INT64_MAX;
}

static FhaCode
start(FhaLock *base, const FhaLockRequest *request, FhaError *err)
{
	SimLock *lock = (SimLock *) base;
	char *text;
	Parcel *there;
	Parcel *late;

	(void) err;
	if (lock->host->dead)
		return FHA_OK;
	sim_machine_step(lock->host, SIM_STEP_SEND);
	if (fha_lock_verb_writes(request->verb))
		sim_disk_check(lock->host);
	text = request->data == NULL ? NULL : strndup(request->data, request->size);
	there = make_parcel(lock, FHA_LOCK_ANSWER, request->name, text);
	late = make_parcel(lock, FHA_LOCK_ANSWER, request->name, NULL);
	free(text);
	lock->request = ++last_id;
	there->request = late->request = lock->request;
	there->verb = late->verb = request->verb;
	if (request->verb == FHA_LOCK_SWAP)
		there->version = strtoull(request->version, NULL, 10);
	sim_at(sim_host_us(lock->host) + (lock->host->writes_late && fha_lock_verb_writes(request->verb)
										  ? sim_between(600 * SIM_MS, 1800 * SIM_MS)
										  : delay_us()),
		   -1, arrive, there);
	sim_at(sim_world_us(lock->host, request->deadline_at_ms), lock->host->index, expire, late);
	return FHA_OK;
}

static FhaCode
step(FhaLock *base, FhaLockEvent *event)
{
	SimLock *lock = (SimLock *) base;
	Told *told = lock->first;
	char version[FHA_VERSION_SIZE] = "";

	fha_record_set_release(&base->records);
	if (told == NULL)
		return FHA_AGAIN;
	lock->first = told->next;
	if (lock->first == NULL)
		lock->last = &lock->first;
	if (told->version != 0)
		(void) snprintf(version, sizeof(version), "%llu", (unsigned long long) told->version);
	if (told->name[0] != '\0' && (told->kind == FHA_LOCK_CHANGE || told->version != 0) &&
		!fha_record_set_add(&base->records, told->name, version, told->text, strlen(told->text)))
		abort();
	if (told->kind == FHA_LOCK_ANSWER)
		(void) fha_lock_answer(base, event, told->code,
							   told->code == FHA_IO        ? "the lock refuses"
							   : told->code == FHA_UNKNOWN ? "no answer in time"
														   : "");
	else
		*event = (FhaLockEvent){
			.kind = told->kind, .count = base->records.count, .records = base->records.rows};
	free(told);
	return FHA_OK;
}

const FhaLockDriver fha_lock_dir_driver = {.open = open_lock,
										   .close = close_lock,
										   .fd = fd_of,
										   .wake_at_ms = wake_at_ms,
										   .start = start,
										   .step = step};
