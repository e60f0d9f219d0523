-- What CREATE EXTENSION makes: names, types, who may, and what it says about itself.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
DROP EXTENSION IF EXISTS fawkes_ha;
CREATE EXTENSION fawkes_ha;

SELECT no_plan();

SELECT has_schema('fawkes_ha');
SELECT functions_are('fawkes_ha',
    ARRAY['snapshot', 'fence', 'rules', 'rule_id', 'status', 'switchover', 'failover', 'restart', 'reinit', 'rejoin',
    'remove_member', 'pause', 'resume', 'set_setting', 'reset_setting',
    'database_size', 'checkpointer_statistics', 'wal_statistics', 'wal_file_start', 'wal_volume_size', 'volumes', 'without_incarnation', 'sync_standbys',
    'own_metrics', 'metrics_query', 'add_metrics', 'remove_metrics', 'setup_readonly_role',
    'boottime_ms']);
SELECT views_are('fawkes_ha', ARRAY['members', 'rules', 'history', 'replication_lag',
    'metrics_backends', 'metrics_database', 'metrics_stat_database', 'metrics_postmaster', 'metrics_replication',
    'metrics_slots', 'metrics_archiver', 'metrics_bgwriter', 'metrics_checkpointer', 'metrics_stat_replication',
    'metrics_settings', 'metrics_wal', 'metrics_volumes', 'metrics_collector', 'server_metrics', 'metrics', 'database_metrics', 'user_metrics']);
SELECT tables_are('fawkes_ha', ARRAY['metric_views'], 'what is of one database, and nothing that must be readable without a primary');

-- Return types.
SELECT function_returns('fawkes_ha', 'snapshot', ARRAY[]::text[], 'jsonb');
SELECT function_returns('fawkes_ha', 'fence', ARRAY[]::text[], 'record');
SELECT function_returns('fawkes_ha', 'rules', ARRAY[]::text[], 'setof record');
SELECT function_returns('fawkes_ha', 'rule_id', ARRAY['integer'], 'text');
SELECT function_returns('fawkes_ha', 'status', ARRAY[]::text[], 'record');
SELECT function_returns('fawkes_ha', 'switchover', ARRAY['text', 'integer', 'text'], 'text');
SELECT function_returns('fawkes_ha', 'failover', ARRAY['text', 'integer', 'text', 'boolean', 'boolean'], 'text');
SELECT function_returns('fawkes_ha', 'reinit', ARRAY['text', 'integer', 'text', 'boolean'], 'text');
SELECT function_returns('fawkes_ha', 'set_setting', ARRAY['text', 'text', 'integer', 'text'], 'text');
SELECT function_returns('fawkes_ha', 'switchover', ARRAY['boolean', 'text', 'integer', 'text'], 'text');
SELECT function_returns('fawkes_ha', 'pause', ARRAY['boolean', 'text', 'integer'], 'text');
SELECT function_returns('fawkes_ha', 'resume', ARRAY['boolean', 'text', 'integer'], 'text');
SELECT function_returns('fawkes_ha', 'set_setting', ARRAY['boolean', 'text', 'text', 'integer', 'text'], 'text');
SELECT function_returns('fawkes_ha', 'reset_setting', ARRAY['boolean', 'text', 'integer', 'text'], 'text');
SELECT function_returns('fawkes_ha', 'setup_readonly_role', ARRAY['text', 'text[]', 'text'], 'text');
SELECT columns_are('fawkes_ha', 'members', ARRAY['member', 'address', 'role', 'state', 'is_leader',
    'term', 'timeline', 'lsn', 'replayed', 'lag_bytes', 'following', 'pending_restart', 'updated_at', 'rule']);
SELECT columns_are('fawkes_ha', 'replication_lag', ARRAY['member', 'role', 'streaming', 'serves_reads',
    'write_lag_bytes', 'flush_lag_bytes', 'replay_lag_bytes', 'write_lag', 'flush_lag', 'replay_lag']);
SELECT columns_are('fawkes_ha', 'rules',
    ARRAY['position', 'when_all', 'unless_any', 'lease', 'fence', 'node', 'because', 'id']);
SELECT columns_are('fawkes_ha', 'history',
    ARRAY['at', 'event', 'term', 'timeline', 'member', 'from', 'reason', 'requested_by', 'result']);
SELECT col_type_is('fawkes_ha', 'members', 'lsn', 'pg_lsn', 'positions are pg_lsn');
SELECT col_type_is('fawkes_ha', 'members', 'is_leader', 'boolean', 'is_leader is a boolean');
SELECT col_type_is('fawkes_ha', 'history', 'at', 'timestamp with time zone', 'times are timestamptz');

-- One row, whatever the server is.
SELECT is(count(*), 1::bigint, 'status() is one row') FROM fawkes_ha.status();

