--
-- Who may.
--

REVOKE ALL ON FUNCTION boottime_ms() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION boottime_ms() TO pg_monitor;
GRANT SELECT ON replication_lag TO pg_monitor;
REVOKE ALL ON FUNCTION database_size(oid), checkpointer_statistics(), wal_statistics(), wal_file_start(text),
    wal_volume_size(), sync_standbys(text), own_metrics(),
    metrics_query(oid, text, text[], text[]),
    add_metrics(regclass, text, text[], text[]),
    remove_metrics(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION database_size(oid), checkpointer_statistics(), wal_statistics(), wal_file_start(text),
    wal_volume_size(), sync_standbys(text), own_metrics(),
    metrics_query(oid, text, text[], text[]) TO pg_monitor;
GRANT SELECT ON metrics_backends, metrics_database, metrics_stat_database, metrics_postmaster, metrics_replication,
    metrics_slots, metrics_archiver, metrics_bgwriter, metrics_checkpointer, metrics_stat_replication, metrics_settings,
    metrics_wal, metrics_collector, server_metrics, metrics, database_metrics, user_metrics TO pg_monitor;

REVOKE ALL ON FUNCTION setup_readonly_role(text, text[], text) FROM PUBLIC;
