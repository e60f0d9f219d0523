--
-- Read-only access.
--

CREATE FUNCTION setup_readonly_role(role text, databases text[] DEFAULT NULL, verifier text DEFAULT NULL) RETURNS text
AS 'MODULE_PATHNAME', 'fawkes_ha_setup_readonly_role'
LANGUAGE C VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION setup_readonly_role(text, text[], text) IS
'make a login role that can read everything in these databases (by default the current one), from standbys, and do nothing else; verifier: of SCRAM-SHA-256, never a password';
