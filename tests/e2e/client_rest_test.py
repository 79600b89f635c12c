"""REST and S3 over the same repositories: what one writes the other reads."""
import concurrent.futures
import hashlib
import http.client
import time

from botocore.exceptions import ClientError

from harness import Server, main, sign
from rest import Rest


def site():
    return Server(repos=("example",))


def put(s3, branch, files, repo="example"):
    for path, text in files.items():
        s3.put_object(Bucket=repo, Key=f"{branch}/{path}", Body=text.encode())


def paths(api, ref, repo="example", **query):
    return [o["path"] for o in api.pages(f"/repositories/{repo}/refs/{ref}/objects/ls", **query)]


def body(s3, key, repo="example"):
    return s3.get_object(Bucket=repo, Key=key)["Body"].read().decode()


def refused(code, fn, **kw):
    try:
        fn(**kw)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, e
        return e
    raise AssertionError(f"{kw} was not refused")


def changes(rows):
    return [(d["type"], d["path"]) for d in rows]


def test_repositories():
    with Server(repos=()) as s:
        api = Rest(s.url)
        for name in ("one", "two", "two-b"):
            made = api.call("POST", "/repositories", 201,
                            doc={"name": name, "storage_namespace": f"local://{name}", "default_branch": "trunk"}).json
            assert (made["id"], made["default_branch"], made["read_only"]) == (name, "trunk", False), made
            assert api.get(f"/repositories/{name}") == made
        assert [r["id"] for r in api.pages("/repositories", 1)] == ["one", "two", "two-b"]
        assert [r["id"] for r in api.pages("/repositories", prefix="two")] == ["two", "two-b"]
        assert [r["id"] for r in api.pages("/repositories", search="-b")] == ["two-b"]
        assert api.fails(409, "POST", "/repositories", doc={"name": "one", "storage_namespace": "local://x"}).message \
            == "error creating repository: not unique"
        api.fails(400, "POST", "/repositories", doc={"name": "three", "storage_namespace": "local://one"})
        api.fails(400, "POST", "/repositories", doc={"name": "three", "storage_namespace": "local://t", "storage_id": "x"})
        assert {b["Name"] for b in s.boto3().list_buckets()["Buckets"]} == {"one", "two", "two-b"}
        api.call("DELETE", "/repositories/two", 204)
        assert api.fails(404, "GET", "/repositories/two").message == "repository not found"
        api.fails(404, "DELETE", "/repositories/two")


def test_read_only_repository():
    with Server(repos=()) as s:
        api, s3 = Rest(s.url), s.boto3()
        api.call("POST", "/repositories", 201,
                 doc={"name": "fixed", "storage_namespace": "local://fixed", "read_only": True})
        at = "/repositories/fixed"
        for method, path, doc in (("POST", "/branches", {"name": "b", "source": "main"}),
                                  ("POST", "/tags", {"id": "t", "ref": "main"}),
                                  ("POST", "/branches/main/commits", {"message": "m", "allow_empty": True}),
                                  ("PUT", "/settings/branch_protection", [{"pattern": "x"}]),
                                  ("DELETE", "", None)):
            assert api.fails(403, method, at + path, doc=doc).message == "read-only repository", path
        assert api.fails(403, "POST", at + "/branches/main/objects", query={"path": "x"}, body=b"x").message == \
            "read-only repository"
        try:
            s3.put_object(Bucket="fixed", Key="main/x", Body=b"x")
            raise AssertionError("it was written")
        except ClientError as e:
            assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 403, e
        # By force, all of it.
        api.call("POST", at + "/branches/main/objects", 201, query={"path": "x", "force": "true"}, body=b"x")
        api.call("POST", at + "/branches/main/commits", 201, doc={"message": "m", "force": True})
        api.call("POST", at + "/tags", 201, doc={"id": "t", "ref": "main", "force": True})
        api.call("DELETE", at + "/tags/t", 403)
        api.call("DELETE", at + "/tags/t", 204, force=True)
        assert body(s3, "main/x", "fixed") == "x"
        api.call("DELETE", at, 204, force=True)


