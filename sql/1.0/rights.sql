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