-- Who may: nobody without a grant; pg_monitor may look; requests are the superuser's.
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
       WHERE p.pronamespace = 'fawkes_ha'::regnamespace AND a.grantee = 0 $$,
    'no function is PUBLIC''s');
SELECT is_empty(
    $$ SELECT c.oid::regclass FROM pg_class c, aclexplode(c.relacl) a
       WHERE c.relnamespace = 'fawkes_ha'::regnamespace AND a.grantee = 0 $$,
    'no view is PUBLIC''s');
SELECT is_empty(
    $$ SELECT o.name, a.grantee::regrole
       FROM (SELECT c.oid::regclass::text, c.relacl, c.relowner FROM pg_class c
             WHERE c.relnamespace = 'fawkes_ha'::regnamespace AND c.relkind IN ('r', 'v')
             UNION ALL
             SELECT p.oid::regprocedure::text, p.proacl, p.proowner FROM pg_proc p
             WHERE p.pronamespace = 'fawkes_ha'::regnamespace) AS o(name, acl, owner), aclexplode(o.acl) a
       WHERE a.grantee NOT IN (o.owner, 'pg_monitor'::regrole) $$,
    'nothing is granted to anybody but pg_monitor');
SELECT ok(NOT has_schema_privilege('public', 'fawkes_ha', 'USAGE'), 'the schema is not PUBLIC''s');
SELECT set_eq(
    $$ SELECT p.proname::text FROM pg_proc p
       WHERE p.pronamespace = 'fawkes_ha'::regnamespace
         AND has_function_privilege('pg_monitor', p.oid, 'EXECUTE') $$,
    ARRAY['snapshot', 'fence', 'rules', 'rule_id', 'status',
    'database_size', 'checkpointer_statistics', 'wal_statistics', 'wal_file_start', 'wal_volume_size', 'volumes', 'without_incarnation', 'sync_standbys', 'own_metrics', 'metrics_query',
    'boottime_ms'],
    'pg_monitor may look, and make no requests');
SELECT is_empty(
    $$ SELECT c.oid::regclass FROM pg_class c
       WHERE c.relnamespace = 'fawkes_ha'::regnamespace AND c.relkind IN ('r', 'v')
         AND (NOT has_table_privilege('pg_monitor', c.oid, 'SELECT') AND c.relkind = 'v'
              OR has_table_privilege('pg_monitor', c.oid, 'SELECT') AND c.relkind = 'r'
              OR has_table_privilege('pg_monitor', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')) $$,
    'pg_monitor may read each view, and no table');
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc p
       WHERE p.pronamespace = 'fawkes_ha'::regnamespace AND p.prosecdef $$,
    'no function is SECURITY DEFINER');

-- Every function pins its search_path, so that nobody's objects are found in place of PostgreSQL's.
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc p
       WHERE p.pronamespace = 'fawkes_ha'::regnamespace
         AND NOT coalesce(p.proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp'] $$,
    'every function pins its search_path');

-- Everything says what it is.
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc p
       WHERE p.pronamespace = 'fawkes_ha'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL $$,
    'every function has a comment');
SELECT is_empty(
    $$ SELECT c.oid::regclass FROM pg_class c
       WHERE c.relnamespace = 'fawkes_ha'::regnamespace AND c.relkind IN ('v', 'r')
         AND obj_description(c.oid, 'pg_class') IS NULL $$,
    'every view and table has a comment');

-- What reads metrics relies on one shape.
SELECT is_empty(
    $$ SELECT c.oid::regclass FROM pg_class c
       WHERE c.relnamespace = 'fawkes_ha'::regnamespace AND c.relkind = 'v'
         AND (c.relname LIKE 'metrics%' OR c.relname = 'database_metrics')
         AND (SELECT array_agg(a.attname || ' ' || a.atttypid::regtype ORDER BY a.attnum)
              FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0)
             <> ARRAY['name text', 'type text', 'help text', 'labels jsonb', 'value double precision'] $$,
    'metrics are rows of (name, type, help, labels, value)');
SELECT columns_are('fawkes_ha', 'user_metrics', ARRAY['view', 'prefix', 'query', 'error']);
SELECT ok('fawkes_ha.metric_views'::regclass = ANY (e.extconfig), 'the table is dumped with its database')
FROM pg_extension e WHERE e.extname = 'fawkes_ha';

-- Requests change the world; questions may be asked in parallel plans.
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc p
       WHERE p.pronamespace = 'fawkes_ha'::regnamespace
         AND NOT has_function_privilege('pg_monitor', p.oid, 'EXECUTE') AND (p.provolatile <> 'v' OR p.proparallel <> 'u') $$,
    'requests are VOLATILE and PARALLEL UNSAFE');

SELECT is_empty(
    $$ SELECT e.extname FROM pg_extension e WHERE e.extname = 'fawkes_ha' AND e.extrelocatable $$,
    'the extension is not relocatable');

SELECT * FROM finish();
ROLLBACK;
