-- A database that had version 1.0 has, after ALTER EXTENSION UPDATE, what a new one has; and what users built on it stands.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
DROP EXTENSION IF EXISTS fawkes_ha;

SELECT no_plan();

-- Everything that the extension holds: what it is, who may, and what it says about itself.
CREATE TEMP VIEW holds AS
    SELECT (pg_identify_object(d.classid, d.objid, d.objsubid)).type,
           (pg_identify_object(d.classid, d.objid, d.objsubid)).identity,
           coalesce(pg_get_functiondef(p.oid), pg_get_viewdef(c.oid), c.relkind::text) AS definition,
           (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || coalesce(col_description(c.oid, a.attnum), ''),
                              ', ' ORDER BY a.attnum)
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0) AS columns,
           (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(coalesce(p.proacl, c.relacl)) a) AS may,
           obj_description(d.objid, d.classid::regclass::name) AS says
    FROM pg_depend d
         LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
         LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
    WHERE d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'fawkes_ha');

CREATE EXTENSION fawkes_ha;
CREATE TEMP TABLE new AS SELECT * FROM holds;
SELECT cmp_ok(count(*), '>', 30::bigint, 'a new one holds something') FROM new;
DROP EXTENSION fawkes_ha;

CREATE EXTENSION fawkes_ha VERSION '1.0';
SELECT isnt_empty('SELECT * FROM new EXCEPT SELECT * FROM holds', 'version 1.0 lacks some of it');

-- What users built on it.
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

SELECT set_eq('SELECT * FROM holds', 'SELECT * FROM new', 'it holds what a new one holds: objects, columns, comments and grants');

SELECT * FROM finish();
ROLLBACK;
