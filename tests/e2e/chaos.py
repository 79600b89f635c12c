"""Clients that do whatever comes to their minds with the very same few names, and judge each answer: Chaos(servers, seed).

What an S3 operation may answer is said where it is asked, what a REST operation may, by /openapi.json. Most of what they do
fails, as it should: what they work on is being deleted, created anew or moved by the others."""
import collections
import hashlib
import http.client
import json
import os
import random
import re
import threading
import time
import urllib.parse
import urllib.request

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from harness import KEY, SECRET, md5, sign
from rest import Rest

REPOS = ("chaos-a", "chaos-b")
# Made without a branch, over another one's data, for what is restored.
COPY = "chaos-restored"
BRANCHES, TAGS = ("main", "dev", "side"), ("v1", "v2")
PATHS, COPIES = ("a", "d/b", "d/c", "e"), ("copied/a", "copied/b")
USERS, GROUPS, POLICIES = ("ann", "bob"), ("red", "blue"), ("may-read", "may-write")
GONE = {"NoSuchBucket", "NoSuchKey", "404"}
HELD = {"PreconditionFailed", "ConditionalRequestConflict", "412"}
PROTECTED = {"ErrWriteToProtectedBranch"}
BUSY = {"SlowDown", "ServiceUnavailable"}
ALWAYS = {503}  # what /openapi.json doesn't say of each operation
SIZES = (0, 1, 700, 5000, 70_000, 300_000)
PART = 5 << 20


class Bodies:
    """Each says under which path and in which repository it was put, and whether it is whole."""

    def __init__(self):
        self.lock = threading.Lock()
        self.made = []   # (path, repository, size)
        self.ended = {}  # number -> when its putting was over
        self.etags = {}  # -> number
        self.deleted = collections.defaultdict(list)  # repository -> (begun, ended) of deletions that went well

    @staticmethod
    def text(n, path, repo, size):
        data = f"{n}\n{path}\n{repo}\n{size}\n".encode() + random.Random(n).randbytes(size)
        return data + hashlib.sha256(data).hexdigest().encode()

    def make(self, path, repo, size):
        with self.lock:
            n = len(self.made)
            self.made.append((path, repo, size))
        data = self.text(n, path, repo, size)
        with self.lock:
            self.etags[md5(data)] = n
        return n, data

    def in_parts(self, n, parts):
        whole = hashlib.md5(b"".join(hashlib.md5(p).digest() for p in parts)).hexdigest()
        with self.lock:
            self.etags[f"{whole}-{len(parts)}"] = n

    def end(self, n):
        self.ended[n] = time.monotonic()

    def check(self, path, repo, etag, begun, got, first=0, whole=True):
        """None, or what is wrong with bytes that were read."""
        n = self.etags.get(etag)
        if n is None:
            return f"an ETag that nobody made: {etag}"
        of, where, size = self.made[n]
        want = self.text(n, of, where, size)
        if got != (want if whole else want[first:first + len(got)]):
            return f"torn: {len(got)} bytes from {first} of body {n}, which has {len(want)}"
        if path in COPIES or repo == COPY:
            return None
        if of != path or where != repo:
            return f"foreign: body {n} of {of} in {where}"
        for since, until in self.deleted[repo]:
            if self.ended.get(n, until) < since and until < begun:
                return f"body {n} was put before its repository was deleted"
        return None


class Judge:
    def __init__(self):
        self.wrong, self.seen, self.lock = [], collections.Counter(), threading.Lock()

    def saw(self, what, answer):
        with self.lock:
            self.seen[what, re.sub("[0-9a-f-]{20,}", "*", answer) if isinstance(answer, str) else answer] += 1

    def accuse(self, what):
        with self.lock:
            self.wrong.append(what[:600])


def operations(server):
    """{operation: (method, path, statuses)}, as /openapi.json says."""
    with urllib.request.urlopen(server.url + "/openapi.json") as r:
        doc = json.loads(r.read())
    return {o["operationId"]: (method.upper(), path, {int(s) for s in o["responses"] if s != "default"})
            for path, methods in doc["paths"].items() for method, o in methods.items()}


