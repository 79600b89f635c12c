"""Servers over PostgreSQL: clients on one, a database that lakeFS wrote taken over, a newer one refused, a
service that restarts, and two servers that share one."""
import hashlib
import os
import threading
import time

from fixture_repo import DATA, compare_all, load, place
from harness import Server, aws_programs, main
from postgres import Postgres
from rest import Rest

LAKEFS_KEY, LAKEFS_SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
LAKEFS_ENCRYPT = "fixture-secret-key-0123456789"


def fields(data):
    """A protobuf message: [(number, value)], by the wire format alone."""
    out, at = [], 0

    def varint():
        nonlocal at
        n = shift = 0
        while True:
            b = data[at]
            at += 1
            n |= (b & 127) << shift
            shift += 7
            if b < 128:
                return n

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            out.append((tag >> 3, varint()))
            continue
        assert tag & 7 == 2, (tag, data)
        n = varint()
        out.append((tag >> 3, data[at:at + n]))
        at += n
    assert at == len(data)
    return out


def one(message, number, default=b""):
    got = [v for k, v in fields(message) if k == number]
    return got[-1] if got else default


def check_silent(server, pg):
    """The password is nowhere in what the server says."""
    assert "nobody-may-see-me" not in server.log_text()


def work(s):
    """What clients do, on a fresh `example`."""
    s3, api = s.boto3(), Rest(s.url, s.key, s.secret)
    for i in range(30):
        s3.put_object(Bucket="example", Key=f"main/many/{i:03}", Body=b"x" * i)
    s3.put_object(Bucket="example", Key="main/many/000", Body=b"again", Metadata={"a": "b"})
    listed = s3.list_objects_v2(Bucket="example", Prefix="main/many/", MaxKeys=1000)["Contents"]
    assert [o["Key"] for o in listed] == [f"main/many/{i:03}" for i in range(30)]
    got = s3.get_object(Bucket="example", Key="main/many/000")
    assert (got["Body"].read(), got["Metadata"]) == (b"again", {"a": "b"})
    s3.delete_objects(Bucket="example", Delete={"Objects": [{"Key": f"main/many/{i:03}"} for i in range(10, 30)]})
    assert s3.list_objects_v2(Bucket="example", Prefix="main/many/")["KeyCount"] == 10
    first = api.commit("example", "main", "first")
    api.call("POST", "/repositories/example/branches", 201, doc={"name": "dev", "source": "main"})
    s3.put_object(Bucket="example", Key="dev/many/001", Body=b"on dev")
    s3.delete_object(Bucket="example", Key="dev/many/002")
    upload = s3.create_multipart_upload(Bucket="example", Key="dev/big")["UploadId"]
    parts = [s3.upload_part(Bucket="example", Key="dev/big", UploadId=upload, PartNumber=n, Body=b"%d" % n * (5 << 20))
             for n in (1, 2)]
    s3.complete_multipart_upload(Bucket="example", Key="dev/big", UploadId=upload, MultipartUpload={
        "Parts": [{"PartNumber": i + 1, "ETag": p["ETag"]} for i, p in enumerate(parts)]})
    api.commit("example", "dev", "second")
    merged = api.call("POST", "/repositories/example/refs/dev/merge/main", 200, doc={}).json["reference"]
    assert s3.get_object(Bucket="example", Key="main/many/001")["Body"].read() == b"on dev"
    assert s3.head_object(Bucket="example", Key="main/big")["ContentLength"] == 10 << 20
    assert s3.list_objects_v2(Bucket="example", Prefix="main/many/")["KeyCount"] == 9
    return first["id"], merged


def test_clients_over_postgres():
    with Postgres() as pg:
        with Server(database=pg.section(), extra="") as s:
            first, merged = work(s)
            for aws in aws_programs():
                s.aws(aws, "s3", "cp", "-", "s3://example/main/from-cli", stdin="by aws")
                assert s.aws(aws, "s3", "cp", "s3://example/main/from-cli", "-").stdout == "by aws"
                assert "from-cli" in s.aws(aws, "s3", "ls", "s3://example/main/").stdout
            s.stop()
            s.start()
            api = Rest(s.url)
            assert [c["id"] for c in api.pages("/repositories/example/refs/main/commits")][0] == merged
            assert s.boto3().get_object(Bucket="example", Key="main/from-cli")["Body"].read() == b"by aws"
            # As lakeFS would find them.
            records = pg.records()
            assert records[(b"kv-internal-metadata", b"kv/schema/version")] == b"4"
            repo = records[(b"graveler", b"repos/example")]
            partition = b"example-" + one(repo, 6)
            assert one(records[(partition, b"branches/main")], 2) == merged.encode()
            assert (partition, b"commits/" + first.encode()) in records
            # The database restarts: the server goes on.
            pg.stop()
            pg.start()
            s3 = s.boto3(retries={"max_attempts": 5})
            s3.put_object(Bucket="example", Key="main/after", Body=b"the restart")
            assert s3.get_object(Bucket="example", Key="main/after")["Body"].read() == b"the restart"
            check_silent(s, pg)


