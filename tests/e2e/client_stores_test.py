"""One server with a store of each kind, a repository on each: the same day's work by the same clients on each of
them, one user's policies over all, and repositories that lakeFS wrote read from each."""
import contextlib
import hashlib
import json
import os
import re
import subprocess
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from harness import SOURCE, Server, aws_programs, clean_env, error, main, wait_for
from rest import Rest
from services import Azurite, FakeGcs, Local, Mem, S3Proxy, Versitygw

LAKEFS = os.path.join(SOURCE, "tests", "data", "lakefs", "namespace")

# Each a row: (class, id). What follows knows no kinds.
ROWS = ((Local, "disk"), (Mem, "ram"), (Versitygw, "s3-posix"), (S3Proxy, "s3-other"), (Azurite, "azure"),
        (FakeGcs, "google"))


class Site:
    def __init__(self, server, stores):
        self.server, self.stores = server, stores
        self.api = Rest(server.url)


@contextlib.contextmanager
def site():
    """The one server, with all of them."""
    with contextlib.ExitStack() as stack:
        stores = [stack.enter_context(kind(id)) for kind, id in ROWS]
        yield Site(stack.enter_context(Server(stores=[s.config() for s in stores])), stores)


def for_each(site, work):
    """Says of which store it is when something fails."""
    for store in site.stores:
        try:
            work(site, store)
        except Exception as e:
            raise AssertionError(f"on the store {store.id} ({store.kind}): {e}") from e


def elsewhere(venv, part, site, repo, store):
    """A part of stores_day.py in the environment that has its client."""
    python = os.path.join(SOURCE, "build", venv, "bin", "python")
    done = subprocess.run([python, os.path.join(os.path.dirname(__file__), "stores_day.py"), part, site.server.url,
                           repo, store.namespace(repo), store.id], capture_output=True, text=True, timeout=600,
                          env=clean_env(SLUICE_BIN=os.environ["SLUICE_BIN"], SLUICE_SOURCE=SOURCE,
                                        PYTHONDONTWRITEBYTECODE="1"))
    assert done.returncode == 0, f"{part}: {done.stdout}{done.stderr}"


def morning(site, store):
    """The SDK makes the repository on the store."""
    elsewhere("venv-lakefs", "sdk", site, f"day-{store.id}", store)


def noon(site, store):
    """aws-cli: up, down, in parts, from branch to branch, away."""
    repo, aws = f"day-{store.id}", aws_programs()[0]
    with tempfile.TemporaryDirectory() as folder:
        big = os.urandom(20 << 20)  # in parts
        files = {"a.txt": b"a", "deep/b.bin": os.urandom(100_000), "big": big}
        for name, data in files.items():
            os.makedirs(os.path.dirname(os.path.join(folder, "up", name)), exist_ok=True)
            with open(os.path.join(folder, "up", name), "wb") as f:
                f.write(data)
        run = lambda *args: site.server.aws(aws, *args).stdout
        run("s3", "sync", f"{folder}/up", f"s3://{repo}/main/cli")
        run("s3", "cp", "--recursive", f"s3://{repo}/main/cli", f"s3://{repo}/work/copied")
        run("s3", "sync", f"s3://{repo}/work/copied", f"{folder}/down")
        for name, data in files.items():
            with open(os.path.join(folder, "down", name), "rb") as f:
                assert f.read() == data, name
        head = json.loads(run("s3api", "head-object", "--bucket", repo, "--key", "main/cli/big"))
        assert head["ContentLength"] == len(big) and re.fullmatch('"[0-9a-f]{32}-3"', head["ETag"]), head
        run("s3api", "get-object", "--bucket", repo, "--key", "main/cli/big", "--range",
            f"bytes={9 << 20}-{(9 << 20) + 99}", f"{folder}/part")
        with open(f"{folder}/part", "rb") as f:
            assert f.read() == big[9 << 20:(9 << 20) + 100]
        run("s3", "rm", "--recursive", f"s3://{repo}/main/cli/deep")
        assert "deep" not in run("s3", "ls", "--recursive", f"s3://{repo}/main/cli/")
        where = json.loads(run("s3api", "get-bucket-location", "--bucket", repo))
        assert where["LocationConstraint"] == store.id, where
    site.api.commit(repo, "main", "what aws-cli did")


