"""lakeFS itself and sluice take turns on one PostgreSQL and one store: what either wrote, the other one reads as it was.
Run by hand, with a lakeFS that was built from its source (docs/how-to/postgres.md):

    LAKEFS_BIN=/.../lakefs SLUICE_BIN=$PWD/build/release/sluice SLUICE_SOURCE=$PWD build/venv/bin/python tests/e2e/lakefs_beside.py

LAKEFS_ACL_BIN: lakeFS's server of users, too (its contrib/auth/acl): sluice's users by lakeFS. MANY: objects of a big commit."""
import contextlib
import hashlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from fixture_repo import quote
from harness import SLUICE, clean_env, error, free_port, main, wait_for
from migrating import config_of, local
from postgres import Postgres
from remote_kv import LAKEFS_ENCRYPT, LAKEFS_KEY, LAKEFS_SECRET, fields, lakefs_server, load_dump, one
from rest import Rest

LAKEFS, ACL = os.environ.get("LAKEFS_BIN"), os.environ.get("LAKEFS_ACL_BIN")
REPO, MANY, SAMPLE = "fixture-repo", int(os.environ.get("MANY", "5000")), 400
ODD = ["plain", "with space", "a+b", "a%2Fb", "ünïcödé/数据/🦆", "x//y", "/lead", "trail/", "q?u=e&r#y", "'\"<>&", "tab\there",
       "back\\slash", "~tilde", "!bang!", "dots/../up", "long/" + "k" * 1019, "dé" * 340, "\u200b zero", "*", "=equals", "(p) [q] {r}"]


class Beside:
    """A program that listens on a port of its own, ended by its process id."""

    def __init__(self, program, config, port):
        self.folder = tempfile.mkdtemp(prefix="sluice-lakefs-")
        self.program, self.port = program, port
        self.url = f"http://127.0.0.1:{port}"
        with open(os.path.join(self.folder, "config.yaml"), "w") as f:
            json.dump(config, f)  # JSON is YAML
        self.log = os.path.join(self.folder, "log")

    def log_text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def __enter__(self):
        with open(self.log, "ab") as log:
            self.proc = subprocess.Popen([self.program, "--config", os.path.join(self.folder, "config.yaml"), "run"],
                                         env=clean_env(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while not answers(self.url):
            assert self.proc.poll() is None and time.monotonic() < end, self.log_text()[-4000:]
            time.sleep(0.1)
        return self

    def __exit__(self, kind, value, tb):
        self.proc.terminate()
        try:
            self.proc.wait(60)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        if kind:
            print(f"-- log of {self.program} --\n{self.log_text()[-6000:]}")
        shutil.rmtree(self.folder)


def answers(url):
    with contextlib.suppress(OSError):
        return Rest(url, None).ask("GET", "/healthcheck").status


def lakefs(server, pg, **auth):
    """As it would be configured on what sluice has."""
    port = free_port()
    folder = tempfile.mkdtemp(prefix="sluice-lakefs-cache-")
    return Beside(LAKEFS, {
        "listen_address": f"127.0.0.1:{port}", "logging": {"level": "INFO"}, "actions": {"enabled": False},
        "database": {"type": "postgres", "postgres": {"connection_string": pg.uri("lakefs")}},
        "blockstore": {"type": "local", "local": {
            "path": server.path("objects"), "import_enabled": True, "allowed_external_prefixes": ["/srv/external"]}, "signing": {"secret_key": "sign-sign-sign"}},
        "auth": {"encrypt": {"secret_key": LAKEFS_ENCRYPT}, **auth}, "stats": {"enabled": False},
        "security": {"check_latest_version": False}, "usage_report": {"enabled": False},
        "committed": {"local_cache": {"dir": folder, "size_bytes": 64 << 20}}}, port)


def acl(pg):
    port = free_port()
    return Beside(ACL, {"listen_address": f"127.0.0.1:{port}", "encrypt": {"secret_key": LAKEFS_ENCRYPT},
                        "database": {"type": "postgres", "postgres": {"connection_string": pg.uri("lakefs")}}}, port)


class Client:
    """Both of a server's protocols."""

    def __init__(self, url, key=LAKEFS_KEY, secret=LAKEFS_SECRET):
        import boto3
        from botocore.config import Config
        os.environ.pop("AWS_CA_BUNDLE", None)
        self.rest = Rest(url, key, secret)
        self.s3 = boto3.client("s3", endpoint_url=url, aws_access_key_id=key, aws_secret_access_key=secret,
                               region_name="us-east-1", config=Config(
                                   retries={"max_attempts": 1}, s3={"addressing_style": "path"}, max_pool_connections=8,
                                   request_checksum_calculation="when_required"))

    def pages(self, path, **query):
        out, after = [], ""
        while True:
            page = self.rest.get(path, amount=1000, after=after, **query)
            out += page["results"]
            if not page["pagination"]["has_more"]:
                return out
            after = page["pagination"]["next_offset"]

    def answer(self, path, **query):
        """The status where it isn't good."""
        a = self.rest.ask("GET", path, **query)
        return a.json if a.status == 200 else a.status

    def put_many(self, repo, branch, names):
        def put(name):
            self.s3.put_object(Bucket=repo, Key=f"{branch}/{name}", Body=name.encode() * 3)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, names))

    def all_bodies(self, repo, ref, rows):
        def body(row):
            a = self.rest.ask("GET", f"/repositories/{repo}/refs/{quote(ref)}/objects", query={"path": row["path"]})
            assert a.status == 200 or "/srv/external/" in row["physical_address"], (row, a)
            return row["path"], a.status, hashlib.sha256(a.body).hexdigest() if a.status == 200 else None, \
                a.headers["ETag"], a.headers["Content-Type"], a.headers["Last-Modified"]
        step = max(1, len(rows) // SAMPLE)
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(body, rows[::step]))


