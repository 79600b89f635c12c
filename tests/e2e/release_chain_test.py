"""Many staged objects go from RocksDB to PostgreSQL, to DynamoDB Local and back, each migration killed and gone on with: the
same at the end, and in memory that doesn't grow with them. SLUICE_FULL: a million."""
import os
import re
import shutil

from dynamodb import DynamoDB
from harness import main
from migrating import chain, with_staged
from postgres import Postgres

FULL = bool(os.environ.get("SLUICE_FULL"))
MANY = 1000000 if FULL else 100000
MEMORY_MIB = 256
KILL_AT = (30,)


def test_chain():
    kills = []

    def told(a, b, seconds, n, terminal):
        peak = terminal.usage.ru_maxrss / 1024
        cpu = terminal.usage.ru_utime + terminal.usage.ru_stime
        rates = dict(re.findall(r"(surveying|copying|verifying).{0,80}?100% [^\n]*?, ([0-9,]+)/s", terminal.shown))
        print(f"{a} -> {b}: {seconds:.1f} s, killed {n} times; records/s of the last run: {rates}; "
              f"last run {cpu:.1f} CPU s, peak {peak:.0f} MiB", flush=True)
        assert peak < MEMORY_MIB, peak
        kills.append(n)

    server = with_staged(MANY)
    try:
        with Postgres() as pg, DynamoDB(heap="3g") as db:
            # DynamoDB Local counts what is behind a page: of a million, few big pages take a third of the time.
            chain(server, pg, db, KILL_AT, told, **({"scan_limit": 3000} if FULL else {}))
        assert sum(kills) >= 2, kills
    finally:
        shutil.rmtree(server.folder)


if __name__ == "__main__":
    main(globals())
