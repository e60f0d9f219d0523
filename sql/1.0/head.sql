/* sql/fawkes_ha--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION fawkes_ha" to load this file. \quit
