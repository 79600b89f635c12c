"""What is asked of servers over databases that are elsewhere, whichever it is: the work of clients, two servers that share
one, and lakeFS's records taken apart."""
import os
import threading
import time

from fixture_repo import DATA, place
from harness import Server, aws_programs
from rest import Rest

LAKEFS_KEY, LAKEFS_SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
LAKEFS_ENCRYPT = "fixture-secret-key-0123456789"


def load_dump(pg):
    """lakeFS's own table, in the database `lakefs`."""
    pg.sql("CREATE DATABASE lakefs")
    pg.psql("-f", os.path.join(DATA, "kv-postgres.sql"), database="lakefs")


def lakefs_server(section):
    """On a database that lakeFS wrote."""
    s = Server(repos=(), database=section, fresh=False, extra="actions: {enabled: false}\n") # it has one
    s.key, s.secret, s.encrypt = LAKEFS_KEY, LAKEFS_SECRET, LAKEFS_ENCRYPT
    place(s, os.path.join(DATA, "namespace"), "fixture")
    return s


def copy_by_aws(s):
    """main/from-cli is "by aws"."""
    for aws in aws_programs():
        s.aws(aws, "s3", "cp", "-", "s3://example/main/from-cli", stdin="by aws")
        assert s.aws(aws, "s3", "cp", "s3://example/main/from-cli", "-").stdout == "by aws"
        assert "from-cli" in s.aws(aws, "s3", "ls", "s3://example/main/").stdout


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


def share(section):
    """section: of the configuration, for both."""
    with Server(database=section) as a:
        b = Server(database=section, fresh=False)
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
