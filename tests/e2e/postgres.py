"""A PostgreSQL of the test's own: in a new folder, on a free port of loopback, stopped by its process id. initdb
refuses root, so root becomes the user postgres for it."""
import os
import shutil
import signal
import subprocess
import tempfile
import time

from harness import free_port

BIN = "/usr/lib/postgresql/15/bin"


class Postgres:
    """with Postgres() as pg: pg.uri(), pg.sql("SELECT 1")."""

    def __init__(self, synced=False):
        """synced: as in earnest, for who measures."""
        self.unsynced = [] if synced else ["-c", "fsync=off", "-c", "full_page_writes=off"]
        self.folder = tempfile.mkdtemp(prefix="sluice-pg-")
        self.port = free_port()
        self.proc = None

    def as_user(self, *words):
        if os.getuid() != 0:
            return list(words)
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--reset-env",
                "--pdeathsig=QUIT", "--", *words]

    def uri(self, database="postgres", **more):
        query = "".join(f"&{k}={v}" for k, v in more.items())
        return f"postgres://lakefs:nobody-may-see-me@127.0.0.1:{self.port}/{database}?sslmode=disable{query}"

    def section(self, database="postgres", **more):
        """For a server's configuration."""
        return f'{{type: postgres, postgres: {{connection_string: "{self.uri(database, **more)}"}}}}'

    def psql(self, *args, database="postgres", check=True, stdin=None):
        done = subprocess.run([f"{BIN}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *args, self.uri(database)],
                              input=stdin, capture_output=True, text=True, cwd=self.folder)
        if check and done.returncode:
            raise AssertionError(f"psql {args}: {done.stderr}")
        return done

    def sql(self, text, database="postgres"):
        """Rows, as lists of texts."""
        out = self.psql("-A", "-t", "-c", text, database=database).stdout
        return [line.split("|") for line in out.splitlines()]

    def records(self, database="postgres"):
        """{(partition, key): value}, all bytes."""
        rows = self.sql("SELECT encode(partition_key, 'hex'), encode(key, 'hex'), encode(value, 'hex') FROM kv",
                        database)
        return {(bytes.fromhex(p), bytes.fromhex(k)): bytes.fromhex(v) for p, k, v in rows}

    def start(self):
        log = open(os.path.join(self.folder, "log"), "ab")
        self.proc = subprocess.Popen(
            self.as_user(f"{BIN}/postgres", "-D", "data", "-p", str(self.port), "-c",
                         "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}", "-c",
                         "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=120"),
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        end = time.monotonic() + 120
        while self.psql("-c", "SELECT 1", check=False).returncode:
            assert self.proc.poll() is None and time.monotonic() < end, open(log.name).read()[-4000:]
            time.sleep(0.05)

    def stop(self):
        """At once, as if the machine had failed."""
        if self.proc:
            self.proc.send_signal(signal.SIGQUIT)
            self.proc.wait(60)
            self.proc = None

    def __enter__(self):
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        subprocess.run(self.as_user(f"{BIN}/initdb", "-D", "data", "-U", "lakefs", "--auth=trust",
                                    "--encoding=UTF8", "--locale=C", "--no-sync"),
                       cwd=self.folder, check=True, capture_output=True)
        self.start()
        return self

    def __exit__(self, *what):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
