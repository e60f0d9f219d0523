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
RESET ROLE;

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
