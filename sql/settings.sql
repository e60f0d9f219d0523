LOAD 'fawkes_ha';

-- Every setting has a description.
SELECT name FROM pg_settings WHERE name LIKE 'fawkes\_ha.%' AND short_desc = '';

-- None of them is a session's to set.
CREATE FUNCTION pg_temp.try_setting(name text, value text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER ROLE CURRENT_USER SET %s = %L', name, value);
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SELECT DISTINCT pg_temp.try_setting(name, boot_val) FROM pg_settings WHERE name LIKE 'fawkes\_ha.%';

-- The prefix is ours.
SET fawkes_ha.no_such_setting = 1;

-- Each of these is refused; by a code alone, for 18 words it differently.
\set VERBOSITY sqlstate
ALTER SYSTEM SET fawkes_ha.lease_duration = '999ms';
ALTER SYSTEM SET fawkes_ha.lease_duration = '11min';
ALTER SYSTEM SET fawkes_ha.renew_deadline = '499ms';
ALTER SYSTEM SET fawkes_ha.retry_period = '49ms';
ALTER SYSTEM SET fawkes_ha.election_wait = '9ms';
ALTER SYSTEM SET fawkes_ha.release_wait = '61s';
ALTER SYSTEM SET fawkes_ha.max_lag_on_failover = '1025GB';
ALTER SYSTEM SET fawkes_ha.shutdown_timeout = '0';
ALTER SYSTEM SET fawkes_ha.fenced_reads = 'perhaps';
-- And these with our own words.
\set VERBOSITY default
ALTER SYSTEM SET fawkes_ha.cluster_name = 'Upper';
ALTER SYSTEM SET fawkes_ha.member_name = '-n1';
ALTER SYSTEM SET fawkes_ha.member_name = 'a23456789-b23456789-c23456789-d23456789-e';
ALTER SYSTEM SET fawkes_ha.address = 'localhost';
ALTER SYSTEM SET fawkes_ha.address = 'a b:5432';
ALTER SYSTEM SET fawkes_ha.listen = 'localhost:8008';
ALTER SYSTEM SET fawkes_ha.state_directory = 'relative/path';
ALTER SYSTEM SET fawkes_ha.bootstrap = 'perhaps';
ALTER SYSTEM SET fawkes_ha.backup_store = 's3://key:secret@bucket';
ALTER SYSTEM SET fawkes_ha.backup_retention = '30y';
ALTER SYSTEM SET fawkes_ha.archive_compression = 'gzip:10';
