-- A database that was updated to a version has what a direct installation of it makes, by whatever way; and what users
-- built on the oldest stands.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
DROP EXTENSION IF EXISTS fawkes_ha;

SELECT no_plan();

-- Everything that the extension holds: what it is, who may, what it says about itself, and what pg_dump leaves to it.
CREATE TEMP VIEW holds AS
    SELECT (pg_identify_object(d.classid, d.objid, d.objsubid)).type,
           (pg_identify_object(d.classid, d.objid, d.objsubid)).identity,
           coalesce(pg_get_functiondef(p.oid), pg_get_viewdef(c.oid), c.relkind::text) AS definition,
           (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || coalesce(col_description(c.oid, a.attnum), ''),
                              ', ' ORDER BY a.attnum)
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0) AS columns,
           (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(coalesce(p.proacl, c.relacl)) a) AS may,
           (SELECT array_agg(a::text ORDER BY a::text) FROM pg_init_privs i, unnest(i.initprivs) a
            WHERE i.classoid = d.classid AND i.objoid = d.objid AND i.objsubid = 0) AS may_from_the_start,
           c.oid = ANY (e.extconfig) AS is_dumped,
           obj_description(d.objid, d.classid::regclass::name) AS says
    FROM pg_extension e
         JOIN pg_depend d ON d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
         LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
         LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
    WHERE e.extname = 'fawkes_ha';

-- What a direct installation of each version makes.
CREATE TEMP TABLE directly AS SELECT ''::text AS version, h.* FROM holds h;
DO $$
DECLARE
    made text;
BEGIN
    FOR made IN SELECT version FROM pg_available_extension_versions WHERE name = 'fawkes_ha' LOOP
        EXECUTE format('CREATE EXTENSION fawkes_ha VERSION %L', made);
        INSERT INTO directly SELECT made, h.* FROM holds h;
        DROP EXTENSION fawkes_ha;
    END LOOP;
END $$;
SELECT cmp_ok(count(*), '>', 30::bigint, version || ' holds something')
FROM directly WHERE version <> '1.0' GROUP BY version ORDER BY version;
SELECT isnt_empty($$ SELECT identity FROM directly WHERE version = '1.1' EXCEPT SELECT identity FROM directly WHERE version = '1.0' $$,
    '1.0 lacks some of 1.1');

-- Each way from one to another.
CREATE FUNCTION pg_temp.way(source text, target text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE EXTENSION fawkes_ha VERSION %L', source);
    EXECUTE format('ALTER EXTENSION fawkes_ha UPDATE TO %L', target);
    RETURN NEXT set_eq('SELECT h.* FROM holds h',
        format('SELECT type, identity, definition, columns, may, may_from_the_start, is_dumped, says FROM directly WHERE version = %L', target),
        format('%s, updated from %s, holds what a direct one holds: objects, columns, comments and grants', target, source));
    DROP EXTENSION fawkes_ha;
END $$;
SELECT cmp_ok(count(*), '>=', 3::bigint, 'there are ways from 1.0 and from 1.1') FROM pg_extension_update_paths('fawkes_ha') WHERE path IS NOT NULL;
SELECT pg_temp.way(source, target) FROM pg_extension_update_paths('fawkes_ha') WHERE path IS NOT NULL ORDER BY source, target;

-- What users built on the oldest.
CREATE EXTENSION fawkes_ha VERSION '1.0';
CREATE ROLE regress_fawkes_operator;
GRANT EXECUTE ON FUNCTION fawkes_ha.switchover(text, integer, text) TO regress_fawkes_operator;
GRANT SELECT ON fawkes_ha.members TO regress_fawkes_operator;
CREATE VIEW public.leaders AS SELECT member FROM fawkes_ha.members WHERE is_leader;

SELECT lives_ok('ALTER EXTENSION fawkes_ha UPDATE', 'it is updated');
SELECT is(extversion, (SELECT default_version FROM pg_available_extensions WHERE name = 'fawkes_ha'), 'to the version that is shipped')
FROM pg_extension WHERE extname = 'fawkes_ha';
SELECT ok(has_function_privilege('regress_fawkes_operator', 'fawkes_ha.switchover(text, integer, text)', 'EXECUTE'), 'a right to request stays');
SELECT ok(has_table_privilege('regress_fawkes_operator', 'fawkes_ha.members', 'SELECT'), 'a right to look stays');
SELECT is_empty('SELECT * FROM public.leaders', 'a view over it works');
REVOKE ALL ON FUNCTION fawkes_ha.switchover(text, integer, text) FROM regress_fawkes_operator;
REVOKE ALL ON fawkes_ha.members FROM regress_fawkes_operator;

SELECT set_eq('SELECT h.* FROM holds h',
    format('SELECT type, identity, definition, columns, may, may_from_the_start, is_dumped, says FROM directly WHERE version = %L', extversion),
    'without that it holds what a new one holds, and no right of users is taken for its own')
FROM pg_extension WHERE extname = 'fawkes_ha';

SELECT * FROM finish();
ROLLBACK;
