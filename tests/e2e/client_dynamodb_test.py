"""Servers over DynamoDB: clients on one, a table that lakeFS wrote taken over, a newer one refused, a service that
restarts, two servers that share a table, and a database that moves there and back."""
import hashlib
import os

import kvdump
from dynamodb import SECRET, DynamoDB
from fixture_repo import compare_all, load
from harness import Server, error, main
from migrating import Pair
from postgres import Postgres
from remote_kv import LAKEFS_KEY, LAKEFS_SECRET, copy_by_aws, lakefs_server, load_dump, one, share, work
from rest import Rest


def check_silent(server):
    """The secret is nowhere in what the server says."""
    assert SECRET not in server.log_text()


def test_clients_over_dynamodb():
    with DynamoDB(in_memory=False) as d:
        with Server(database=d.section(health_check_interval="1s"), extra="") as s:
            first, merged = work(s)
            copy_by_aws(s)
            s.stop()
            s.start()
            api, s3 = Rest(s.url), s.boto3()
            assert [c["id"] for c in api.pages("/repositories/example/refs/main/commits")][0] == merged
            assert s3.get_object(Bucket="example", Key="main/from-cli")["Body"].read() == b"by aws"
            # As lakeFS would find them.
            records = d.records()
            assert records[(b"kv-internal-metadata", b"kv/schema/version")] == b"4"
            partition = b"example-" + one(records[(b"graveler", b"repos/example")], 6)
            assert one(records[(partition, b"branches/main")], 2) == merged.encode()
            assert (partition, b"commits/" + first.encode()) in records
            assert {frozenset(i) for i in d.items()} == {
                frozenset(("PartitionKey", "ItemKey", "ItemValue", "SluiceWrite"))}
            # The largest commit record that there is fits into an item.
            s3.put_object(Bucket="example", Key="main/for-the-commit", Body=b"x")
            a = api.ask("POST", "/repositories/example/branches/main/commits",
                        doc={"message": "x", "metadata": {f"k{i}": "v" * 4000 for i in range(65)}})
            assert a.status == 201, a
            # The database restarts: the server goes on.
            d.stop()
            assert error(s3.get_object, Bucket="example", Key="main/from-cli") == ("ServiceUnavailable", 503)
            d.start()
            s3 = s.boto3(retries={"max_attempts": 5})
            s3.put_object(Bucket="example", Key="main/after", Body=b"the restart")
            assert s3.get_object(Bucket="example", Key="main/after")["Body"].read() == b"the restart"
            check_silent(s)


def lakefs_table(d, table):
    """What lakeFS keeps in PostgreSQL, as it keeps it in DynamoDB."""
    with Postgres() as pg:
        load_dump(pg)
        records = pg.records("lakefs")
    d.make_table(table)
    for (partition, key), value in records.items():
        d.put(table, partition, key, value)
    return records


def refused(s, d, word):
    """The server ends, says why, and wrote nothing."""
    before = d.records("lakefs")
    s.configure()
    done = s.command("run", check=False)
    assert done.returncode in (1, 2), done
    assert word in done.stderr and SECRET not in done.stderr, done.stderr
    assert d.records("lakefs") == before


