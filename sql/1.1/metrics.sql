--
-- Metrics.
--
-- A metric is a row (name, type, help, labels, value); a view has those of one subject.  What has other columns in other
-- versions of PostgreSQL is read as a whole row, or by a function that looks when it runs: a view that named such a
-- column would neither load everywhere nor survive pg_upgrade.
--

CREATE FUNCTION database_size(database oid) RETURNS bigint
AS 'MODULE_PATHNAME', 'fawkes_ha_database_size'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION database_size(oid) IS
'bytes of a database on disk, as this session found it a thousand times the time ago that measuring took, at most; NULL, not an error, if there is none';

CREATE FUNCTION checkpointer_statistics() RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('server_version_num')::integer < 170000 THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT to_jsonb(c) FROM pg_stat_checkpointer AS c);
END
$$;
COMMENT ON FUNCTION checkpointer_statistics() IS
'the row of pg_stat_checkpointer; NULL before PostgreSQL 17, which made that view';

CREATE FUNCTION wal_statistics() RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    statistics jsonb := (SELECT to_jsonb(w) FROM pg_stat_wal AS w);
BEGIN
    IF current_setting('server_version_num')::integer >= 180000 THEN
        statistics := statistics || (
            SELECT jsonb_build_object('wal_write', sum(writes), 'wal_sync', sum(fsyncs),
                'wal_write_time', sum(write_time), 'wal_sync_time', sum(fsync_time))
            FROM pg_stat_io WHERE object = 'wal');
    END IF;
    RETURN statistics;
END
$$;
COMMENT ON FUNCTION wal_statistics() IS
'the row of pg_stat_wal; the writes and syncs that it lost with PostgreSQL 18 are taken from pg_stat_io there';

CREATE FUNCTION wal_file_start(file text) RETURNS bigint
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN file ~ '^[0-9A-F]{24}' THEN
               ('x' || substr(file, 9, 8))::bit(32)::bigint * 4294967296
               + ('x' || substr(file, 17, 8))::bit(32)::bigint * pg_size_bytes(current_setting('wal_segment_size')) END
$$;
COMMENT ON FUNCTION wal_file_start(text) IS
'where a WAL file begins, in bytes, by its name; NULL of another file';

CREATE FUNCTION wal_volume_size() RETURNS bigint
AS 'MODULE_PATHNAME', 'fawkes_ha_wal_volume_size'
LANGUAGE C VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION wal_volume_size() IS
'bytes of the volume that pg_wal lies on; NULL if that is the data directory''s own';

CREATE FUNCTION sync_standbys(names text) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN names ~ '^\s*$' THEN 0
                ELSE coalesce((regexp_match(names, '^\s*(?:(?:first|any)\s+)?(\d+)\s*\(', 'i'))[1]::integer, 1) END
$$;
COMMENT ON FUNCTION sync_standbys(text) IS
'how many standbys a commit waits for with this synchronous_standby_names';

CREATE VIEW metrics_backends AS
    SELECT m.name, m.type, m.help,
           jsonb_build_object('datname', b.datname, 'usename', b.usename, 'application_name', b.application_name,
               'state', b.state) AS labels,
           m.value
    FROM (SELECT coalesce(datname, '') AS datname, usename, coalesce(application_name, '') AS application_name, state,
                 count(*) AS total,
                 coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) AS longest
          FROM pg_stat_activity
          WHERE usename IS NOT NULL AND state IS NOT NULL
          GROUP BY 1, 2, 3, 4) AS b,
         LATERAL (VALUES
             ('cnpg_backends_total', 'gauge', 'Backends of this database, role, application and state.',
              b.total::float8),
             ('cnpg_backends_max_tx_duration_seconds', 'gauge',
              'Age of the oldest open transaction among these backends, in seconds.', b.longest::float8)
         ) AS m(name, type, help, value)
    UNION ALL
    SELECT 'cnpg_backends_waiting_total', 'gauge', 'Backends that wait for a lock that another one holds.', '{}',
           count(*)::float8
    FROM pg_stat_activity WHERE wait_event_type = 'Lock'
    UNION ALL
    SELECT 'cnpg_pg_connections', 'gauge', 'Connections of clients, which max_connections limits.', '{}',
           count(*)::float8
    FROM pg_stat_activity WHERE backend_type = 'client backend';