def test_commits_are_read_by_any_ref():
    with site() as s:
        api, s3 = Rest(s.url), s.boto3()
        put(s3, "main", {"a": "1", "dir/b": "1"})
        first = api.commit("example", "main", "first", metadata={"who": "me"}, date=1700000000)
        assert first["metadata"] == {"who": "me"} and first["creation_date"] == 1700000000 and first["generation"] == 2
        put(s3, "main", {"a": "2"})
        s3.delete_object(Bucket="example", Key="main/dir/b")
        second = api.commit("example", "main", "second")
        put(s3, "main", {"a": "3"})
        api.call("POST", "/repositories/example/tags", 201, doc={"id": "v1", "ref": "main~1"})
        for ref, want in (("main", "3"), ("main$", "3"), ("main@", "2"), (second["id"], "2"), (second["id"][:12], "2"),
                          ("main~1", "1"), ("main^", "1"), ("v1", "1"), (first["id"], "1")):
            assert body(s3, f"{ref}/a") == want, ref
            assert api.call("GET", f"/repositories/example/refs/{ref}/objects", query={"path": "a"}).body == want.encode()
            assert api.get(f"/repositories/example/refs/{ref}/objects/stat", query={"path": "a"})["checksum"] == \
                hashlib.md5(want.encode()).hexdigest()
        assert paths(api, "v1") == ["a", "dir/b"] and paths(api, "main") == ["a"]
        assert s3.list_objects_v2(Bucket="example", Prefix="v1/")["KeyCount"] == 2
        for ref in ("v1", first["id"], "main~1"):
            refused_write = refused_any(lambda: s3.put_object(Bucket="example", Key=f"{ref}/a", Body=b"no"))
            assert 400 <= refused_write < 500, (ref, refused_write)
        log = api.pages("/repositories/example/refs/main/commits", 1)
        assert [c["id"] for c in log[:2]] == [second["id"], first["id"]] and log[2]["message"] == "Repository created"
        by_path = api.pages("/repositories/example/refs/main/commits", objects=["dir/b"])
        assert [c["id"] for c in by_path] == [second["id"], first["id"]]
        assert [c["id"] for c in api.pages("/repositories/example/refs/main/commits", prefixes="dir/")] == \
            [second["id"], first["id"]]
        assert api.pages("/repositories/example/refs/main/commits", prefixes="none/") == []


def refused_any(fn):
    try:
        fn()
    except ClientError as e:
        return e.response["ResponseMetadata"]["HTTPStatusCode"]
    return 200


def test_uncommitted_changes_and_resets():
    with site() as s:
        api, s3 = Rest(s.url), s.boto3()
        at = "/repositories/example/branches/main"
        put(s3, "main", {"keep": "1", "dir/x": "1", "dir/y": "1", "gone": "1"})
        assert changes(api.pages(at + "/diff")) == [("added", p) for p in ("dir/x", "dir/y", "gone", "keep")]
        api.commit("example", "main", "base")
        assert api.pages(at + "/diff") == []
        assert api.fails(400, "POST", at + "/commits", doc={"message": "none"}).message == "commit: no changes"
        put(s3, "main", {"dir/x": "2", "dir/z": "1", "keep": "2"})
        s3.delete_object(Bucket="example", Key="main/gone")
        want = [("changed", "dir/x"), ("added", "dir/z"), ("removed", "gone"), ("changed", "keep")]
        assert changes(api.pages(at + "/diff", 1)) == want
        assert [(d["path"], d["path_type"], d["type"]) for d in api.pages(at + "/diff", delimiter="/")] == [
            ("dir/", "common_prefix", "prefix_changed"), ("gone", "object", "removed"), ("keep", "object", "changed")]
        api.call("PUT", at, 204, doc={"type": "object", "path": "keep"})
        assert changes(api.pages(at + "/diff")) == want[:3]
        assert body(s3, "main/keep") == "1"
        api.call("PUT", at, 204, doc={"type": "common_prefix", "path": "dir/"})
        assert changes(api.pages(at + "/diff")) == [("removed", "gone")]
        api.call("PUT", at, 204, doc={"type": "reset"})
        assert api.pages(at + "/diff") == [] and paths(api, "main") == ["dir/x", "dir/y", "gone", "keep"]
        head = api.get(at)["commit_id"]
        api.call("PUT", at + "/hard_reset", 204, ref="main~1")
        assert paths(api, "main") == []
        api.call("PUT", at + "/hard_reset", 204, ref=head)
        assert len(paths(api, "main")) == 4