def evening(site, store):
    """pyarrow, then the day is looked at."""
    repo = f"day-{store.id}"
    elsewhere("venv-data", "arrow", site, repo, store)
    site.api.commit(repo, "main", "the table")
    log = site.api.pages(f"/repositories/{repo}/refs/main/commits")
    assert [c["message"] for c in log][:2] == ["the table", "what aws-cli did"], log
    paths = [o["path"] for o in site.api.pages(f"/repositories/{repo}/refs/main/objects/ls")]
    assert "cli/big" in paths and "small.parquet" in paths and "plain.txt" in paths, paths
    for o in site.api.pages(f"/repositories/{repo}/refs/main/objects/ls"):
        assert o["physical_address"].startswith(site_address(store, repo)), o


def site_address(store, repo):
    return "" if store.kind == "local" else store.namespace(repo)


def test_a_day():
    with site() as s:
        for part in (morning, noon, evening):
            for_each(s, part)
        listed = {r["id"]: r for r in s.api.pages("/repositories")}
        assert {r["storage_id"] for r in listed.values()} == {store.id for store in s.stores}
        storages = s.api.get("/sluice/storages")["results"]
        assert [(x["id"], x["type"], x["repositories"], x["health"]["state"]) for x in storages] == [
            (store.id, store.kind, 1, "ok") for store in s.stores], storages
        with urllib.request.urlopen(s.server.url + "/metrics") as r:
            metrics = r.read().decode()
        for store in s.stores:
            assert f'sluice_store_repositories{{store="{store.id}",configured="true"}} 1' in metrics
            assert f'sluice_store_state{{store="{store.id}"}} 0' in metrics
            assert re.search(rf'sluice_store_calls_total{{store="{store.id}",operation="put",outcome="ok"}} [1-9]',
                             metrics), store.id
        across(s)
        policies(s)


def across(site):
    """Objects copied from each store to each other."""
    s3 = site.server.boto3()
    for a in site.stores:
        for b in site.stores:
            s3.copy_object(Bucket=f"day-{b.id}", Key=f"main/from/{a.id}",
                           CopySource={"Bucket": f"day-{a.id}", "Key": "main/cli/big"})
    want = [s3.head_object(Bucket=f"day-{a.id}", Key="main/cli/big")["ContentLength"] for a in site.stores]
    for b in site.stores:
        for a, size in zip(site.stores, want):
            got = s3.get_object(Bucket=f"day-{b.id}", Key=f"main/from/{a.id}")["Body"].read()
            whole = s3.get_object(Bucket=f"day-{a.id}", Key="main/cli/big")["Body"].read()
            assert len(got) == size and hashlib.sha256(got).digest() == hashlib.sha256(whole).digest()


def policies(site):
    """One policy, read only below cli/, over every store."""
    api = site.api
    api.call("POST", "/auth/users", 201, doc={"id": "reader"})
    api.call("POST", "/auth/policies", 201, doc={"id": "ReadCli", "statement": [
        {"effect": "allow", "action": ["fs:ReadObject"], "resource": "arn:lakefs:fs:::repository/day-*/object/cli/*"},
        {"effect": "allow", "action": ["fs:ListObjects", "fs:ReadRepository"],
         "resource": "arn:lakefs:fs:::repository/day-*"}]})
    api.call("PUT", "/auth/users/reader/policies/ReadCli", 201)
    made = api.call("POST", "/auth/users/reader/credentials", 201).json
    import boto3
    from botocore.config import Config
    s3 = boto3.client("s3", endpoint_url=site.server.url, aws_access_key_id=made["access_key_id"],
                      aws_secret_access_key=made["secret_access_key"], region_name="us-east-1",
                      config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}))
    for store in site.stores:
        repo = f"day-{store.id}"
        assert s3.get_object(Bucket=repo, Key="main/cli/a.txt")["Body"].read() == b"a"
        assert error(s3.get_object, Bucket=repo, Key="main/plain.txt") == ("AccessDenied", 403)
        assert error(s3.put_object, Bucket=repo, Key="main/cli/a.txt", Body=b"x") == ("AccessDenied", 403)
        assert s3.list_objects_v2(Bucket=repo, Prefix="main/cli/")["KeyCount"] == 2
    Rest(site.server.url, made["access_key_id"], made["secret_access_key"]).fails(401, "GET", "/sluice/storages")


def read_slowly(stream, want):
    """All of it, with a pause in which everything between fills; and byte for byte what it should be."""
    at = 0
    while piece := stream.read(1 << 20):
        assert piece == want[at:at + len(piece)], at
        at += len(piece)
        if at == 3 << 20:
            time.sleep(0.5)
    assert at == len(want), (at, len(want))