WEIGHTS = {}


def does(weight):
    def mark(fn):
        WEIGHTS[fn.__name__] = weight
        return fn
    return mark


class Client(threading.Thread):
    def __init__(self, chaos, seed):
        super().__init__(daemon=True, name=f"client-{seed}")
        self.chaos, self.bodies, self.judge = chaos, chaos.bodies, chaos.judge
        self.r = random.Random(seed)
        self.s3s = [s.boto3(retries={"max_attempts": 0}, read_timeout=300, max_pool_connections=1) for s in chaos.servers]
        self.rests = [Rest(s.url) for s in chaos.servers]
        self.uploads, self.tasks, self.addresses, self.dumps = chaos.uploads, chaos.tasks, chaos.addresses, chaos.dumps
        self.missing = None

    def run(self):
        names, weights = list(WEIGHTS), list(WEIGHTS.values())
        while not self.chaos.over():
            name = self.r.choices(names, weights)[0]
            if self.missing and self.r.random() < 0.3:
                name = "create_missing"
            try:
                getattr(self, name)()
            except Exception as e:  # told by the main thread
                self.judge.accuse(f"{name}: {e!r}")

    # What is asked for.

    def one(self, of):
        return self.r.choice(of)

    def repo(self):
        return self.one(REPOS + (COPY,) if self.r.random() < 0.1 else REPOS)

    def branch(self):
        return self.one(BRANCHES)

    def ref(self):
        return self.one(BRANCHES + TAGS + ("main~1", "dev^", "dev~2"))

    def body(self, path, repo):
        return self.bodies.make(path, repo, self.one(SIZES))

    # How it is asked, and what may be answered.

    def s3(self, call, *codes, **kw):
        """The answer, or None: one of those codes."""
        try:
            got = getattr(self.one(self.s3s), call)(**kw)
            if "Body" in got:
                got["Bytes"] = got["Body"].read()
        except ClientError as e:
            code = e.response["Error"]["Code"]
            self.judge.saw(call, f"{code}: {e.response['Error'].get('Message')}")
            if code == "NoSuchBucket" and "Key" in kw:
                self.missing = kw["Bucket"], kw["Key"].partition("/")[0]
            if code not in codes and code not in BUSY:
                self.judge.accuse(f"{call} {short(kw)}: {code}: {e}")
            return None
        except (BotoCoreError, HTTPClientError, OSError) as e:
            self.judge.accuse(f"{call} {short(kw)}: {e!r}")
            return None
        self.judge.saw(call, got["ResponseMetadata"]["HTTPStatusCode"])
        return got

    def rest(self, op, path=None, **kw):
        """The answer, or None: it was refused as /openapi.json says; `path`: the names in the operation's."""
        method, template, statuses = self.chaos.operations[op]
        target = re.sub(r"{(\w+)}", lambda m: urllib.parse.quote((path or {})[m[1]], safe=""), template)
        try:
            a = self.one(self.rests).ask(method, target, **kw)
        except (OSError, http.client.HTTPException) as e:
            self.judge.accuse(f"{op} {target}: {e!r}")
            return None
        self.judge.saw(op, a.status if a.status < 300 else f"{a.status}: {a.body.decode()}")
        if a.status not in statuses | ALWAYS:
            self.judge.accuse(f"{op} {target} {short(kw)}: {a}")
        if a.status == 404 and path and path.get("repository"):
            self.missing = path["repository"], path.get("branch", "dev")
        return a if a.status < 300 else None

    def at(self, **names):
        names.setdefault("repository", self.repo())
        return names

    # Objects, by S3.

    def put_with(self, **more):
        repo, branch, path = self.repo(), self.branch(), self.one(PATHS)
        n, data = self.body(path, repo)
        held = HELD if more else ()
        self.s3("put_object", *GONE, *held, *PROTECTED, Bucket=repo, Key=f"{branch}/{path}", Body=data, **more)
        self.bodies.end(n)

    @does(14)
    def put(self):
        self.put_with()

    @does(3)
    def put_if_absent(self):
        self.put_with(IfNoneMatch="*")

    @does(3)
    def put_if_match(self):
        etag = self.one(list(self.bodies.etags)[-20:] or ["x"])
        self.put_with(IfMatch=f'"{etag}"')

    @does(14)
    def get(self):
        self.read(None)

    @does(4)
    def get_range(self):
        first = self.one((0, 1, 100, 4000))
        self.read((first, first + self.one((0, 10, 5000))))

    def read(self, span):
        repo, path = self.repo(), self.one(PATHS + COPIES)
        more, refused, begun = {}, set(GONE), time.monotonic()
        if span:
            more["Range"] = "bytes={}-{}".format(*span)
            refused.add("InvalidRange")
        got = self.s3("get_object", *refused, Bucket=repo, Key=f"{self.ref()}/{path}", **more)
        if got:
            wrong = self.bodies.check(path, repo, got["ETag"].strip('"'), begun, got["Bytes"],
                                      span[0] if span else 0, not span)
            if wrong:
                self.judge.accuse(f"get_object of {path} in {repo}: {wrong}")

    @does(5)
    def head(self):
        self.s3("head_object", *GONE, Bucket=self.repo(), Key=f"{self.ref()}/{self.one(PATHS)}")

    @does(5)
    def list(self):
        more = self.one(({}, {"Delimiter": "/"}, {"MaxKeys": 2}))
        self.s3("list_objects_v2", *GONE, Bucket=self.repo(), Prefix=self.one((f"{self.ref()}/", "", "d")), **more)

    @does(5)
    def delete(self):
        self.s3("delete_object", *GONE, *PROTECTED, Bucket=self.repo(), Key=f"{self.branch()}/{self.one(PATHS)}")

    @does(3)
    def delete_many(self):
        keys = [{"Key": f"{self.branch()}/{p}"} for p in PATHS]
        got = self.s3("delete_objects", *GONE, Bucket=self.repo(), Delete={"Objects": keys})
        for e in got.get("Errors", ()) if got else ():
            if e["Code"] not in GONE | PROTECTED | BUSY:
                self.judge.accuse(f"delete_objects: {e}")

    @does(5)
    def copy(self):
        source = f"{self.repo()}/{self.ref()}/{self.one(PATHS)}"
        self.s3("copy_object", *GONE, "InvalidRequest", Bucket=self.repo(), Key=f"{self.branch()}/{self.one(COPIES)}",
                CopySource=source)

    @does(4)
    def tagging(self):
        at = dict(Bucket=self.repo(), Key=f"{self.branch()}/{self.one(PATHS)}")
        if self.r.random() < 0.5:
            self.s3("put_object_tagging", *GONE, *HELD, *PROTECTED, **at, Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
        elif self.r.random() < 0.5:
            self.s3("get_object_tagging", *GONE, **at)
        else:
            self.s3("delete_object_tagging", *GONE, *HELD, *PROTECTED, **at)

    @does(1)
    def attributes(self):
        self.s3("get_object_attributes", *GONE, Bucket=self.repo(), Key=f"{self.ref()}/{self.one(PATHS)}",
                ObjectAttributes=["ETag", "ObjectSize", "Checksum", "ObjectParts"])

    # Uploads in parts.

    @does(6)
    def upload_begin(self):
        repo, path = self.repo(), self.one(PATHS)
        at = dict(Bucket=repo, Key=f"{self.branch()}/{path}")
        got = self.s3("create_multipart_upload", *GONE, *PROTECTED, **at)
        if not got:
            return
        n, data = self.bodies.make(path, repo, self.one(SIZES) if self.r.random() < 0.95 else PART + 1000)
        parts = [data[:PART], data[PART:]] if len(data) > PART else [data]
        self.bodies.in_parts(n, parts)
        self.uploads.append((n, dict(at, UploadId=got["UploadId"]), parts))

    def an_upload(self):
        uploads = list(self.uploads)[-6:]
        return self.one(uploads) if uploads else None

    @does(9)
    def upload_part(self):
        if up := self.an_upload():
            i = self.r.randrange(len(up[2]))
            self.s3("upload_part", *GONE, *PROTECTED, "NoSuchUpload", **up[1], PartNumber=i + 1, Body=up[2][i])

    @does(1)
    def upload_part_copy(self):
        if up := self.an_upload():
            self.s3("upload_part_copy", *GONE, *PROTECTED, "NoSuchUpload", **up[1], PartNumber=9,
                    CopySource=f"{self.repo()}/{self.ref()}/{self.one(PATHS)}")

    @does(9)
    def upload_complete(self):
        if up := self.an_upload():
            parts = [{"PartNumber": i + 1, "ETag": f'"{md5(p)}"'} for i, p in enumerate(up[2])]
            self.s3("complete_multipart_upload", *GONE, *PROTECTED, "NoSuchUpload", "InvalidPart", **up[1],
                    MultipartUpload={"Parts": parts})

    @does(2)
    def upload_abort(self):
        if up := self.an_upload():
            self.s3("abort_multipart_upload", *GONE, "NoSuchUpload", **up[1])

    @does(2)
    def uploads_list(self):
        if up := self.an_upload():
            self.s3("list_parts", *GONE, "NoSuchUpload", **up[1])
            self.s3("list_multipart_uploads", *GONE, Bucket=up[1]["Bucket"])

    # Repositories and buckets.

    def deleted(self, repo, begun):
        self.bodies.deleted[repo].append((begun, time.monotonic()))

    @does(1)
    def delete_repository(self):
        repo, begun = self.repo(), time.monotonic()
        if self.rest("deleteRepository", path={"repository": repo}, query={"force": self.one((True, False))}):
            self.deleted(repo, begun)

    def create_missing(self):
        (repo, branch), self.missing = self.missing, None
        a = self.rest("getRepository", path={"repository": repo})
        if not a:
            self.create(repo)
        elif branch in BRANCHES:
            self.rest("createBranch", path={"repository": repo}, doc={"name": branch, "source": self.one(("main", "main~1"))})

    @does(1)
    def create_repository(self):
        self.create(self.repo())

    def create(self, repo):
        space, bare = f"local://{repo}-{self.r.randrange(1 << 40)}", False
        if self.r.random() < 0.1:
            space = "local://the-same"
        if repo == COPY:
            dump = self.a_dump()
            space, bare = dump[0] if dump else space, True
        made = self.rest("createRepository", query={"bare": bare}, doc={"name": repo, "storage_namespace": space})
        if made and bare:
            self.chaos.restorable = dump

    @does(1)
    def create_bucket(self):
        name = self.one(REPOS) + self.one(("", ".dev", ".side"))
        self.s3("create_bucket", *GONE, "BucketAlreadyOwnedByYou", "OperationAborted", "BucketAlreadyExists", Bucket=name)

    @does(1)
    def delete_bucket(self):
        repo, begun = self.one(REPOS), time.monotonic()
        which = self.one(("", ".dev", ".side"))
        got = self.s3("delete_bucket", *GONE, "BucketNotEmpty", "OperationAborted", "InvalidBucketState", Bucket=repo + which)
        if got and not which:
            self.deleted(repo, begun)

    @does(1)
    def buckets(self):
        self.s3("list_buckets")
        self.s3("head_bucket", *GONE, Bucket=self.repo())
        self.rest("listRepositories", query={"amount": 2})
        self.rest("getRepository", path=self.at())

    @does(2)
    def settings(self):
        at, what = self.at(), self.r.randrange(8)
        if what == 0:
            self.rest("setRepositoryMetadata", path=at, doc={"metadata": {"k": str(self.r.random())}})
        elif what == 1:
            self.rest("deleteRepositoryMetadata", path=at, doc={"keys": ["k"]})
        elif what == 2:
            self.rest("getRepositoryMetadata", path=at)
        elif what == 3:
            self.rest("setGCRules", path=at, doc={"default_retention_days": 7, "branches": []})
        elif what == 4:
            self.rest(self.one(("getGCRules", "deleteGCRules", "getBranchProtectionRules")), path=at)
        elif what == 5:
            self.rest("setBranchProtectionRules", path=at, doc=self.one(([], [], [{"pattern": "side"}])))
        elif what == 6:
            self.rest("prepareGarbageCollectionUncommitted", path=at, doc={})
        else:
            self.rest("prepareGarbageCollectionCommits", path=at)

    # Refs.

    @does(4)
    def create_branch(self):
        self.rest("createBranch", path=self.at(), doc={"name": self.branch(), "source": self.ref()})

    @does(2)
    def delete_branch(self):
        self.rest("deleteBranch", path=self.at(branch=self.branch()))

    @does(3)
    def branches(self):
        self.rest("listBranches", path=self.at(), query={"amount": self.one((1, 100))})
        self.rest("getBranch", path=self.at(branch=self.branch()))

    @does(4)
    def tags(self):
        at, what = self.at(), self.r.randrange(5)
        if what < 2:
            self.rest("createTag", path=at, doc={"id": self.one(TAGS), "ref": self.ref()})
        elif what == 2:
            self.rest("deleteTag", path=dict(at, tag=self.one(TAGS)))
        elif what == 3:
            self.rest("getTag", path=dict(at, tag=self.one(TAGS)))
        else:
            self.rest("listTags", path=at)

    # Heads.

    @does(7)
    def commit(self):
        self.rest("commit", path=self.at(branch=self.branch()), doc={"message": "m", "allow_empty": self.r.random() < 0.2})

    @does(4)
    def merge(self):
        doc = {"strategy": self.one(("", "source-wins", "dest-wins")), "squash_merge": self.one((True, False))}
        self.rest("mergeIntoBranch", path=self.at(ref=self.ref(), branch=self.branch()), doc=doc)

    @does(2)
    def revert(self):
        self.rest("revertBranch", path=self.at(branch=self.branch()), doc={"ref": self.ref(), "parent_number": self.one((0, 1))})

    @does(2)
    def pick(self):
        self.rest("cherryPick", path=self.at(branch=self.branch()), doc={"ref": self.ref(), "parent_number": self.one((0, 1))})

    @does(2)
    def hard_reset(self):
        self.rest("hardResetBranch", path=self.at(branch=self.branch()), query={"ref": self.ref()})

    @does(3)
    def reset(self):
        doc = self.one(({"type": "reset"}, {"type": "common_prefix", "path": "d/"}, {"type": "object", "path": "a"}))
        self.rest("resetBranch", path=self.at(branch=self.branch()), doc=doc)

    @does(4)
    def look(self):
        at, what = self.at(ref=self.ref()), self.r.randrange(5)
        if what == 0:
            self.rest("logCommits", path=at, query=self.one(({"amount": 3}, {"objects": "a", "limit": True}, {"first_parent": True})))
        elif what == 1:
            self.rest("getCommit", path=at)
        elif what == 2:
            self.rest("diffRefs", path=dict(at, other_ref=self.ref()), query={"type": self.one(("two_dot", "three_dot"))})
        elif what == 3:
            self.rest("diffBranch", path=dict(at, branch=self.branch()))
        else:
            self.rest("findMergeBase", path=dict(at, branch=self.branch()))

    # Objects, by REST.

    @does(4)
    def stat(self):
        at = self.at(ref=self.ref())
        self.rest("listObjects", path=at, query=self.one(({}, {"delimiter": "/"}, {"amount": 1})))
        self.rest("statObject", path=at, query={"path": self.one(PATHS)})

    @does(4)
    def upload(self):
        at, path = self.at(branch=self.branch()), self.one(PATHS)
        n, data = self.body(path, at["repository"])
        self.rest("uploadObject", path=at, query={"path": path}, body=data, headers=self.one(({}, {"If-None-Match": "*"})))
        self.bodies.end(n)

    @does(4)
    def download(self):
        at, path, begun = self.at(ref=self.ref()), self.one(PATHS), time.monotonic()
        a = self.rest("getObject", path=at, query={"path": path})
        if a:
            wrong = self.bodies.check(path, at["repository"], a.headers["ETag"].strip('"'), begun, a.body)
            if wrong:
                self.judge.accuse(f"getObject of {path} in {at}: {wrong}")

    @does(2)
    def remove(self):
        at = self.at(branch=self.branch())
        self.rest("deleteObject", path=at, query={"path": self.one(PATHS)})
        a = self.rest("deleteObjects", path=at, doc={"paths": list(PATHS[:2])})
        for e in a.json["errors"] if a else ():
            if e["status_code"] not in (403, 404, 503):
                self.judge.accuse(f"deleteObjects: {e}")

    @does(2)
    def copy_object(self):
        self.rest("copyObject", path=self.at(branch=self.branch()), query={"dest_path": self.one(COPIES)},
                  doc={"src_path": self.one(PATHS), "src_ref": self.ref()})

    @does(2)
    def metadata(self):
        self.rest("updateObjectUserMetadata", path=self.at(branch=self.branch()), query={"path": self.one(PATHS)},
                  doc={"set": {"k": str(self.r.random())}})

    @does(2)
    def address(self):
        at, path = self.at(branch=self.branch()), self.one(PATHS)
        a = self.rest("getPhysicalAddress", path=at, query={"path": path})
        if a:
            n, data = self.body(path, at["repository"])
            self.chaos.write_at(a.json["physical_address"], data)
            self.addresses.append((n, at, path, a.json["physical_address"], data))

    @does(3)
    def link(self):
        if not self.addresses:
            return
        n, at, path, address, data = self.one(list(self.addresses)[-5:])
        self.rest("linkPhysicalAddress", path=at, query={"path": path}, doc={
            "staging": {"physical_address": address}, "checksum": md5(data), "size_bytes": len(data)})

    # Long work.

    def a_dump(self):
        dumps = list(self.dumps)[-4:]
        return self.one(dumps) if dumps else None

    @does(1)
    def dump(self):
        at = self.at(repository=self.one(REPOS))
        space = self.rest("getRepository", path=at)
        a = self.rest("dumpRefs", path=at)
        if a and space:
            self.dumps.append((space.json["storage_namespace"], a.json))

    @does(1)
    def restore(self):
        if dump := self.one((self.a_dump(), self.chaos.restorable)):
            self.rest("restoreRefs", path={"repository": COPY}, doc=dump[1])

    def submit(self, op, status, kind, at, **kw):
        a = self.rest(op, path=at, **kw)
        if a:
            self.tasks.append((status, kind, at, a.json["id"]))

    @does(3)
    def tasks_begin(self):
        at, what = self.at(), self.r.randrange(5)
        if what == 0:
            self.submit("dumpSubmit", "dumpStatus", "task_id", at)
        elif what == 1:
            if dump := self.chaos.restorable:
                self.submit("restoreSubmit", "restoreStatus", "task_id", {"repository": COPY}, doc=dump[1])
        elif what == 2:
            at = dict(at, branch=self.branch())
            self.submit("commitAsync", "commitAsyncStatus", None, at, doc={"message": "m", "allow_empty": True})
        elif what == 3:
            at = dict(at, ref=self.ref(), branch=self.branch())
            self.submit("mergeIntoBranchAsync", "mergeIntoBranchAsyncStatus", None, at, doc={})
        else:
            self.submit("sluiceFsckSubmit", "sluiceFsckStatus", "task_id", at)

    @does(4)
    def tasks_look(self):
        if not self.tasks:
            return
        op, key, at, task = self.one(list(self.tasks)[-6:])
        a = self.rest(op, path=at if key else dict(at, id=task), query={key: task} if key else None)
        if not a:
            return
        if op == "restoreStatus" and a.json.get("error", "").startswith("nothing was restored: "):
            return  # the repository is another one, of another place
        told = json.dumps([a.json.get("error", ""), [f for f in a.json.get("findings", ()) if f["kind"] != "unreachable"]])
        if a.json.get("status_code", 0) >= 500 or re.search("internal|damage|corrupt|a record names|missing", told, re.I):
            self.judge.accuse(f"{op} {at}: {a}")

    # Who may what.

    @does(5)
    def access(self):
        user, group, policy = self.one(USERS), self.one(GROUPS), self.one(POLICIES)
        statement = [{"effect": "allow", "action": [self.one(("fs:Read*", "fs:List*"))], "resource": "*"}]
        op, kw = self.one((
            ("createUser", dict(doc={"id": user})), ("createGroup", dict(doc={"id": group})),
            ("createPolicy", dict(doc={"id": policy, "statement": statement})),
            ("updatePolicy", dict(doc={"id": policy, "statement": statement})),
            ("deleteUser", {}), ("deleteGroup", {}), ("deletePolicy", {}), ("getUser", {}), ("getGroup", {}),
            ("getPolicy", {}), ("listUsers", {}), ("listGroups", {}), ("listPolicies", {}), ("addGroupMembership", {}),
            ("deleteGroupMembership", {}), ("listGroupMembers", {}), ("listUserGroups", {}), ("listGroupPolicies", {}),
            ("listUserPolicies", dict(query={"effective": True})), ("attachPolicyToUser", {}), ("attachPolicyToGroup", {}),
            ("detachPolicyFromUser", {}), ("detachPolicyFromGroup", {}), ("listUserCredentials", {}),
            ("setGroupACL", dict(doc={"permission": "Read"})), ("getGroupACL", {})))
        self.rest(op, path=dict(user_id=user, group_id=group, policy_id=policy), **kw)

    @does(1)
    def credentials(self):
        """Of somebody who may be gone at any moment."""
        user = self.one(USERS)
        a = self.rest("createCredentials", path={"user_id": user})
        if not a:
            return
        key, secret = a.json["access_key_id"], a.json["secret_access_key"]
        for path in ("/user", f"/repositories/{self.repo()}/branches"):
            seen = Rest(self.one(self.chaos.servers).url, key, secret).ask("GET", path)
            self.judge.saw("as somebody", seen.status)
            if seen.status not in (200, 401, 403, 404, 503):
                self.judge.accuse(f"{path} as {user}: {seen}")
        self.rest("getCredentials", path={"user_id": user, "access_key": key})
        if self.r.random() < 0.8:
            self.rest("deleteCredentials", path={"user_id": user, "access_key": key})

    @does(1)
    def session(self):
        """Temporary credentials, and what they read."""
        server = self.one(self.chaos.servers)
        a = self.rest("sluiceCreateSession", doc={"duration_seconds": 900})
        if not a:
            return
        url = f"{server.url}/{self.repo()}?list-type=2&prefix=main%2F"
        headers = sign("GET", url, {"X-Amz-Security-Token": a.json["session_token"]}, key=a.json["access_key_id"],
                       secret=a.json["secret_access_key"])
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=120) as r:
                status = r.status
        except urllib.error.HTTPError as e:
            status = e.code
        self.judge.saw("with a session", status)
        if status not in (200, 404, 503):
            self.judge.accuse(f"{url} with a session: {status}")


def short(kw):
    return {k: v if not isinstance(v, (bytes, bytearray)) else f"<{len(v)} bytes>" for k, v in kw.items() if k != "headers"}


class Chaos:
    """One test's; servers: of one database and one store."""

    def __init__(self, servers, seed, clients=12):
        self.servers, self.seed = servers, seed
        self.bodies, self.judge = Bodies(), Judge()
        self.operations = operations(servers[0])
        self.uploads, self.tasks, self.addresses, self.dumps = (collections.deque(maxlen=50) for _ in range(4))
        self.restorable = None  # the dump that COPY was made for
        self.end = 0
        self.clients = [Client(self, f"{seed}-{i}") for i in range(clients)]

    def over(self):
        return time.monotonic() >= self.end or len(self.judge.wrong) > 100

    def write_at(self, address, data):
        """As a client of the store itself would."""
        path = self.servers[0].path("objects", address.removeprefix("local://"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)

    def run(self, seconds):
        self.end = time.monotonic() + seconds
        for c in self.clients:
            c.start()
        for c in self.clients:
            c.join(seconds + 900)
            assert not c.is_alive(), f"{c.name} waits for an answer"
