-- Metrics of users: views of theirs, by name in a table that is dumped and replicated with the database.

CREATE TABLE metric_views (
    view regclass PRIMARY KEY,
    prefix text NOT NULL,
    labels text[] NOT NULL,
    counters text[] NOT NULL
);
COMMENT ON TABLE metric_views IS
'the views of users that are read as metrics, as add_metrics() was told';
COMMENT ON COLUMN metric_views.view IS 'the view, or materialized view';
COMMENT ON COLUMN metric_views.prefix IS 'how the names of its metrics begin: prefix_column';
COMMENT ON COLUMN metric_views.labels IS 'columns that are labels although they are numbers';
COMMENT ON COLUMN metric_views.counters IS 'columns that are counters, not gauges';
SELECT pg_catalog.pg_extension_config_dump('metric_views', '');

CREATE FUNCTION metrics_query(view oid, prefix text, labels text[], counters text[], OUT query text, OUT error text)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    name_pattern CONSTANT text := '^[a-zA-Z_:][a-zA-Z0-9_:]*$';
    kept record;
    field record;
    pairs text[] := '{}';
    rows text[] := '{}';
    metric text;
BEGIN
    SELECT c.relkind, c.relpersistence, c.relowner,
           CASE c.relpersistence WHEN 't' THEN format('%I', c.relname) ELSE format('%I.%I', n.nspname, c.relname) END AS name
    INTO kept FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = view;
    IF kept.relkind NOT IN ('v', 'm') OR kept.relpersistence = 't' THEN
        error := format('%s is not a lasting view or materialized view', kept.name);
        RETURN;
    END IF;
    IF NOT pg_has_role(kept.relowner, 'pg_monitor', 'USAGE') THEN
        error := format('role %I, the owner of %s, is not a member of pg_monitor, and the view would run as one that is',
            pg_get_userbyid(kept.relowner), kept.name);
        RETURN;
    END IF;
    IF (SELECT array_agg(a.attname::text ORDER BY a.attname) = ARRAY['help', 'labels', 'name', 'type', 'value']
               AND bool_and(CASE a.attname WHEN 'labels' THEN a.atttypid = 'jsonb'::regtype
                            WHEN 'value' THEN t.typcategory = 'N' ELSE t.typcategory = 'S' END)
        FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
        WHERE a.attrelid = view AND a.attnum > 0 AND NOT a.attisdropped) THEN
        query := format('SELECT name::text, type::text, help::text, labels, value::float8 FROM %s', kept.name);
        RETURN;
    END IF;
    FOR field IN
        SELECT a.attname AS name, t.typcategory AS kind, a.atttypid AS type,
               coalesce(col_description(view, a.attnum), format('Column %s of view %s.', a.attname, kept.name)) AS help
        FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
        WHERE a.attrelid = view AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY a.attnum
    LOOP
        metric := prefix || '_' || field.name;
        IF field.name = ANY (labels) OR field.kind IN ('S', 'I', 'E') OR field.type = 'uuid'::regtype THEN
            IF field.name !~ '^[a-zA-Z_][a-zA-Z0-9_]*$' OR field.name LIKE '\_\_%' THEN
                error := format('column %I of %s cannot be a label: names are of letters, digits and _', field.name,
                    kept.name);
                RETURN;
            END IF;
            pairs := pairs || format('%L, coalesce(v.%I::text, '''')', field.name, field.name);
        ELSIF metric !~ name_pattern OR length(metric) > 200 THEN
            error := format('"%s" cannot be the name of a metric: at most 200 letters, digits, _ and :', metric);
            RETURN;
        ELSIF field.kind IN ('N', 'B') OR field.type IN ('timestamptz'::regtype, 'interval'::regtype) THEN
            rows := rows || format('(%L, %L, %L, %s)', metric,
                CASE WHEN field.name = ANY (counters) THEN 'counter' ELSE 'gauge' END, field.help,
                format(CASE WHEN field.kind = 'N' THEN 'v.%I::float8'
                            WHEN field.kind = 'B' THEN 'v.%I::integer::float8'
                            ELSE 'extract(epoch FROM v.%I)::float8' END, field.name));
        ELSE
            error := format('column %I of %s is of type %s: neither a number nor a label', field.name, kept.name,
                format_type(field.type, NULL));
            RETURN;
        END IF;
    END LOOP;
    IF rows = '{}' THEN
        error := format('%s has no column that is a number', kept.name);
        RETURN;
    END IF;
    query := format('SELECT m.name, m.type, m.help, jsonb_build_object(%s) AS labels, m.value '
        'FROM %s AS v, LATERAL (VALUES %s) AS m(name, type, help, value) WHERE m.value IS NOT NULL',
        array_to_string(pairs, ', '), kept.name, array_to_string(rows, ', '));
END
$$;
COMMENT ON FUNCTION metrics_query(oid, text, text[], text[]) IS
'the query that reads a user''s view as metrics, or why it cannot be read';

CREATE VIEW user_metrics AS
    SELECT format('%I.%I', n.nspname, c.relname) AS view, v.prefix, q.query, q.error
    FROM fawkes_ha.metric_views AS v
         JOIN pg_class AS c ON c.oid = v.view
         JOIN pg_namespace AS n ON n.oid = c.relnamespace,
         LATERAL fawkes_ha.metrics_query(v.view, v.prefix, v.labels, v.counters) AS q
    ORDER BY 1;
COMMENT ON VIEW user_metrics IS
'the views of users in this database that are read as metrics: the query of each, or the error that keeps it from being read';

CREATE FUNCTION add_metrics(view regclass, prefix text DEFAULT NULL, labels text[] DEFAULT NULL, counters text[] DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most CONSTANT integer := 100;
    place record;
    missing text;
    reading record;
BEGIN
    SELECT n.nspname, c.relname INTO place
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = view;
    IF place IS NULL THEN
        RAISE EXCEPTION 'there is no view to add' USING ERRCODE = 'undefined_table';
    END IF;
    prefix := coalesce(prefix, 'cnpg_' || place.relname);
    labels := coalesce(labels, '{}');
    counters := coalesce(counters, '{}');
    IF prefix LIKE 'fawkes\_ha%' OR prefix LIKE 'cnpg\_collector%' THEN
        RAISE EXCEPTION 'prefix "%" is fawkes_ha''s own', prefix
            USING ERRCODE = 'reserved_name', HINT = 'Give another one: prefix => ''...''.';
    END IF;
    SELECT c.name INTO missing FROM unnest(labels || counters) AS c(name)
    WHERE NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = view AND a.attname = c.name AND a.attnum > 0
                      AND NOT a.attisdropped)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'view % has no column "%"', view, coalesce(missing, 'NULL') USING ERRCODE = 'undefined_column';
    END IF;
    SELECT * INTO reading FROM fawkes_ha.metrics_query(view, prefix, labels, counters);
    IF reading.error IS NOT NULL THEN
        RAISE EXCEPTION '%', reading.error
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Wanted is a view of a member of pg_monitor, with the columns name, type, help, labels (jsonb) '
                         'and value; or with numbers and texts, of which each number is a metric and each text a label.';
    END IF;
    IF to_regrole('fawkes_exporter') IS NULL THEN
        RAISE EXCEPTION 'there is no role fawkes_exporter, which reads the view'
            USING ERRCODE = 'undefined_object',
                  HINT = 'The primary of a cluster makes it; elsewhere: CREATE ROLE fawkes_exporter IN ROLE pg_monitor.';
    END IF;
    DELETE FROM fawkes_ha.metric_views AS v WHERE NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = v.view);
    IF (SELECT count(*) FROM fawkes_ha.metric_views AS v WHERE v.view <> add_metrics.view) >= most THEN
        RAISE EXCEPTION 'this database has % views of metrics already', most
            USING ERRCODE = 'program_limit_exceeded', HINT = 'Take one away with fawkes_ha.remove_metrics(), or join two.';
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO fawkes_exporter', place.nspname);
    EXECUTE format('GRANT SELECT ON %I.%I TO fawkes_exporter', place.nspname, place.relname);
    INSERT INTO fawkes_ha.metric_views AS v VALUES (view, prefix, labels, counters)
    ON CONFLICT ON CONSTRAINT metric_views_pkey
    DO UPDATE SET prefix = excluded.prefix, labels = excluded.labels, counters = excluded.counters;
    RETURN format('%I.%I is read as metrics', place.nspname, place.relname);
END
$$;
COMMENT ON FUNCTION add_metrics(regclass, text, text[], text[]) IS
'have the exporter read a view as metrics, from the next scrape on: rows of (name, type, help, labels, value), or each number a metric named prefix_column and each text a label; grants fawkes_exporter SELECT on it';

CREATE FUNCTION remove_metrics(view regclass) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    place text;
BEGIN
    DELETE FROM fawkes_ha.metric_views AS v WHERE v.view = remove_metrics.view;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'view % is not read as metrics', view
            USING ERRCODE = 'undefined_object', HINT = 'fawkes_ha.user_metrics lists those that are.';
    END IF;
    SELECT format('%I.%I', n.nspname, c.relname) INTO place
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = remove_metrics.view;
    IF to_regrole('fawkes_exporter') IS NOT NULL THEN
        EXECUTE format('REVOKE SELECT ON %s FROM fawkes_exporter', place);
    END IF;
    RETURN format('%s is read as metrics no more', place);
END
$$;
COMMENT ON FUNCTION remove_metrics(regclass) IS
'have the exporter read a view no more, and take its SELECT away again';
