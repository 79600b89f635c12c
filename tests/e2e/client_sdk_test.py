"""lakeFS's own Python clients, unmodified: `lakefs` (the high level), `lakefs-sdk` (every operation) and `lakefs-spec`
(fsspec). Each is asked for what it offers; what this server refuses is asserted, too."""
from harness import KEY, SECRET, Server, md5, use_venv

use_venv("lakefs")

import contextlib
import io
import json
import os
import tempfile
import time
import urllib.request

for name in list(os.environ):
    if name.startswith(("LAKECTL_", "LAKEFS_")):
        del os.environ[name]
os.environ["LAKECTL_CONFIG_FILE"] = "/dev/null"

import lakefs
import lakefs_sdk
from lakefs.exceptions import (BadRequestException, ConflictException, ForbiddenException, NotAuthorizedException,
                               NotFoundException, ObjectExistsException, ObjectNotFoundException, ServerException,
                               TransactionException)
from lakefs.models import CommonPrefix, ObjectInfo
from lakefs_spec import LakeFSFileSystem

from harness import main

# Calls that this server refuses, and with what. Each is made: an entry whose call is answered fails.
REFUSED = {
    "import": 501,
    "pulls": 501,
    "shallow copy": 501,
    "presigned addresses of a local store": 400,
    "presigned multipart": 501,
}


def client_of(server, key=KEY, secret=SECRET):
    return lakefs.Client(host=server.url, username=key, password=secret)


@contextlib.contextmanager
def serving():
    with Server(repos=()) as server:
        yield server, client_of(server)


def create(client, name="sdk", **kw):
    return lakefs.Repository(name, client=client).create(storage_namespace=f"local://{name}", **kw)


def fails(kind, call, *args, status=None, **kw):
    """The call must raise this; answers the exception."""
    try:
        got = call(*args, **kw)
        if hasattr(got, "__next__"):
            list(got)
    except kind as e:
        have = getattr(e, "status_code", None) or getattr(e, "status", None)
        assert status in (None, have), f"{call}: {have}, not {status}: {e}"
        return e
    raise AssertionError(f"{call} {args} {kw} did not fail")


def paths(listing):
    return [o.path for o in listing]


def test_client_and_config():
    with serving() as (server, client):
        assert client.version
        store = client.storage_config
        assert store.blockstore_type == "local" and not store.pre_sign_support
        assert store.blockstore_namespace_example.startswith("local://")
        fails(NotAuthorizedException, lambda: client_of(server, secret="wrong").version)
        fails(NotAuthorizedException, lambda: list(lakefs.repositories(client=client_of(server, key="AKIAJWRONG"))))


def test_repositories():
    with serving() as (_, client):
        names = [f"repo-{i:02}" for i in range(25)]
        for name in names:
            create(client, name)
        assert [r.id for r in lakefs.repositories(client=client)] == names
        assert [r.id for r in lakefs.repositories(client=client, prefix="repo-1")] == names[10:20]
        assert [r.id for r in lakefs.repositories(client=client, after="repo-20")] == names[21:]
        assert [r.id for r in lakefs.repositories(client=client, amount=7)] == names, "pages"
        repo = lakefs.Repository("repo-03", client=client)
        p = repo.properties
        assert (p.id, p.default_branch, p.storage_namespace) == ("repo-03", "main", "local://repo-03")
        assert abs(p.creation_date - time.time()) < 600
        fails(ConflictException, create, client, "repo-03", status=409)
        same = create(client, "repo-03", exist_ok=True)
        assert same.properties.creation_date == p.creation_date
        other = create(client, "other-default", default_branch="trunk")
        assert [b.id for b in other.branches()] == ["trunk"]
        fails(ValueError, lakefs.Repository("Bad_Name", client=client).create, storage_namespace="local://bad")
        fails(ServerException, lakefs.Repository("elsewhere", client=client).create, storage_namespace="s3://bucket/x",
              status=400)
        repo.delete()
        fails(NotFoundException, lambda: lakefs.Repository("repo-03", client=client).properties)
        fails(NotFoundException, repo.delete)
        # The namespace keeps its objects: another repository can't be put onto them.
        fails(ServerException, create, client, "repo-03", status=400)


def test_repository_metadata():
    with serving() as (_, client):
        repo = create(client)
        internal = client.sdk_client.internal_api
        assert repo.metadata == {}
        internal.set_repository_metadata("sdk", lakefs_sdk.RepositoryMetadataSet(metadata={"a": "1", "b": "2"}))
        internal.set_repository_metadata("sdk", lakefs_sdk.RepositoryMetadataSet(metadata={"b": "3", "ключ": ""}))
        assert repo.metadata == {"a": "1", "b": "3", "ключ": ""}
        internal.delete_repository_metadata("sdk", lakefs_sdk.RepositoryMetadataKeys(keys=["a", "absent"]))
        assert repo.metadata == {"b": "3", "ключ": ""}
        fails(NotFoundException, lambda: lakefs.Repository("absent", client=client).metadata)


