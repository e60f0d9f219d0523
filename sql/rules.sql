-- The decision table; every change of a rule shows here.
\pset format unaligned
SELECT * FROM fawkes_ha.rules;
