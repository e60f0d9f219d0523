-- What the reader of test_readonly.py meets: things of several owners, some made after it, and functions that
-- try to do for it what it may not.  Run by a superuser on the primary, in the application's database.
SET client_min_messages = warning;
CREATE EXTENSION pgtap;
CREATE ROLE other;
CREATE ROLE unlucky LOGIN;

-- By another owner, after the reader: nobody grants anything on these.
CREATE SCHEMA later AUTHORIZATION other;
SET ROLE other;
CREATE TABLE later.things (id bigserial PRIMARY KEY, name text);
INSERT INTO later.things (name) VALUES ('one'), ('two');
CREATE VIEW later.names AS SELECT name FROM later.things;
CREATE MATERIALIZED VIEW later.counted AS SELECT count(*) AS n FROM later.things;
CREATE FUNCTION later.longest() RETURNS text LANGUAGE plpgsql AS
$$ BEGIN RETURN (SELECT name FROM later.things ORDER BY length(name) DESC, name LIMIT 1); END $$;
-- An operator that tells what it is given: the planner gives it what it knows of a column.
CREATE FUNCTION later.tell(text, text) RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN RAISE WARNING 'told %', $1; RETURN true; END $$;
CREATE OPERATOR later.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = later.tell, RESTRICT = matchingsel);
CREATE FUNCTION later.holders() RETURNS SETOF name LANGUAGE sql STABLE AS
$$ SELECT rolname FROM pg_authid WHERE rolpassword OPERATOR(later.===) 'x' $$;
RESET ROLE;

-- What the statistics of catalogues hold: each value has the word `secret`.
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing;
DO $$ BEGIN
    FOR i IN 1 .. 12 LOOP
        EXECUTE format('CREATE ROLE holder_%s PASSWORD %L', i, 'SCRAM-SHA-256$4096:secretAA' || md5(i::text) || '$'
            || encode(sha256(int4send(i)), 'base64') || ':' || encode(sha256(int4send(-i)), 'base64'));
        EXECUTE format('CREATE USER MAPPING FOR holder_%s SERVER elsewhere OPTIONS (password %L)', i, 'secret' || i);
        EXECUTE format('CREATE SUBSCRIPTION s_%s CONNECTION %L PUBLICATION p WITH (connect = false)', i,
            'dbname=x password=secret' || i);
        PERFORM lo_from_bytea(0, convert_to('secret' || i, 'UTF8'));
    END LOOP;
END $$;
ANALYZE pg_authid, pg_user_mapping, pg_subscription, pg_largeobject;
CREATE VIEW later.values_seen AS SELECT attname, histogram_bounds::text AS bounds FROM pg_stats;
CREATE FUNCTION later.is_estimated() RETURNS boolean LANGUAGE sql SECURITY DEFINER AS
$$ SELECT count(*) > 0 FROM pg_stats WHERE tablename = 'pg_authid' AND attname = 'rolname' $$;

-- With the rights of a superuser, and for PUBLIC.
CREATE FUNCTION definer_inserts() RETURNS void LANGUAGE sql SECURITY DEFINER AS
$$ INSERT INTO later.things (name) VALUES ('by a function') $$;
CREATE FUNCTION definer_turns_to_writing() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS
$$ BEGIN
    PERFORM set_config('default_transaction_read_only', 'off', false);
    EXECUTE 'SET transaction_read_only = off';
    INSERT INTO later.things (name) VALUES ('by a function');
END $$;
CREATE FUNCTION definer_is_set_to_writing() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS
$$ BEGIN INSERT INTO later.things (name) VALUES ('by a function'); END $$;
-- 16 and later refuse this themselves.
SELECT current_setting('server_version_num')::int < 160000 AS is_old \gset
\if :is_old
ALTER FUNCTION definer_is_set_to_writing() SET transaction_read_only = off;
\endif
CREATE FUNCTION definer_counts() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS
$$ SELECT nextval('later.things_id_seq') $$;
CREATE FUNCTION definer_makes_a_large_object() RETURNS oid LANGUAGE plpgsql SECURITY DEFINER AS
$$ BEGIN RETURN lo_create(0); END $$;
CREATE FUNCTION definer_writes_a_large_object() RETURNS void LANGUAGE sql SECURITY DEFINER AS
$$ SELECT lo_put(4711, 0, 'written') $$;
CREATE FUNCTION definer_runs_a_program() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS
$$ BEGIN COPY (SELECT 1) TO PROGRAM 'true'; END $$;
CREATE FUNCTION definer_makes_a_temporary_table() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS
$$ BEGIN CREATE TEMP TABLE t (i int); END $$;
CREATE FUNCTION definer_drops() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS
$$ BEGIN DROP VIEW later.names; END $$;
CREATE FUNCTION definer_signals() RETURNS boolean LANGUAGE sql SECURITY DEFINER AS
$$ SELECT pg_terminate_backend(pg_backend_pid()) $$;
CREATE FUNCTION dice() RETURNS double precision LANGUAGE internal VOLATILE AS 'drandom';
CREATE FUNCTION dice_for_all() RETURNS double precision LANGUAGE internal VOLATILE AS 'drandom';
GRANT EXECUTE ON FUNCTION dice() TO reporting;
CREATE PROCEDURE commits() LANGUAGE plpgsql AS
$$ BEGIN COMMIT; PERFORM nextval('later.things_id_seq'); END $$;

-- Everybody may write this one, and this table.
SELECT lo_create(4711);
GRANT SELECT, UPDATE ON LARGE OBJECT 4711 TO PUBLIC;
CREATE TABLE everybodys (i int);
GRANT ALL ON everybodys TO PUBLIC;
GRANT CREATE ON SCHEMA public TO PUBLIC;