def test_merge_and_conflicts():
    with site() as s:
        api, s3 = Rest(s.url), s.boto3()
        put(s3, "main", {"a": "1", "b": "1", "c": "1"})
        api.commit("example", "main", "base")
        api.branch("example", "dev")
        put(s3, "dev", {"a": "dev", "new": "dev"})
        api.commit("example", "dev", "work on dev")
        assert changes(api.pages("/repositories/example/refs/main/diff/dev")) == [("changed", "a"), ("added", "new")]
        made = api.merge("example", "dev", "main", 200, message="merged", metadata={"k": "v"})["reference"]
        commit = api.get(f"/repositories/example/commits/{made}")
        assert commit["message"] == "merged" and len(commit["parents"]) == 2
        assert commit["metadata"] == {"k": "v", ".lakefs.merge.strategy": "default"}
        assert body(s3, "main/a") == "dev" and body(s3, "main/new") == "dev"
        assert api.fails(400, "POST", "/repositories/example/refs/dev/merge/main", doc={}).message == \
            "update branch main: no changes"

        put(s3, "dev", {"b": "dev"})
        api.commit("example", "dev", "b on dev")
        put(s3, "main", {"b": "main"})
        api.commit("example", "main", "b on main")
        assert changes(api.pages("/repositories/example/refs/main/diff/dev")) == [("conflict", "b")]
        assert api.merge("example", "dev", "main", 409) == {"reference": ""}
        assert body(s3, "main/b") == "main"
        for name, strategy, want in (("s", "source-wins", "dev"), ("d", "dest-wins", "main")):
            api.branch("example", name)
            api.merge("example", "dev", name, 200, strategy=strategy)
            assert body(s3, f"{name}/b") == want
        base = api.get("/repositories/example/refs/dev/merge/main")
        assert base["base_commit_id"] == commit["parents"][1], base

        put(s3, "s", {"dirty": "x"})
        assert api.fails(400, "POST", "/repositories/example/refs/main/merge/s", doc={}).message == \
            "uncommitted changes (dirty branch)"


def test_revert_and_cherry_pick():
    with site() as s:
        api, s3 = Rest(s.url), s.boto3()
        at = "/repositories/example/branches"
        put(s3, "main", {"a": "1"})
        api.commit("example", "main", "a is 1")
        put(s3, "main", {"a": "2"})
        two = api.commit("example", "main", "a is 2", metadata={"m": "x"})
        put(s3, "main", {"b": "1"})
        three = api.commit("example", "main", "b is 1")
        api.call("POST", at + "/main/revert", 204, doc={"ref": two["id"], "parent_number": 0})
        assert body(s3, "main/a") == "1" and body(s3, "main/b") == "1"
        assert api.get("/repositories/example/commits/main")["message"] == f"Revert {two['id']}"
        api.branch("example", "old", "main~3")
        picked = api.call("POST", at + "/old/cherry-pick", 201, doc={"ref": three["id"]}).json
        assert picked["message"] == "b is 1" and picked["metadata"]["cherry-pick-origin"] == three["id"]
        assert paths(api, "old") == ["a", "b"] and body(s3, "old/a") == "1"
        put(s3, "old", {"a": "other"})
        api.commit("example", "old", "a is other")
        assert api.fails(409, "POST", at + "/old/cherry-pick", doc={"ref": two["id"]}).message == \
            "update branch: conflict found"
        api.branch("example", "side", "main~1")
        merged = api.merge("example", "old", "side", 200, strategy="source-wins")["reference"]
        api.fails(409, "POST", at + "/side/revert", doc={"ref": merged, "parent_number": 0})
        api.call("POST", at + "/side/revert", 204, doc={"ref": merged, "parent_number": 1})
        assert body(s3, "side/a") == "2"


def test_branches_and_tags():
    with site() as s:
        api, s3 = Rest(s.url), s.boto3()
        at = "/repositories/example"
        put(s3, "main", {"a": "1"})
        head = api.commit("example", "main", "m")["id"]
        for name, hidden in (("dev", False), ("_h", True), ("A", False)):
            api.call("POST", at + "/branches", 201, doc={"name": name, "source": "main", "hidden": hidden})
        assert [b["id"] for b in api.pages(at + "/branches", 1)] == ["A", "dev", "main"]
        assert [b["id"] for b in api.pages(at + "/branches", show_hidden=True)] == ["A", "_h", "dev", "main"]
        api.fails(409, "POST", at + "/branches", doc={"name": "dev", "source": "main"})
        api.fails(404, "POST", at + "/branches", doc={"name": "x", "source": "nosuch"})
        api.fails(400, "POST", at + "/branches", doc={"name": "a/b", "source": "main"})
        assert api.fails(403, "DELETE", at + "/branches/main").message == "cannot delete repository default branch"
        api.call("DELETE", at + "/branches/dev", 204)
        api.fails(404, "GET", at + "/branches/dev")
        assert api.call("POST", at + "/tags", 201, doc={"id": "v1", "ref": "main"}).json == \
            {"id": "v1", "commit_id": head}
        api.fails(409, "POST", at + "/tags", doc={"id": "v1", "ref": "main"})
        api.fails(409, "POST", at + "/tags", doc={"id": "A", "ref": "main"})
        api.fails(409, "POST", at + "/branches", doc={"name": "v1", "source": "main"})
        api.fails(404, "POST", at + "/tags", doc={"id": "v2", "ref": "nosuch"})
        assert api.pages(at + "/tags") == [{"id": "v1", "commit_id": head}]
        put(s3, "main", {"a": "2"})
        api.commit("example", "main", "n")
        assert body(s3, "v1/a") == "1"
        api.call("DELETE", at + "/tags/v1", 204)
        api.fails(404, "GET", at + "/tags/v1")