def load_dump(pg):
    pg.sql("CREATE DATABASE lakefs")
    pg.psql("-f", os.path.join(DATA, "kv-postgres.sql"), database="lakefs")


def lakefs_server(pg):
    s = Server(repos=(), database=pg.section("lakefs"), fresh=False,
               extra="actions: {enabled: false}\n") # it has one
    s.key, s.secret, s.encrypt = LAKEFS_KEY, LAKEFS_SECRET, LAKEFS_ENCRYPT
    place(s, os.path.join(DATA, "namespace"), "fixture")
    return s


def test_takes_over_what_lakefs_wrote():
    expected = load("expected.json")
    with Postgres() as pg:
        load_dump(pg)
        before = pg.records("lakefs")
        with lakefs_server(pg) as s:
            api, s3 = Rest(s.url, LAKEFS_KEY, LAKEFS_SECRET), s.boto3()
            repo = "fixture-repo"
            assert [r["id"] for r in api.pages("/repositories")] == [repo]
            got = api.get(f"/repositories/{repo}")
            assert got == expected["repository"], got
            assert compare_all(api, s, repo, expected, 1000) > 500
            dirty = api.pages(f"/repositories/{repo}/branches/dev/diff")
            assert sorted([d["type"], d["path"]] for d in dirty) == sorted(expected["uncommitted_dev_before_dump"])
            listed = {r["path"]: r for r in api.pages(f"/repositories/{repo}/refs/dev/objects/ls")}
            assert "models/m000/weights.bin" not in listed
            body = s3.get_object(Bucket=repo, Key="dev/uncommitted.txt")["Body"].read()
            assert hashlib.md5(body).hexdigest() == listed["uncommitted.txt"]["checksum"]
            assert api.get("/user")["user"]["id"] == "admin"
            # Nothing of lakeFS's was changed or lost by being read, but the user's move to where users are.
            after = pg.records("lakefs")
            lost = {k for k, v in before.items() if after.get(k) != v and k[0] != b"basicAuth"}
            assert not lost, lost

            # Work on it, and what that leaves are lakeFS's records.
            s3.put_object(Bucket=repo, Key="dev/by sluice", Body=b"new", ContentType="text/x", Metadata={"k": "v"})
            s3.delete_object(Bucket=repo, Key="dev/uncommitted.txt")
            records = pg.records("lakefs")
            partition = repo.encode() + b"-" + one(records[(b"graveler", b"repos/fixture-repo")], 6)
            branch = records[(partition, b"branches/dev")]
            token = one(branch, 3)
            assert branch == before[(partition, b"branches/dev")] # staging changes no branch
            staged = records[(token, b"by sluice")]
            assert one(staged, 1) == b"by sluice" and len(one(staged, 2)) == 32
            entry = one(staged, 3)
            assert one(entry, 3) == 3 and one(entry, 4) == hashlib.md5(b"new").hexdigest().encode()
            assert one(entry, 6) == 1 and one(entry, 7) == b"text/x" and one(entry, 1).startswith(b"data/")
            assert [k for k, _ in fields(records[(token, b"uncommitted.txt")])] == [1] # a tombstone
            made = api.commit(repo, "dev", "by sluice")
            records = pg.records("lakefs")
            branch = records[(partition, b"branches/dev")]
            assert one(branch, 2) == made["id"].encode() and one(branch, 3) != token and not one(branch, 4)
            commit = records[(partition, b"commits/" + made["id"].encode())]
            assert one(commit, 3) == b"by sluice" and one(commit, 5) == made["meta_range_id"].encode()
            assert one(commit, 7) == expected["log"]["dev"][0].encode()
            assert (b"cleanup-tokens", token) in records
            diff = api.pages(f"/repositories/{repo}/refs/dev~1/diff/dev", type="two_dot")
            assert sorted((d["type"], d["path"]) for d in diff) == [
                ("added", "by sluice"), ("removed", "models/m000/weights.bin")], diff
            # Again, by another server.
            s.stop()
            s.start()
            assert api.get(f"/repositories/{repo}/branches/dev")["commit_id"] == made["id"]
            check_silent(s, pg)


