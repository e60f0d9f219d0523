--
-- Replication lag: none of a standby that has everything and hears the leader.
--

CREATE OR REPLACE VIEW replication_lag AS
    SELECT m.doc ->> 'member' AS member,
           m.doc ->> 'role' AS role,
           (l.doc ->> 'streaming')::boolean AS streaming,
           CASE m.doc ->> 'serves' WHEN 'replica' THEN true WHEN 'primary' THEN true WHEN 'unhealthy' THEN false END
               AS serves_reads,
           (l.doc -> 'write' ->> 'bytes')::bigint AS write_lag_bytes,
           (l.doc -> 'flush' ->> 'bytes')::bigint AS flush_lag_bytes,
           (l.doc -> 'replay' ->> 'bytes')::bigint AS replay_lag_bytes,
           CASE WHEN n.ms <= (l.doc -> 'write' ->> 'whole_until_ms')::bigint THEN interval '0'
                ELSE (n.ms - (l.doc -> 'write' ->> 'fresh_ms')::bigint) * interval '1 ms' END AS write_lag,
           CASE WHEN n.ms <= (l.doc -> 'flush' ->> 'whole_until_ms')::bigint THEN interval '0'
                ELSE (n.ms - (l.doc -> 'flush' ->> 'fresh_ms')::bigint) * interval '1 ms' END AS flush_lag,
           CASE WHEN n.ms <= (l.doc -> 'replay' ->> 'whole_until_ms')::bigint THEN interval '0'
                ELSE (n.ms - (l.doc -> 'replay' ->> 'fresh_ms')::bigint) * interval '1 ms' END AS replay_lag
    FROM (SELECT fawkes_ha.snapshot()) AS s(doc)
         CROSS JOIN (SELECT fawkes_ha.boottime_ms()) AS n(ms)
         CROSS JOIN jsonb_array_elements(s.doc -> 'members') AS m(doc)
         LEFT JOIN LATERAL jsonb_array_elements(s.doc -> 'lag') AS l(doc) ON l.doc ->> 'member' = m.doc ->> 'member'
    ORDER BY m.doc ->> 'member';