def test_branches_and_tags():
    with serving() as (_, client):
        repo = create(client)
        main_branch = repo.branch("main")
        main_branch.object("one.txt").upload(b"1")
        first = main_branch.commit("first", metadata={"who": "sdk"})
        for i in range(30):
            repo.branch(f"b{i:02}").create("main")
        assert [b.id for b in repo.branches()] == [f"b{i:02}" for i in range(30)] + ["main"]
        assert [b.id for b in repo.branches(prefix="b1", amount=3)] == [f"b1{i}" for i in range(10)]
        assert [b.id for b in repo.branches(after="b28", max_amount=1)] == ["b29"]
        assert repo.branch("b00").head.id == main_branch.head.id == first.id
        fails(ConflictException, repo.branch("b00").create, "main", status=409)
        assert repo.branch("b00").create("main", exist_ok=True).id == "b00"
        fails(NotFoundException, repo.branch("orphan").create, "absent", status=404)
        repo.branch("hidden").create("main", hidden=True)
        assert "hidden" not in [b.id for b in repo.branches()]
        assert "hidden" in [b.id for b in repo.branches(show_hidden=True)]
        repo.branch("b00").delete()
        fails(NotFoundException, lambda: repo.branch("b00").head)
        fails(NotFoundException, repo.branch("b00").delete)
        fails(ForbiddenException, repo.branch("main").delete, status=403)

        for i in range(12):
            repo.tag(f"v{i:02}").create(first)
        assert [t.id for t in repo.tags()] == [f"v{i:02}" for i in range(12)]
        assert [t.id for t in repo.tags(prefix="v1", amount=1)] == ["v10", "v11"]
        assert [t.id for t in repo.tags(after="v09")] == ["v10", "v11"]
        assert repo.tag("v03").get_commit().id == first.id
        fails(ConflictException, repo.tag("v03").create, "main", status=409)
        assert repo.tag("v03").create("main", exist_ok=True).id == "v03"
        fails(NotFoundException, repo.tag("vx").create, "absent", status=404)
        assert paths(repo.tag("v03").objects()) == ["one.txt"]
        repo.tag("v03").delete()
        fails(NotFoundException, repo.tag("v03").delete)
        fails(NotFoundException, repo.tag("v03").get_commit)


def test_commits():
    with serving() as (_, client):
        repo = create(client)
        b = repo.branch("main")
        ids = []
        for i in range(8):
            b.object(f"f{i}").upload(f"{i}")
            ids.append(b.commit(f"commit {i}", metadata={"n": str(i)}, date=1700000000 + i).id)
        log = list(b.log())
        assert [c.id for c in log][:-1] == ids[::-1]
        assert log[-1].message == "Repository created" and log[-1].parents == []
        assert [c.id for c in b.log(max_amount=3)] == ids[:-4:-1]
        assert [c.id for c in b.log(amount=2)] == [c.id for c in log], "pages"
        assert [c.id for c in b.log(objects=["f2"])] == [ids[2]]
        assert [c.id for c in b.log(prefixes=["f1", "f5"])] == [ids[5], ids[1]]
        assert [c.id for c in b.log(stop_at=ids[6])] == [ids[7], ids[6]]
        c = repo.commit(ids[3]).get_commit()
        assert (c.message, c.metadata, c.creation_date, c.parents) == ("commit 3", {"n": "3"}, 1700000003, [ids[2]])
        assert c.committer == "admin" and len(c.meta_range_id) == 64
        assert repo.ref("main~2").get_commit().id == ids[5]
        assert repo.ref(ids[4][:16]).get_commit().id == ids[4]
        assert b.get_commit().id == b.head.id == ids[-1]
        fails(BadRequestException, b.commit, "nothing to commit", status=400)
        assert b.commit("empty", allow_empty=True).get_commit().parents == [ids[-1]]
        fails(NotFoundException, repo.branch("absent").commit, "x")
        fails(NotFoundException, repo.commit("0" * 64).get_commit)
        fails(NotFoundException, lambda: list(repo.ref("absent").log()))


