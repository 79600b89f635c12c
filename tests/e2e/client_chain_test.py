"""A database goes from RocksDB to PostgreSQL, to DynamoDB and back, killed on the way; and one that two servers use is
moved while they run."""
import shutil
import signal
import threading
import time

from cluster import Cluster, Node
from dynamodb import DynamoDB
from harness import main
from migrating import Pair, chain, config_of, local, with_staged
from postgres import Postgres

MANY = 3000
PATIENCE = 120


def test_chain():
    server = with_staged(MANY)
    try:
        for _ in range(3):
            kills = []
            with Postgres() as pg, DynamoDB() as db:
                last = chain(server, pg, db, (1, 40), lambda a, b, seconds, n, terminal: kills.append(n))
            if sum(kills) >= 2:
                break
            shutil.rmtree(server.path("kv-again"))  # a small one may be done before it can be killed
        assert sum(kills) >= 2, kills
        shutil.copy(last, server.path("config.yaml"))
        server.start()
        pages = server.boto3().get_paginator("list_objects_v2").paginate(Bucket="example", Prefix="main/many/")
        seen = [o["Key"] for page in pages for o in page.get("Contents", [])]
        assert seen == [f"main/many/{i:07d}" for i in range(MANY)], len(seen)
        server.stop()
    finally:
        server.stop(signal.SIGKILL)
        shutil.rmtree(server.folder)


class Writer(threading.Thread):
    """Of one server, until it is refused: then it is what it has said that counts."""

    def __init__(self, n, server):
        super().__init__(daemon=True)
        self.prefix, self.s3 = f"main/w{n}/", server.boto3()
        self.written, self.refused, self.failed = 0, None, None

    def run(self):
        from botocore.exceptions import ClientError
        try:
            while not self.refused:
                self.s3.put_object(Bucket="example", Key=f"{self.prefix}{self.written:06d}", Body=b"%d" % self.written)
                self.written += 1
        except ClientError as e:
            self.refused = e.response
        except Exception as e:
            self.failed = e


def write(server):
    from botocore.exceptions import ClientError
    try:
        return server.boto3().put_object(Bucket="example", Key="main/late", Body=b"x")["ResponseMetadata"]["HTTPStatusCode"]
    except ClientError as e:
        return e.response["ResponseMetadata"]["HTTPStatusCode"]


def check_contents(server, writers):
    s3 = server.boto3()
    for w in writers:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket="example", Prefix=w.prefix)
        seen = [o["Key"] for page in pages for o in page.get("Contents", [])]
        assert seen == [f"{w.prefix}{i:06d}" for i in range(w.written)], (w.prefix, w.written, len(seen))
        last = w.written - 1
        assert s3.get_object(Bucket="example", Key=f"{w.prefix}{last:06d}")["Body"].read() == b"%d" % last


def test_frozen_under_two_servers():
    with Postgres() as pg, Cluster(pg.section(), 2) as cluster:
        a, b = cluster.servers
        pair = Pair(a, config_of(a, "postgres", pg.section()), config_of(a, "local", local(a.path("kv-moved"))))
        writers = [Writer(n, cluster.servers[n % 2]) for n in range(4)]
        for w in writers:
            w.start()
        end = time.monotonic() + PATIENCE
        while any(w.written < 10 and not w.failed for w in writers):
            assert time.monotonic() < end
            time.sleep(0.05)
        out = pair.migrate(code=1)
        assert "in use" in out.stderr and all(w.is_alive() for w in writers), out.stderr
        out = pair.migrate("--freeze")
        assert "verified" in out.stdout and "stays frozen" in out.stdout, out.stdout
        for w in writers:
            w.join(PATIENCE)
            assert not w.failed, w.failed
            assert w.refused["ResponseMetadata"]["HTTPStatusCode"] == 503, w.refused
        for s in cluster.servers:
            assert write(s) == 503
            check_contents(s, writers)  # reads go on
        pair.same()
        with Node(cluster, database=local(a.path("kv-moved")), fresh=False) as moved:
            check_contents(moved, writers)  # all that was acknowledged
            assert write(moved) == 200
        pair.run("migrate", "unfreeze", "--config", pair.a)
        for s in cluster.servers:
            while write(s) != 200:
                assert time.monotonic() < end + PATIENCE
                time.sleep(0.2)


if __name__ == "__main__":
    main(globals())