def test_protection():
    with site() as s:
        api, s3 = Rest(s.url), s.boto3()
        at = "/repositories/example/settings/branch_protection"
        api.branch("example", "prod-1")
        a = api.call("GET", at)
        assert a.json == [] and a.headers["ETag"] == ""
        api.call("PUT", at, 204, doc=[{"pattern": "prod*"}])
        etag = api.call("GET", at).headers["ETag"]
        api.fails(412, "PUT", at, doc=[], headers={"If-Match": "other"})
        api.call("PUT", at, 204, doc=[{"pattern": "prod*"}, {"pattern": "x"}], headers={"If-Match": etag})
        assert api.get(at) == [{"pattern": "prod*"}, {"pattern": "x"}]
        api.fails(400, "PUT", at, doc=[{"pattern": "[a"}])
        refused("ErrWriteToProtectedBranch", s3.put_object, Bucket="example", Key="prod-1/a", Body=b"x")
        assert api.fails(403, "POST", "/repositories/example/branches/prod-1/objects", query={"path": "a"},
                         body=b"x").message == "cannot write to protected branch"
        assert api.fails(403, "POST", "/repositories/example/branches/prod-1/commits",
                         doc={"message": "m", "allow_empty": True}).message == "cannot commit to protected branch"
        put(s3, "main", {"a": "1"})
        api.commit("example", "main", "m")
        api.merge("example", "main", "prod-1", 200)
        assert body(s3, "prod-1/a") == "1"
        api.call("PUT", at, 204, doc=[])
        put(s3, "prod-1", {"b": "1"})


def test_objects():
    with site() as s:
        api = Rest(s.url)
        at = "/repositories/example/branches/main/objects"
        read = "/repositories/example/refs/main/objects"
        data = bytes(range(256)) * 5000
        a = api.call("POST", at, 201, query={"path": "d/big"}, body=data,
                     headers={"X-Lakefs-Meta-Colour": "blue", "Content-Type": "application/x-big"}).json
        assert (a["checksum"], a["size_bytes"], a["metadata"]) == \
            (hashlib.md5(data).hexdigest(), len(data), {"colour": "blue"}), a
        got = api.call("GET", read, query={"path": "d/big"})
        assert got.body == data and got.headers["Content-Type"] == "application/x-big"
        part = api.call("GET", read, 206, query={"path": "d/big"}, headers={"Range": "bytes=1000-1999"})
        assert part.body == data[1000:2000] and part.headers["Content-Range"] == f"bytes 1000-1999/{len(data)}"
        assert api.call("GET", read, 206, query={"path": "d/big"}, headers={"Range": "bytes=-5"}).body == data[-5:]
        api.fails(416, "GET", read, query={"path": "d/big"}, headers={"Range": f"bytes={len(data)}-"})
        api.fails(400, "GET", read, query={"path": "d/big"}, headers={"Range": "lines=1-2"})
        assert api.call("GET", read, 304, query={"path": "d/big"},
                        headers={"If-None-Match": got.headers["ETag"]}).body == b""
        head = api.call("HEAD", read, 200, query={"path": "d/big"})
        assert head.headers["Content-Length"] == str(len(data)) and head.headers["ETag"] == got.headers["ETag"]
        api.fails(404, "HEAD", read, query={"path": "none"})
        assert api.fails(412, "POST", at, query={"path": "d/big"}, body=b"x", headers={"If-None-Match": "*"}).message == \
            "path already exists"
        api.call("POST", at, 201, query={"path": "d/new"}, body=b"x", headers={"If-None-Match": "*"})
        # One read through S3 has the checksum that S3 clients ask for.
        s3 = s.boto3()
        assert s3.head_object(Bucket="example", Key="main/d/big", ChecksumMode="ENABLED")["ChecksumCRC64NVME"]
        api.call("DELETE", at, 204, query={"path": "d/new"})
        assert paths(api, "main") == ["d/big"]
        put(s3, "main", {f"n/{i:03}": "x" for i in range(25)})
        errors = api.call("POST", at + "/delete", 200, doc={"paths": [f"n/{i:03}" for i in range(20)] + ["none"]}).json
        assert errors == {"errors": []}
        assert paths(api, "main", prefix="n/") == [f"n/{i:03}" for i in range(20, 25)]
        api.fails(400, "POST", at + "/delete", doc={"paths": ["x"] * 1001})


