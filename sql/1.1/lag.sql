--
-- Replication lag.
--

CREATE FUNCTION boottime_ms() RETURNS bigint
AS 'MODULE_PATHNAME', 'fawkes_ha_boottime_ms'
LANGUAGE C VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION boottime_ms() IS
'milliseconds since this machine started, which no change of its clock moves; fresh_ms in snapshot() is measured by it';

CREATE VIEW replication_lag AS
    SELECT m.doc ->> 'member' AS member,
           m.doc ->> 'role' AS role,
           (l.doc ->> 'streaming')::boolean AS streaming,
           CASE m.doc ->> 'serves' WHEN 'replica' THEN true WHEN 'primary' THEN true WHEN 'unhealthy' THEN false END
               AS serves_reads,
           (l.doc -> 'write' ->> 'bytes')::bigint AS write_lag_bytes,
           (l.doc -> 'flush' ->> 'bytes')::bigint AS flush_lag_bytes,
           (l.doc -> 'replay' ->> 'bytes')::bigint AS replay_lag_bytes,
           (n.ms - (l.doc -> 'write' ->> 'fresh_ms')::bigint) * interval '1 ms' AS write_lag,
           (n.ms - (l.doc -> 'flush' ->> 'fresh_ms')::bigint) * interval '1 ms' AS flush_lag,
           (n.ms - (l.doc -> 'replay' ->> 'fresh_ms')::bigint) * interval '1 ms' AS replay_lag
    FROM (SELECT fawkes_ha.snapshot()) AS s(doc)
         CROSS JOIN (SELECT fawkes_ha.boottime_ms()) AS n(ms)
         CROSS JOIN jsonb_array_elements(s.doc -> 'members') AS m(doc)
         LEFT JOIN LATERAL jsonb_array_elements(s.doc -> 'lag') AS l(doc) ON l.doc ->> 'member' = m.doc ->> 'member'
    ORDER BY m.doc ->> 'member';
COMMENT ON VIEW replication_lag IS
'how far each standby is behind the leader, in bytes and in time, by what has been written, flushed and replayed there; NULL means unknown, and of the primary that there is none';
