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
