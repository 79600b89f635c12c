"""A client of client_cluster_test.py, in an environment of its own (venv-lakefs): lakeFS's Python SDK. Lanes fill branches
of their own, commit them and merge them into "prod", all at once; committers commit "main", to which others write.
Ends when its stdin does and it has done the least, and says on stdout, as JSON, what was acknowledged and what wasn't."""
import json
import os
import random
import sys
import threading
import time

for name in list(os.environ):
    if name.startswith(("LAKECTL_", "LAKEFS_")):
        del os.environ[name]
os.environ["LAKECTL_CONFIG_FILE"] = "/dev/null"

import lakefs
import urllib3
from lakefs.exceptions import BadRequestException, ServerException

url, key, secret, first, lanes, committers, least = sys.argv[1:8]
client = lakefs.Client(host=url, username=key, password=secret)
repo = lakefs.Repository("example", client=client)
stop = threading.Event()


class Unknown(Exception):
    pass


class Thread(threading.Thread):
    def __init__(self, name):
        super().__init__(daemon=True, name=name)
        self.unknown, self.failed, self.done = [], None, 0

    def ask(self, call, *args, **kw):
        """Unknown: the answer never came, or came from the balancer."""
        try:
            got = call(*args, **kw)
            self.done += 1
            return got
        except ServerException as e:
            if e.status_code not in (502, 503, 504):
                raise
            self.unknown.append(f"{e.status_code} {e.reason} {e.body}"[:200])
        except (urllib3.exceptions.HTTPError, OSError) as e:
            self.unknown.append(repr(e)[:200])
        time.sleep(0.05)
        raise Unknown()

    def run(self):
        try:
            while not stop.is_set() or not enough():
                try:
                    self.step()
                except Unknown:
                    self.lost()
        except Exception as e:
            self.failed = f"{self.name}: {e!r}"


class Lane(Thread):
    """Of a branch and a prefix of its own, that are given up at the first thing that isn't known."""

    def __init__(self, n):
        super().__init__(f"lane{n}")
        self.number, self.generation, self.serial = n, 0, 0
        self.merges = []  # what was acknowledged, in order
        self.attempts = []
        self.branch = None

    def lost(self):
        self.branch = None

    def fresh(self):
        self.generation += 1
        self.prefix = f"lane{self.number}.{self.generation}/"
        branch = repo.branch(f"lane{self.number}-{self.generation}")
        self.ask(branch.create, first)
        self.branch, self.content = branch, {}

    def change(self):
        path = self.prefix + str(random.randrange(8))
        if path in self.content and random.random() < 0.3:
            self.ask(self.branch.object(path).delete)
            del self.content[path]
        self.serial += 1
        path = self.prefix + str(random.randrange(8))
        body = f"lane {self.number} {self.serial}"
        self.ask(self.branch.object(path).upload, data=body.encode(), mode="wb", pre_sign=False)
        self.content[path] = body

    def step(self):
        if not self.branch:
            self.fresh()
        for _ in range(random.randrange(1, 4)):
            self.change()
        message = f"{self.prefix} {self.serial}"
        made = self.ask(self.branch.commit, message).id
        attempt = {"message": message, "prefix": self.prefix, "content": dict(self.content), "commit": made}
        self.attempts.append(attempt)
        attempt["id"] = self.ask(self.branch.merge_into, "prod", message=message)
        self.merges.append(attempt)
        self.attempts.pop()


class Committer(Thread):
    def __init__(self, n):
        super().__init__(f"committer{n}")
        self.number, self.serial = n, 0
        self.commits, self.attempts = [], []

    def lost(self):
        pass

    def step(self):
        self.serial += 1
        attempt = {"message": f"{self.name} {self.serial}", "begun": time.monotonic()}
        self.attempts.append(attempt)
        try:
            attempt["id"] = self.ask(repo.branch("main").commit, attempt["message"]).id
            attempt["ended"] = time.monotonic()
            self.commits.append(attempt)
        except BadRequestException as e:
            assert "no changes" in str(e), e
        self.attempts.pop()
        time.sleep(random.random() * 0.2)


PATIENCE = 120


def enough():
    """Of commits and of merges that were acknowledged; or it is no use to wait for them."""
    done = [sum(len(t.merges) for t in threads if isinstance(t, Lane)),
            sum(len(t.commits) for t in threads if isinstance(t, Committer))]
    return min(done) >= int(least) or any(t.failed for t in threads) or time.monotonic() > stopped + PATIENCE


stopped = 0
threads = [Lane(i) for i in range(int(lanes))] + [Committer(i) for i in range(int(committers))]
for t in threads:
    t.start()
sys.stdin.read()
stopped = time.monotonic()
stop.set()
for t in threads:
    t.join(150)
    if t.is_alive():
        t.failed = f"{t.name} doesn't end"
json.dump({
    "merges": [m for t in threads if isinstance(t, Lane) for m in t.merges],
    "merge_attempts": [m for t in threads if isinstance(t, Lane) for m in t.attempts],
    "commits": [m for t in threads if isinstance(t, Committer) for m in t.commits],
    "commit_attempts": [m for t in threads if isinstance(t, Committer) for m in t.attempts],
    "unknown": [u for t in threads for u in t.unknown],
    "failed": [t.failed for t in threads if t.failed],
    "done": sum(t.done for t in threads),
}, sys.stdout)
