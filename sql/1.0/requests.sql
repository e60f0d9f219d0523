--
-- Orders.
--

CREATE FUNCTION switchover(target text DEFAULT NULL, wait_seconds integer DEFAULT 60, reason text DEFAULT NULL) RETURNS text
AS 'MODULE_PATHNAME', 'fawkes_ha_switchover'
LANGUAGE C VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION switchover(text, integer, text) IS
'hand the primary''s role to another member, the best standby if none is named; no acknowledged commit is lost';

CREATE FUNCTION failover(target text DEFAULT NULL, wait_seconds integer DEFAULT 60, reason text DEFAULT NULL,
    dry_run boolean DEFAULT false, force boolean DEFAULT false) RETURNS text
AS 'MODULE_PATHNAME', 'fawkes_ha_failover'
LANGUAGE C VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION failover(text, integer, text, boolean, boolean) IS
'make another member the primary, the best standby if none is named, although the primary is gone or cannot hand over; refused while somebody holds the lease, unless forced';

CREATE FUNCTION restart(member text DEFAULT NULL, wait_seconds integer DEFAULT 600, reason text DEFAULT NULL,
    dry_run boolean DEFAULT false) RETURNS text
AS 'MODULE_PATHNAME', 'fawkes_ha_restart'
LANGUAGE C VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION restart(text, integer, text, boolean) IS
'restart PostgreSQL of one member, or of all, one after the other and in the right order';

CREATE FUNCTION reinit(member text, wait_seconds integer DEFAULT 3600, reason text DEFAULT NULL,
    dry_run boolean DEFAULT false) RETURNS text
AS 'MODULE_PATHNAME', 'fawkes_ha_reinit'
LANGUAGE C VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION reinit(text, integer, text, boolean) IS
'replace a standby''s data by a fresh copy of the primary''s; what it has is kept until the copy streams';

CREATE FUNCTION rejoin(member text, wait_seconds integer DEFAULT 600, reason text DEFAULT NULL,
    dry_run boolean DEFAULT false) RETURNS text
AS 'MODULE_PATHNAME', 'fawkes_ha_rejoin'
LANGUAGE C VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION rejoin(text, integer, text, boolean) IS
'have a member try again at once to follow the primary';

CREATE FUNCTION remove_member(member text, wait_seconds integer DEFAULT 60, reason text DEFAULT NULL,
    dry_run boolean DEFAULT false) RETURNS text
AS 'MODULE_PATHNAME', 'fawkes_ha_remove_member'
LANGUAGE C VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION remove_member(text, integer, text, boolean) IS
'take a stopped member off the list: it cannot lead, and no WAL is kept for it';

CREATE FUNCTION pause(reason text DEFAULT NULL, wait_seconds integer DEFAULT 60) RETURNS text
AS 'MODULE_PATHNAME', 'fawkes_ha_pause'
LANGUAGE C VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pause(text, integer) IS
'elect nobody and start no stopped server until resume(); the fence and renewals go on';

CREATE FUNCTION resume(reason text DEFAULT NULL, wait_seconds integer DEFAULT 60) RETURNS text
AS 'MODULE_PATHNAME', 'fawkes_ha_resume'
LANGUAGE C VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION resume(text, integer) IS
'end a pause';

CREATE FUNCTION set_setting(name text, value text, wait_seconds integer DEFAULT 60, reason text DEFAULT NULL) RETURNS text
AS 'MODULE_PATHNAME', 'fawkes_ha_set_setting'
LANGUAGE C VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION set_setting(text, text, integer, text) IS
'set a setting of PostgreSQL or of fawkes_ha on all members, over their own files';

CREATE FUNCTION reset_setting(name text, wait_seconds integer DEFAULT 60, reason text DEFAULT NULL) RETURNS text
AS 'MODULE_PATHNAME', 'fawkes_ha_reset_setting'
LANGUAGE C VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION reset_setting(text, integer, text) IS
'leave a setting to each member''s own file again';
