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
