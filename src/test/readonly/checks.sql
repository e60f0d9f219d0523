-- pgTAP: what a role of setup_readonly_role() can do, and what not.  Runs as superuser on the primary after
-- world.sql; :reader is a connection string of the reader's, to a standby or to a primary that is alone.
\set QUIET on
SET client_min_messages = warning;
BEGIN;
SELECT no_plan();

CREATE TEMP TABLE said (line text);
SELECT set_config('test.reader', :'reader', true) IS NOT NULL AS quiet \gset
CREATE FUNCTION pg_temp.in_shell(word text) RETURNS text LANGUAGE sql AS
$$ SELECT '''' || replace(word, '''', '''\''''') || '''' $$;
-- What psql says to the reader who gives these statements in one session; of errors, the SQLSTATE.
CREATE FUNCTION pg_temp.says(VARIADIC statements text[]) RETURNS text LANGUAGE plpgsql AS
$$ DECLARE
    command text := 'psql -XAtq -v VERBOSITY=sqlstate -d ' || pg_temp.in_shell(current_setting('test.reader'))
        || (SELECT string_agg(' -c ' || pg_temp.in_shell(s), '') FROM unnest(statements) s) || ' 2>&1; true';
BEGIN
    TRUNCATE said;
    EXECUTE format('COPY said FROM PROGRAM %L WITH (FORMAT csv, DELIMITER E''\x01'', QUOTE E''\x02'')', command);
    RETURN (SELECT string_agg(line, ' ') FROM said);
END $$;
CREATE FUNCTION pg_temp.can(wanted text, VARIADIC statements text[]) RETURNS text LANGUAGE sql AS
$$ SELECT is(pg_temp.says(VARIADIC statements), wanted, array_to_string(statements, '; ')) $$;
CREATE FUNCTION pg_temp.cannot(sql text, code text DEFAULT '42501') RETURNS text LANGUAGE sql AS
$$ SELECT is(pg_temp.says(sql), 'ERROR:  ' || code, sql) $$;

-- Whatever anybody has, and whatever came later.
SELECT pg_temp.can('on', 'SHOW transaction_read_only');
SELECT pg_temp.can('0', 'SELECT count(*)::text FROM ledger');
SELECT pg_temp.can('one,two', 'SELECT string_agg(name, '','' ORDER BY id) FROM later.things');
SELECT pg_temp.can('two', 'SELECT max(name) FROM later.names');
SELECT pg_temp.can('2', 'SELECT n::text FROM later.counted');
SELECT pg_temp.can('t', 'SELECT last_value >= 2 FROM later.things_id_seq');
SELECT pg_temp.can('one', 'SELECT later.longest()');
SELECT pg_temp.can('3', 'WITH t AS (SELECT id FROM later.things) SELECT sum(id)::text FROM t');
SELECT pg_temp.can('t', 'SELECT gen_random_uuid() IS NOT NULL AND random() < 1 AND clock_timestamp() > now()');
SELECT pg_temp.can('true', 'SELECT (pg_total_relation_size(''later.things'') > 0)::text');
SELECT pg_temp.can('true', 'SELECT (count(*) > 0)::text FROM pg_stat_activity');
SELECT pg_temp.can('true', 'SELECT (count(*) > 0)::text FROM pg_locks');
SELECT pg_temp.can('true', 'SELECT (count(*) > 0)::text FROM pg_roles');
SELECT pg_temp.can('later 2', 'SELECT set_config(''search_path'', ''later'', false)', 'SELECT count(*) FROM things');
SELECT pg_temp.can('2', 'SET parallel_setup_cost = 0', 'SET parallel_tuple_cost = 0',
    'SET min_parallel_table_scan_size = 0', 'SELECT count(*) FROM later.things');
SELECT pg_temp.can('1h', 'SET statement_timeout = ''1h''', 'SHOW statement_timeout');
SELECT pg_temp.can('one', 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY',
    'LOCK TABLE later.things IN ACCESS SHARE MODE', 'SAVEPOINT s', 'ROLLBACK TO SAVEPOINT s',
    'DECLARE c CURSOR FOR SELECT name FROM later.things ORDER BY id', 'FETCH c', 'COMMIT');
