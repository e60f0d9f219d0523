-- What a plain server has of metrics, and the views of users.
SET client_min_messages = warning;

-- Names, types and labels; those of the checkpointer are others in other versions.
SELECT name, type, array_agg(DISTINCT label ORDER BY label) AS labels, bool_and(value IS NOT NULL) AS known
FROM fawkes_ha.metrics LEFT JOIN LATERAL jsonb_object_keys(labels) AS label ON true
WHERE name !~ '^cnpg_pg_stat_(bgwriter|checkpointer)_'
GROUP BY name, type ORDER BY name;
SELECT name, type, labels ? 'datname' AS in_a_database FROM fawkes_ha.database_metrics
WHERE labels ->> 'extname' IS NULL OR labels ->> 'extname' = 'fawkes_ha';
SELECT count(*) AS not_a_text FROM fawkes_ha.metrics, jsonb_each(labels) AS l WHERE jsonb_typeof(l.value) <> 'string';
SELECT count(*) AS twice FROM (SELECT FROM fawkes_ha.metrics GROUP BY name, labels HAVING count(*) > 1) AS t;
SELECT count(*) AS two_types FROM (SELECT FROM fawkes_ha.metrics GROUP BY name HAVING count(DISTINCT (type, help)) > 1) AS t;

-- What metrics are made of.
SELECT file, fawkes_ha.wal_file_start(file) / pg_size_bytes(current_setting('wal_segment_size')) AS segments
FROM (VALUES ('000000010000000000000003'), ('000000A10000000200000000'), ('00000002.history'),
             ('000000010000000000000003.00000028.backup'), ('')) AS f(file);
SELECT names, fawkes_ha.sync_standbys(names)
FROM (VALUES (''), ('  '), ('*'), ('a, b'), ('2 (a, b, c)'), ('FIRST 3 (a, b, c)'), ('any 2(*)'), ('"first 2 (a)"')) AS n(names);
SELECT fawkes_ha.database_size(0) IS NULL AS no_such_database;
SELECT bool_and(fawkes_ha.database_size(oid) > 1000000) AS some FROM pg_database WHERE datname = current_database();

-- Views of users: who reads them must exist.
CREATE FUNCTION pg_temp.try(statement text) RETURNS TABLE (state text, message text, hint text)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement INTO message;
    state := '00000';
    RETURN NEXT;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
    RETURN NEXT;
END $$;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (place text, amount numeric, paid boolean, at timestamptz);
INSERT INTO shop.orders VALUES ('here', 1.5, true, 'epoch'), (NULL, 4, false, NULL);
CREATE VIEW shop.orders_now AS SELECT place, amount AS amount_total, paid, at FROM shop.orders;
COMMENT ON COLUMN shop.orders_now.amount_total IS 'What was ordered.';
SELECT * FROM pg_temp.try($$ SELECT fawkes_ha.add_metrics('shop.orders_now') $$);
CREATE ROLE fawkes_exporter IN ROLE pg_monitor;

-- Columns that become metrics.
SELECT * FROM pg_temp.try($$ SELECT fawkes_ha.add_metrics('shop.orders_now', counters => '{amount_total}') $$);
SELECT query FROM fawkes_ha.user_metrics \gexec
SET ROLE fawkes_exporter;
SELECT query FROM fawkes_ha.user_metrics \gexec
SELECT * FROM pg_temp.try('SELECT count(*) FROM shop.orders');
SELECT * FROM pg_temp.try('SELECT count(*) FROM fawkes_ha.metric_views');
SELECT * FROM pg_temp.try($$ SELECT fawkes_ha.add_metrics('shop.orders_now') $$);
SELECT count(*) > 200 AS many FROM fawkes_ha.metrics;
RESET ROLE;

-- Rows that are metrics already; added again, it is changed.
CREATE VIEW shop.rows AS SELECT 'shop_open'::text AS name, 'gauge'::text AS type, 'Is it?'::text AS help, '{}'::jsonb AS labels, 1 AS value;
SELECT * FROM pg_temp.try($$ SELECT fawkes_ha.add_metrics('shop.rows') $$);
SELECT * FROM pg_temp.try($$ SELECT fawkes_ha.add_metrics('shop.orders_now', 'shop', '{paid}') $$);
SELECT * FROM fawkes_ha.user_metrics;

-- What is refused, and why.
CREATE VIEW shop.texts AS SELECT 'x'::text AS a;
CREATE VIEW shop.mixed AS SELECT 1 AS a, '{}'::jsonb AS b;
CREATE VIEW shop.names AS SELECT 1 AS "Größe";
CREATE VIEW shop.label AS SELECT 1 AS a, 'x'::text AS "a b";
CREATE VIEW shop.hidden AS SELECT 1 AS a, 'x'::text AS __a;
CREATE TEMP VIEW passing AS SELECT 1 AS a;
CREATE ROLE regress_fawkes_owner;
CREATE VIEW shop.others AS SELECT 1 AS a;
ALTER VIEW shop.others OWNER TO regress_fawkes_owner;
SELECT statement, state, message, hint
FROM (VALUES ('add_metrics(NULL)'), ('add_metrics(''shop.nothing'')'), ('add_metrics(''shop.orders'')'), ('add_metrics(''passing'')'),
    ('add_metrics(''shop.texts'')'), ('add_metrics(''shop.mixed'')'), ('add_metrics(''shop.mixed'', labels => ''{b}'')'),
    ('add_metrics(''shop.names'')'), ('add_metrics(''shop.label'')'), ('add_metrics(''shop.hidden'')'),
    ('add_metrics(''shop.mixed'', ''9'')'), ('add_metrics(''shop.mixed'', ''fawkes_ha_x'')'),
    ('add_metrics(''shop.mixed'', labels => ''{c}'')'), ('add_metrics(''shop.mixed'', counters => ''{a,NULL}'')'),
    ('add_metrics(''shop.others'')'), ('remove_metrics(''shop.texts'')'), ('remove_metrics(NULL)')) AS s(statement),
    LATERAL pg_temp.try('SELECT fawkes_ha.' || statement);

-- A view that was changed, or whose owner was, says what is wrong; one that was dropped is gone.
CREATE OR REPLACE VIEW shop.orders_now AS SELECT place, amount AS amount_total, paid, at, ARRAY[1] AS more FROM shop.orders;
ALTER VIEW shop.rows OWNER TO regress_fawkes_owner;
SELECT view, query, error FROM fawkes_ha.user_metrics;
DROP VIEW shop.orders_now;
SELECT view FROM fawkes_ha.user_metrics;

-- Removed, it is nobody's to read.
SELECT * FROM pg_temp.try($$ SELECT fawkes_ha.remove_metrics('shop.rows') $$);
SELECT has_table_privilege('fawkes_exporter', 'shop.rows', 'SELECT') AS may_read;
SELECT count(*) FROM fawkes_ha.user_metrics;

DROP SCHEMA shop CASCADE;
DROP ROLE regress_fawkes_owner, fawkes_exporter;