def test_takes_over_what_lakefs_wrote():
    expected = load("expected.json")
    with DynamoDB() as d:
        before = lakefs_table(d, "lakefs")
        s = lakefs_server(d.section("lakefs"))
        for version, word in (("5", "newer"), ("3", "migrate"), ("x", "not a number")):
            d.put("lakefs", b"kv-internal-metadata", b"kv/schema/version", version.encode())
            refused(s, d, word)
        d.put("lakefs", b"kv-internal-metadata", b"kv/schema/version", b"4")
        with s:
            api, s3, repo = Rest(s.url, LAKEFS_KEY, LAKEFS_SECRET), s.boto3(), "fixture-repo"
            assert [r["id"] for r in api.pages("/repositories")] == [repo]
            assert compare_all(api, s, repo, expected, 1000) > 500
            dirty = api.pages(f"/repositories/{repo}/branches/dev/diff")
            assert sorted([x["type"], x["path"]] for x in dirty) == sorted(expected["uncommitted_dev_before_dump"])
            after = d.records("lakefs")
            lost = {k for k, v in before.items() if after.get(k) != v and k[0] != b"basicAuth"}
            assert not lost, lost
            # Work on it leaves lakeFS's records.
            s3.put_object(Bucket=repo, Key="dev/by sluice", Body=b"new")
            partition = repo.encode() + b"-" + one(after[(b"graveler", b"repos/fixture-repo")], 6)
            token = one(after[(partition, b"branches/dev")], 3)
            entry = one(d.records("lakefs")[(token, b"by sluice")], 3)
            assert one(entry, 4) == hashlib.md5(b"new").hexdigest().encode()
            made = api.commit(repo, "dev", "by sluice")
            branch = d.records("lakefs")[(partition, b"branches/dev")]
            assert one(branch, 2) == made["id"].encode() and one(branch, 3) != token
            check_silent(s)


def test_two_servers_share_one():
    with DynamoDB() as d:
        share(d.section())


MANY = 3000


def test_a_database_moves_there_and_back():
    with DynamoDB() as d, Server() as s:
        s3, api = s.boto3(), Rest(s.url)
        for i in range(20):
            s3.put_object(Bucket="example", Key=f"main/o/{i:02}", Body=b"x" * i)
        api.commit("example", "main", "one")
        s3.put_object(Bucket="example", Key="main/staged", Body=b"staged")
        s.stop()
        pair = Pair(s)
        # Some thousand more, as one branch's uncommitted changes; and many partitions.
        dump = s.path("kv.dump")
        pair.run("kv", "dump", dump, "--config", pair.a)
        partitions = kvdump.read(dump)
        token = next(p for p, rows in partitions.items() if b"staged" in rows)
        value = partitions[token][b"staged"]
        for i in range(MANY):
            key = b"many/%05d" % i
            partitions[token][key] = kvdump.staged_like(value, key)
        for i in range(300):
            keys = [b"k%d" % k for k in range(2)]
            partitions[token[:-12] + b"%012d" % i] = {k: kvdump.staged_like(value, k) for k in keys}
        kvdump.write(dump, {p: sorted(v.items()) for p, v in partitions.items()})
        pair.run("kv", "load", "--input", dump, "--clear-target", "--config", pair.a)
        source = pair.digest(pair.a)

        with open(pair.a) as f:
            text = f.read()
        local = f'{{type: local, local: {{path: "{s.path("kv")}"}}}}'
        assert local in text
        with open(pair.b, "w") as f:
            f.write(text.replace(local, d.section("moved")))
        out = pair.migrate("--dry-run")
        assert "would be made" in out.stdout and d.client().list_tables()["TableNames"] == [], out.stdout
        out = pair.migrate()
        assert "verified" in out.stdout, out.stdout
        assert pair.digest(pair.b) == source
        found = d.records("moved")
        assert all(found[(p, k)] == v for p, rows in partitions.items() for k, v in rows.items())
        # The server goes on there.
        s.database, s.embedded, s.fresh = d.section("moved"), False, False
        s.configure()
        s.start()
        s3 = s.boto3()
        keys = [o["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket="example", Prefix="main/")
                for o in page["Contents"]]
        assert len(keys) == 20 + 1 + MANY, len(keys)
        s.stop()
        there = pair.digest(pair.b)
        # And back.
        back = s.path("back.yaml")
        with open(back, "w") as f:
            f.write(text.replace(s.path("kv"), s.path("kv-back")))
        out = pair.run("migrate", "--from", pair.b, "--to", back)
        assert "verified" in out.stdout, out.stdout
        assert pair.digest(back) == there
        assert os.path.exists(s.path("kv-back"))


main(globals())