def refused(s, pg, word):
    """The server ends, says why, and wrote nothing."""
    before = pg.records("lakefs")
    s.configure()
    done = s.command("run", check=False)
    assert done.returncode == 2 or done.returncode == 1, done
    assert word in done.stderr and "nobody-may-see-me" not in done.stderr, done.stderr
    assert pg.records("lakefs") == before


def test_refuses_what_it_does_not_know():
    with Postgres() as pg:
        load_dump(pg)
        s = lakefs_server(pg)
        for version, word in (("5", "newer"), ("3", "migrate"), ("x", "not a number")):
            pg.sql(f"UPDATE kv SET value = '{version}' WHERE key = 'kv/schema/version'", "lakefs")
            refused(s, pg, word)
        pg.sql("UPDATE kv SET value = '4' WHERE key = 'kv/schema/version'", "lakefs")
        with s:
            assert Rest(s.url, LAKEFS_KEY, LAKEFS_SECRET).get("/user")["user"]["id"] == "admin"


ROUNDS, WRITERS = 8, 3


class Sharing:
    """Writers on both servers, all on one branch; what was acknowledged is remembered."""

    def __init__(self, servers):
        self.servers = servers
        self.written, self.lock, self.failures = {}, threading.Lock(), []
        self.writes = 0
        self.stop = threading.Event()

    def write(self, n):
        s3 = self.servers[n % 2].boto3()
        i = 0
        while not self.stop.is_set():
            key, body = f"w{n}/{i % 40:03}", f"{n}-{i}"
            try:
                s3.put_object(Bucket="example", Key="main/" + key, Body=body.encode())
                with self.lock:
                    self.written[key] = body
                    self.writes += 1
                # What one server acknowledged the other one shows.
                other = self.servers[(n + 1) % 2].boto3() if i == 0 else self.other[n]
                self.other[n] = other
                got = other.get_object(Bucket="example", Key="main/" + key)["Body"].read().decode()
                assert got == body, (got, body)
            except Exception as e:
                self.failures.append(repr(e))
                return
            i += 1

    def wait_for_writes(self, n):
        start, end = self.writes, time.monotonic() + 120
        while self.writes < start + n and not self.failures:
            assert time.monotonic() < end
            time.sleep(0.01)

    def run(self):
        self.other = {}
        threads = [threading.Thread(target=self.write, args=(n,)) for n in range(2 * WRITERS)]
        for t in threads:
            t.start()
        apis = [Rest(s.url) for s in self.servers]
        commits = []
        for i in range(ROUNDS):
            self.wait_for_writes(10)
            a = apis[i % 2].ask("POST", "/repositories/example/branches/main/commits", doc={"message": f"round {i}"})
            assert a.status in (201, 400), a # 400: nothing new
            if a.status == 201:
                commits.append(a.json["id"])
        self.stop.set()
        for t in threads:
            t.join(120)
        assert not self.failures, self.failures
        return commits


def test_two_servers_share_one():
    with Postgres() as pg, Server(database=pg.section()) as a:
        b = Server(database=pg.section(), fresh=False)
        b.path = lambda *parts: os.path.join(a.folder if parts and parts[0] == "objects" else b.folder, *parts)
        with b:
            sharing = Sharing((a, b))
            commits = sharing.run()
            assert len(commits) > ROUNDS // 2 and len(sharing.written) > 20, (commits, len(sharing.written))
            for s in (a, b):
                s3 = s.boto3()
                for key, body in sharing.written.items():
                    assert s3.get_object(Bucket="example", Key="main/" + key)["Body"].read().decode() == body, key
                log = [c["id"] for c in Rest(s.url).pages("/repositories/example/refs/main/commits")]
                assert log[:len(commits)] == commits[::-1], (log, commits)
            last = Rest(b.url).commit("example", "main", "the rest")
            diff = Rest(a.url).pages("/repositories/example/branches/main/diff")
            assert diff == [], diff
            for key, body in sharing.written.items():
                got = a.boto3().get_object(Bucket="example", Key=f"{last['id']}/{key}")["Body"].read().decode()
                assert got == body, key


main(globals())
