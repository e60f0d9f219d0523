--
-- Metrics.
--

CREATE FUNCTION without_incarnation(usename name, application_name text) RETURNS name
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT (CASE WHEN usename = 'fawkes_replication' THEN regexp_replace(coalesce(application_name, ''), '_[0-9a-f]{16}$', '')
                 ELSE coalesce(application_name, '') END)::name
$$;
COMMENT ON FUNCTION without_incarnation(name, text) IS
'the application_name, of a standby only its member''s name: the incarnation behind it would begin new series with each life of its data';

CREATE OR REPLACE VIEW metrics_backends AS
    SELECT m.name, m.type, m.help,
           jsonb_build_object('datname', b.datname, 'usename', b.usename, 'application_name', b.application_name,
               'state', b.state) AS labels,
           m.value
    FROM (SELECT coalesce(datname, '') AS datname, usename, fawkes_ha.without_incarnation(usename, application_name)::text AS application_name, state,
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

CREATE OR REPLACE VIEW metrics_stat_replication AS
    SELECT 'cnpg_pg_stat_replication_' || m.name AS name, m.type, m.help,
           jsonb_build_object('usename', r.usename, 'application_name', fawkes_ha.without_incarnation(r.usename, r.application_name),
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

-- What a session sets for itself, as the exporter's does with its time limits, is not the server's.
CREATE OR REPLACE VIEW metrics_settings AS
    SELECT 'cnpg_pg_settings_setting' AS name, 'gauge' AS type,
           'A setting in the unit of pg_settings; 1 and 0 for on and off.' AS help,
           jsonb_build_object('name', s.name) AS labels,
           CASE s.server WHEN 'on' THEN 1 WHEN 'off' THEN 0 ELSE s.server::float8 END AS value
    FROM (SELECT name, vartype,
                 CASE WHEN source = 'session' OR name LIKE 'transaction\_%' AND NOT pg_is_in_recovery() THEN reset_val
                      ELSE setting END AS server
          FROM pg_settings) AS s
    WHERE s.vartype IN ('bool', 'integer', 'real') AND s.server IS NOT NULL;

CREATE OR REPLACE VIEW metrics_archiver AS
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
    WHERE (current_setting('archive_mode') = 'always' OR current_setting('archive_mode') = 'on' AND NOT pg_is_in_recovery()) AND m.value IS NOT NULL;

COMMENT ON VIEW metrics_archiver IS
'metrics of the archiver, on a primary and wherever archive_mode is always; none while it is off';

CREATE FUNCTION volumes(
    OUT wal boolean,
    OUT capacity_bytes bigint,
    OUT available_bytes bigint,
    OUT used_bytes bigint,
    OUT inodes bigint,
    OUT inodes_free bigint,
    OUT inodes_used bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'fawkes_ha_volumes'
LANGUAGE C VOLATILE PARALLEL SAFE ROWS 2
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION volumes() IS
'the volume that the data directory lies on, and the one that pg_wal has to itself: how large, how full';

CREATE VIEW metrics_volumes AS
    SELECT 'kubelet_volume_stats_' || m.name AS name, 'gauge' AS type, m.help,
           jsonb_build_object('persistentvolumeclaim', c.claim || CASE WHEN v.wal THEN '-wal' ELSE '' END) AS labels,
           m.value::float8 AS value
    FROM (SELECT coalesce(nullif(current_setting('fawkes_ha.pod', true), ''),
                          current_setting('fawkes_ha.member_name', true))) AS c(claim),
         fawkes_ha.volumes() AS v,
         LATERAL (VALUES
             ('capacity_bytes', 'Bytes that the volume has.', v.capacity_bytes),
             ('available_bytes', 'Bytes of the volume that PostgreSQL can still write.', v.available_bytes),
             ('used_bytes', 'Bytes of the volume that are taken, by whatever lies on it.', v.used_bytes),
             ('inodes', 'Inodes that the volume has.', v.inodes),
             ('inodes_free', 'Inodes of the volume that are free.', v.inodes_free),
             ('inodes_used', 'Inodes of the volume that are taken.', v.inodes_used)
         ) AS m(name, help, value)
    WHERE c.claim <> '';
COMMENT ON VIEW metrics_volumes IS
'metrics of this member''s own volumes, under the names that kubelet gives to those of a pod; the claim is called as the member';

CREATE OR REPLACE VIEW server_metrics AS
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
    UNION ALL SELECT * FROM fawkes_ha.metrics_volumes
    UNION ALL SELECT * FROM fawkes_ha.metrics_collector
    ORDER BY name, labels;

REVOKE ALL ON FUNCTION without_incarnation(name, text), volumes() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION without_incarnation(name, text), volumes() TO pg_monitor;
GRANT SELECT ON metrics_volumes TO pg_monitor;
