"""A mixed load on a cluster, and what must be there afterwards: boto3 writes to "main" here, the SDK (cluster_sdk.py) commits
it, and commits and merges branches of its own into "prod"."""
import json
import os
import random
import subprocess
import threading
import time

from harness import KEY, SECRET, SOURCE, clean_env, md5
from rest import Rest
from versions_model import History

AT = "/repositories/example"
SDK = os.path.join(SOURCE, "build", "venv-lakefs", "bin", "python")
WRITERS, LANES, COMMITTERS, KEYS = 4, 3, 2, 12
KILLS, LEAST = 4, 5  # so often, and commits and merges: a run may take longer for them


class Text(bytes):
    @property
    def etag(self):
        return md5(self)


class Writer(threading.Thread):
    """Of main, under a prefix of its own. A key whose write was not answered is never written again."""

    def __init__(self, n, cluster):
        super().__init__(daemon=True, name=f"writer{n}")
        self.prefix, self.cluster = f"w{n}/", cluster
        self.s3 = cluster.boto3(retries={"max_attempts": 0}, read_timeout=120)
        self.keys, self.usable, self.made = {}, [], 0
        self.unknown, self.failed, self.done = [], None, 0
        self.alive = True

    def ask(self, call, **kw):
        """None: not known."""
        from botocore.exceptions import ClientError, HTTPClientError
        try:
            got = call(Bucket="example", **kw)
            self.done += 1
            return got
        except ClientError as e:
            if e.response["ResponseMetadata"]["HTTPStatusCode"] not in (502, 503, 504):
                raise
            self.unknown.append(str(e)[:200])
        except (HTTPClientError, OSError) as e:
            self.unknown.append(repr(e)[:200])
        time.sleep(0.05)
        return None

    def pick(self):
        if len(self.usable) < KEYS:
            self.made += 1
            path = f"{self.prefix}{self.made:04d}"
            self.keys[path] = History()
            self.usable.append(path)
        return random.choice(self.usable)

    def step(self):
        path = self.pick()
        h = self.keys[path]
        body = None if h.last() and random.random() < 0.2 else Text(f"{path} {self.done} {random.random()}".encode())
        h.begin(body, time.monotonic())
        key = "main/" + path
        if body is None:
            answer = self.ask(self.s3.delete_object, Key=key)
        else:
            answer = self.ask(self.s3.put_object, Key=key, Body=bytes(body))
        if not answer:
            self.usable.remove(path)
            return
        h.certain(time.monotonic())
        if body is not None:  # by whichever server it is
            got = self.ask(self.s3.get_object, Key=key)
            assert not got or got["ETag"].strip('"') == body.etag, (path, got)

    def run(self):
        try:
            while self.alive:
                self.step()
        except Exception as e:
            self.failed = e


class Load:
    def __init__(self, cluster):
        self.cluster = cluster
        self.api = Rest(cluster.url)
        self.first = self.api.get(AT + "/branches/main")["commit_id"]
        self.api.branch("example", "prod")
        self.writers = [Writer(n, cluster) for n in range(WRITERS)]

    def run(self, seconds):
        sdk = subprocess.Popen([SDK, os.path.join(SOURCE, "tests", "e2e", "cluster_sdk.py"), self.cluster.url, KEY, SECRET,
                                self.first, str(LANES), str(COMMITTERS), str(LEAST)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean_env())
        try:
            for w in self.writers:
                w.start()
            self.cluster.harass(seconds, KILLS)
        finally:
            try:
                out, _ = sdk.communicate("", timeout=300)  # it ends when it has done enough, for which there must be writes
            finally:
                for w in self.writers:
                    w.alive = False
        for w in self.writers:
            w.join(150)
            assert not w.is_alive()
            if w.failed:
                raise w.failed
        assert sdk.returncode == 0, sdk.returncode
        self.sdk = json.loads(out)
        assert not self.sdk["failed"], self.sdk["failed"]
        self.ended = time.monotonic()

    def unknown(self):
        return [u for w in self.writers for u in w.unknown] + self.sdk["unknown"]

    # What must be there.

    def listing(self, api, ref):
        return {o["path"]: o["checksum"] for o in api.pages(f"{AT}/refs/{ref}/objects/ls")}

    def chain(self, api, branch):
        """The branch's commits by first parents, oldest first, without the first."""
        log = api.pages(f"{AT}/refs/{branch}/commits", first_parent=True)
        for newer, older in zip(log, log[1:]):
            assert newer["parents"][0] == older["id"], (newer, older)
        assert log[-1]["id"] == self.first
        return log[-2::-1]

    def check_keys(self, seen, what, begun, ended):
        """Each key as it was, or may have been, at some moment of that time; nothing else."""
        seen = dict(seen)
        for w in self.writers:
            for path, h in w.keys.items():
                may = [h.steps[i][0] for i in h.possible(begun, ended)]
                got = seen.pop(path, None)
                assert got in [b and b.etag for b in may], f"{what}: {path} is {got}, not one of {h.steps}"
        assert not seen, f"{what}: {seen} was never written"

    def check_main(self, api):
        known = {c["message"]: c for c in self.sdk["commits"]}
        maybe = {c["message"]: c for c in self.sdk["commit_attempts"]}
        there = set()
        for c in self.chain(api, "main"):
            of = known.get(c["message"]) or maybe[c["message"]]
            assert c["message"] not in there and of.get("id", c["id"]) == c["id"], c
            there.add(c["message"])
            self.check_keys(self.listing(api, c["id"]), c["message"], of["begun"], of.get("ended", self.ended))
        assert set(known) <= there, set(known) - there
        return len(there)

    def check_prod(self, api):
        """Each merge, with what had been merged before it."""
        known = {c["message"]: c for c in self.sdk["merges"]}
        maybe = {c["message"]: c for c in self.sdk["merge_attempts"]}
        there, state = set(), {}
        for c in self.chain(api, "prod"):
            of = known.get(c["message"]) or maybe[c["message"]]
            assert c["message"] not in there and of.get("id", c["id"]) == c["id"], c
            assert c["parents"][1:] == [of["commit"]], c
            there.add(c["message"])
            state[of["prefix"]] = of["content"]
            want = {p: md5(b.encode()) for content in state.values() for p, b in content.items()}
            assert self.listing(api, c["id"]) == want, c
        assert set(known) <= there, set(known) - there
        assert self.listing(api, "prod") == want
        return len(there)

    def check(self):
        for s in self.cluster.servers:
            api, now = Rest(s.url), time.monotonic()
            heads = {b["id"]: b["commit_id"] for b in api.pages(AT + "/branches")}
            assert heads["main"] == api.get(AT + "/refs/main/commits", amount=1)["results"][0]["id"]
            self.check_keys(self.listing(api, "main"), "main", now, now)
        self.check_bodies()
        commits, merges = self.check_main(api), self.check_prod(api)
        unknown = self.unknown()
        print(f"{len(self.cluster.servers)} servers, {self.cluster.kills} kills: "
              f"{sum(w.done for w in self.writers)} S3 requests and {self.sdk['done']} of the SDK answered, {len(unknown)} not; "
              f"{commits} commits of main, {merges} merges into prod", flush=True)
        return commits, merges

    def check_bodies(self):
        s3 = self.cluster.boto3(retries={"max_attempts": 3})
        for w in self.writers:
            for path, h in w.keys.items():
                certain = h.steps[-1][2] is not None
                if certain and h.last():
                    got = s3.get_object(Bucket="example", Key="main/" + path)["Body"].read()
                    assert got == h.last(), (path, got)
