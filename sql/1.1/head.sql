/* sql/fawkes_ha--1.0--1.1.sql */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION fawkes_ha UPDATE" to load this file. \quit
