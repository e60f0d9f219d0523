"""The lab: starts real clusters on this machine, writes to them, torments them, and measures.

Used by test/demo.py, test/bench_failover.py, test/chaos.py and the tests.  Needs only Debian's
python3 and python3-psycopg2, and runs as an ordinary user (PostgreSQL refuses root).
In reading order: wait, process, ports, session, node, cluster, load, evidence, events, report;
then, for long runs, verdict, strikes, chaos; for Kubernetes own, component, pki, kube.
"""