def test_uncommitted_and_reset():
    with serving() as (_, client):
        repo = create(client)
        b = repo.branch("main")
        for p in ("keep", "dir/a", "dir/b", "gone"):
            b.object(p).upload(p)
        b.commit("base")
        assert list(b.uncommitted()) == []
        b.object("keep").upload("changed")
        b.object("new").upload("n")
        b.object("dir/c").upload("c")
        b.object("gone").delete()
        def changes(**kw):
            return [(c.type, c.path) for c in b.uncommitted(**kw)]
        everything = [("added", "dir/c"), ("removed", "gone"), ("changed", "keep"), ("added", "new")]
        assert changes() == everything
        assert changes(amount=1) == everything, "pages"
        assert changes(prefix="dir/") == everything[:1]
        assert changes(after="gone") == everything[2:]
        assert changes(max_amount=2) == everything[:2]
        assert [(c.path, c.path_type) for c in b.uncommitted(delimiter="/")][0] == ("dir/", "common_prefix")
        b.reset_changes("object", "keep")
        assert b.object("keep").reader("r").read() == "keep"
        b.reset_changes("common_prefix", "dir/")
        assert changes() == [everything[1], everything[3]]
        b.reset_changes()
        assert changes() == []
        assert paths(b.objects()) == ["dir/a", "dir/b", "gone", "keep"]


def test_diff_and_merge():
    with serving() as (_, client):
        repo = create(client)
        b = repo.branch("main")
        b.object("shared").upload("0")
        b.object("dir/x").upload("x")
        b.commit("base")
        dev = repo.branch("dev").create("main")
        dev.object("shared").upload("dev")
        dev.object("dir/y").upload("y")
        dev.object("dir/x").delete()
        dev.commit("on dev")
        def diff(**kw):
            return [(c.type, c.path) for c in b.diff(dev, **kw)]
        everything = [("removed", "dir/x"), ("added", "dir/y"), ("changed", "shared")]
        assert diff() == everything and diff(type="two_dot") == everything
        assert diff(amount=1) == everything
        assert diff(prefix="dir/") == everything[:2]
        assert diff(max_amount=1) == everything[:1] and diff(after="dir/y") == everything[2:]
        assert [(c.path_type, c.path) for c in b.diff("dev", delimiter="/")] == [("common_prefix", "dir/"),
                                                                                  ("object", "shared")]
        fails(NotFoundException, lambda: list(b.diff("absent")))
        base = client.sdk_client.refs_api.find_merge_base("sdk", "dev", "main")
        # Which is called which is lakeFS's word.
        assert (base.base_commit_id, base.source_commit_id) == (b.head.id, b.head.id)
        assert base.destination_commit_id == dev.head.id
        merged = dev.merge_into(b, message="merge dev", metadata={"k": "v"})
        assert b.head.id == merged
        c = repo.commit(merged).get_commit()
        assert c.message == "merge dev" and c.metadata["k"] == "v" and c.parents[1] == dev.head.id
        assert diff() == []
        assert b.object("shared").reader("r").read() == "dev"
        fails(BadRequestException, dev.merge_into, b, status=400)
        # Both sides change the same.
        b.object("shared").upload("main side")
        b.commit("main changes")
        dev.object("shared").upload("dev side")
        dev.commit("dev changes")
        fails(ConflictException, dev.merge_into, "main", status=409)
        dev.merge_into("main", strategy="source-wins")
        assert b.object("shared").reader("r").read() == "dev side"
        # Squashed: one parent.
        s = repo.branch("squash").create("main")
        s.object("s").upload("s")
        s.commit("s1")
        c = repo.commit(s.merge_into("main", squash_merge=True)).get_commit()
        assert len(c.parents) == 1


def test_revert_and_cherry_pick():
    with serving() as (_, client):
        repo = create(client)
        b = repo.branch("main")
        b.object("a").upload("1")
        first = b.commit("first")
        b.object("a").upload("2")
        b.object("b").upload("b")
        second = b.commit("second", metadata={"x": "y"})
        old = repo.branch("old").create(first)
        picked = old.cherry_pick(second)
        assert picked.message == "second" and picked.id != second.id
        assert old.object("a").reader("r").read() == "2" and old.head.id == picked.id
        reverted = b.revert(second)
        assert b.object("a").reader("r").read() == "1" and not b.object("b").exists()
        assert "Revert" in reverted.message and reverted.id == b.head.id
        with_parent = repo.branch("side").create(first)
        with_parent.object("c").upload("c")
        with_parent.commit("c")
        merge = with_parent.merge_into("main")
        fails(ServerException, b.revert, merge)
        b.revert(merge, parent_number=1)
        assert not b.object("c").exists()
        another = repo.branch("another").create(first)
        another.cherry_pick(merge, parent_number=1)
        assert another.object("c").exists()
        fails(NotFoundException, another.cherry_pick, "0" * 64)
        fails(NotFoundException, b.revert, "absent")