COMMENT ON VIEW metrics_backends IS
'metrics of backends, connections and those that wait for locks';

CREATE VIEW metrics_database AS
    SELECT m.name, m.type, m.help, jsonb_build_object('datname', d.datname) AS labels, m.value
    FROM pg_database AS d,
         LATERAL (VALUES
             ('cnpg_pg_database_size_bytes', 'gauge', 'Bytes that the database takes on disk.',
              fawkes_ha.database_size(d.oid)::float8),
             ('cnpg_pg_database_xid_age', 'gauge',
              'Transactions since the oldest one that is not frozen in the database.', age(d.datfrozenxid)::float8),
             ('cnpg_pg_database_mxid_age', 'gauge',
              'Multixacts since the oldest one that the database may still hold.', mxid_age(d.datminmxid)::float8)
         ) AS m(name, type, help, value)
    WHERE d.datallowconn AND d.datconnlimit <> -2 AND m.value IS NOT NULL;
COMMENT ON VIEW metrics_database IS
'metrics of each database that takes connections: size, and age towards wraparound';

CREATE VIEW metrics_stat_database AS
    SELECT 'cnpg_pg_stat_database_' || m.name AS name, 'counter' AS type, m.help,
           jsonb_build_object('datname', coalesce(d.datname, '')) AS labels, m.value
    FROM pg_stat_database AS d,
         LATERAL (VALUES
             ('xact_commit', 'Transactions that committed.', d.xact_commit::float8),
             ('xact_rollback', 'Transactions that were rolled back.', d.xact_rollback::float8),
             ('blks_read', 'Blocks that were read from outside shared buffers.', d.blks_read::float8),
             ('blks_hit', 'Blocks that were found in shared buffers.', d.blks_hit::float8),
             ('tup_returned', 'Rows that scans went through.', d.tup_returned::float8),
             ('tup_fetched', 'Rows that index scans fetched.', d.tup_fetched::float8),
             ('tup_inserted', 'Rows inserted.', d.tup_inserted::float8),
             ('tup_updated', 'Rows updated.', d.tup_updated::float8),
             ('tup_deleted', 'Rows deleted.', d.tup_deleted::float8),
             ('conflicts', 'Queries that were cancelled because replay needed it; on standbys.', d.conflicts::float8),
             ('temp_files', 'Temporary files that queries made.', d.temp_files::float8),
             ('temp_bytes', 'Bytes that queries wrote into temporary files.', d.temp_bytes::float8),
             ('deadlocks', 'Deadlocks that were found.', d.deadlocks::float8),
             ('blk_read_time', 'Milliseconds that backends read data files, with track_io_timing.',
              d.blk_read_time),
             ('blk_write_time', 'Milliseconds that backends wrote data files, with track_io_timing.',
              d.blk_write_time)
         ) AS m(name, help, value)
    WHERE m.value IS NOT NULL;
COMMENT ON VIEW metrics_stat_database IS
'metrics of what was done in each database; datname is empty for what all databases share';

CREATE VIEW metrics_postmaster AS
    SELECT 'cnpg_pg_postmaster_start_time' AS name, 'gauge' AS type,
           'When the server started, in seconds since the epoch.' AS help, '{}'::jsonb AS labels,
           extract(epoch FROM pg_postmaster_start_time())::float8 AS value;
COMMENT ON VIEW metrics_postmaster IS
'metric of when the server started';

