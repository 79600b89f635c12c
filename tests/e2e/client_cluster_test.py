"""Many servers over one database are one: behind haproxy, under a mixed load, while one of them is killed again and
again, every acknowledged write is found, every commit is consistent, and fsck finds nothing. And what one server
remembers of what another one deletes."""
import concurrent.futures
import json
import os
import subprocess
import time

from cluster import HAPROXY, Cluster
from cluster_load import AT, KILLS, LEAST, Load
from dynamodb import DynamoDB
from harness import KEY, SECRET, SOURCE, main
from postgres import Postgres
from rest import Rest

FULL = bool(os.environ.get("SLUICE_FULL"))
SECONDS = 300 if FULL else 30
# Commits of some ranges each, although there are few objects.
SMALL_RANGES = "committed: {permanent: {range_raggedness_entries: 6}}\n"


def fsck(server):
    done = server.command("fsck", "example", "--json", "--bodies", "--access-key-id", KEY, "--secret-access-key", SECRET,
                          check=False)
    assert done.returncode == 0, f"fsck: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    summary = json.loads(done.stdout.strip().splitlines()[-1])["summary"]
    assert summary["missing"] == summary["damaged"] == 0 and summary["commits"] > 0, summary


def test_the_page():
    """The haproxy.cfg of docs/how-to/many-servers.md is one."""
    with open(os.path.join(SOURCE, "docs", "how-to", "many-servers.md")) as f:
        config = f.read().split("```\n")[1]
    done = subprocess.run([HAPROXY, "-c", "-f", "/dev/stdin"], input=config, capture_output=True, text=True)
    assert done.returncode == 0 and "WARNING" not in done.stderr.upper(), done.stderr


def check_load(section, servers):
    with Cluster(section, servers, SMALL_RANGES) as cluster:
        load = Load(cluster)
        load.run(SECONDS)
        commits, merges = load.check()
        fsck(cluster.servers[0])
        assert cluster.kills >= KILLS and commits >= LEAST and merges >= LEAST, (cluster.kills, commits, merges)
        slow = [u for u in load.unknown() if "SlowDown" in u or "try again" in u]
        assert not slow, slow[:3]


def test_load_over_postgres():
    with Postgres() as pg:
        check_load(pg.section(), 2)


def test_load_over_dynamodb():
    with DynamoDB() as db:
        check_load(db.section(), 2)


if FULL:
    def test_four_servers_over_postgres():
        with Postgres() as pg:
            check_load(pg.section(), 4)

    def test_four_servers_over_dynamodb():
        with DynamoDB() as db:
            check_load(db.section(), 4)


MERGERS, EACH = 16, 3


def merge_all(cluster, n):
    """A branch of its own, merged into main by one server after the other."""
    for i in range(EACH):
        api = Rest(cluster.servers[(n + i) % 2].url)
        api.call("POST", f"{AT}/branches/b{n}/objects", 201, body=b"%d" % i, path=f"m{n}/{i}")
        api.commit("example", f"b{n}", f"{n} {i}")
        api.merge("example", f"b{n}", "main", 200)


def check_contention(section):
    with Cluster(section, 2) as cluster:
        api = Rest(cluster.servers[0].url)
        for n in range(MERGERS):
            api.branch("example", f"b{n}")
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(MERGERS) as pool:
            list(pool.map(lambda n: merge_all(cluster, n), range(MERGERS)))  # raises what failed
        print(f"{MERGERS * EACH} merges of {MERGERS} at once: {time.monotonic() - begun:.1f} s", flush=True)
        log = api.pages(AT + "/refs/main/commits", first_parent=True)
        assert len(log) == MERGERS * EACH + 1, len(log)
        seen = [o["path"] for o in api.pages(AT + "/refs/main/objects/ls")]
        assert seen == sorted(f"m{n}/{i}" for n in range(MERGERS) for i in range(EACH)), seen


def test_contention_over_postgres():
    with Postgres() as pg:
        check_contention(pg.section())


def test_contention_over_dynamodb():
    with DynamoDB() as db:
        check_contention(db.section())


FORGOTTEN = 60  # seconds: many times what is promised, for a busy machine; auth.cache.ttl alone would be much more
REMEMBERED = "auth.cache.ttl: 10m\n"


def until(seconds, what, call, status):
    """How long it took until the call was answered so."""
    begun = time.monotonic()
    while True:
        got = call().status
        if got == status:
            return time.monotonic() - begun
        assert time.monotonic() - begun < seconds, f"{what}: still {got}"
        time.sleep(0.1)


def test_what_another_server_deletes():
    with Postgres() as pg, Cluster(pg.section(), 2, REMEMBERED) as cluster:
        a, b = (Rest(s.url) for s in cluster.servers)
        a.call("POST", "/auth/users", 201, doc={"id": "eve"})
        a.call("PUT", "/auth/groups/Developers/members/eve", 201)
        made = a.call("POST", "/auth/users/eve/credentials", 201).json
        eve = Rest(cluster.servers[1].url, made["access_key_id"], made["secret_access_key"])
        until(FORGOTTEN, "a new key", lambda: eve.ask("GET", AT), 200)
        # a key
        a.call("DELETE", f"/auth/users/eve/credentials/{made['access_key_id']}", 204)
        took = [until(FORGOTTEN, "a deleted key", lambda: eve.ask("GET", AT), 401)]
        # a right
        made = a.call("POST", "/auth/users/eve/credentials", 201).json
        eve = Rest(cluster.servers[1].url, made["access_key_id"], made["secret_access_key"])
        until(FORGOTTEN, "a new key", lambda: eve.ask("GET", AT), 200)
        a.call("DELETE", "/auth/groups/Developers/members/eve", 204)
        took.append(until(FORGOTTEN, "a right", lambda: eve.ask("GET", AT), 401))  # as lakeFS says it
        assert "permission" in eve.ask("GET", AT).message
        # a user
        a.call("PUT", "/auth/groups/Developers/members/eve", 201)
        until(FORGOTTEN, "a right", lambda: eve.ask("GET", AT), 200)
        a.call("DELETE", "/auth/users/eve", 204)
        took.append(until(FORGOTTEN, "a user", lambda: eve.ask("GET", AT), 401))
        # a repository; nothing can be written to it from that moment on
        b.call("POST", f"{AT}/branches/main/objects", 201, body=b"x", path="x")
        a.call("DELETE", AT, 204)
        assert b.ask("POST", f"{AT}/branches/main/objects", body=b"x", path="y").status == 404
        took.append(until(FORGOTTEN, "a repository", lambda: b.ask("GET", AT), 404))
        print("forgotten after " + ", ".join(f"{t:.1f}" for t in took) + " s", flush=True)


if __name__ == "__main__":
    main(globals())
