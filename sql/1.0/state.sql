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