def form(fields, boundary="b0undary"):
    out = b"a preamble\r\n"
    for name, text, kind in fields:
        out += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="f"\r\n'.encode()
        out += (f"Content-Type: {kind}\r\n" if kind else "").encode() + b"\r\n" + text + b"\r\n"
    return out + f"--{boundary}--\r\nan epilogue".encode()


def test_uploads_as_forms():
    with site() as s:
        api = Rest(s.url)
        at = "/repositories/example/branches/main/objects"
        kind = {"Content-Type": 'multipart/form-data; boundary="b0undary"'}
        near = b"\r\n--b0undar" * 20000 + b"\r\n--b0undarx\r\r\n-"
        for n, data in enumerate((b"", b"x", b"\r\n", near, bytes(range(256)) * 4096)):
            fields = [("other", b"no", None), ("content", data, "text/x"), ("last", b"no", "a/b")]
            made = api.call("POST", at, 201, query={"path": f"f{n}"}, body=form(fields), headers=kind).json
            assert (made["size_bytes"], made["content_type"]) == (len(data), "text/x"), made
            assert api.call("GET", "/repositories/example/refs/main/objects", query={"path": f"f{n}"}).body == data
        for bad in (form([("other", b"x", None)]), b"--b0undary\r\n", b"nothing", form([("content", b"x", None)])[:-20],
                    b"--b0undary\r\n" + b"x" * 100000):
            api.fails(400, "POST", at, query={"path": "bad"}, body=bad, headers=kind)
        assert "bad" not in paths(api, "main")


def test_listing_pages():
    with site() as s:
        api, s3 = Rest(s.url), s.boto3()
        names = [f"{d}/{i:02}" for d in ("a", "b", "c") for i in range(12)] + ["top", "z/deep/er"]
        put(s3, "main", {n: n for n in names})
        for ref in ("main", None):
            ref = ref or api.commit("example", "main", "m")["id"]
            for amount in (1, 5, 1000):
                assert paths(api, ref, amount=amount) == sorted(names)
                rows = api.pages(f"/repositories/example/refs/{ref}/objects/ls", amount, delimiter="/")
                assert [(r["path"], r["path_type"]) for r in rows] == [
                    ("a/", "common_prefix"), ("b/", "common_prefix"), ("c/", "common_prefix"), ("top", "object"),
                    ("z/", "common_prefix")], rows
            page = api.get(f"/repositories/example/refs/{ref}/objects/ls", prefix="b/", after="b/05", amount=2)
            assert [r["path"] for r in page["results"]] == ["b/06", "b/07"] and page["pagination"]["has_more"]
            assert api.fails(404, "GET", "/repositories/example/refs/nosuch/objects/ls").message == "not found"


