/* sql/fawkes_ha--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION fawkes_ha" to load this file. \quit

--
-- What this script names without a schema is looked for in the extension's schema too, and an overload there that fits
-- better than PostgreSQL's own would run with the rights of whoever uses the extension.  So nothing may be there that is
-- not the extension's, and nobody but superusers may put anything there.
--

DO $guard$
BEGIN
    IF EXISTS (
        SELECT FROM pg_catalog.pg_extension AS e
            JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
            JOIN pg_catalog.pg_roles AS o ON o.oid OPERATOR(pg_catalog.=) n.nspowner
        WHERE e.extname OPERATOR(pg_catalog.=) 'fawkes_ha'::pg_catalog.name AND (
            NOT o.rolsuper
            OR EXISTS (
                SELECT FROM pg_catalog.aclexplode(n.nspacl) AS a
                    LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) a.grantee
                WHERE a.privilege_type OPERATOR(pg_catalog.=) 'CREATE'::pg_catalog.text AND r.rolsuper IS NOT TRUE)
            OR EXISTS (
                SELECT FROM pg_catalog.pg_depend AS d
                    JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) d.classid
                WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid
                    AND d.refobjid OPERATOR(pg_catalog.=) n.oid
                    AND NOT c.relname OPERATOR(pg_catalog.=)
                        ANY ('{pg_extension,pg_default_acl,pg_publication_namespace}'::pg_catalog.name[])
                    AND NOT EXISTS (
                        SELECT FROM pg_catalog.pg_depend AS m
                        WHERE m.classid OPERATOR(pg_catalog.=) d.classid AND m.objid OPERATOR(pg_catalog.=) d.objid
                            AND m.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass::pg_catalog.oid
                            AND m.refobjid OPERATOR(pg_catalog.=) e.oid
                            AND m.deptype OPERATOR(pg_catalog.=) 'e'::pg_catalog."char"))))
    THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_schema',
            MESSAGE = 'schema "fawkes_ha" may hold things that are not the extension''s',
            DETAIL = 'It must belong to a superuser, be empty but for the extension, and give CREATE to nobody else.',
            HINT = 'Rename or drop the schema, or what is in it, and try again.';
    END IF;
END
$guard$;

--
-- What the agent publishes, and what the library knows.
--

CREATE FUNCTION snapshot() RETURNS jsonb
AS 'MODULE_PATHNAME', 'fawkes_ha_snapshot'
LANGUAGE C VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION snapshot() IS
'everything this member knows about its cluster, as one document; NULL without a running agent';

CREATE FUNCTION fence(OUT is_open boolean, OUT left_ms bigint, OUT acked_lsn pg_lsn)
AS 'MODULE_PATHNAME', 'fawkes_ha_fence'
LANGUAGE C VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION fence() IS
'this server''s write fence at this moment: is it open, for how long without a renewal, and the highest commit that clients were told of; NULLs where there is no fence';

CREATE FUNCTION rules(
    OUT "position" integer,
    OUT when_all text,
    OUT unless_any text,
    OUT lease text,
    OUT fence text,
    OUT node text,
    OUT because text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'fawkes_ha_rules'
LANGUAGE C STABLE PARALLEL SAFE ROWS 70
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION rules() IS
'the decision table that every member follows, in order: the first row that matches counts';

CREATE FUNCTION status(
    OUT cluster text,
    OUT member text,
    OUT role text,
    OUT state text,
    OUT because text,
    OUT term bigint,
    OUT timeline bigint,
    OUT holder text,
    OUT lease_state text,
    OUT fence_open boolean,
    OUT fence_left_ms bigint,
    OUT paused boolean)
LANGUAGE sql VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT nullif(current_setting('fawkes_ha.cluster_name'), ''),
           nullif(current_setting('fawkes_ha.member_name'), ''),
           CASE WHEN f.is_open IS NULL THEN 'inert'
                WHEN pg_is_in_recovery() THEN 'standby'
                ELSE 'primary' END,
           s.doc ->> 'decision',
           s.doc ->> 'because',
           (c.doc ->> 'term')::bigint,
           (c.doc ->> 'timeline')::bigint,
           nullif(c.doc ->> 'holder', ''),
           CASE WHEN s.doc IS NULL THEN NULL
                WHEN c.doc IS NULL THEN 'absent'
                WHEN (c.doc ->> 'released')::boolean THEN 'released'
                WHEN c.doc ->> 'holder' <> s.doc ->> 'member' THEN 'held by another'
                WHEN c.doc ->> 'incarnation' = s.doc ->> 'incarnation' THEN 'ours'
                ELSE 'held by our predecessor' END,
           f.is_open,
           f.left_ms,
           (c.doc ->> 'paused')::boolean
    FROM fawkes_ha.fence() AS f,
         (SELECT fawkes_ha.snapshot()) AS s(doc),
         LATERAL (SELECT s.doc -> 'cluster') AS c(doc)
$$;
COMMENT ON FUNCTION status() IS
'this server in one row; role is inert without fawkes_ha.cluster_name or without preloading';

--
-- Views.
--

CREATE VIEW members AS
    SELECT m.doc ->> 'member' AS member,
           m.doc ->> 'address' AS address,
           m.doc ->> 'role' AS role,
           m.doc ->> 'state' AS state,
           m.doc ->> 'member' = c.doc ->> 'holder'
               AND NOT coalesce((c.doc ->> 'released')::boolean, false) AS is_leader,
           (m.doc ->> 'term')::bigint AS term,
           (m.doc ->> 'timeline')::bigint AS timeline,
           (m.doc ->> 'lsn')::pg_lsn AS lsn,
           (m.doc ->> 'replayed')::pg_lsn AS replayed,
           CASE WHEN m.doc ->> 'role' = 'standby' THEN
               greatest((c.doc -> 'position' ->> 'lsn')::pg_lsn - (m.doc ->> 'lsn')::pg_lsn, 0) END AS lag_bytes,
           nullif(m.doc ->> 'following', '') AS following,
           (m.doc ->> 'pending_restart')::boolean AS pending_restart,
           nullif(m.doc ->> 'updated_at', '')::timestamptz AS updated_at
    FROM (SELECT fawkes_ha.snapshot()) AS s(doc),
         LATERAL (SELECT s.doc -> 'cluster') AS c(doc),
         LATERAL jsonb_array_elements(s.doc -> 'members') AS m(doc)
    ORDER BY m.doc ->> 'member';
COMMENT ON VIEW members IS
'the members of the cluster as their records in the lock show them; lag_bytes, of standbys, counts from the leader''s last renewal';

CREATE VIEW rules AS
    SELECT * FROM fawkes_ha.rules() ORDER BY "position";
COMMENT ON VIEW rules IS
'the decision table that every member follows, in order: the first row that matches counts';

CREATE VIEW history AS
    SELECT nullif(h.doc ->> 'at', '')::timestamptz AS at,
           h.doc ->> 'event' AS event,
           (h.doc ->> 'term')::bigint AS term,
           (h.doc ->> 'timeline')::bigint AS timeline,
           h.doc ->> 'member' AS member,
           nullif(h.doc ->> 'from', '') AS "from",
           h.doc ->> 'reason' AS reason,
           nullif(h.doc ->> 'requested_by', '') AS requested_by,
           nullif(h.doc ->> 'result', '') AS result
    FROM jsonb_array_elements(fawkes_ha.snapshot() -> 'history') WITH ORDINALITY AS h(doc, number)
    ORDER BY h.number;
COMMENT ON VIEW history IS
'what happened, who asked for it, why, and how it ended; the last 100 entries, oldest first';

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

--
-- Who may.
--

REVOKE ALL ON FUNCTION snapshot(), fence(), rules(), status(),
    switchover(text, integer, text),
    failover(text, integer, text, boolean, boolean),
    restart(text, integer, text, boolean),
    reinit(text, integer, text, boolean),
    rejoin(text, integer, text, boolean),
    remove_member(text, integer, text, boolean),
    pause(text, integer),
    resume(text, integer),
    set_setting(text, text, integer, text),
    reset_setting(text, integer, text) FROM PUBLIC;
GRANT USAGE ON SCHEMA fawkes_ha TO pg_monitor;
GRANT EXECUTE ON FUNCTION snapshot(), fence(), rules(), status() TO pg_monitor;
GRANT SELECT ON members, rules, history TO pg_monitor;