def test_objects():
    with serving() as (_, client):
        repo = create(client)
        b = repo.branch("main")
        text = "zażółć gęślą jaźń\nsecond line\nthird"
        info = b.object("text.txt").upload(text, content_type="text/plain", metadata={"a": "b", "C": "d"}).stat()
        assert (info.size_bytes, info.checksum) == (len(text.encode()), md5(text.encode()))
        assert info.content_type == "text/plain" and {k.lower(): v for k, v in info.metadata.items()} == {"a": "b", "c": "d"}
        assert info.physical_address.startswith("local://") and "/sdk/data/" in info.physical_address.replace("local://sdk", "local:///sdk")
        blob = os.urandom(3 << 20)
        o = b.object("dir/blob ?&#%+.bin").upload(blob)
        assert o.stat().checksum == md5(blob) and o.exists()
        assert o.stat().content_type == "application/octet-stream"
        # Reading: all, pieces, lines, backwards.
        with o.reader() as r:
            assert r.read() == blob
        with o.reader("rb") as r:
            assert r.read(100) == blob[:100] and r.tell() == 100
            r.seek(1 << 20)
            assert r.read(10) == blob[1 << 20:(1 << 20) + 10]
            r.seek(-5, os.SEEK_END)
            assert r.read() == blob[-5:] and r.read(1) == b""
        with b.object("text.txt").reader("r") as r:
            assert r.read() == text
        with b.object("text.txt").reader("r") as r:
            assert list(r) == text.splitlines(keepends=True)
        # Writing in pieces.
        with b.object("written").writer("w", metadata={"m": "1"}, content_type="text/csv") as w:
            w.write("a,b\n")
            w.write("1,2\n")
        assert b.object("written").reader("r").read() == "a,b\n1,2\n"
        assert b.object("written").stat().content_type == "text/csv"
        with b.object("written").writer("wb") as w:
            w.write(blob)
        assert b.object("written").stat().checksum == md5(blob)
        with contextlib.suppress(ZeroDivisionError), b.object("aborted").writer("w") as w:
            w.write("x")
            1 / 0
        assert not b.object("aborted").exists()
        fails(ObjectExistsException, b.object("written").upload, b"x", mode="x")
        assert b.object("fresh").upload(b"x", mode="x").stat().size_bytes == 1
        with b.object("empty").writer() as w:
            pass
        assert b.object("empty").stat().size_bytes == 0 and b.object("empty").reader().read() == b""
        # Absent.
        fails(ObjectNotFoundException, b.object("absent").stat)
        fails(ObjectNotFoundException, lambda: b.object("absent").reader().read())
        assert not b.object("absent").exists()
        fails(NotFoundException, repo.branch("absent").object("x").upload, b"")
        # Copies have the bytes, type and metadata.
        copy = b.object("text.txt").copy("main", "copies/text.txt")
        assert copy.reader("r").read() == text
        assert (copy.stat().content_type, copy.stat().metadata) == (info.content_type, info.metadata)
        side = repo.branch("side").create("main")
        b.object("text.txt").copy("side", "there")
        assert side.object("there").reader("r").read() == text and not b.object("there").exists()
        fails(NotFoundException, b.object("absent").copy, "main", "x")
        # Gone.
        copy.delete()
        assert not copy.exists()
        b.object("text.txt").delete()
        b.delete_objects(["written", side.object("fresh"), "never there"])
        assert paths(b.objects()) == ["dir/blob ?&#%+.bin", "empty"]


def test_object_requests():
    """What lakefs-sdk has for objects and the high level hasn't."""
    with serving() as (server, client):
        create(client)
        api = client.sdk_client.objects_api
        with tempfile.NamedTemporaryFile() as f:
            f.write(b"0123456789")
            f.flush()
            stats = api.upload_object("sdk", "main", "digits", content=f.name)
        assert stats.size_bytes == 10 and stats.checksum == md5(b"0123456789")
        assert api.get_object("sdk", "main", "digits") == b"0123456789"
        assert api.get_object("sdk", "main", "digits", range="bytes=2-4") == b"234"
        fails(lakefs_sdk.ApiException, api.get_object, "sdk", "main", "digits", range="bytes=20-", status=416)
        head = api.head_object_with_http_info("sdk", "main", "digits")
        assert head.headers["ETag"].strip('"') == stats.checksum and head.headers["Content-Length"] == "10"
        assert api.get_underlying_properties("sdk", "main", "digits").storage_class is None
        fails(lakefs_sdk.ApiException, api.get_underlying_properties, "sdk", "main", "absent", status=404)
        # New user metadata, the rest as it was.
        client.sdk_client.experimental_api.update_object_user_metadata(
            "sdk", "main", "digits", lakefs_sdk.UpdateObjectUserMetadata(set={"new": "1", "ä": "ö"}))
        now = api.stat_object("sdk", "main", "digits")
        assert now.metadata == {"new": "1", "ä": "ö"} and now.checksum == stats.checksum
        assert now.physical_address == stats.physical_address
        assert api.get_object("sdk", "main", "digits") == b"0123456789"
        assert api.stat_object("sdk", "main", "digits", user_metadata=False).metadata in (None, {})
        # copyObject: bytes of its own.
        copied = api.copy_object("sdk", "main", "copy", lakefs_sdk.ObjectCopyCreation(src_path="digits", src_ref="main"))
        assert (copied.checksum, copied.size_bytes, copied.metadata) == (stats.checksum, 10, now.metadata)
        assert copied.physical_address != stats.physical_address
        fails(lakefs_sdk.ApiException, api.copy_object, "sdk", "main", "copy",
              lakefs_sdk.ObjectCopyCreation(src_path="digits", shallow=True), status=REFUSED["shallow copy"])
        fails(lakefs_sdk.ApiException, api.stat_object, "sdk", "main", "digits", presign=True,
              status=REFUSED["presigned addresses of a local store"])
        gone = api.delete_objects("sdk", "main", lakefs_sdk.PathList(paths=["digits", "copy", "absent"]))
        assert gone.errors == []
        client.sdk_client.internal_api.upload_object_preflight("sdk", "main", "anything")