def test_long_work():
    with site() as s:
        api, s3 = Rest(s.url), s.boto3()
        at = "/repositories/example"
        put(s3, "main", {"a": "1"})

        def finished(path, key, **query):
            for _ in range(2400):
                status = api.get(path, **query)
                if status[key]:
                    return status
                time.sleep(0.05)
            raise AssertionError(f"{path} didn't end: {status}")
        task = api.call("POST", at + "/branches/main/commits/async", 202, doc={"message": "later"}).json["id"]
        done = finished(f"{at}/branches/main/commits/async/{task}/status", "completed")
        assert done["result"]["message"] == "later" and done["result"]["id"] == api.get(at + "/branches/main")["commit_id"]
        task = api.call("POST", at + "/branches/main/commits/async", 202, doc={"message": "none"}).json["id"]
        done = finished(f"{at}/branches/main/commits/async/{task}/status", "completed")
        assert done["status_code"] == 400 and "no changes" in done["error"]["message"], done
        api.branch("example", "dev")
        put(s3, "dev", {"b": "1"})
        api.commit("example", "dev", "b")
        task = api.call("POST", at + "/refs/dev/merge/main/async", 202, doc={}).json["id"]
        done = finished(f"{at}/refs/dev/merge/main/async/{task}/status", "completed")
        assert done["result"]["reference"] == api.get(at + "/branches/main")["commit_id"]
        task = api.call("POST", at + "/dump", 202).json["id"]
        refs = finished(at + "/dump", "done", task_id=task)["refs"]
        assert refs == api.call("PUT", at + "/refs/dump", 201).json
        assert api.fails(404, "GET", at + "/restore", task_id=task).message == "not found"


def test_usage_is_counted_over_restarts():
    with site() as s:
        api = Rest(s.url)
        for _ in range(7):
            api.get("/user")
        first = api.get("/usage-report/summary")
        assert sum(r["count"] for r in first["reports"]) == 7, first
        s.stop()
        s.start()
        s.boto3().list_buckets()
        again = api.get("/usage-report/summary")
        assert again["installation_id"] == first["installation_id"]
        assert sum(r["count"] for r in again["reports"]) == 9, again


def test_who_asks():
    with site() as s:
        for other in (Rest(s.url, key=None), Rest(s.url, secret="wrong"), Rest(s.url, key="AKIAUNKNOWNUNKNOWNQQ")):
            assert other.fails(401, "GET", "/repositories").message == "error authenticating request"
            other.call("GET", "/healthcheck", 204)
        api = Rest(s.url)
        assert api.fails(404, "GET", "/nothing").message == "invalid API endpoint"
        assert api.fails(404, "PATCH", "/repositories").message == "invalid API endpoint"
        assert api.call("GET", "/repositories", headers={"X-Request-ID": "mine"}).headers["X-Request-ID"] == "mine"
        # Signed, it is S3's.
        c = http.client.HTTPConnection("127.0.0.1", s.port)
        c.request("GET", "/api/v1/repositories", headers=sign("GET", s.url + "/api/v1/repositories"))
        assert b"ErrNoSuchBucketPossibleAPIEndpoint" in c.getresponse().read()


def test_bodies_are_bounded_and_checked():
    with site() as s:
        api = Rest(s.url)
        at = "/repositories/example/branches/main/commits"
        for text in (b"", b"{", b"[]", b'{"message": 1}', b'{"message": "a", "message": "b"}', b'{"message": "\xff"}',
                     b'{"message": "a", "metadata": {"k": 1}}', b"[" * 100000, b'{"message":"m","date":1.5}'):
            assert api.ask("POST", at, body=text, headers={"Content-Type": "application/json"}).status == 400, text[:40]
        big = b'{"message": "' + b"x" * (1 << 20) + b'"}'
        try:
            status = api.ask("POST", at, body=big, headers={"Content-Type": "application/json"}).status
        except OSError:  # refused while it was still being sent
            status = 413
        assert status == 413, status
        for query in ({"amount": "x"}, {"amount": "1001"}, {"amount": "-2"}, {"show_hidden": "maybe"}):
            api.fails(400, "GET", "/repositories/example/branches", query=query)
        api.call("GET", "/repositories/example/branches", query={"amount": "0", "unknown": "x"})


def test_writers_and_committers_at_once():
    """Nothing that was acknowledged is lost while commits move it."""
    with site() as s:
        api, s3 = Rest(s.url), s.boto3(max_pool_connections=8)

        left = [1] * 4

        def write(n):
            for i in range(15):
                s3.put_object(Bucket="example", Key=f"main/w{n}/{i:02}", Body=b"x")
            left.pop()
            return n

        def commit(_):
            made = i = 0
            while left:
                i += 1
                a = api.ask("POST", "/repositories/example/branches/main/commits", doc={"message": str(i)})
                assert a.status in (201, 400, 503), a
                made += a.status == 201
            return made
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            work = [pool.submit(write, n) for n in range(4)] + [pool.submit(commit, n) for n in range(2)]
            results = [w.result() for w in work]
        assert sum(results[4:]) >= 1
        api.ask("POST", "/repositories/example/branches/main/commits", doc={"message": "rest"})
        assert len(paths(api, "main@")) == 60 and len(paths(api, "main")) == 60


main(globals())
