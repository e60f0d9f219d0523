"""A plain server without a cluster, for pg_regress and pgTAP:

    PYTHONPATH=test python3 -m lab.plain COMMAND...

runs COMMAND with PGHOST, PGPORT and PGUSER set and ends with its exit status.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from . import programs

SETTINGS = {
    "listen_addresses": "",
    # Loaded with an empty cluster_name: the library must be inert then.
    "shared_preload_libraries": "fawkes_ha",
    "fsync": "off",
}


def run_with_server(command: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="fh-plain-", dir="/tmp") as name:
        base = Path(name)
        data, log = base / "data", base / "log"
        programs.must_run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N", "--locale=C.UTF-8", "-E", "UTF8")
        with open(data / "postgresql.conf", "a") as conf:
            conf.write(programs.settings_text({**SETTINGS, "unix_socket_directories": str(base)}))
        # Nobody else can listen in this directory, so the port is free.
        started = programs.run("pg_ctl", "start", "-w", "-D", data, "-l", log)
        if started.returncode != 0:
            print(started.stdout + started.stderr + programs.tail(log), file=sys.stderr)
            return 1
        try:
            where = {"PGHOST": str(base), "PGPORT": "5432", "PGUSER": "postgres", "PGDATABASE": "postgres"}
            status = subprocess.run(command, env={**os.environ, **where}).returncode
            if status != 0:
                print(f"--- end of the server's log\n{programs.tail(log)}", file=sys.stderr)
            return status
        finally:
            programs.run("pg_ctl", "stop", "-w", "-m", "fast", "-D", data)


if __name__ == "__main__":
    sys.exit(run_with_server(sys.argv[1:]))