def test_listing():
    with serving() as (_, client):
        repo = create(client)
        b = repo.branch("main")
        names = sorted([f"a/{i:03}" for i in range(120)] + ["b/c/d", "b/e", "f", "g/h/i"])
        for n in names:
            b.object(n).upload(b"")
        b.commit("all")
        b.object("a/119x").upload(b"staged")
        names.insert(120, "a/119x")
        assert paths(b.objects()) == names
        assert paths(b.objects(amount=10)) == names, "pages"
        assert paths(b.objects(max_amount=5)) == names[:5]
        assert paths(b.objects(prefix="b/", after="b/c/d")) == ["b/e"]
        rolled = list(b.objects(delimiter="/"))
        assert [(type(o), o.path) for o in rolled] == [(CommonPrefix, "a/"), (CommonPrefix, "b/"), (ObjectInfo, "f"),
                                                       (CommonPrefix, "g/")]
        assert paths(b.objects(delimiter="/", prefix="b/", amount=1)) == ["b/c/", "b/e"]
        assert len(paths(repo.ref("main@").objects())) == len(names) - 1
        assert all(isinstance(o.mtime, int) and o.checksum for o in b.objects(prefix="a/"))
        fails(NotFoundException, lambda: list(repo.ref("absent").objects()))


def test_transactions():
    with serving() as (_, client):
        repo = create(client)
        b = repo.branch("main")
        b.object("old/a").upload("a")
        b.object("old/b").upload("b")
        b.commit("base")
        with b.transact(commit_message="tidy up", commit_metadata={"by": "tx"}, tag="done") as tx:
            assert tx.source_id == "main"
            tx.delete_objects(o.path for o in tx.objects(prefix="old/"))
            tx.object("new").upload("n")
            assert b.object("old/a").exists() and not b.object("new").exists()
        assert paths(b.objects()) == ["new"]
        assert [x.id for x in repo.branches(show_hidden=True)] == ["main"]
        assert repo.tag("done").get_commit().id == b.head.id
        messages = [c.message for c in b.log()]
        assert messages[0].startswith("Merge transaction") and "tidy up" in messages
        with contextlib.suppress(ZeroDivisionError), b.transact(commit_message="never") as tx:
            tx.object("never").upload("x")
            1 / 0
        assert not b.object("never").exists()
        assert [x.id for x in repo.branches(show_hidden=True)] == ["main"]

        def conflict():
            with b.transact(commit_message="loses") as tx:
                tx.object("new").upload("tx")
                b.object("new").upload("main")
                b.commit("in between")
        fails(TransactionException, conflict)
        assert b.object("new").reader("r").read() == "main"


def test_protection():
    with serving() as (_, client):
        repo = create(client)
        api = client.sdk_client.repositories_api
        assert api.get_branch_protection_rules("sdk") == []
        rules = [lakefs_sdk.BranchProtectionRule(pattern="prod*")]
        api.set_branch_protection_rules("sdk", rules)
        got = api.get_branch_protection_rules_with_http_info("sdk")
        assert [r.pattern for r in got.data] == ["prod*"]
        etag = got.headers["ETag"]
        api.set_branch_protection_rules("sdk", rules + [lakefs_sdk.BranchProtectionRule(pattern="main")], if_match=etag)
        fails(lakefs_sdk.ApiException, api.set_branch_protection_rules, "sdk", rules, if_match=etag, status=412)
        client.sdk_client.internal_api.create_branch_protection_rule_preflight("sdk")
        repo.branch("prod-1").create("main")
        fails(ForbiddenException, repo.branch("prod-1").object("x").upload, b"", status=403)
        fails(ForbiddenException, repo.branch("main").commit, "x", allow_empty=True, status=403)
        work = repo.branch("work").create("main")
        work.object("x").upload(b"x")
        work.commit("x")
        work.merge_into("prod-1")
        assert repo.branch("prod-1").object("x").exists()


