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
