"""kill -9 in the middle of a day's work with versions, again and again. Every acknowledged write is where it should
be, every acknowledged commit, tag and branch is there under its id and lists exactly what the client knows, what was
never written is nowhere, what was never answered is there wholly or not at all, and work goes on.

`lane`: a client with branches of its own, of which it knows everything; and it merges into "prod", as others do.
`main`: several writers, each with keys of its own, while others commit it and tag it."""
import json
import os
import random
import shutil
import signal
import threading
import time

from harness import KEY, SECRET, Server, main
from rest import Rest
from versions_client import AT, Client, Unknown, View
from versions_lane import Lane, new_body
from versions_model import Body, Commit, History

KILLS = 30
LANES = 3
WRITERS = 3
# Commits of some ranges each, although there are few objects.
SMALL_RANGES = "committed: {permanent: {range_raggedness_entries: 6}}\n"


class Worker(threading.Thread):
    """Works until the server goes; then `failed` says whether that is why it ended."""

    def __init__(self, owner, server):
        super().__init__(daemon=True)
        self.owner, self.server, self.failed = owner, server, None
        self.alive = True

    def run(self):
        self.owner.client = Client(self.server)
        try:
            while self.alive:
                self.owner.step()
                self.owner.done += 1
        except Unknown as e:
            if e.status:
                self.owner.world.refused.append(str(e))
        except Exception as e:  # told by the main thread
            self.failed = e


class Writer:
    """Of main, under a prefix of its own."""

    def __init__(self, n, world):
        self.prefix, self.world = f"w{n}/", world
        self.rng = random.Random(os.urandom(8))
        self.keys = {}
        self.done = 0

    def step(self):
        path = f"{self.prefix}{self.rng.randrange(25):02d}"
        h = self.keys.setdefault(path, History())
        body = None if self.rng.random() < 0.2 else new_body(self.rng)
        h.begin(body, time.monotonic())
        if body:
            self.client.put("main", path, body)
        else:
            self.client.delete("main", path)
        h.certain(time.monotonic())

    def settle(self, view):
        seen = view.listing("main")
        for path, h in self.keys.items():
            etag, now = seen.get(path), time.monotonic()
            match = [s[0] for s in h.steps[-2:] if (s[0] and s[0].etag) == etag]
            assert match, f"main/{path} is {etag}, not one of {h.steps[-2:]}"
            h.settle(match[-1], now)

    def check(self, view):
        pass


class Committer:
    """Commits main while others write to it, tags what it made, and branches off."""

    def __init__(self, world):
        self.world = world
        self.made = {}  # id -> (begun, ended)
        self.tags, self.pending = {}, None
        self.serial = self.done = 0

    def step(self):
        self.serial += 1
        message, begun = f"main {self.serial}", time.monotonic()
        self.pending = (message, begun)
        status, got = self.client.rest("POST", "/branches/main/commits", {"message": message}, good=(400,))
        if status == 201:
            self.made[got["id"]] = (begun, time.monotonic())
            self.pending = None
            if self.serial % 4 == 0:
                self.tag(got["id"])
        else:
            assert "no changes" in got["message"], got
        self.pending = None
        time.sleep(random.random() * 0.05)

    def tag(self, id):
        name = f"main-{self.serial}"
        self.pending = (None, (name, id))
        self.client.rest("POST", "/tags", {"id": name, "ref": id})
        self.tags[name] = id

    def settle(self, view):
        what, more = self.pending or ("", None)
        self.pending = None
        if what is None and more[0] in view.tags:
            self.tags[more[0]] = more[1]
        for c in view.log("main"):
            if what and c["message"] == what:
                self.made[c["id"]] = (more, time.monotonic())

    def check(self, view):
        log = [c["id"] for c in view.log("main")]
        assert set(log) == set(self.made) | {self.world.first.id}, "main's log"
        assert view.branches["main"] == log[0]
        for name, id in self.tags.items():
            assert view.tags.get(name) == id, f"tag {name}"

    def check_commit(self, view, id):
        """Each key as it was, or may have been, while the commit was made; nothing else."""
        begun, ended = self.made[id]
        seen = view.listing(id)
        for w in self.world.writers:
            for path, h in w.keys.items():
                bodies = [h.steps[i][0] for i in h.possible(begun, ended)]
                assert seen.pop(path, None) in [b and b.etag for b in bodies], f"{id}: {path}, not one of {bodies}"
        assert not seen, f"{id}: {seen} were never written"