def test_gc_rules():
    with serving() as (_, client):
        create(client)
        api, internal = client.sdk_client.repositories_api, client.sdk_client.internal_api
        fails(lakefs_sdk.ApiException, api.get_gc_rules, "sdk", status=404)
        rules = lakefs_sdk.GarbageCollectionRules(default_retention_days=21, branches=[
            lakefs_sdk.GarbageCollectionRule(branch_id="main", retention_days=28),
            lakefs_sdk.GarbageCollectionRule(branch_id="dev", retention_days=7)])
        api.set_gc_rules("sdk", rules)
        got = api.get_gc_rules("sdk")
        assert got.default_retention_days == 21
        assert {b.branch_id: b.retention_days for b in got.branches} == {"main": 28, "dev": 7}
        internal.set_garbage_collection_rules_preflight("sdk")
        assert internal.internal_get_garbage_collection_rules("sdk") == got
        fails(lakefs_sdk.ApiException, api.set_gc_rules, "sdk",
              lakefs_sdk.GarbageCollectionRules(default_retention_days=-1, branches=[]), status=400)
        api.delete_gc_rules("sdk")
        api.delete_gc_rules("sdk")
        fails(lakefs_sdk.ApiException, api.get_gc_rules, "sdk", status=404)
        assert internal.get_garbage_collection_config().grace_period == 86400


def wait_for(status, repo, task):
    end = time.monotonic() + 60
    while not (s := status(repo, task)).done:
        assert time.monotonic() < end, s
        time.sleep(0.1)
    assert not s.error, s
    return s


def test_refs_dump_and_restore():
    with serving() as (_, client):
        repo = create(client)
        b = repo.branch("main")
        b.object("a").upload("1")
        b.commit("first")
        repo.tag("v1").create("main")
        repo.branch("dev").create("main").object("b").upload("2")
        repo.branch("dev").commit("on dev")
        api = client.sdk_client.repositories_api
        refs = wait_for(api.dump_status, "sdk", api.dump_submit("sdk").id).refs
        direct = client.sdk_client.internal_api.dump_refs("sdk")
        assert (refs.branches_meta_range_id, refs.tags_meta_range_id) == (direct.branches_meta_range_id,
                                                                          direct.tags_meta_range_id)
        log = [c.id for c in b.log()]
        for name, how in (("again", "sync"), ("later", "async")):
            repo.delete()
            repo = lakefs.Repository("sdk", client=client).create(bare=True, storage_namespace="local://sdk")
            assert list(repo.branches()) == []
            restore = lakefs_sdk.RefsRestore(**direct.dict())
            if how == "sync":
                client.sdk_client.internal_api.restore_refs("sdk", restore)
            else:
                wait_for(api.restore_status, "sdk", api.restore_submit("sdk", restore).id)
            assert [x.id for x in repo.branches()] == ["dev", "main"], name
            assert [t.id for t in repo.tags()] == ["v1"]
            assert [c.id for c in repo.branch("main").log()] == log
            assert repo.branch("dev").object("b").reader("r").read() == "2"
        fails(lakefs_sdk.ApiException, client.sdk_client.internal_api.restore_refs, "sdk", restore, status=400)
        fails(lakefs_sdk.ApiException, api.dump_status, "sdk", "DRabsent", status=404)