def picture_of_ref(c, repo, ref, see):
    at, name = f"/repositories/{repo}/refs/{quote(ref)}", f"{repo} {ref}"
    see[f"log {name}"] = c.pages(at + "/commits")
    see[f"log by first parent {name}"] = c.pages(at + "/commits", first_parent=True)
    see[f"objects {name}"] = c.pages(at + "/objects/ls")
    for prefix in ("", "datasets/", "many/", "x/"):
        see[f"listed with delimiter {name} {prefix}"] = c.pages(at + "/objects/ls", prefix=prefix, delimiter="/")


def picture_by_s3(c, repo, branch, see):
    rows = []
    for page in c.s3.get_paginator("list_objects_v2").paginate(Bucket=repo, Prefix=branch + "/"):
        rows += [{k: o[k] for k in ("Key", "ETag", "Size", "LastModified", "StorageClass")} for o in page.get("Contents", [])]
    see[f"S3 list {repo} {branch}"] = rows
    for row in rows[::max(1, len(rows) // 60)]:
        h = c.s3.head_object(Bucket=repo, Key=row["Key"])
        see[f"S3 head {repo} {row['Key']}"] = {
            **{k: h.get(k) for k in ("ContentLength", "ETag", "ContentType", "LastModified")},
            "Metadata": {k.lower(): v for k, v in h["Metadata"].items()}}  # lakeFS sends headers as X-Amz-Meta-By


def picture(c, server):
    """Everything that a server says of everything: {what: answer}."""
    see = {"user": c.rest.get("/user"), "repositories": c.pages("/repositories")}
    for repo in see["repositories"]:
        repo = repo["id"]
        at = f"/repositories/{repo}"
        branches = see[f"branches {repo}"] = c.pages(at + "/branches", show_hidden=True)
        see[f"branches shown {repo}"] = c.pages(at + "/branches")
        tags = see[f"tags {repo}"] = c.pages(at + "/tags")
        for what in ("settings/gc_rules", "settings/branch_protection", "metadata"):
            see[f"{what} {repo}"] = c.answer(f"{at}/{what}")
        commits = set()
        for branch in branches:
            branch = branch["id"]
            picture_of_ref(c, repo, branch, see)
            see[f"objects {repo} {branch}@"] = c.pages(f"{at}/refs/{branch}@/objects/ls")
            see[f"uncommitted {repo} {branch}"] = dirty = c.pages(f"{at}/branches/{branch}/diff")
            for row in dirty:
                if row["type"] == "removed":
                    row.pop("size_bytes")  # of what is no more: lakeFS says 0
            see[f"bodies {repo} {branch}"] = c.all_bodies(repo, branch, see[f"objects {repo} {branch}"])
            picture_by_s3(c, repo, branch, see)
            commits |= {commit["id"] for commit in see[f"log {repo} {branch}"]}
            for other in branches:
                pair = f"{quote(branch)}/diff/{quote(other['id'])}"
                for kind in ("two_dot", "three_dot"):
                    see[f"{kind} {repo} {pair}"] = c.pages(f"{at}/refs/{pair}", type=kind)
                see[f"merge base {repo} {pair}"] = c.answer(f"{at}/refs/{quote(branch)}/merge/{quote(other['id'])}")
        for tag in tags:
            if "~" in tag["id"]:  # no ref leads to it
                assert c.answer(f"{at}/commits/{quote(tag['id'])}") in (400, 500)  # sluice, lakeFS
                continue
            picture_of_ref(c, repo, tag["id"], see)
        for commit in sorted(commits):
            see[f"commit {repo} {commit}"] = c.rest.get(f"{at}/commits/{commit}")
            see[f"objects {repo} {commit}"] = c.pages(f"{at}/refs/{commit}/objects/ls")
            see[f"metarange {repo} {commit}"] = c.answer(
                f"{at}/metadata/meta_range/{see[f'commit {repo} {commit}']['meta_range_id']}")
    for rows in see.values():
        for row in rows if isinstance(rows, list) else ():
            if "physical_address" in row:
                row["physical_address"] = in_store(server, row["physical_address"])
    return see


def differences(was, now):
    """What differs, by itself: [(row, one side, the other side)]."""
    if isinstance(was, list) and isinstance(now, list):
        told = [(f"row {i}", a, b) for i, (a, b) in enumerate(zip(was, now)) if a != b]
        return told + [("rows", len(was), len(now))] * (len(was) != len(now))
    return [("", was, now)]


def narrowed(a, b):
    """Of two records, the members that differ."""
    if not isinstance(a, dict) or not isinstance(b, dict):
        return a, b
    return tuple({k: v for k, v in x.items() if a.get(k) != b.get(k) or k in ("path", "id")} for x in (a, b))


def compare(what, was, now):
    """Every difference is told, not the first alone."""
    wrong = {}
    for key in sorted(was.keys() | now.keys()):
        told = [(row, *narrowed(a, b)) for row, a, b in differences(was.get(key), now.get(key)) if a != b]
        if told:
            wrong[key] = told
    rows = sum(len(v) for k, v in was.items() if k.startswith("objects"))
    print(f"{what}: {len(was)} answers, {rows} rows of listings; {len(wrong)} answers differ", flush=True)
    assert not wrong, "\n".join(f"{key}: {len(told)} times: {str(told[:3])[:1200]}" for key, told in list(wrong.items())[:60])


def at_branch(branch, repo=REPO):
    return f"/repositories/{repo}/branches/{branch}"


def stage_much(c, by):
    """On dev, where lakeFS left something uncommitted: every kind of change."""
    for i, key in enumerate(ODD):
        c.s3.put_object(Bucket=REPO, Key=f"dev/{key}" if len(key) > 300 else f"dev/{by}/{key}",
                        Body=f"{by} {i}".encode(), ContentType="text/x-odd" if i % 2 else "", Metadata={"by": by, "n": str(i)})
    c.s3.put_object(Bucket=REPO, Key="dev/uncommitted.txt", Body=b"over what lakeFS staged, by " + by.encode())
    c.rest.call("POST", at_branch("dev") + "/objects", 201, path=f"{by}/by rest", body=b"\x00\xff" * 99,
                headers={"x-lakefs-meta-Some-Key": "vÄlue".encode().decode("latin-1"), "Content-Type": "application/octet-stream"})
    c.s3.put_object(Bucket=REPO, Key=f"dev/{by}/empty", Body=b"")
    listed = c.pages(f"/repositories/{REPO}/refs/dev@/objects/ls")
    here = [r["path"] for r in listed if "/fixture/data/" in r["physical_address"] and r["path"] != "uncommitted.txt"]
    part = here[len(here) // 2:] if by == "lakefs" else here
    c.s3.delete_object(Bucket=REPO, Key="dev/" + part[3])
    c.rest.call("DELETE", at_branch("dev") + "/objects", 204, path=part[5])
    c.s3.delete_objects(Bucket=REPO, Delete={"Objects": [{"Key": "dev/" + p} for p in part[7:11]]})
    c.s3.put_object(Bucket=REPO, Key="dev/" + part[12], Body=b"changed by " + by.encode())
    c.s3.put_object(Bucket=REPO, Key="dev/" + part[14], Body=b"for a moment")
    c.s3.delete_object(Bucket=REPO, Key="dev/" + part[14])
    c.s3.copy_object(Bucket=REPO, Key=f"dev/{by}/copied", CopySource={"Bucket": REPO, "Key": f"dev/{part[16]}"})
    upload = c.s3.create_multipart_upload(Bucket=REPO, Key=f"dev/{by}/parts", ContentType="x/parts", Metadata={"p": "q"})["UploadId"]
    parts = [c.s3.upload_part(Bucket=REPO, Key=f"dev/{by}/parts", UploadId=upload, PartNumber=n, Body=b"%d" % n * (5 << 20))
             for n in (1, 2)]
    c.s3.complete_multipart_upload(Bucket=REPO, Key=f"dev/{by}/parts", UploadId=upload, MultipartUpload={
        "Parts": [{"PartNumber": i + 1, "ETag": p["ETag"]} for i, p in enumerate(parts)]})
    c.rest.call("PUT", at_branch("dev") + "/objects/stat/user_metadata", path=f"{by}/empty", doc={"set": {"set": "later"}})


def in_store(server, address):
    """lakeFS names the file, and be it outside of the store; sluice where it is in there."""
    path = address.removeprefix("local://")
    return path.removeprefix(server.path("objects")).strip("/")


def link(c, server, branch, path, body):
    """A body that a client put into the store by itself."""
    got = c.rest.get(at_branch(branch) + "/staging/backing", path=path)
    file = server.path("objects", in_store(server, got["physical_address"]))
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "wb") as f:
        f.write(body)
    return lambda by: by.rest.call("PUT", at_branch(branch) + "/staging/backing", 200, path=path, doc={
        "staging": got, "checksum": hashlib.md5(body).hexdigest(), "size_bytes": len(body), "content_type": "x/linked",
        "user_metadata": {"l": "m"}})


def refuses(c, branch):
    return c.rest.ask("POST", at_branch(branch) + "/objects", path="x", body=b"").status == 403


def history(c, by, many):
    """Branches, commits, merges, tags and the rest, in the repository that lakeFS began."""
    api, at = c.rest, f"/repositories/{REPO}"
    api.branch(REPO, by, "main")
    c.put_many(REPO, by, [f"many/{i % 7}/{by}-{i:05}" for i in range(many)])
    big = api.commit(REPO, by, f"{many} of {by}, 数据 'quoted'\nand a second line", metadata={
        "key": "value", "ключ": "значение", "empty": "", "long": "m" * 5000})
    assert big["metadata"]["ключ"] == "значение"
    api.call("POST", at + "/tags", 201, doc={"id": f"{by}-v1.0", "ref": by})
    c.s3.delete_objects(Bucket=REPO, Delete={"Objects": [{"Key": f"{by}/many/{i % 7}/{by}-{i:05}"} for i in range(0, many, 9)][:900]})
    c.s3.put_object(Bucket=REPO, Key=f"{by}/many/0/{by}-00007", Body=b"changed")
    api.commit(REPO, by, "an older date", date=1700000000)
    api.commit(REPO, by, "nothing in it", allow_empty=True)
    c.put_many(REPO, "main", [f"on main/{by}-{i}" for i in range(20)])
    api.commit(REPO, "main", f"on main by {by}")
    api.merge(REPO, by, "main", 200, message=f"merge of {by}", metadata={"m": "n"})
    c.put_many(REPO, "main", [f"to revert/{by}-{i}" for i in range(20)])
    undone = api.commit(REPO, "main", "will be reverted")
    api.call("POST", at_branch("main") + "/revert", 204, doc={"ref": undone["id"], "parent_number": 0})
    c.put_many(REPO, by, [f"picked/{by}-{i}" for i in range(5)])
    picked = api.commit(REPO, by, "for a cherry-pick", metadata={"of": by})
    api.call("POST", at_branch("main") + "/cherry-pick", 201, doc={"ref": picked["id"]})
    api.branch(REPO, by + "-squash", "main")
    for i in range(3):
        c.put_many(REPO, by + "-squash", [f"squash/{by}-{i}"])
        api.commit(REPO, by + "-squash", f"squash {i}")
    api.merge(REPO, by + "-squash", "main", 200, squash_merge=True)
    api.call("POST", at + "/branches", 201, doc={"name": by + "-hidden", "source": "main", "hidden": True})
    api.branch(REPO, by + "-gone", "main")
    c.put_many(REPO, by + "-gone", ["staged on what goes"])
    api.call("DELETE", at_branch(by + "-gone"), 204)
    api.call("POST", at + "/tags", 201, doc={"id": by + "-gone", "ref": "main"})
    api.call("DELETE", f"{at}/tags/{by}-gone", 204)
    api.branch(REPO, by + "-reset", "main")
    c.put_many(REPO, by + "-reset", [f"reset/{i}" for i in range(5)] + [f"kept/{i}" for i in range(5)])
    api.call("PUT", at_branch(by + "-reset"), 204, doc={"type": "common_prefix", "path": "reset/"})
    c.put_many(REPO, "side", [f"a staged one of {by}", "staged by both"])
    api.call("POST", at + "/metadata", 204, doc={"metadata": {by: "was here", "last": by}})
    if by == "lakefs":  # sluice has none, and must get along with them
        api.call("POST", at + "/pulls", 201, doc={"title": "of lakeFS", "description": "d", "source_branch": by + "-hidden",
                                                  "destination_branch": "main"})
    api.call("PUT", at + "/settings/gc_rules", 204, doc={"default_retention_days": 11 if by == "sluice" else 12, "branches": [
        {"branch_id": "main", "retention_days": 30}, {"branch_id": by, "retention_days": 3}]})
    api.call("PUT", at + "/settings/branch_protection", 204, doc=[{"pattern": by + "-prot*"}])
    api.branch(REPO, by + "-protected", "main")
    wait_for(lambda: refuses(c, by + "-protected"), "protection")  # lakeFS remembers settings for a while


def repositories(c, server, by):
    api = c.rest
    api.call("POST", "/repositories", 201, doc={"name": f"made-by-{by}", "storage_namespace": f"local://made-by-{by}",
                                                "default_branch": "trunk"})
    c.put_many(f"made-by-{by}", "trunk", [f"x/{i}" for i in range(30)])
    api.commit(f"made-by-{by}", "trunk", "first")
    c.put_many(f"made-by-{by}", "trunk", ["left uncommitted"])
    api.call("POST", "/repositories", 201, doc={"name": f"short-lived-{by}", "storage_namespace": f"local://short-{by}"})
    api.call("DELETE", f"/repositories/short-lived-{by}", 204)
    api.call("POST", "/repositories", 201, doc={"name": f"only-read-{by}", "storage_namespace": f"local://only-read-{by}",
                                                "read_only": True})
    # A dump of all refs, restored into a bare repository on a copy.
    dump = api.call("PUT", f"/repositories/{REPO}/refs/dump", 201).json
    shutil.copytree(server.path("objects", "fixture"), server.path("objects", f"copy-{by}"))
    api.call("POST", "/repositories", 201, bare=True, doc={"name": f"restored-by-{by}", "storage_namespace": f"local://copy-{by}",
                                                          "default_branch": "main"})
    api.call("PUT", f"/repositories/restored-by-{by}/refs/restore", 200, doc=dump)
    # One that stays bare, for the other one to restore that dump into.
    shutil.copytree(server.path("objects", f"copy-{by}"), server.path("objects", f"bare-{by}"))
    api.call("POST", "/repositories", 201, bare=True, doc={"name": f"bare-of-{by}", "storage_namespace": f"local://bare-{by}",
                                                          "default_branch": "main"})
    return dump


def users(c):
    """A user, a group, policies, credentials."""
    api = c.rest
    api.call("POST", "/auth/users", 201, doc={"id": "reader"})
    api.call("POST", "/auth/groups", 201, doc={"id": "Readers of ours"})
    api.call("POST", "/auth/policies", 201, doc={"id": "ReadOurs", "statement": [
        {"effect": "allow", "action": ["fs:Read*", "fs:List*"], "resource": f"arn:lakefs:fs:::repository/{REPO}*"},
        {"effect": "deny", "action": ["fs:ReadObject"], "resource": f"arn:lakefs:fs:::repository/{REPO}/object/datasets/*"}]})
    api.call("PUT", "/auth/groups/Readers%20of%20ours/members/reader", 201)
    api.call("PUT", "/auth/groups/Readers%20of%20ours/policies/ReadOurs", 201)
    key = api.call("POST", "/auth/users/reader/credentials", 201).json
    return key["access_key_id"], key["secret_access_key"]


def picture_of_users(c):
    see = {}
    for kind in ("users", "groups"):
        see[kind] = c.pages(f"/auth/{kind}")
    for u in see["users"]:
        for what in ("credentials", "groups"):
            see[f"{what} of {u['id']}"] = c.pages(f"/auth/users/{quote(u['id'])}/{what}")
    for g in see["groups"]:
        see[f"members of {g['id']}"] = c.pages(f"/auth/groups/{quote(g['id'])}/members")
    return {what: [{k: v for k, v in row.items() if v} for row in rows] for what, rows in see.items()}


def check_reader(url, key):
    """May read, but not all, and write nothing."""
    c = Client(url, *key)
    assert c.rest.get("/user")["user"]["id"] == "reader"
    assert c.s3.get_object(Bucket=REPO, Key="main/!bang")["Body"].read()
    for path in ("datasets/a/part-00075.csv",):
        c.rest.fails(401, "GET", f"/repositories/{REPO}/refs/main/objects", path=path)
    c.rest.fails(401, "POST", at_branch("main") + "/objects", path="no", body=b"no")
    assert error(c.s3.put_object, Bucket=REPO, Key="main/no", Body=b"no")[1] == 403


def same_credentials(url):
    """The administrator's, which lakeFS made; a wrong secret isn't let in."""
    c = Client(url)
    assert c.rest.get("/user")["user"]["id"] == "admin"
    c.s3.head_object(Bucket=REPO, Key="main/!bang")
    assert Rest(url, LAKEFS_KEY, "wrong").ask("GET", "/repositories").status == 401
    login = Rest(url, None).call("POST", "/auth/login", 200, doc={
        "access_key_id": LAKEFS_KEY, "secret_access_key": LAKEFS_SECRET}).json
    a = Rest(url, None).ask("GET", "/repositories", headers={"Authorization": "Bearer " + login["token"]})
    assert a.status == 200, a
    return login["token"]


def branch_record(pg, branch):
    records = pg.records("lakefs")
    partition = REPO.encode() + b"-" + one(records[(b"graveler", b"repos/" + REPO.encode())], 6)
    return records[(partition, b"branches/" + branch.encode())]


def commit_in_vain(url):
    with contextlib.suppress(OSError, http.client.HTTPException):
        Rest(url, LAKEFS_KEY, LAKEFS_SECRET).ask("POST", at_branch("killed") + "/commits", doc={"message": "killed"})


def killed_in_a_commit(s, c, pg):
    """Until a commit that a SIGKILL ended has left its sealed tokens behind."""
    c.rest.branch(REPO, "killed", "main")
    for i in range(40):
        c.put_many(REPO, "killed", [f"before {i}/{j}" for j in range(150)])
        with ThreadPoolExecutor(1) as pool:
            pool.submit(commit_in_vain, s.url)
            time.sleep(0.002 + 0.001 * i)
            s.stop(sig=signal.SIGKILL)
        sealed = [number for number, _ in fields(branch_record(pg, "killed")) if number == 4]
        s.start()
        if sealed:
            c.put_many(REPO, "killed", ["after it"])
            return
    raise AssertionError("no kill came between sealing and the end of a commit")


def check_whole(s):
    """Every body and table is there."""
    for repo in [r["id"] for r in Client(s.url).pages("/repositories")]:
        out = s.command("fsck", repo, "--json", "--bodies", "--access-key-id", LAKEFS_KEY, "--secret-access-key", LAKEFS_SECRET,
                        check=False)
        assert out.returncode == 0, (repo, out.stdout[-2000:], out.stderr)


def check_known(s):
    """Every record is known, and its value is readable: what a migration asks for."""
    done = subprocess.run([SLUICE, "migrate", "--from", s.path("config.yaml"), "--to",
                           config_of(s, "other", local(s.path("kv-other"))), "--dry-run"],
                          env=s.env(), capture_output=True, text=True)
    assert done.returncode == 0, done


def timed(what, fn, *args):
    begun = time.monotonic()
    got = fn(*args)
    print(f"{what}: {time.monotonic() - begun:.1f} s", flush=True)
    return got


def work(c, server, by):
    stage_much(c, by)
    dump = repositories(c, server, by)
    history(c, by, MANY if by == "sluice" else MANY // 2)
    return dump


def test_taking_turns():
    print(subprocess.run([LAKEFS, "--version"], capture_output=True, text=True).stdout.strip())
    with Postgres() as pg:
        load_dump(pg)
        s = lakefs_server(pg.section("lakefs"))
        with s:
            c = Client(s.url)
            same_credentials(s.url)
            dump = timed("sluice works", work, c, s, "sluice")
            link(c, s, "side", "linked-1", b"linked, all by sluice")(c)
            link_later = link(c, s, "side", "linked-2", b"linked by lakeFS, an address of sluice")
            killed_in_a_commit(s, c, pg)
            reader = users(c)
            time.sleep(1)
            people = picture_of_users(c)
            check_reader(s.url, reader)
            was = timed("picture by sluice", picture, c, s)
            s.stop()

            with lakefs(s, pg) as l:
                c = Client(l.url)
                same_credentials(l.url)
                compare("lakeFS reads what sluice wrote", was, timed("picture by lakeFS", picture, c, s))
                assert refuses(c, "sluice-protected")
                assert c.rest.ask("POST", at_branch("main", "only-read-sluice") + "/objects", path="x", body=b"").status == 403
                c.rest.call("PUT", "/repositories/bare-of-sluice/refs/restore", 200, doc=dump)
                link_later(c)
                # What is uncommitted, by lakeFS.
                for branch in ("dev", "side", "killed"):
                    c.rest.commit(REPO, branch, "lakeFS commits what was uncommitted")
                c.rest.merge(REPO, "dev", "main", 200, strategy="source-wins")
                timed("lakeFS works", work, c, s, "lakefs")
            with lakefs(s, pg) as l:  # anew: it forgets commits that were picked, for a while
                was = timed("picture by lakeFS", picture, Client(l.url), s)
            if ACL:
                with acl(pg) as a, lakefs(s, pg, api={"endpoint": a.url + "/api/v1", "token": ""},
                                          ui_config={"rbac": "simplified"}) as l:
                    check_reader(l.url, reader)
                    compare("lakeFS's users", people, picture_of_users(Client(l.url)))

            s.start()
            same_credentials(s.url)
            check_reader(s.url, reader)
            c = Client(s.url)
            assert refuses(c, "lakefs-protected")
            assert c.rest.ask("POST", at_branch("main", "only-read-lakefs") + "/objects", path="x", body=b"").status == 403
            compare("sluice reads what lakeFS wrote", was, timed("picture by sluice", picture, c, s))
            for branch in ("dev", "side"):
                c.rest.commit(REPO, branch, "sluice commits what was uncommitted")
            c.rest.merge(REPO, "dev", "main", 200, strategy="source-wins")
            check_whole(s)
            was = timed("picture by sluice", picture, c, s)
            s.stop()
            check_known(s)
            with lakefs(s, pg) as l:
                compare("lakeFS again", was, timed("picture by lakeFS", picture, Client(l.url), s))


if __name__ == "__main__":
    assert LAKEFS, "LAKEFS_BIN isn't set: where lakeFS is"
    main(globals())