CREATE VIEW metrics_replication AS
    SELECT m.name, 'gauge' AS type, m.help, '{}'::jsonb AS labels, m.value
    FROM (VALUES
             ('cnpg_pg_replication_lag',
              'Seconds that the data shown here is behind the primary; 0 on the primary.',
              CASE WHEN NOT pg_is_in_recovery() THEN 0
                   ELSE (SELECT extract(epoch FROM l.replay_lag)::float8 FROM fawkes_ha.replication_lag AS l
                         WHERE l.member = current_setting('fawkes_ha.member_name', true)) END),
             ('cnpg_pg_replication_in_recovery', '1 on a standby, 0 on a primary.',
              pg_is_in_recovery()::integer::float8),
             ('cnpg_pg_replication_is_wal_receiver_up', '1 while a WAL receiver runs, 0 without.',
              (SELECT count(*) FROM pg_stat_wal_receiver)::float8),
             ('cnpg_pg_replication_streaming_replicas', 'Standbys and other receivers that stream from this server.',
              (SELECT count(*) FROM pg_stat_replication WHERE state IN ('streaming', 'catchup'))::float8)
         ) AS m(name, help, value)
    WHERE m.value IS NOT NULL;
COMMENT ON VIEW metrics_replication IS
'metrics of this server''s place in replication; the lag is missing where it is not known';

CREATE VIEW metrics_slots AS
    SELECT 'cnpg_pg_replication_slots_' || m.name AS name, 'gauge' AS type, m.help,
           jsonb_build_object('slot_name', s.slot_name, 'slot_type', s.slot_type, 'database', coalesce(s.database, ''))
               AS labels,
           m.value
    FROM pg_replication_slots AS s,
         LATERAL (VALUES
             ('active', '1 while somebody streams from the slot, 0 else.', s.active::integer::float8),
             ('pg_wal_lsn_diff', 'Bytes of WAL that the slot keeps.',
              (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END
                  - s.restart_lsn)::float8)
         ) AS m(name, help, value)
    WHERE NOT s.temporary AND m.value IS NOT NULL;
COMMENT ON VIEW metrics_slots IS
'metrics of replication slots';

CREATE VIEW metrics_archiver AS
    SELECT 'cnpg_pg_stat_archiver_' || m.name AS name, m.type, m.help, '{}'::jsonb AS labels, m.value
    FROM pg_stat_archiver AS a,
         LATERAL (VALUES
             ('archived_count', 'counter', 'WAL files that were archived.', a.archived_count::float8),
             ('failed_count', 'counter', 'Attempts to archive a WAL file that failed.', a.failed_count::float8),
             ('seconds_since_last_archival', 'gauge', 'Seconds since a WAL file was last archived; -1: never.',
              coalesce(extract(epoch FROM clock_timestamp() - a.last_archived_time), -1)::float8),
             ('seconds_since_last_failure', 'gauge', 'Seconds since archiving last failed; -1: never.',
              coalesce(extract(epoch FROM clock_timestamp() - a.last_failed_time), -1)::float8),
             ('last_archived_time', 'gauge', 'When a WAL file was last archived, in seconds since the epoch; -1: never.',
              coalesce(extract(epoch FROM a.last_archived_time), -1)::float8),
             ('last_failed_time', 'gauge', 'When archiving last failed, in seconds since the epoch; -1: never.',
              coalesce(extract(epoch FROM a.last_failed_time), -1)::float8),
             ('last_archived_wal_start_lsn', 'gauge',
              'Where the WAL file that was archived last begins, as a number of bytes; -1: none.',
              coalesce(fawkes_ha.wal_file_start(a.last_archived_wal), -1)::float8),
             ('last_failed_wal_start_lsn', 'gauge',
              'Where the WAL file that failed last begins, as a number of bytes; -1: none.',
              coalesce(fawkes_ha.wal_file_start(a.last_failed_wal), -1)::float8),
             ('stats_reset_time', 'gauge', 'Since when these are counted, in seconds since the epoch.',
              extract(epoch FROM a.stats_reset)::float8)
         ) AS m(name, type, help, value)
    WHERE (NOT pg_is_in_recovery() OR current_setting('archive_mode') = 'always') AND m.value IS NOT NULL;
COMMENT ON VIEW metrics_archiver IS
'metrics of the archiver, on a primary and wherever archive_mode is always';

