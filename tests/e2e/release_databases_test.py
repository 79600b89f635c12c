"""What PUT, GET and a commit cost over PostgreSQL and DynamoDB Local: server CPU, the database's apart, and a lone PUT's
round trips. lakeFS's figures over PostgreSQL (docs/PERFORMANCE.md) are what it is held against."""
import asyncio
import json
import os
import subprocess
import threading
import time

from dynamodb import DynamoDB
from harness import SLUICE, Server, clean_env, main
from postgres import Postgres

BENCH = os.path.join(os.path.dirname(SLUICE), "sluice-bench")
TICKS = os.sysconf("SC_CLK_TCK")
OPS = {1: 400, 16: 2000, 64: 4000}
# lakeFS 1.84 over PostgreSQL: milliseconds of CPU an operation, PostgreSQL's with it.
LAKEFS = {("put", 1): 2.12, ("put", 16): .625, ("put", 64): .538, ("get", 1): 1.03, ("get", 16): .43, ("get", 64): .424}

BUSY = 1.3  # the machine may do other things


def fields_of(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()


def cpu_of(root):
    """Seconds of a process, its children, and those of them that ended."""
    ticks = sum(map(int, fields_of(root)[11:15]))
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = fields_of(pid)
        except OSError:
            continue
        if fields[1] == str(root):
            ticks += sum(map(int, fields[11:13]))
    return ticks / TICKS


def bench(server, op, connections, **more):
    args = [x for k, v in more.items() for x in (f"--{k}", str(v))]
    done = subprocess.run(
        [BENCH, "--endpoint", f"127.0.0.1:{server.port}", "--pid", str(server.pid), "--bucket", "example", "--prefix",
         "main/bench/", "--json", "--op", op, "--connections", str(connections), *args],
        env=clean_env(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def measure(name, section, database, scale, limits):
    """(op, connections) -> milliseconds of CPU an operation, of both: the least of three, where that is above its limit."""
    costs = {}
    with Server(database=section) as s:
        bench(s, "put", 16, count=500)
        for op in ("put", "get", "commit"):
            for connections, ops in OPS.items():
                n = int(ops * scale) // (4 if op == "commit" else 1)
                for attempt in range(3):
                    more = {"keys": 400} if op == "get" else {"first": 100000 * connections + 10000 * attempt}
                    before = cpu_of(database.proc.pid)
                    got = bench(s, op, connections, count=n, **more)
                    theirs = (cpu_of(database.proc.pid) - before) * 1000 / got["ops"]
                    ours = got["server_cpu_us_per_op"] / 1000
                    costs[op, connections] = min(ours + theirs, costs.get((op, connections), ours + theirs))
                    print(f"{name}: {op} {connections}: {got['ops_per_s']:.0f} · {got['p50_ms']:.1f}/{got['p99_ms']:.1f} ms · "
                          f"{ours:.3f} + {theirs:.3f} ms of CPU", flush=True)
                    # What a machine that stood still counts as ours is gone the next time.
                    if not costs[op, connections] > limits.get((op, connections), float("inf")):
                        break
        print(f"{name}: peak {got['server_peak_mib']} MiB", flush=True)
    return costs


def test_over_postgres():
    with Postgres(synced=True) as pg:
        limits = {k: v * BUSY for k, v in LAKEFS.items()}
        costs = measure("postgres", pg.section(), pg, 1, limits)
    more = {k: (costs[k], v) for k, v in limits.items() if costs[k] > v}
    assert not more, more


def test_over_dynamodb_local():
    """Java's CPU says nothing of DynamoDB: ours alone is of interest."""
    with DynamoDB() as db:
        measure("dynamodb", db.section(), db, .5, {})


class Far:
    """A relay to a port of loopback, that holds all that it is given for so long, in both directions."""

    def __init__(self, port, ms):
        self.to, self.seconds = port, ms / 1000
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        threading.Thread(target=self.run, daemon=True).start()
        self.ready.wait()

    async def pump(self, reader, writer):
        try:
            while data := await reader.read(65536):
                self.loop.call_later(self.seconds, writer.write, data)
        except OSError:
            pass
        self.loop.call_later(self.seconds, writer.close)

    async def serve(self, reader, writer):
        there, back = await asyncio.open_connection("127.0.0.1", self.to)
        await asyncio.gather(self.pump(reader, back), self.pump(there, writer))

    def run(self):
        self.server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]
        self.ready.set()
        self.loop.run_forever()


ONE_WAY_MS = 25


def test_round_trips_of_a_put():
    """The database is so far away that nothing else counts. The least of three, for the machine may be busy."""
    with Postgres() as pg:
        far = Far(pg.port, ONE_WAY_MS)
        with Server(database=pg.section().replace(f":{pg.port}/", f":{far.port}/")) as s:
            bench(s, "put", 1, count=10)
            put = min(bench(s, "put", 1, count=30)["p50_ms"] for _ in range(3))
            get = min(bench(s, "get", 1, count=30, keys=10)["p50_ms"] for _ in range(3))
            commit = bench(s, "commit", 1, count=10)["p50_ms"]
    trip = 2 * ONE_WAY_MS
    print(f"round trips at one connection: PUT {put / trip:.2f}, GET {get / trip:.2f}, commit {commit / trip:.1f}")
    assert put < 3 * trip, put


if __name__ == "__main__":
    main(globals())
