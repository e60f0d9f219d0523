/*
 * compat.h: every difference between PostgreSQL releases that we meet.
 *
 * No other file tests PG_VERSION_NUM.
 */
#ifndef FAWKES_COMPAT_H
#define FAWKES_COMPAT_H

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "fawkes_ha supports PostgreSQL 15 to 18"
#endif

/* 16 made it count the variables; utils/guc_tables.h must have been included. */
#if PG_VERSION_NUM >= 160000
#define compat_guc_variables(count) get_guc_variables(count)
#else
#define compat_guc_variables(count) (*(count) = GetNumConfigOptions(), get_guc_variables())
#endif

/*
 * Has the slot lost WAL that it was to keep?  16 remembers why, and 18 lets nobody stream through
 * such a slot ever again.
 */
#if PG_VERSION_NUM >= 160000
#define compat_slot_is_lost(slot) ((slot)->data.invalidated != RS_INVAL_NONE)
#else
#define compat_slot_is_lost(slot)                         \
	(!XLogRecPtrIsInvalid((slot)->data.invalidated_at) && \
	 XLogRecPtrIsInvalid((slot)->data.restart_lsn))
#endif

/* Where a backend stands among all: below MaxBackends.  17 made it a variable of its own. */
#if PG_VERSION_NUM >= 170000
#define compat_proc_number() MyProcNumber
#else
#define compat_proc_number() (MyProc->pgprocno)
#endif

/* 16 took the rights that a statement wants out of its range table. */
#if PG_VERSION_NUM >= 160000
#define COMPAT_CHECK_PERMS_ARGUMENTS List *range_table, List *permissions, bool raise
#define COMPAT_CHECK_PERMS_PASSED range_table, permissions, raise
#define compat_permissions permissions
#define compat_is_table(permission) true
typedef struct RTEPermissionInfo CompatPermission;
#else
#define COMPAT_CHECK_PERMS_ARGUMENTS List *range_table, bool raise
#define COMPAT_CHECK_PERMS_PASSED range_table, raise
#define compat_permissions range_table
#define compat_is_table(permission) ((permission)->rtekind == RTE_RELATION)
typedef struct RangeTblEntry CompatPermission;
#endif

/* A client's own process; it has a database.  18 marks those that are, and not those that are not. */
#if PG_VERSION_NUM >= 180000
#define compat_is_session(proc) ((proc)->isRegularBackend)
#else
#define compat_is_session(proc) \
	(!(proc)->isBackgroundWorker && ((proc)->statusFlags & PROC_IS_AUTOVACUUM) == 0)
#endif

/* 17 can end transactions that take long, and has slots that are kept on standbys too. */
#if PG_VERSION_NUM >= 170000
#define compat_no_transaction_timeout(set) set("transaction_timeout", "0")
#define compat_create_slot(name) \
	ReplicationSlotCreate(name, false, RS_EPHEMERAL, false, false, false)
#else
#define compat_no_transaction_timeout(set) (void) 0
#define compat_create_slot(name) ReplicationSlotCreate(name, false, RS_EPHEMERAL, false)
#endif

/* What the postmaster will start; 18 made it a list of another kind. */
#if PG_VERSION_NUM >= 180000
#define CompatWorkerIterator dlist_iter
#define compat_each_worker(at) dlist_foreach(at, &BackgroundWorkerList)
#define compat_worker(at) dlist_container(RegisteredBgWorker, rw_lnode, (at).cur)
#else
#define CompatWorkerIterator slist_iter
#define compat_each_worker(at) slist_foreach(at, &BackgroundWorkerList)
#define compat_worker(at) slist_container(RegisteredBgWorker, rw_lnode, (at).cur)
#endif

/* 16 made a table of an archive module's callbacks, which get a state; 17 asks it what is not configured. */
#if PG_VERSION_NUM >= 160000
#include "archive/archive_module.h"
#define COMPAT_ARCHIVE_ARGUMENT ArchiveModuleState *state,
#define COMPAT_ARCHIVE_ONLY_ARGUMENT ArchiveModuleState *state
#define COMPAT_ARCHIVE_MODULE(check, file, shutdown)                                \
	extern PGDLLEXPORT const ArchiveModuleCallbacks *_PG_archive_module_init(void); \
	const ArchiveModuleCallbacks *_PG_archive_module_init(void)                     \
	{                                                                               \
		static const ArchiveModuleCallbacks callbacks = {                           \
			.check_configured_cb = (check),                                         \
			.archive_file_cb = (file),                                              \
			.shutdown_cb = (shutdown),                                              \
		};                                                                          \
                                                                                    \
		return &callbacks;                                                          \
	}
#else
#include "postmaster/pgarch.h"
#define COMPAT_ARCHIVE_ARGUMENT
#define COMPAT_ARCHIVE_ONLY_ARGUMENT void
#define COMPAT_ARCHIVE_MODULE(check, file, shutdown)                                    \
	extern PGDLLEXPORT void _PG_archive_module_init(ArchiveModuleCallbacks *callbacks); \
	void _PG_archive_module_init(ArchiveModuleCallbacks *callbacks)                     \
	{                                                                                   \
		callbacks->check_configured_cb = (check);                                       \
		callbacks->archive_file_cb = (file);                                            \
		callbacks->shutdown_cb = (shutdown);                                            \
	}
#endif
#if PG_VERSION_NUM >= 170000
#define compat_archive_errdetail(...) arch_module_check_errdetail(__VA_ARGS__)
#else
#define compat_archive_errdetail(...) (void) 0
#endif

/* From 16 on a standby has logical slots of its own, and ends those that it cannot serve. */
#define COMPAT_STANDBY_DECODES (PG_VERSION_NUM >= 160000)

/* 16 keeps some connections for a role that is granted this; "": there is none. */
#if PG_VERSION_NUM >= 160000
#define COMPAT_RESERVED_ROLE "pg_use_reserved_connections"
#else
#define COMPAT_RESERVED_ROLE ""
#endif

#endif
