/* sql/fawkes_ha--1.1--1.2.sql */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION fawkes_ha UPDATE" to load this file. \quit

--
-- What this script names without a schema is looked for in the extension's schema too, and an overload there that fits
-- better than PostgreSQL's own would run with the rights of whoever uses the extension.  So nothing may be there that is
-- not the extension's, and nobody but superusers may put anything there.
--

DO $guard$
BEGIN
    IF EXISTS (
        SELECT FROM pg_catalog.pg_extension AS e
            JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
            JOIN pg_catalog.pg_roles AS o ON o.oid OPERATOR(pg_catalog.=) n.nspowner
        WHERE e.extname OPERATOR(pg_catalog.=) 'fawkes_ha'::pg_catalog.name AND (
            NOT o.rolsuper
            OR EXISTS (
                SELECT FROM pg_catalog.aclexplode(n.nspacl) AS a
                    LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) a.grantee
                WHERE a.privilege_type OPERATOR(pg_catalog.=) 'CREATE'::pg_catalog.text AND r.rolsuper IS NOT TRUE)
            OR EXISTS (
                SELECT FROM pg_catalog.pg_depend AS d
                    JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) d.classid
                WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid
                    AND d.refobjid OPERATOR(pg_catalog.=) n.oid
                    AND NOT c.relname OPERATOR(pg_catalog.=)
                        ANY ('{pg_extension,pg_default_acl,pg_publication_namespace}'::pg_catalog.name[])
                    AND NOT EXISTS (
                        SELECT FROM pg_catalog.pg_depend AS m
                        WHERE m.classid OPERATOR(pg_catalog.=) d.classid AND m.objid OPERATOR(pg_catalog.=) d.objid
                            AND m.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass::pg_catalog.oid
                            AND m.refobjid OPERATOR(pg_catalog.=) e.oid
                            AND m.deptype OPERATOR(pg_catalog.=) 'e'::pg_catalog."char"))))
    THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_schema',
            MESSAGE = 'schema "fawkes_ha" may hold things that are not the extension''s',
            DETAIL = 'It must belong to a superuser, be empty but for the extension, and give CREATE to nobody else.',
            HINT = 'Rename or drop the schema, or what is in it, and try again.';
    END IF;
END
$guard$;

--
-- Replication lag: none of a standby that has everything and hears the leader.
--

CREATE OR REPLACE VIEW replication_lag AS
    SELECT m.doc ->> 'member' AS member,
           m.doc ->> 'role' AS role,
           (l.doc ->> 'streaming')::boolean AS streaming,
           CASE m.doc ->> 'serves' WHEN 'replica' THEN true WHEN 'primary' THEN true WHEN 'unhealthy' THEN false END
               AS serves_reads,
           (l.doc -> 'write' ->> 'bytes')::bigint AS write_lag_bytes,
           (l.doc -> 'flush' ->> 'bytes')::bigint AS flush_lag_bytes,
           (l.doc -> 'replay' ->> 'bytes')::bigint AS replay_lag_bytes,
           CASE WHEN n.ms <= (l.doc -> 'write' ->> 'whole_until_ms')::bigint THEN interval '0'
                ELSE (n.ms - (l.doc -> 'write' ->> 'fresh_ms')::bigint) * interval '1 ms' END AS write_lag,
           CASE WHEN n.ms <= (l.doc -> 'flush' ->> 'whole_until_ms')::bigint THEN interval '0'
                ELSE (n.ms - (l.doc -> 'flush' ->> 'fresh_ms')::bigint) * interval '1 ms' END AS flush_lag,
           CASE WHEN n.ms <= (l.doc -> 'replay' ->> 'whole_until_ms')::bigint THEN interval '0'
                ELSE (n.ms - (l.doc -> 'replay' ->> 'fresh_ms')::bigint) * interval '1 ms' END AS replay_lag
    FROM (SELECT fawkes_ha.snapshot()) AS s(doc)
         CROSS JOIN (SELECT fawkes_ha.boottime_ms()) AS n(ms)
         CROSS JOIN jsonb_array_elements(s.doc -> 'members') AS m(doc)
         LEFT JOIN LATERAL jsonb_array_elements(s.doc -> 'lag') AS l(doc) ON l.doc ->> 'member' = m.doc ->> 'member'
    ORDER BY m.doc ->> 'member';

--
-- Rules by their ids.  The row of rules() stays as it is: it cannot change without dropping what was made of it.
--

CREATE FUNCTION rule_id("position" integer) RETURNS text
AS 'MODULE_PATHNAME', 'fawkes_ha_rule_id'
LANGUAGE C STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION rule_id(integer) IS
'the id of the rule at this position of the decision table; NULL where there is none';