CREATE VIEW metrics_bgwriter AS
    SELECT 'cnpg_pg_stat_bgwriter_' || m.name AS name, m.type, m.help, '{}'::jsonb AS labels, m.value
    FROM (SELECT to_jsonb(b) FROM pg_stat_bgwriter AS b) AS b(doc),
         LATERAL (VALUES
             ('checkpoints_timed', 'counter', 'Checkpoints that were due.', (b.doc ->> 'checkpoints_timed')::float8),
             ('checkpoints_req', 'counter', 'Checkpoints that were asked for.', (b.doc ->> 'checkpoints_req')::float8),
             ('checkpoint_write_time', 'counter', 'Milliseconds that checkpoints spent writing files.',
              (b.doc ->> 'checkpoint_write_time')::float8),
             ('checkpoint_sync_time', 'counter', 'Milliseconds that checkpoints spent syncing files.',
              (b.doc ->> 'checkpoint_sync_time')::float8),
             ('buffers_checkpoint', 'counter', 'Buffers that checkpoints wrote.',
              (b.doc ->> 'buffers_checkpoint')::float8),
             ('buffers_clean', 'counter', 'Buffers that the background writer wrote.',
              (b.doc ->> 'buffers_clean')::float8),
             ('maxwritten_clean', 'counter', 'Rounds that the background writer ended early, having written its most.',
              (b.doc ->> 'maxwritten_clean')::float8),
             ('buffers_backend', 'counter', 'Buffers that backends had to write themselves.',
              (b.doc ->> 'buffers_backend')::float8),
             ('buffers_backend_fsync', 'counter', 'Syncs that backends had to do themselves.',
              (b.doc ->> 'buffers_backend_fsync')::float8),
             ('buffers_alloc', 'counter', 'Buffers that were allocated.', (b.doc ->> 'buffers_alloc')::float8),
             ('stats_reset_time', 'gauge', 'Since when these are counted, in seconds since the epoch.',
              CASE WHEN NOT b.doc ? 'checkpoints_timed' THEN
                  extract(epoch FROM (b.doc ->> 'stats_reset')::timestamptz)::float8 END)
         ) AS m(name, type, help, value)
    WHERE m.value IS NOT NULL;
COMMENT ON VIEW metrics_bgwriter IS
'metrics of the background writer, and of checkpoints before PostgreSQL 17';

CREATE VIEW metrics_checkpointer AS
    SELECT 'cnpg_pg_stat_checkpointer_' || m.name AS name, m.type, m.help, '{}'::jsonb AS labels, m.value
    FROM (SELECT fawkes_ha.checkpointer_statistics()) AS c(doc),
         LATERAL (VALUES
             ('checkpoints_timed', 'counter', 'Checkpoints that were due.', (c.doc ->> 'num_timed')::float8),
             ('checkpoints_req', 'counter', 'Checkpoints that were asked for.', (c.doc ->> 'num_requested')::float8),
             ('restartpoints_timed', 'counter', 'Restartpoints that were due.',
              (c.doc ->> 'restartpoints_timed')::float8),
             ('restartpoints_req', 'counter', 'Restartpoints that were asked for.',
              (c.doc ->> 'restartpoints_req')::float8),
             ('restartpoints_done', 'counter', 'Restartpoints that were done.',
              (c.doc ->> 'restartpoints_done')::float8),
             ('write_time', 'counter', 'Milliseconds that checkpoints and restartpoints spent writing files.',
              (c.doc ->> 'write_time')::float8),
             ('sync_time', 'counter', 'Milliseconds that checkpoints and restartpoints spent syncing files.',
              (c.doc ->> 'sync_time')::float8),
             ('buffers_written', 'counter', 'Buffers that checkpoints and restartpoints wrote.',
              (c.doc ->> 'buffers_written')::float8),
             ('stats_reset_time', 'gauge', 'Since when these are counted, in seconds since the epoch.',
              extract(epoch FROM (c.doc ->> 'stats_reset')::timestamptz)::float8)
         ) AS m(name, type, help, value)
    WHERE m.value IS NOT NULL;
COMMENT ON VIEW metrics_checkpointer IS
'metrics of the checkpointer; none before PostgreSQL 17';

