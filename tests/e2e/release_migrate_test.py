"""Many staged objects are moved to another database, by a migration that is killed again and again, and by a dump:
the same at the end, and in memory that doesn't grow with them. SLUICE_FULL: a million."""
import os
import re
import shutil
import time

from harness import main
from migrating import OnTerminal, Pair, killed_and_resumed, with_staged

FULL = bool(os.environ.get("SLUICE_FULL"))
MANY = 1000000 if FULL else 100000
MEMORY_MIB = 256  # two databases of up to 80 MiB of caches and buffers each
KILL_AT = (5, 40, 75)


def timed(pair, *args):
    """Seconds that a command took, which must succeed."""
    begun = time.monotonic()
    pair.run(*args)
    return time.monotonic() - begun


def peak_mib(terminal):
    return terminal.usage.ru_maxrss / 1024


def check_peak(terminal):
    assert peak_mib(terminal) < MEMORY_MIB, peak_mib(terminal)


def test_killed_and_resumed():
    server = with_staged(MANY)
    try:
        pair = Pair(server)
        source = pair.digest(pair.a)
        for _ in range(5):
            _, kills, terminal = killed_and_resumed(pair, KILL_AT, check_peak)
            if kills:
                break
            shutil.rmtree(server.path("kv-b"))  # it was over before it could be killed
        assert kills, "it was never killed in the middle"
        assert pair.digest(pair.a) == source and pair.digest(pair.b) == source
        print(f"{MANY} staged objects, killed {kills} times; peak {peak_mib(terminal):.0f} MiB")
    finally:
        shutil.rmtree(server.folder)


def test_rates():
    server = with_staged(MANY)
    try:
        pair = Pair(server)
        source, dump = pair.digest(pair.a), server.path("kv.dump")
        terminal = OnTerminal(pair)
        begun = time.monotonic()
        assert terminal.wait() == 0, terminal.shown[-500:]
        seconds = time.monotonic() - begun
        rates = re.findall(r"(surveying|copying|verifying).{0,80}?100% [^\n]*?, ([0-9,]+)/s", terminal.shown)
        print(f"migrate: {MANY / seconds:,.0f} records/s in {seconds:.1f} s ({dict(rates)}), "
              f"peak {peak_mib(terminal):.0f} MiB", flush=True)
        assert peak_mib(terminal) < MEMORY_MIB
        seconds = timed(pair, "kv", "dump", dump, "--config", pair.a)
        print(f"dump: {MANY / seconds:,.0f} records/s in {seconds:.1f} s, {os.path.getsize(dump) / 2**20:.0f} MiB")
        seconds = timed(pair, "kv", "load", dump, "--clear-target", "--config", pair.b)
        print(f"load (cleared first): {MANY / seconds:,.0f} records/s in {seconds:.1f} s")
        assert pair.digest(pair.b) == source
    finally:
        shutil.rmtree(server.folder)


if __name__ == "__main__":
    main(globals())
