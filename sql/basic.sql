-- A plain server: the extension works and says that it is inert.
CREATE EXTENSION fawkes_ha;

SELECT * FROM fawkes_ha.status() \gx
SELECT fawkes_ha.snapshot() IS NULL AS no_snapshot;
SELECT * FROM fawkes_ha.fence();
SELECT count(*) FROM fawkes_ha.members;
SELECT count(*) FROM fawkes_ha.history;
SELECT count(*) FROM fawkes_ha.replication_lag;

-- Requests need a cluster, and sane arguments.
CREATE FUNCTION pg_temp.try(statement text) RETURNS TABLE (state text, message text, hint text)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    state := '00000';
    RETURN NEXT;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
    RETURN NEXT;
END $$;

SELECT * FROM pg_temp.try('SELECT fawkes_ha.switchover()');
SELECT * FROM pg_temp.try('SELECT fawkes_ha.switchover(''n2'', 5)');
SELECT * FROM pg_temp.try('SELECT fawkes_ha.failover(target => NULL)');
SELECT * FROM pg_temp.try('SELECT fawkes_ha.failover(wait_seconds => 0)');
SELECT * FROM pg_temp.try('SELECT fawkes_ha.switchover(wait_seconds => 1000000)');

-- Only a superuser makes requests; pg_monitor may look.
CREATE ROLE regress_fawkes_nobody;
CREATE ROLE regress_fawkes_monitor IN ROLE pg_monitor;
SET ROLE regress_fawkes_nobody;
SELECT * FROM pg_temp.try('SELECT * FROM fawkes_ha.status()');
SELECT * FROM pg_temp.try('SELECT fawkes_ha.switchover()');
SET ROLE regress_fawkes_monitor;
SELECT role FROM fawkes_ha.status();
SELECT count(*) FROM fawkes_ha.members;
SELECT count(*) FROM fawkes_ha.history;
SELECT count(*) FROM fawkes_ha.replication_lag;
SELECT count(*) > 0 AS some FROM fawkes_ha.rules;
SELECT * FROM pg_temp.try('SELECT fawkes_ha.switchover()');
RESET ROLE;
DROP ROLE regress_fawkes_nobody, regress_fawkes_monitor;