CREATE VIEW metrics_stat_replication AS
    SELECT 'cnpg_pg_stat_replication_' || m.name AS name, m.type, m.help,
           jsonb_build_object('usename', r.usename, 'application_name', coalesce(r.application_name, ''),
               'client_addr', coalesce(r.client_addr::text, ''), 'client_port', coalesce(r.client_port::text, ''))
               AS labels,
           m.value
    FROM (SELECT *, CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn() END AS here
          FROM pg_stat_replication) AS r,
         LATERAL (VALUES
             ('backend_start', 'counter', 'When the connection began, in seconds since the epoch.',
              extract(epoch FROM r.backend_start)::float8),
             ('backend_xmin_age', 'counter', 'Transactions since the oldest that the standby may still want to see.',
              coalesce(age(r.backend_xmin), 0)::float8),
             ('sent_diff_bytes', 'gauge', 'Bytes of WAL that were not yet sent.', (r.here - r.sent_lsn)::float8),
             ('write_diff_bytes', 'gauge', 'Bytes of WAL that the standby has not yet written.',
              (r.here - r.write_lsn)::float8),
             ('flush_diff_bytes', 'gauge', 'Bytes of WAL that the standby has not yet flushed.',
              (r.here - r.flush_lsn)::float8),
             ('replay_diff_bytes', 'gauge', 'Bytes of WAL that the standby has not yet replayed.',
              coalesce(r.here - r.replay_lsn, 0)::float8),
             ('write_lag_seconds', 'gauge', 'Seconds from flush here to write there, of recent WAL.',
              coalesce(extract(epoch FROM r.write_lag), 0)::float8),
             ('flush_lag_seconds', 'gauge', 'Seconds from flush here to flush there, of recent WAL.',
              coalesce(extract(epoch FROM r.flush_lag), 0)::float8),
             ('replay_lag_seconds', 'gauge', 'Seconds from flush here to replay there, of recent WAL.',
              coalesce(extract(epoch FROM r.replay_lag), 0)::float8)
         ) AS m(name, type, help, value)
    WHERE NOT pg_is_in_recovery() AND m.value IS NOT NULL;
COMMENT ON VIEW metrics_stat_replication IS
'metrics of each connection that streams from here; on a primary only';

CREATE VIEW metrics_settings AS
    SELECT 'cnpg_pg_settings_setting' AS name, 'gauge' AS type,
           'A setting in the unit of pg_settings; 1 and 0 for on and off.' AS help,
           jsonb_build_object('name', s.name) AS labels,
           CASE s.setting WHEN 'on' THEN 1 WHEN 'off' THEN 0 ELSE s.setting::float8 END AS value
    FROM pg_settings AS s
    WHERE s.vartype IN ('bool', 'integer', 'real') AND s.setting IS NOT NULL;
COMMENT ON VIEW metrics_settings IS
'metrics of the settings that are numbers or on and off';