class World:
    def __init__(self, server):
        self.server = server
        api = Rest(server.url)
        first = api.get(AT + "/branches/main")["commit_id"]
        self.first = Commit(first, {}, api.get(f"{AT}/commits/{first}")["parents"])
        self.commits = {first: self.first}
        self.prod = {}  # id -> (lane, what it has below the lane's prefix)
        api.branch("example", "prod")
        self.lanes = [Lane(n, self) for n in range(LANES)]
        self.writers = [Writer(n, self) for n in range(WRITERS)]
        self.committer = Committer(self)
        self.all = self.lanes + self.writers + [self.committer]
        self.checked = 0
        self.refused = []  # what a living server answered by 5xx

    def work(self, seconds):
        workers = [Worker(o, self.server) for o in self.all]
        for w in workers:
            w.start()
        time.sleep(seconds)
        self.server.stop(signal.SIGKILL)
        for w in workers:
            w.join(120)
            assert not w.is_alive()
            if w.failed:
                raise w.failed

    def check(self, everything=False):
        view = View(self.server)
        for o in self.all:
            o.settle(view)
        for o in self.all:
            o.check(view)
        self.check_names(view)
        self.check_prod(view)
        self.check_main(view, everything)
        self.check_commits(view, everything)
        for lane in self.lanes:
            for name, b in lane.branches.items():
                view.bodies(name, b.visible(), None if everything else 5)
        return view

    def check_names(self, view):
        branches = {"main", "prod"}.union(*(x.branches for x in self.lanes))
        assert set(view.branches) == branches, set(view.branches) ^ branches
        tags = set(self.committer.tags).union(*(x.tags for x in self.lanes))
        assert set(view.tags) == tags, set(view.tags) ^ tags

    def check_prod(self, view):
        want = {}
        for lane in self.lanes:
            want |= lane.prod
        view.same("prod", want)
        merges = {c["id"] for c in view.log("prod") if c["message"].startswith("prod-")}
        assert merges == set(self.prod), merges ^ set(self.prod)

    def check_main(self, view, everything):
        have = {p: h.last() for w in self.writers for p, h in w.keys.items() if h.last()}
        view.same("main", have)
        view.bodies("main", have, None if everything else 10)
        ids = list(self.committer.made)
        for id in ids if everything else set(ids[-5:] + random.sample(ids, min(3, len(ids)))):
            self.committer.check_commit(view, id)
            self.checked += 1

    def check_commits(self, view, everything):
        ids = [i for i in self.commits if i not in self.prod]
        for id in ids if everything else set(ids[-8:] + random.sample(ids, min(4, len(ids)))):
            c = self.commits[id]
            got = view.commit(id)
            assert got["id"] == id and got["parents"] == c.parents, (got, c.parents)
            view.same(id, c.contents)
            self.checked += 1
        for id, (lane, contents) in list(self.prod.items())[0 if everything else -3:]:
            seen = {p: e for p, e in view.listing(id).items() if p.startswith(lane.prefix)}
            assert seen == {p: b.etag for p, b in contents.items()}, f"prod's {id}"


def fsck(server, *more):
    """Nothing missing, nothing damaged; what no commit names is what crashes leave."""
    done = server.command("fsck", "example", "--json", *more, check=False)
    assert done.returncode == 0, f"fsck: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    summary = json.loads(done.stdout.strip().splitlines()[-1])["summary"]
    assert summary["missing"] == summary["damaged"] == 0 and summary["commits"] > 0, summary
    return summary


def works(server, round):
    """The next commit, on what the crash left."""
    api, client = Rest(server.url), Client(server)
    name = f"after-{round}"
    api.branch("example", name)
    client.put(name, "w/after", Body(100))
    made = api.commit("example", name, "after the crash")
    assert "w/after" in [o["path"] for o in api.pages(f"{AT}/refs/{made['id']}/objects/ls", prefix="w/")]
    api.call("DELETE", f"{AT}/branches/{name}", 204)


def restored(server, world):
    """The refs as they are dumped make the same repository again."""
    api = Rest(server.url)
    dump = api.call("PUT", AT + "/refs/dump", 201).json
    shutil.copytree(server.path("objects", "example"), server.path("objects", "again"))
    api.call("POST", "/repositories", 201, bare=True,
             doc={"name": "again", "storage_namespace": "local://again", "default_branch": "main"})
    api.call("PUT", "/repositories/again/refs/restore", 200, doc=dump)
    for what in ("branches", "tags"):
        assert api.pages(f"/repositories/again/{what}") == api.pages(f"{AT}/{what}"), what
    for b in api.pages(AT + "/branches"):
        both = [[(o["path"], o["checksum"]) for o in api.pages(f"{at}/refs/{b['commit_id']}/objects/ls")]
                for at in (AT, "/repositories/again")]
        assert both[0] == both[1], b


def test_kill_9():
    with Server(extra=SMALL_RANGES) as s:
        world = World(s)
        for i in range(KILLS):
            print(f"round {i}", end=" ", flush=True)
            world.work(random.uniform(0.3, 2.2))
            if i % 6 == 2:  # as the crash left it, by its own hand
                fsck(s)
            s.start()
            world.check()
            works(s, i)
        world.check(everything=True)
        summary = fsck(s, "--bodies", "--access-key-id", KEY, "--secret-access-key", SECRET)
        restored(s, world)
        print(f"{KILLS} kills; {sum(o.done for o in world.all)} acknowledged steps, {len(world.commits)} commits of "
              f"lanes, {len(world.prod)} merges into prod, {len(world.committer.made)} commits of main beside its "
              f"writers, {world.checked} commits checked; {len(world.refused)} refused by a living server; "
              f"{summary}")
        # Nobody waits for what the killed one left half done; who waited for a minute would be here in each round of it.
        assert len(world.refused) < KILLS / 3, world.refused[:5]
        assert len(world.commits) > KILLS and len(world.committer.made) > KILLS


if __name__ == "__main__":
    main(globals())
