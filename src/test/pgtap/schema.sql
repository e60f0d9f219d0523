-- The extension is made, and updated, only where nobody else can put anything into its schema: what its script names
-- without a schema would be found there, and run by whoever uses the extension.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
DROP EXTENSION IF EXISTS fawkes_ha;
DROP SCHEMA IF EXISTS fawkes_ha;
CREATE ROLE regress_fawkes_owner;
SELECT no_plan();

CREATE FUNCTION pg_temp.refused(what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN NEXT throws_ok('CREATE EXTENSION fawkes_ha', '42P06', NULL, what || ': none is made');
    RETURN NEXT is_empty('SELECT FROM pg_extension WHERE extname = ''fawkes_ha''', what || ': there is none');
END $$;

-- Views would bind an overload whose types fit exactly, and the exporter's role would run it.
CREATE SCHEMA fawkes_ha AUTHORIZATION regress_fawkes_owner;
SELECT pg_temp.refused('an ordinary role''s schema');
CREATE FUNCTION fawkes_ha.jsonb_build_object(text, name) RETURNS jsonb LANGUAGE sql AS 'SELECT ''{}''::jsonb';
ALTER SCHEMA fawkes_ha OWNER TO CURRENT_USER;
SELECT pg_temp.refused('a function');
DROP FUNCTION fawkes_ha.jsonb_build_object(text, name);
CREATE OPERATOR fawkes_ha.= (LEFTARG = text, RIGHTARG = name, FUNCTION = textnename);
SELECT pg_temp.refused('an operator');
DROP OPERATOR fawkes_ha.= (text, name);
CREATE DOMAIN fawkes_ha.float8 AS text;
SELECT pg_temp.refused('a type');
DROP DOMAIN fawkes_ha.float8;
CREATE TABLE fawkes_ha.pg_roles ();
SELECT pg_temp.refused('a table');
DROP TABLE fawkes_ha.pg_roles;
CREATE COLLATION fawkes_ha.mine FROM "C";
SELECT pg_temp.refused('a collation');
DROP COLLATION fawkes_ha.mine;
GRANT CREATE ON SCHEMA fawkes_ha TO regress_fawkes_owner;
SELECT pg_temp.refused('CREATE for a role');
REVOKE ALL ON SCHEMA fawkes_ha FROM regress_fawkes_owner;
GRANT CREATE ON SCHEMA fawkes_ha TO PUBLIC;
SELECT pg_temp.refused('CREATE for everybody');
REVOKE CREATE ON SCHEMA fawkes_ha FROM PUBLIC;
-- The script's own first line of defence is looked for in PostgreSQL's schema alone.
CREATE FUNCTION fawkes_ha.always(oid, oid) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR fawkes_ha.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = fawkes_ha.always);
SELECT pg_temp.refused('an operator of that name');
DROP OPERATOR fawkes_ha.= (oid, oid);
DROP FUNCTION fawkes_ha.always(oid, oid);

-- An empty one of a superuser's will do, with whatever rights to use it.
GRANT USAGE ON SCHEMA fawkes_ha TO PUBLIC;
SELECT lives_ok('CREATE EXTENSION fawkes_ha VERSION ''1.1''', 'an empty schema of a superuser''s');

-- The same counts for an update.
CREATE FUNCTION pg_temp.not_updated(what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN NEXT throws_ok('ALTER EXTENSION fawkes_ha UPDATE', '42P06', NULL, what || ': it is not updated');
END $$;
ALTER SCHEMA fawkes_ha OWNER TO regress_fawkes_owner;
SELECT pg_temp.not_updated('an ordinary role''s schema');
ALTER SCHEMA fawkes_ha OWNER TO CURRENT_USER;
CREATE FUNCTION fawkes_ha.format(text, text) RETURNS text LANGUAGE sql AS 'SELECT $1';
SELECT pg_temp.not_updated('a function');
DROP FUNCTION fawkes_ha.format(text, text);
SELECT lives_ok('ALTER EXTENSION fawkes_ha UPDATE', 'it is updated');
DROP EXTENSION fawkes_ha;
CREATE EXTENSION fawkes_ha VERSION '1.0';
CREATE FUNCTION fawkes_ha.format(text, text) RETURNS text LANGUAGE sql AS 'SELECT $1';
SELECT pg_temp.not_updated('from 1.0 on');

SELECT * FROM finish();
ROLLBACK;