SELECT pg_temp.can('two', 'PREPARE p AS SELECT name FROM later.things WHERE id = $1', 'EXECUTE p (2)', 'DISCARD ALL');
SELECT pg_temp.can('one two', 'COPY (SELECT name FROM later.things ORDER BY id) TO STDOUT');
SELECT pg_temp.can('t', 'SELECT dice() < 1');

-- Rows.
SELECT pg_temp.cannot('INSERT INTO later.things (name) VALUES (''x'')', '25006');
SELECT pg_temp.cannot('INSERT INTO everybodys VALUES (1)', '25006');
SELECT pg_temp.cannot('UPDATE everybodys SET i = 2', '25006');
SELECT pg_temp.cannot('DELETE FROM everybodys', '25006');
SELECT pg_temp.cannot('WITH w AS (INSERT INTO everybodys VALUES (1) RETURNING i) SELECT i::text FROM w', '25006');
SELECT pg_temp.cannot('EXPLAIN ANALYZE INSERT INTO everybodys VALUES (1)', '25006');
SELECT pg_temp.cannot('SELECT i::text FROM everybodys FOR UPDATE', '25006');
SELECT pg_temp.cannot('TRUNCATE everybodys');
SELECT pg_temp.cannot('COPY everybodys FROM PROGRAM ''echo 1''');

-- Turning a transaction to writing.
SELECT pg_temp.cannot('BEGIN READ WRITE');
SELECT pg_temp.cannot('START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE');
SELECT pg_temp.cannot('SET TRANSACTION READ WRITE');
SELECT pg_temp.cannot('SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE');
SELECT pg_temp.cannot('SET transaction_read_only = off');
SELECT pg_temp.cannot('SET default_transaction_read_only = ''no''');
SELECT pg_temp.can('off ERROR:  25006 on', 'SELECT set_config(''default_transaction_read_only'', ''off'', false)',
    'INSERT INTO everybodys VALUES (1)', 'RESET default_transaction_read_only', 'SHOW default_transaction_read_only');
SELECT pg_temp.can('ERROR:  25006 ERROR:  25006', 'BEGIN', 'INSERT INTO everybodys VALUES (1)', 'ROLLBACK AND CHAIN',
    'INSERT INTO everybodys VALUES (1)', 'ROLLBACK');

-- Objects, for which PUBLIC has the rights.
SELECT pg_temp.cannot('CREATE TABLE mine (i int)');
SELECT pg_temp.cannot('CREATE TEMP TABLE mine (i int)');
SELECT pg_temp.cannot('CREATE TEMP TABLE mine AS SELECT 1');
SELECT pg_temp.cannot('SELECT 1 INTO TEMP mine');
SELECT matches(pg_temp.says('EXPLAIN ANALYZE CREATE TEMP TABLE mine AS SELECT 1'), '^ERROR',
    'EXPLAIN ANALYZE makes no temporary table');
SELECT matches(pg_temp.says('EXPLAIN ANALYZE CREATE TABLE mine AS SELECT 1'), '^ERROR',
    'EXPLAIN ANALYZE makes no table');
