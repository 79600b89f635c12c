"""Servers over PostgreSQL: clients on one, a database that lakeFS wrote taken over, a newer one refused, a
service that restarts, and two servers that share one."""
import hashlib
import os

from fixture_repo import DATA, compare_all, load, place
from harness import Server, main
from postgres import Postgres
from remote_kv import LAKEFS_KEY, LAKEFS_SECRET, copy_by_aws, fields, lakefs_server, load_dump, one, share, work
from rest import Rest


def check_silent(server, pg):
    """The password is nowhere in what the server says."""
    assert "nobody-may-see-me" not in server.log_text()


def test_clients_over_postgres():
    with Postgres() as pg:
        with Server(database=pg.section(), extra="") as s:
            first, merged = work(s)
            copy_by_aws(s)
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


def test_takes_over_what_lakefs_wrote():
    expected = load("expected.json")
    with Postgres() as pg:
        load_dump(pg)
        before = pg.records("lakefs")
        with lakefs_server(pg.section("lakefs")) as s:
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
        s = lakefs_server(pg.section("lakefs"))
        for version, word in (("5", "newer"), ("3", "migrate"), ("x", "not a number")):
            pg.sql(f"UPDATE kv SET value = '{version}' WHERE key = 'kv/schema/version'", "lakefs")
            refused(s, pg, word)
        pg.sql("UPDATE kv SET value = '4' WHERE key = 'kv/schema/version'", "lakefs")
        with s:
            assert Rest(s.url, LAKEFS_KEY, LAKEFS_SECRET).get("/user")["user"]["id"] == "admin"


def test_two_servers_share_one():
    with Postgres() as pg:
        share(pg.section())


main(globals())