CREATE VIEW metrics_wal AS
    SELECT 'cnpg_collector_' || m.name AS name, 'gauge' AS type, m.help,
           jsonb_build_object('stats_reset', coalesce(to_char((w.doc ->> 'stats_reset')::timestamptz AT TIME ZONE 'UTC',
               'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '-infinity')) AS labels,
           m.value
    FROM (SELECT fawkes_ha.wal_statistics()) AS w(doc),
         LATERAL (VALUES
             ('wal_records', 'WAL records that were made.', (w.doc ->> 'wal_records')::float8),
             ('wal_fpi', 'Images of whole pages in WAL.', (w.doc ->> 'wal_fpi')::float8),
             ('wal_bytes', 'Bytes of WAL that were made.', (w.doc ->> 'wal_bytes')::float8),
             ('wal_buffers_full', 'Times that WAL was written because its buffers were full.',
              (w.doc ->> 'wal_buffers_full')::float8),
             ('wal_write', 'Times that WAL was written to disk.', (w.doc ->> 'wal_write')::float8),
             ('wal_sync', 'Times that WAL was synced to disk.', (w.doc ->> 'wal_sync')::float8),
             ('wal_write_time', 'Milliseconds that WAL was written, with track_wal_io_timing.',
              (w.doc ->> 'wal_write_time')::float8),
             ('wal_sync_time', 'Milliseconds that WAL was synced, with track_wal_io_timing.',
              (w.doc ->> 'wal_sync_time')::float8)
         ) AS m(name, help, value)
    WHERE m.value IS NOT NULL
    UNION ALL
    SELECT 'cnpg_collector_pg_wal', 'gauge',
           'WAL files in pg_wal: how many, their bytes, and in files what the settings want of them.',
           jsonb_build_object('value', m.value_label), m.value
    FROM (SELECT count(*)::float8 AS files, pg_size_bytes(current_setting('wal_segment_size'))::float8 AS segment,
                 pg_size_bytes(current_setting('max_slot_wal_keep_size')) AS slots_max,
                 coalesce(fawkes_ha.wal_volume_size()::float8, 'NaN') AS volume
          FROM pg_ls_waldir() AS f WHERE f.name ~ '^[0-9A-F]{24}') AS w,
         LATERAL (VALUES
             ('count', w.files),
             ('size', w.files * w.segment),
             ('min', pg_size_bytes(current_setting('min_wal_size')) / w.segment),
             ('max', pg_size_bytes(current_setting('max_wal_size')) / w.segment),
             ('keep', pg_size_bytes(current_setting('wal_keep_size')) / w.segment),
             ('slots_max', CASE WHEN w.slots_max < 0 THEN 'NaN' ELSE w.slots_max / w.segment END),
             ('volume_size', w.volume),
             ('volume_max', w.volume / w.segment)
         ) AS m(value_label, value)
    UNION ALL
    SELECT 'cnpg_collector_pg_wal_archive_status', 'gauge', 'WAL files that are to be archived, and that were.',
           jsonb_build_object('value', m.value_label), m.value
    FROM (SELECT count(*) FILTER (WHERE f.name LIKE '%.ready') AS ready, count(*) FILTER (WHERE f.name LIKE '%.done') AS done
          FROM pg_ls_archive_statusdir() AS f) AS a,
         LATERAL (VALUES ('ready', a.ready::float8), ('done', a.done::float8)) AS m(value_label, value);
COMMENT ON VIEW metrics_wal IS
'metrics of WAL: how much was made, and the files that wait in pg_wal';

CREATE VIEW metrics_collector AS
    SELECT 'cnpg_collector_' || m.name AS name, 'gauge' AS type, m.help, m.labels, m.value
    FROM (SELECT s.doc -> 'cluster', s.doc -> 'members', coalesce(current_setting('fawkes_ha.cluster_name', true), ''),
                 current_setting('server_version_num')::integer, NOT pg_is_in_recovery()
          FROM (SELECT fawkes_ha.snapshot()) AS s(doc)) AS c(cluster, members, name, version, is_primary),
         LATERAL (VALUES
             ('postgres_version', 'The server''s version, as major.minor.',
              jsonb_build_object('full', c.version / 10000 || '.' || c.version % 10000, 'cluster', c.name),
              (c.version / 10000 || '.' || c.version % 10000)::float8),
             ('sync_replicas', 'Standbys that a commit waits for (observed), and that the cluster wants it to.',
              '{"value": "observed"}'::jsonb,
              CASE WHEN c.is_primary THEN fawkes_ha.sync_standbys(current_setting('synchronous_standby_names')) END),
             ('sync_replicas', 'Standbys that a commit waits for (observed), and that the cluster wants it to.',
              '{"value": "expected"}', 0),
             ('sync_replicas', 'Standbys that a commit waits for (observed), and that the cluster wants it to.',
              '{"value": "min"}', 0),
             ('sync_replicas', 'Standbys that a commit waits for (observed), and that the cluster wants it to.',
              '{"value": "max"}', 0),
             ('replica_mode', '1 if the whole cluster follows another one, 0 else.', '{}', 0),
             ('fencing_on', '1 if this is a primary that may not acknowledge writes, 0 else.', '{}',
              CASE WHEN c.is_primary AND NOT (SELECT is_open FROM fawkes_ha.fence()) THEN 1 ELSE 0 END),
             ('manual_switchover_required',
              '1 if a setting of the primary waits for a restart or a switchover, 0 else.', '{}',
              (SELECT CASE WHEN coalesce(bool_or((m.doc ->> 'pending_restart')::boolean), false) THEN 1 ELSE 0 END
               FROM jsonb_array_elements(c.members) AS m(doc)
               WHERE m.doc ->> 'member' = c.cluster ->> 'holder')),
             ('nodes_used', 'Machines that the members are on; -1: not known.', '{}',
              CASE WHEN c.members IS NULL OR coalesce(current_setting('fawkes_ha.pod', true), '') <> '' THEN -1
                   WHEN current_setting('fawkes_ha.lock', true) LIKE 'dir:%' THEN 1
                   ELSE (SELECT count(DISTINCT regexp_replace(m.doc ->> 'address', ':[0-9]+$', ''))
                         FROM jsonb_array_elements(c.members) AS m(doc)) END),
             ('first_recoverability_point',
              'The earliest moment that can be restored, in seconds since the epoch; 0: none.', '{}', 0),
             ('last_available_backup_timestamp', 'When the newest backup was taken, in seconds since the epoch; 0: none.',
              '{}', 0),
             ('last_failed_backup_timestamp', 'When a backup last failed, in seconds since the epoch; 0: none did.',
              '{}', 0)
         ) AS m(name, help, labels, value)
    WHERE m.value IS NOT NULL;
COMMENT ON VIEW metrics_collector IS
'metrics of this server as a member: version, fence, what waits for an operator';

CREATE VIEW server_metrics AS
    SELECT * FROM fawkes_ha.metrics_backends
    UNION ALL SELECT * FROM fawkes_ha.metrics_database
    UNION ALL SELECT * FROM fawkes_ha.metrics_stat_database
    UNION ALL SELECT * FROM fawkes_ha.metrics_postmaster
    UNION ALL SELECT * FROM fawkes_ha.metrics_replication
    UNION ALL SELECT * FROM fawkes_ha.metrics_slots
    UNION ALL SELECT * FROM fawkes_ha.metrics_archiver
    UNION ALL SELECT * FROM fawkes_ha.metrics_bgwriter
    UNION ALL SELECT * FROM fawkes_ha.metrics_checkpointer
    UNION ALL SELECT * FROM fawkes_ha.metrics_stat_replication
    UNION ALL SELECT * FROM fawkes_ha.metrics_settings
    UNION ALL SELECT * FROM fawkes_ha.metrics_wal
    UNION ALL SELECT * FROM fawkes_ha.metrics_collector
    ORDER BY name, labels;
COMMENT ON VIEW server_metrics IS
'every metric that one database can answer for the whole server; what fawkes_ha measures of itself is not among them';

CREATE FUNCTION own_metrics(
    OUT name text,
    OUT type text,
    OUT help text,
    OUT labels jsonb,
    OUT value double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'fawkes_ha_own_metrics'
LANGUAGE C VOLATILE PARALLEL SAFE ROWS 80
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION own_metrics() IS
'what fawkes_ha measures of itself on this server: its agent, its lease, its fence; from shared memory, and none where it is inert';

CREATE VIEW metrics AS
    SELECT * FROM fawkes_ha.server_metrics
    UNION ALL SELECT * FROM fawkes_ha.own_metrics();
COMMENT ON VIEW metrics IS
'every metric of this server but those of single databases: name, type, help, labels and value as Prometheus has them; a histogram''s rows have the names of its series';

CREATE VIEW database_metrics AS
    SELECT 'cnpg_pg_extensions_update_available' AS name, 'gauge' AS type,
           '1 if the server has a newer version of an extension than the database, 0 else.' AS help,
           jsonb_build_object('datname', current_database(), 'extname', e.extname,
               'default_version', coalesce(a.default_version, ''), 'installed_version', e.extversion) AS labels,
           (e.extversion IS DISTINCT FROM a.default_version)::integer::float8 AS value
    FROM pg_extension AS e JOIN pg_available_extensions() AS a ON a.name = e.extname
    UNION ALL
    SELECT 'cnpg_collector_lo_pages', 'gauge', 'Pages that large objects take, as the last vacuum or analyze saw it.',
           jsonb_build_object('datname', current_database()), greatest(c.relpages, 0)::float8
    FROM pg_class AS c
    WHERE c.oid = 'pg_catalog.pg_largeobject'::regclass
    ORDER BY name, labels;
COMMENT ON VIEW database_metrics IS
'the metrics that each database must be asked for: its extensions and large objects';