SELECT pg_temp.cannot('CREATE TEMP VIEW mine AS SELECT 1');
SELECT pg_temp.cannot('CREATE TEMP SEQUENCE mine');
SELECT pg_temp.cannot('CREATE SCHEMA mine');
SELECT pg_temp.cannot('CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS ''SELECT 1''');
SELECT pg_temp.cannot('CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE sql AS ''SELECT 1''');
SELECT pg_temp.cannot('CREATE TYPE public.mine AS (i int)');
SELECT pg_temp.cannot('DROP TABLE everybodys');
SELECT pg_temp.cannot('ALTER ROLE CURRENT_USER PASSWORD NULL');
SELECT pg_temp.cannot('ALTER ROLE CURRENT_USER SET work_mem = ''1MB''');
SELECT pg_temp.cannot('GRANT SELECT ON everybodys TO PUBLIC');
SELECT pg_temp.cannot('COMMENT ON TABLE everybodys IS ''''');
SELECT pg_temp.cannot('REFRESH MATERIALIZED VIEW later.counted');

-- Sequences.
SELECT pg_temp.cannot('SELECT nextval(''later.things_id_seq'')::text');
SELECT pg_temp.cannot('SELECT setval(''later.things_id_seq'', 9)::text');
SELECT pg_temp.cannot('SELECT definer_counts()::text');

-- Functions that write, with their owner's rights.
SELECT pg_temp.cannot('SELECT definer_inserts()::text', '25006');
SELECT pg_temp.cannot('SELECT definer_turns_to_writing()::text');
SELECT matches(pg_temp.says('SELECT definer_is_set_to_writing()::text'), '^ERROR', 'a function is not set to writing');
SELECT pg_temp.cannot('SELECT definer_drops()::text');
SELECT pg_temp.cannot('SELECT definer_makes_a_temporary_table()::text');
SELECT pg_temp.cannot('SELECT definer_signals()::text');
SELECT pg_temp.cannot('CALL commits()');
SELECT pg_temp.cannot('DO ''BEGIN END''');

-- Large objects, of which 15's read-only transactions know nothing.
SELECT pg_temp.cannot('SELECT lo_create(0)::text');
SELECT pg_temp.cannot('SELECT lo_creat(-1)::text');
SELECT pg_temp.cannot('SELECT lo_from_bytea(0, ''x'')::text');
SELECT pg_temp.cannot('SELECT lo_put(4711, 0, ''x'')::text');
SELECT pg_temp.cannot('SELECT lowrite(lo_open(4711, 131072), ''x'')::text');
SELECT pg_temp.cannot('SELECT lo_truncate(lo_open(4711, 131072), 0)::text');
SELECT pg_temp.cannot('SELECT lo_unlink(4711)::text');
SELECT pg_temp.cannot('SELECT lo_get(4711)::text');
SELECT pg_temp.cannot('SELECT definer_makes_a_large_object()::text');
SELECT pg_temp.cannot('SELECT definer_writes_a_large_object()::text');
SELECT pg_temp.cannot('ALTER LARGE OBJECT 4711 OWNER TO CURRENT_USER');
SELECT is((SELECT count(*) FROM pg_largeobject_metadata), 13::bigint, 'there are the large objects that were there');
SELECT is(lo_get(4711), '', 'and nothing is in it');

-- Files and programs.
SELECT pg_temp.cannot('COPY later.things TO PROGRAM ''cat''');
SELECT pg_temp.cannot('COPY later.things TO ''/tmp/of-a-reader''');
SELECT pg_temp.cannot('SELECT definer_runs_a_program()::text');
SELECT pg_temp.cannot('SELECT pg_read_file(''PG_VERSION'')');
SELECT pg_temp.cannot('LOAD ''pg_prewarm''');
SELECT pg_temp.cannot('SELECT pg_export_snapshot()');

-- The server's log, and what a login may use.
SELECT pg_temp.cannot('SET debug_print_plan = on');
SELECT pg_temp.cannot('SET debug_print_parse = on');
SELECT pg_temp.cannot('SET debug_print_rewritten = on');
SELECT pg_temp.cannot('SET trace_sort = on');
SELECT pg_temp.cannot('SET log_parameter_max_length_on_error = -1');
SELECT pg_temp.cannot('SELECT set_config(''debug_print_plan'', ''on'', true)');
SELECT pg_temp.can('application_name debug_pretty_print', 'SELECT string_agg(name, '' '' ORDER BY name) FROM pg_settings '
    'WHERE context = ''user'' AND (category LIKE ''Reporting and Logging%'' OR name ~ ''^(trace_sort|log_)'')');
SELECT pg_temp.cannot('SET temp_file_limit = -1');
SELECT pg_temp.can('1GB 10min', 'SHOW temp_file_limit', 'SHOW idle_in_transaction_session_timeout');