def test_staging():
    """Addresses to write to beside the server, which are linked afterwards."""
    with serving() as (server, client):
        repo = create(client)
        repo.branch("dev").create("main")
        api = client.sdk_client.staging_api
        location = api.get_physical_address("sdk", "main", "linked")
        assert location.presigned_url is None
        address, signature = location.physical_address.rsplit(",", 1)
        assert len(signature) == 43
        # A client of a local store that shares its disk writes the bytes itself: where it was told to, signature and all.
        path = server.path("objects", "sdk", location.physical_address[address.index("/data/") + 1:])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(b"linked bytes")

        def link(path, address, branch="main", **kw):
            return api.link_physical_address("sdk", branch, path, lakefs_sdk.StagingMetadata(
                staging=lakefs_sdk.StagingLocation(physical_address=address), checksum=md5(b"linked bytes"),
                size_bytes=12, content_type="text/plain", user_metadata={"who": "me"}), **kw)

        good = location.physical_address
        bad = good[:-2] + ("A" if good[-2] != "A" else "B") + good[-1]
        for args in (("linked", bad), ("linked", address), ("elsewhere", good), ("linked", good, "dev")):
            fails(lakefs_sdk.ApiException, link, *args, status=400)
        assert not repo.branch("main").object("linked").exists()
        stats = link("linked", good)
        assert (stats.size_bytes, stats.metadata, stats.content_type) == (12, {"who": "me"}, "text/plain")
        assert stats.physical_address == good
        assert repo.branch("main").object("linked").reader().read() == b"linked bytes"
        fails(lakefs_sdk.ApiException, link, "linked", good, if_none_match="*", status=412)
        fails(lakefs_sdk.ApiException, link, "linked", good, if_match="x", status=501)
        fails(lakefs_sdk.ApiException, api.get_physical_address, "sdk", "main", "x", presign=True,
              status=REFUSED["presigned addresses of a local store"])
        fails(lakefs_sdk.ApiException, client.sdk_client.experimental_api.create_presign_multipart_upload,
              "sdk", "main", "x", status=REFUSED["presigned multipart"])
        # Staged as it is told: an address outside of the namespace, which is not read.
        outside = client.sdk_client.internal_api.stage_object(
            "sdk", "main", "staged", lakefs_sdk.ObjectStageCreation(
                physical_address="local://elsewhere/x", checksum="abc", size_bytes=3, mtime=1700000000,
                metadata={"k": "v"}, content_type="text/x"))
        assert (outside.mtime, outside.checksum, outside.metadata) == (1700000000, "abc", {"k": "v"})
        assert repo.branch("main").object("staged").stat().physical_address == "local://elsewhere/x"
        fails(lakefs_sdk.ApiException, client.sdk_client.internal_api.stage_object, "sdk", "main", "staged",
              lakefs_sdk.ObjectStageCreation(physical_address="s3://b/x", checksum="abc", size_bytes=3), status=400)


def test_metadata():
    with serving() as (_, client):
        repo = create(client)
        b = repo.branch("main")
        b.object("a").upload("1")
        meta_range = b.commit("first").get_commit().meta_range_id
        api = client.sdk_client.metadata_api
        assert api.get_meta_range("sdk", meta_range).location.endswith("_lakefs/" + meta_range)
        raw = client.sdk_client.internal_api.get_metadata_object("sdk", meta_range, "meta_range")
        assert len(raw) > 100
        fails(lakefs_sdk.ApiException, client.sdk_client.internal_api.get_metadata_object, "sdk", "0" * 64, "range",
              status=410)
        fails(lakefs_sdk.ApiException, client.sdk_client.internal_api.get_metadata_object, "sdk", meta_range, "foo",
              status=400)


def test_hard_reset_and_commit_records():
    with serving() as (_, client):
        repo = create(client)
        b = repo.branch("main")
        b.object("a").upload("1")
        first = b.commit("first")
        b.object("a").upload("2")
        b.commit("second")
        client.sdk_client.experimental_api.hard_reset_branch("sdk", "main", first.id)
        assert b.head.id == first.id and b.object("a").reader("r").read() == "1"
        c = client.sdk_client.commits_api.get_commit("sdk", first.id)
        fails(lakefs_sdk.ApiException, client.sdk_client.internal_api.create_commit_record, "sdk",
              lakefs_sdk.CommitRecordCreation(commit_id=c.id, version=c.version, committer=c.committer,
                                              message=c.message, metarange_id=c.meta_range_id,
                                              creation_date=c.creation_date, parents=c.parents, metadata={},
                                              generation=c.generation), status=409)


def test_config_family():
    with serving() as (server, client):
        create(client)
        config, internal = client.sdk_client.config_api, client.sdk_client.internal_api
        whole = config.get_config()
        assert whole.version_config.version_context == "lakeFS" and whole.storage_config_list == []
        assert internal.get_lake_fs_version().version == whole.version_config.version == client.version
        assert internal.get_storage_config() == whole.storage_config
        internal.post_stats_events(lakefs_sdk.StatsEventsList(
            events=[lakefs_sdk.StatsEvent(var_class="c", name="n", count=1)]
            if "var_class" in lakefs_sdk.StatsEvent.__fields__ else
            [lakefs_sdk.StatsEvent(**{"class": "c", "name": "n", "count": 1})]))
        report = internal.get_usage_report_summary()
        assert report.installation_id and report.reports[-1].count > 0, report
        client.sdk_client.health_check_api.health_check()
        actions = client.sdk_client.actions_api
        assert actions.list_repository_runs("sdk").results == []
        assert actions.list_run_hooks("sdk", "absent").results == []
        fails(lakefs_sdk.ApiException, actions.get_run, "sdk", "absent", status=404)
        fails(lakefs_sdk.ApiException, actions.get_run_hook_output, "sdk", "absent", "absent", status=404)
        fails(lakefs_sdk.ApiException, client.sdk_client.pulls_api.list_pull_requests, "sdk",
              status=REFUSED["pulls"])
        fails(ServerException, client and lakefs.Repository("sdk", client=client).branch("main").import_data("i").prefix(
            "local://elsewhere/", "x/").start, status=REFUSED["import"])
        # Which operations there are, in the words that generators of clients read.
        with urllib.request.urlopen(server.url + "/openapi.json") as r:
            spec = json.load(r)
        have = {op["operationId"] for p in spec["paths"].values() for op in p.values()}
        assert {"getConfig", "copyObject", "dumpRefs", "linkPhysicalAddress"} <= have