CREATE OR REPLACE VIEW rules AS
    SELECT r.*, fawkes_ha.rule_id(r."position") AS id FROM fawkes_ha.rules() AS r ORDER BY r."position";

CREATE OR REPLACE VIEW members AS
    SELECT m.doc ->> 'member' AS member,
           m.doc ->> 'address' AS address,
           m.doc ->> 'role' AS role,
           m.doc ->> 'state' AS state,
           m.doc ->> 'member' = c.doc ->> 'holder'
               AND NOT coalesce((c.doc ->> 'released')::boolean, false) AS is_leader,
           (m.doc ->> 'term')::bigint AS term,
           (m.doc ->> 'timeline')::bigint AS timeline,
           (m.doc ->> 'lsn')::pg_lsn AS lsn,
           (m.doc ->> 'replayed')::pg_lsn AS replayed,
           CASE WHEN m.doc ->> 'role' = 'standby' THEN
               greatest((c.doc -> 'position' ->> 'lsn')::pg_lsn - (m.doc ->> 'lsn')::pg_lsn, 0) END AS lag_bytes,
           nullif(m.doc ->> 'following', '') AS following,
           (m.doc ->> 'pending_restart')::boolean AS pending_restart,
           nullif(m.doc ->> 'updated_at', '')::timestamptz AS updated_at,
           m.doc ->> 'rule' AS rule
    FROM (SELECT fawkes_ha.snapshot()) AS s(doc),
         LATERAL (SELECT s.doc -> 'cluster') AS c(doc),
         LATERAL jsonb_array_elements(s.doc -> 'members') AS m(doc)
    ORDER BY m.doc ->> 'member';

REVOKE ALL ON FUNCTION rule_id(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION rule_id(integer) TO pg_monitor;

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

--
-- Requests that are only tried.  Overloads: who may make a request may then keep that right and try it under another one.
--

CREATE FUNCTION switchover(dry_run boolean, target text DEFAULT NULL, wait_seconds integer DEFAULT 60, reason text DEFAULT NULL) RETURNS text
AS 'MODULE_PATHNAME', 'fawkes_ha_try_switchover'
LANGUAGE C VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION switchover(boolean, text, integer, text) IS
'with dry_run => true: what a switchover would do; nothing is done';

CREATE FUNCTION pause(dry_run boolean, reason text DEFAULT NULL, wait_seconds integer DEFAULT 60) RETURNS text
AS 'MODULE_PATHNAME', 'fawkes_ha_try_pause'
LANGUAGE C VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pause(boolean, text, integer) IS
'with dry_run => true: what a pause would do; nothing is done';

CREATE FUNCTION resume(dry_run boolean, reason text DEFAULT NULL, wait_seconds integer DEFAULT 60) RETURNS text
AS 'MODULE_PATHNAME', 'fawkes_ha_try_resume'
LANGUAGE C VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION resume(boolean, text, integer) IS
'with dry_run => true: what the end of a pause would do; nothing is done';

CREATE FUNCTION set_setting(dry_run boolean, name text, value text, wait_seconds integer DEFAULT 60, reason text DEFAULT NULL) RETURNS text
AS 'MODULE_PATHNAME', 'fawkes_ha_try_set_setting'
LANGUAGE C VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION set_setting(boolean, text, text, integer, text) IS
'with dry_run => true: what setting a setting of all members would do; nothing is done';

CREATE FUNCTION reset_setting(dry_run boolean, name text, wait_seconds integer DEFAULT 60, reason text DEFAULT NULL) RETURNS text
AS 'MODULE_PATHNAME', 'fawkes_ha_try_reset_setting'
LANGUAGE C VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION reset_setting(boolean, text, integer, text) IS
'with dry_run => true: what leaving a setting to each member''s own file would do; nothing is done';

COMMENT ON FUNCTION set_setting(text, text, integer, text) IS
'set a setting of PostgreSQL or of fawkes_ha on all members, over their own files; besides EXECUTE it wants ALTER SYSTEM on that parameter';
COMMENT ON FUNCTION reset_setting(text, integer, text) IS
'leave a setting to each member''s own file again; besides EXECUTE it wants ALTER SYSTEM on that parameter';

REVOKE ALL ON FUNCTION switchover(boolean, text, integer, text),
    pause(boolean, text, integer),
    resume(boolean, text, integer),
    set_setting(boolean, text, text, integer, text),
    reset_setting(boolean, text, integer, text) FROM PUBLIC;