def large_answers(tls):
    """From the store's connection to a plain client's without passing through memory; to a TLS client by reading."""
    with Versitygw("one") as one, Server(
            tls=tls, stores=[one.config(default_namespace_prefix=one.namespace(""))]) as server:
        s3, data = server.boto3(), os.urandom(40 << 20)
        s3.create_bucket(Bucket="large", CreateBucketConfiguration={"LocationConstraint": "one"})
        s3.put_object(Bucket="large", Key="main/a", Body=data)
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(lambda: read_slowly(s3.get_object(Bucket="large", Key="main/a")["Body"], data))
                         for _ in range(8)]:
                done.result()
        for start, end in ((0, 9 << 20), (1, (40 << 20) - 1), ((40 << 20) - (5 << 20), (40 << 20) - 1), (7, 7)):
            got = s3.get_object(Bucket="large", Key="main/a", Range=f"bytes={start}-{end}")
            assert got["Body"].read() == data[start:end + 1], (start, end)
        for n in (1, 100000, 5 << 20):  # clients that leave
            body = s3.get_object(Bucket="large", Key="main/a")["Body"]
            assert body.read(n) == data[:n]
            body.close()
        s3.copy_object(Bucket="large", Key="main/b", CopySource={"Bucket": "large", "Key": "main/a"},
                       MetadataDirective="REPLACE", Metadata={"a": "b"})
        assert s3.get_object(Bucket="large", Key="main/b")["Body"].read() == data
        one.stop()
        assert error(s3.get_object, Bucket="large", Key="main/a") == ("ServiceUnavailable", 503)


def test_many_large_answers_at_once():
    """More than may have pipes (as many as the store has workers): the rest comes through memory."""
    workers, clients = 8, 40
    with Versitygw("one") as one, Server(
            stores=[one.config(default_namespace_prefix=one.namespace(""))],
            extra=f"server: {{stores: {{connections: {workers}}}}}\n") as server:
        s3, data = server.boto3(max_pool_connections=clients), os.urandom(16 << 20)
        s3.create_bucket(Bucket="large", CreateBucketConfiguration={"LocationConstraint": "one"})
        s3.put_object(Bucket="large", Key="main/a", Body=data)
        before = pipes(server)
        bodies = [s3.get_object(Bucket="large", Key="main/a")["Body"] for _ in range(clients)]
        assert all(b.read(1) == data[:1] for b in bodies)
        assert pipes(server) - before == 4 * workers
        for b in bodies:
            assert b.read() == data[1:]
        bodies.clear()
        wait_for(lambda: pipes(server) == before, "the end of its pipes")


def pipes(server):
    """Descriptors of pipes: two for each."""
    folder = f"/proc/{server.proc.pid}/fd"
    return sum(os.readlink(os.path.join(folder, fd)).startswith("pipe:") for fd in os.listdir(folder))


def test_large_answers_plain():
    large_answers(tls=False)


def test_large_answers_over_tls():
    large_answers(tls=True)


def test_what_lakefs_wrote():
    """lakeFS's repository, its files copied into each store, restored there and read."""
    with open(os.path.join(LAKEFS, "_lakefs", "refs_manifest.json")) as f:
        manifest = json.load(f)

    def read(site, store):
        if not store.put:
            return
        repo, space = f"lakefs-{store.id}", store.namespace(f"lakefs-{store.id}")
        store.put_tree(space, LAKEFS)
        site.api.call("POST", "/repositories", 201, bare=True, doc={
            "name": repo, "storage_namespace": space, "storage_id": store.id, "default_branch": "main"})
        site.api.call("PUT", f"/repositories/{repo}/refs/restore", 200, doc=manifest)
        branches = [b["id"] for b in site.api.pages(f"/repositories/{repo}/branches")]
        rows = site.api.pages(f"/repositories/{repo}/refs/main/objects/ls")
        assert rows and "main" in branches
        there = [r for r in rows if os.path.exists(
            os.path.join(LAKEFS, "data", r["physical_address"].split("/data/")[-1].lstrip("/")))]
        assert len(there) > 5, (len(there), len(rows))  # the others' bytes were never in the fixture
        for row in there:
            data = site.api.call("GET", f"/repositories/{repo}/refs/main/objects", 200, path=row["path"]).body
            assert len(data) == row["size_bytes"], row
            if re.fullmatch("[0-9a-f]{32}", row["checksum"]):
                assert hashlib.md5(data).hexdigest() == row["checksum"], row
        seen.append((store.id, [(r["path"], r["checksum"]) for r in rows]))

    seen = []
    with site() as s:
        for_each(s, read)
    assert len(seen) == sum(kind.put is not None for kind, _ in ROWS)
    assert all(rows == seen[0][1] for _, rows in seen)


main(globals())