-- Locks, messages, signals, transaction ids.
SELECT pg_temp.cannot('SELECT pg_advisory_lock(1)::text');
SELECT pg_temp.cannot('SELECT pg_try_advisory_xact_lock(1, 2)::text');
SELECT pg_temp.can('ERROR:  42501', 'BEGIN', 'LOCK TABLE everybodys IN SHARE MODE', 'ROLLBACK');
SELECT pg_temp.cannot('LISTEN channel');
SELECT pg_temp.cannot('NOTIFY channel');
SELECT pg_temp.cannot('SELECT pg_notify(''channel'', '''')::text');
SELECT pg_temp.cannot('SELECT pg_terminate_backend(pg_backend_pid())::text');
SELECT pg_temp.cannot('SELECT pg_current_xact_id()::text');
SELECT pg_temp.cannot('SELECT txid_current()::text');
SELECT pg_temp.cannot('SELECT pg_switch_wal()::text');
SELECT pg_temp.can('ERROR:  42501', 'BEGIN', 'PREPARE TRANSACTION ''mine''', 'ROLLBACK');
SELECT pg_temp.cannot('CHECKPOINT');
SELECT pg_temp.cannot('VACUUM everybodys');
SELECT pg_temp.cannot('ANALYZE everybodys');
SELECT pg_temp.cannot('REINDEX TABLE everybodys');
SELECT pg_temp.cannot('ALTER SYSTEM SET work_mem = ''1MB''');

-- Other roles, and what an extension's functions in C could do.
SELECT pg_temp.cannot('SET ROLE pg_read_all_data');
SELECT pg_temp.cannot('SET ROLE other');
SELECT pg_temp.cannot('SET SESSION AUTHORIZATION other');
SELECT pg_temp.can('t', 'SET ROLE NONE', 'SELECT current_user = session_user');
SELECT pg_temp.cannot('SELECT dice_for_all()');
SELECT pg_temp.cannot('SELECT fawkes_ha.switchover()');
SELECT pg_temp.cannot('SELECT fawkes_ha.setup_readonly_role(''mine'')');

-- What pg_read_all_data would show of everybody.
SELECT pg_temp.cannot('SELECT rolpassword FROM pg_authid LIMIT 1');
SELECT pg_temp.cannot('SELECT count(*)::text FROM pg_authid');
SELECT pg_temp.cannot('SELECT passwd FROM pg_shadow LIMIT 1');
SELECT pg_temp.cannot('SELECT data::text FROM pg_largeobject LIMIT 1');
SELECT pg_temp.cannot('SELECT stavalues1::text FROM pg_statistic LIMIT 1');
SELECT pg_temp.cannot('SELECT stxdmcv::text FROM pg_statistic_ext_data LIMIT 1');
SELECT pg_temp.cannot('SELECT histogram_bounds::text FROM pg_stats LIMIT 1');
SELECT pg_temp.cannot('SELECT n_distinct::text FROM pg_stats_ext LIMIT 1');
SELECT pg_temp.cannot('SELECT histogram_bounds::text FROM pg_stats_ext_exprs LIMIT 1');
SELECT pg_temp.cannot('SELECT attname FROM later.values_seen LIMIT 1');
SELECT pg_temp.can('ERROR:  42501', 'COPY (SELECT * FROM later.values_seen) TO STDOUT');
SELECT pg_temp.can('t', 'SELECT later.is_estimated()');
SELECT pg_temp.cannot('SELECT subconninfo FROM pg_subscription LIMIT 1');
SELECT pg_temp.cannot('SELECT umoptions::text FROM pg_user_mapping LIMIT 1');
SELECT pg_temp.can('12', 'SELECT count(subname)::text FROM pg_subscription');
SELECT pg_temp.can('pg_read_all_data ERROR:  42501', 'SELECT set_config(''role'', ''pg_read_all_data'', false)',
    'SELECT rolpassword FROM pg_authid LIMIT 1');
SELECT pg_temp.can('ERROR:  42501', 'COPY pg_authid TO STDOUT');

SELECT is((SELECT count(*) FROM later.things), 2::bigint, 'nothing was written');
SELECT * FROM finish();
ROLLBACK;
