--
-- Rules by their ids.  The row of rules() stays as it is: it cannot change without dropping what was made of it.
--

CREATE FUNCTION rule_id("position" integer) RETURNS text
AS 'MODULE_PATHNAME', 'fawkes_ha_rule_id'
LANGUAGE C STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION rule_id(integer) IS
'the id of the rule at this position of the decision table; NULL where there is none';

CREATE OR REPLACE VIEW rules AS
    SELECT r.*, fawkes_ha.rule_id(r."position") AS id FROM fawkes_ha.rules() AS r ORDER BY r."position";

CREATE OR REPLACE VIEW members AS
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
           nullif(m.doc ->> 'updated_at', '')::timestamptz AS updated_at,
           m.doc ->> 'rule' AS rule
    FROM (SELECT fawkes_ha.snapshot()) AS s(doc),
         LATERAL (SELECT s.doc -> 'cluster') AS c(doc),
         LATERAL jsonb_array_elements(s.doc -> 'members') AS m(doc)
    ORDER BY m.doc ->> 'member';

REVOKE ALL ON FUNCTION rule_id(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION rule_id(integer) TO pg_monitor;
