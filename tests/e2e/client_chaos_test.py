"""A dozen clients that create, change, move and delete the very same few things at once, for a while: whatever comes, each
answer is one that its operation may give, each body that is read is one that was put there, nobody's connection is dropped,
no server's log tells of a failure, and afterwards nothing is missing.

By hand: CHAOS_SEED and CHAOS_SECONDS for another run than the usual one; CHAOS_TELL tells how often each was answered what;
CHAOS_KEEP is a file to which the servers' logs are added."""
import collections
import contextlib
import json
import os
import random
import stat

from chaos import Chaos
from cluster import Cluster
from harness import KEY, SECRET, Server, main, wait_for
from postgres import Postgres
from rest import Rest

SEED = int(os.environ.get("CHAOS_SEED", random.randrange(1 << 32)))
SECONDS = float(os.environ.get("CHAOS_SECONDS", 15))
# Keys of users who are gone aren't somebody's attack; what is to be cleaned up is, meanwhile.
EXTRA = "auth.limits.failures: 0\nserver: {hygiene_interval: 1s}\n"
# What a server may have more of than at first, of each kind: files of its database, connections to it, tables and folders
# that it remembers (versions/tables.c, backends/local.h: their bounds).
MORE = {"file": 40, "socket": 80, "remembered": 512 + 256}


def troubles(server):
    """The log's lines of what should not have come."""
    out = []
    for line in server.log_text().splitlines():
        try:
            level = json.loads(line)["level"]
        except (ValueError, KeyError):
            level = "unreadable"
        if level not in ("debug", "info", "warn", "warning"):
            out.append(line)
    return out


def kind(fd):
    """Of what this is open: its descriptor's place below /proc."""
    target = os.readlink(fd)
    if not target.startswith("/"):
        return target.split(":")[0]
    return "remembered" if "/_lakefs/" in target or stat.S_ISDIR(os.stat(fd).st_mode) else "file"


def descriptors(server):
    """{kind: how many}, of what the server has open."""
    kinds = collections.Counter()
    for fd in os.listdir(f"/proc/{server.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            kinds[kind(f"/proc/{server.pid}/fd/{fd}")] += 1
    return kinds


def check_quiet(server, before):
    """Soon it has no more open than what it keeps for the next one."""
    def at_rest():
        now = descriptors(server)
        return all(now[k] <= before[k] + MORE.get(k, 4) for k in now)

    try:
        wait_for(at_rest, "as few descriptors as before", 120)
    except AssertionError:
        raise AssertionError(f"open at first: {before}, at the end: {descriptors(server)}")


def fsck(server, repo):
    done = server.command("fsck", repo, "--json", "--bodies", "--access-key-id", KEY, "--secret-access-key", SECRET,
                          check=False)
    assert done.returncode == 0, f"fsck {repo}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    summary = json.loads(done.stdout.strip().splitlines()[-1])["summary"]
    assert summary["missing"] == summary["damaged"] == 0, summary
    return summary["commits"], summary["bodies"]


def check_chaos(servers, **more):
    before = [descriptors(s) for s in servers]
    chaos = Chaos(servers, SEED, **more)
    print(f"CHAOS_SEED={SEED} CHAOS_SECONDS={SECONDS:g}", flush=True)
    chaos.run(SECONDS)
    if os.environ.get("CHAOS_KEEP"):
        with open(os.environ["CHAOS_KEEP"], "a") as f:
            for s in servers:
                f.write(s.log_text())
    wrong = chaos.judge.wrong + [line for s in servers for line in troubles(s)]
    good = sum(n for (_, answer), n in chaos.judge.seen.items() if isinstance(answer, int) and answer < 300)
    print(f"{chaos.judge.seen.total()} answers, {good} of success", flush=True)
    if os.environ.get("CHAOS_TELL"):
        for (what, answer), n in sorted(chaos.judge.seen.items(), key=str):
            print(f"  {what}: {answer}: {n}")
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong[:60])
    for s, was in zip(servers, before):
        check_quiet(s, was)
    left = [r["id"] for r in Rest(servers[0].url).pages("/repositories")]
    print("left:", ", ".join(f"{r}: {c} commits, {b} bodies" for r in left for c, b in [fsck(servers[0], r)]), flush=True)


def test_one_server():
    with Server(repos=(), extra=EXTRA) as s:
        check_chaos([s])


def test_two_servers():
    with Postgres() as pg, Cluster(pg.section(), 2, EXTRA) as cluster:
        check_chaos(cluster.servers)


if __name__ == "__main__":
    main(globals())
