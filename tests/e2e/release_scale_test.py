"""Many objects through the real server: committing, listing, comparing and merging them costs time in proportion to
what changes, and memory within a bound. Bounds are several times what docs/PERFORMANCE.md shows: they catch a
mistake, not a breeze. SLUICE_FULL: a million objects."""
import json
import os
import subprocess
import time

from harness import Server, clean_env, main
from rest import Rest

BENCH = os.path.join(os.path.dirname(os.environ["SLUICE_BIN"]), "sluice-bench")
FULL = bool(os.environ.get("SLUICE_FULL"))
MANY, FEW = 1000000 if FULL else 100000, 1000
MEMORY_MIB = 256
CACHE = "committed: {sstable: {memory: {cache_size_bytes: 64MiB}}}\n"  # of those
AT = "/repositories/example"
TICKS = os.sysconf("SC_CLK_TCK")


def bench(s, op, count, *more, prefix="main/many/", connections=64, keys=0):
    done = subprocess.run(
        [BENCH, "--op", op, "--endpoint", f"127.0.0.1:{s.port}", "--bucket", "example", "--prefix", prefix,
         "--connections", str(connections), "--count", str(count), "--keys", str(keys or count), "--pid", str(s.pid),
         "--json", *more], env=clean_env(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def cpu_seconds(s):
    with open(f"/proc/{s.pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Cost:
    """What a step took; printed, and held against bounds."""

    def __init__(self, s, idle_kib):
        self.s, self.idle = s, idle_kib

    def of(self, what, act, seconds, before=None):
        """before(n): what is made for the n-th try; without it there is but one. A machine that stood still counts that."""
        for n in range(3 if before else 1):
            if before:
                before(n)
            self.s.reset_peak()
            cpu, begun = cpu_seconds(self.s), time.monotonic()
            answer = act()
            wall, cpu = time.monotonic() - begun, cpu_seconds(self.s) - cpu
            above = (self.s.peak_kib() - self.idle) / 1024
            print(f"{what:44} {wall:7.2f} s, CPU {cpu:6.2f} s, peak {above:6.1f} MiB above idle", flush=True)
            assert above < MEMORY_MIB, f"{what}: {above} MiB, at most {MEMORY_MIB}"
            if cpu < seconds:
                return answer
        raise AssertionError(f"{what}: {cpu} s of CPU, at most {seconds}")


def nothing(_):
    """Before what may be done again as it is."""


def first_pages(s, refs):
    """CPU of a first page of each, in microseconds, from a warm server: the best of some, taken in turns, for what
    the database tidies up meanwhile counts, too."""
    return [min(runs) for runs in zip(*[
        [bench(s, "list", 100, prefix=f"{ref}/", connections=1)["server_cpu_us_per_op"] for ref in refs]
        for _ in range(5)])]


def count(api, ref):
    """Objects, and that each page begins behind the one before."""
    n, after = 0, ""
    while True:
        page = api.get(f"{AT}/refs/{ref}/objects/ls", amount=1000, after=after)
        paths = [o["path"] for o in page["results"]]
        assert paths == sorted(paths) and (not paths or paths[0] > after), paths[:1]
        n += len(paths)
        if not page["pagination"]["has_more"]:
            return n
        after = page["pagination"]["next_offset"]


def test_many_objects():
    with Server(extra=CACHE) as s:
        api = Rest(s.url)
        bench(s, "put", 1, "--size", "16", prefix="main/warm/")
        idle, scale = s.peak_kib(), MANY / 100000
        api.branch("example", "few")
        bench(s, "put", FEW, "--size", "16", prefix="few/many/")
        api.commit("example", "few", "a thousand")
        cost = Cost(s, idle)
        cost.of(f"put {MANY} objects", lambda: bench(s, "put", MANY, "--size", "16"), 60 * scale)
        made = cost.of(f"commit {MANY} objects", lambda: api.commit("example", "main", "many"), 8 * scale)
        assert api.get(f"{AT}/commits/{made['id']}") == made
        one_change(s, api, cost)
        differences(api, cost, made["id"])
        merges(s, api, cost)
        n = cost.of(f"list all {MANY}", lambda: count(api, "main"), 30 * scale)
        assert n == MANY + 4, n
        few, many = first_pages(s, ("few", "main"))
        print(f"first page: {few:.0f} us of {FEW}, {many:.0f} us of {MANY}")
        assert many < 3 * few, (few, many)
        reads(s)


def one_change(s, api, cost):
    cost.of("commit of one change", lambda: api.commit("example", "main", "one"), 1,
            lambda n: bench(s, "put", 1, "--size", str(17 + n), prefix="main/many/k00050000-"))


def differences(api, cost, before):
    rows = cost.of("diff of one change", lambda: api.pages(f"{AT}/refs/{before}/diff/main", type="two_dot"), 0.5, nothing)
    assert [r["type"] for r in rows] == ["added"], rows
    page = cost.of("diff with all, first page", lambda: api.get(
        f"{AT}/refs/few~1/diff/main", type="two_dot", amount=1000), 1, nothing)
    assert len(page["results"]) == 1000 and page["pagination"]["has_more"]


def merges(s, api, cost):
    def ahead(n):
        api.call("DELETE", f"{AT}/branches/side", 204, 404)
        api.branch("example", "side")
        bench(s, "put", 1, "--size", str(18 + n), prefix="side/many/k00010000-")
        api.commit("example", "side", "on the side")

    def beside(n):
        bench(s, "put", 1, "--size", str(19 + n), prefix="side/many/k00020000-")
        api.commit("example", "side", "more")
        api.commit("example", "main", "beside", allow_empty=True)
    cost.of("merge of one change, fast-forward", lambda: api.merge("example", "side", "main", 200), 1, ahead)
    cost.of("merge of one change", lambda: api.merge("example", "side", "main", 200), 1, beside)
    rows = api.pages(f"{AT}/refs/main/diff/side", type="two_dot")
    assert rows == [], rows


def reads(s):
    """Objects that are committed are read at what staged ones cost, in one run."""
    bench(s, "put", 4000, "--size", "1KiB", prefix="few/staged/")
    for op in ("get", "head"):
        told = {}
        for where, prefix, keys in (("staged", "few/staged/", 4000), (f"among {MANY} committed", "main/many/", MANY)):
            bench(s, op, min(4 * keys, 40000), prefix=prefix, connections=32, keys=keys)
            runs = [bench(s, op, 20000, prefix=prefix, connections=32, keys=keys) for _ in range(3)]
            told[where] = min(r["server_cpu_us_per_op"] for r in runs)
            print(f"{op} {where}: {told[where]:.1f} us CPU, p50 {min(r['p50_ms'] for r in runs):.3f} ms")
        staged, committed = told.values()
        assert committed < 2 * staged + 20, told


if __name__ == "__main__":
    main(globals())