def test_fsspec():
    with Server(repos=()) as server, tempfile.TemporaryDirectory() as tmp:
        client = client_of(server)
        repo = create(client, "files")
        fs = LakeFSFileSystem(host=server.url, username=KEY, password=SECRET, skip_instance_cache=True)
        root = "files/main"
        os.makedirs(os.path.join(tmp, "tree/sub"))
        for name, text in (("tree/a.txt", "a\n"), ("tree/b.txt", "b\n"), ("tree/sub/c.txt", "c\n")):
            with open(os.path.join(tmp, name), "w") as f:
                f.write(text)
        fs.put(os.path.join(tmp, "tree/a.txt"), f"lakefs://{root}/up/a.txt")
        fs.put(os.path.join(tmp, "tree"), f"lakefs://{root}/tree", recursive=True)
        assert sorted(fs.find(root + "/")) == [f"{root}/tree/a.txt", f"{root}/tree/b.txt", f"{root}/tree/sub/c.txt",
                                         f"{root}/up/a.txt"]
        assert sorted(e["name"].rstrip("/") for e in fs.ls(f"{root}/tree/", detail=True)) == [
            f"{root}/tree/a.txt", f"{root}/tree/b.txt", f"{root}/tree/sub"]
        assert sorted(fs.glob(f"{root}/tree/*.txt")) == [f"{root}/tree/a.txt", f"{root}/tree/b.txt"]
        assert fs.exists(f"{root}/tree/a.txt") and fs.exists(f"{root}/tree") and not fs.exists(f"{root}/none")
        assert fs.isdir(f"{root}/tree") and fs.isfile(f"{root}/tree/a.txt")
        assert fs.info(f"{root}/tree/a.txt")["size"] == 2
        assert fs.checksum(f"{root}/tree/a.txt") == md5(b"a\n")
        with fs.open(f"{root}/w.bin", "wb") as f:
            f.write(b"one")
            f.write(b"two")
        with fs.open(f"{root}/w.bin", "rb") as f:
            assert f.read(4) == b"onet" and f.read() == b"wo"
        with fs.open(f"{root}/w.txt", "w") as f:
            f.write("text\nlines\n")
        with fs.open(f"{root}/w.txt", "r") as f:
            assert list(f) == ["text\n", "lines\n"]
        fs.get(f"{root}/tree", os.path.join(tmp, "down"), recursive=True)
        with open(os.path.join(tmp, "down/sub/c.txt")) as f:
            assert f.read() == "c\n"
        fs.cp_file(f"{root}/w.bin", f"{root}/copy.bin")
        assert fs.cat(f"{root}/copy.bin") == b"onetwo"
        assert fs.cat_file(f"{root}/copy.bin", start=1, end=3) == b"ne"
        fs.rm_file(f"{root}/copy.bin")
        fs.rm(f"{root}/tree", recursive=True)
        assert sorted(fs.find(root + "/")) == [f"{root}/up/a.txt", f"{root}/w.bin", f"{root}/w.txt"]
        # A branch that isn't there is made by a write.
        fs.put_file(os.path.join(tmp, "tree/b.txt"), "files/made/b.txt")
        assert "made" in [b.id for b in repo.branches()]
        repo.branch("main").commit("merges go into clean branches")
        with fs.transaction("files", "main") as tx:
            fs.put_file(os.path.join(tmp, "tree/a.txt"), f"files/{tx.branch.id}/in-tx.txt")
            tx.commit(message="by fsspec")
        assert fs.cat(f"{root}/in-tx.txt") == b"a\n"
        assert "by fsspec" in [c.message for c in repo.branch("main").log()]
        try:
            with fs.transaction("files", "main") as tx:
                fs.put_file(os.path.join(tmp, "tree/a.txt"), f"files/{tx.branch.id}/never.txt")
                raise KeyError("stop")
        except KeyError:
            pass
        assert not fs.exists(f"{root}/never.txt")
        for missing in (lambda: fs.info(f"{root}/none"), lambda: fs.cat(f"{root}/none"),
                        lambda: fs.open(f"{root}/none", "rb").read()):
            fails(FileNotFoundError, missing)


if __name__ == "__main__":
    main(globals())
