/* fawkes_ha--1.1--1.2.sql, of sql/1.2 */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION fawkes_ha UPDATE" to load this file. \quit
