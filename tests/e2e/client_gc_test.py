"""What garbage collectors and Hive are told through REST: commits to keep (CSV), staged bodies (Parquet, read with
pyarrow), symlink files."""
import csv
import io
import os
import time

import pyarrow.parquet as pq

from harness import Server, main
from rest import Rest

DAY = 86400


def path_of(server, address):
    """Where a local address lies."""
    assert address.startswith("local://"), address
    return server.path("objects", address[len("local://"):])


def put(api, branch, *names, repo="example", body=b"x"):
    for name in names:
        api.call("POST", f"/repositories/{repo}/branches/{branch}/objects", 201, query={"path": name}, body=body)


def staged(api, at, ref="main", prefix=""):
    """Addresses of the objects, without the namespace."""
    space = api.get(at)["storage_namespace"] + "/"
    rows = api.pages(f"{at}/refs/{ref}/objects/ls", prefix=prefix)
    assert all(o["physical_address"].startswith(space) for o in rows), rows
    return [o["physical_address"][len(space):] for o in rows]


def commits_to_keep(server, api, at):
    run = api.call("POST", at + "/gc/prepare_commits", 201).json
    assert run.keys() == {"run_id", "gc_commits_location", "gc_addresses_location"}, run
    assert run["gc_commits_location"].endswith(f"/_lakefs/retention/gc/commits/run_id={run['run_id']}/commits.csv")
    assert run["gc_addresses_location"].endswith("/_lakefs/retention/gc/addresses")
    with open(path_of(server, run["gc_commits_location"])) as f:
        rows = list(csv.DictReader(f))
    assert all(r["expired"] == "false" for r in rows) and len({r["commit_id"] for r in rows}) == len(rows), rows
    for r in rows:
        assert r["metarange_id"] == api.get(f"{at}/commits/{r['commit_id']}")["meta_range_id"], r
    return {r["commit_id"] for r in rows}


def test_commits_to_keep():
    with Server() as s:
        api, at = Rest(s.url), "/repositories/example"
        assert api.fails(404, "POST", at + "/gc/prepare_commits").message == "get gc rules: not found"
        now = int(time.time())
        first = api.get(at + "/branches/main")["commit_id"]
        chain = [first] + [api.commit("example", "main", f"{days} days ago", date=now - days * DAY,
                                      allow_empty=True)["id"] for days in (40, 30, 20, 10, 1)]
        api.branch("example", "old", "main~2")
        on_old = api.commit("example", "old", "old", date=now - 50 * DAY, allow_empty=True)["id"]
        api.branch("example", "gone", "main")
        on_gone = [api.commit("example", "gone", str(days), date=now - days * DAY, allow_empty=True)["id"]
                   for days in (9, 8, 7)]
        api.call("DELETE", at + "/branches/gone", 204)

        def keep(default, **branches):
            api.call("PUT", at + "/settings/gc_rules", 204, doc={"default_retention_days": default, "branches": [
                {"branch_id": b, "retention_days": d} for b, d in branches.items()]})
            return commits_to_keep(s, api, at)
        # main: of 25 days, so the commit before the first one that is older is the last. The head of `old` is
        # too old to keep its parent. Nobody's head keeps its parents, itself not.
        assert keep(25, old=5) == {*chain[2:], on_old, *on_gone[:2]}
        assert keep(5, old=5) == {chain[5], chain[4], on_old}
        assert keep(5, main=1000) == {*chain, on_old}
        assert keep(1000) == {*chain, on_old, *on_gone[:2]}
        # The same as a task.
        task = api.call("POST", at + "/gc/prepare_commits/async", 202).json["id"]
        assert task.startswith("GCPC") and len(task) == 24, task
        for _ in range(2400):
            status = api.get(at + "/gc/prepare_commits/status", id=task)
            if status["completed"]:
                break
            time.sleep(0.05)
        assert status["completed"] and status["task_id"] == task and "error" not in status, status
        with open(path_of(s, status["result"]["gc_commits_location"])) as f:
            assert {r["commit_id"] for r in csv.DictReader(f)} == {*chain, on_old, *on_gone[:2]}
        api.fails(404, "GET", at + "/gc/prepare_commits/status", id="GCPC" + "x" * 20)
        api.fails(404, "GET", at + "/dump", task_id=task)


def test_more_commits_than_a_page():
    with Server() as s:
        api, at = Rest(s.url), "/repositories/example"
        made = {api.commit("example", "main", str(i), allow_empty=True)["id"] for i in range(300)}
        first = [c["id"] for c in api.pages(at + "/refs/main/commits")][-1]
        api.call("PUT", at + "/settings/gc_rules", 204, doc={"default_retention_days": 7, "branches": []})
        assert commits_to_keep(s, api, at) == made | {first}


def read(server, location):
    rows = {}
    for name in os.listdir(path_of(server, location)):
        f = pq.ParquetFile(os.path.join(path_of(server, location), name))
        schema = f.schema
        assert [(schema.column(i).name, schema.column(i).physical_type, str(schema.column(i).converted_type or ""),
                 schema.column(i).max_definition_level) for i in range(2)] == [
            ("physical_address", "BYTE_ARRAY", "UTF8", 0), ("creation_date", "INT64", "NONE", 0)], schema
        assert f.metadata.num_row_groups == 1 and f.metadata.row_group(0).column(0).compression == "GZIP"
        table = f.read()
        assert table.num_rows == f.metadata.num_rows > 0
        rows.update(zip(table["physical_address"].to_pylist(), table["creation_date"].to_pylist()))
    return rows


def uncommitted(server, api, at, **doc):
    a = api.call("POST", at + "/gc/prepare_uncommited", 201, doc=doc).json
    assert a.keys() == {"run_id", "gc_uncommitted_location"}, a
    return read(server, a["gc_uncommitted_location"]) if a["gc_uncommitted_location"] else {}


def test_uncommitted_bodies():
    with Server() as s:
        api, at = Rest(s.url), "/repositories/example"
        assert uncommitted(s, api, at) == {}
        api.branch("example", "dev")
        api.call("POST", at + "/branches", 201, doc={"name": "hidden", "source": "main", "hidden": True})
        began = int(time.time())
        put(api, "main", *[f"a/{i:04}" for i in range(1200)])
        put(api, "dev", "b", "é")
        put(api, "hidden", "h")
        want = {*staged(api, at), *staged(api, at, "dev"), *staged(api, at, "hidden")}
        rows = uncommitted(s, api, at)
        assert len(want) == 1203 and rows.keys() == want
        assert all(began <= t <= time.time() for t in rows.values())
        # A tombstone is no body, and what is committed isn't staged.
        api.commit("example", "main", "m")
        api.call("DELETE", at + "/branches/main/objects", 204, query={"path": "a/0000"})
        api.call("DELETE", at + "/branches/dev/objects", 204, query={"path": "b"})
        assert uncommitted(s, api, at).keys() == {*staged(api, at, "dev"), *staged(api, at, "hidden")}
        # Without a body, and with somebody else's mark.
        a = api.call("POST", at + "/gc/prepare_uncommited", 201).json
        assert a["gc_uncommitted_location"].endswith(f"/_lakefs/retention/gc/uncommitted/{a['run_id']}/uncommitted")
        for mark in ("x", "e30", "eyJydW5faWQiOiIuLi8uLi94IiwiYnJhbmNoIjoibWFpbiJ9"):
            assert api.fails(400, "POST", at + "/gc/prepare_uncommited", doc={"continuation_token": mark}).message == \
                "invalid continuation token"


def test_uncommitted_in_steps():
    """A file holds so much only; the next call goes on, whatever became of the branches in between."""
    with Server(extra="ugc: {prepare_max_file_size: 4096}\n") as s:
        api, at = Rest(s.url), "/repositories/example"
        for name in ("b1", "b2", "b3"):
            api.branch("example", name)
        put(api, "main", *[f"m{i:03}" for i in range(150)])
        put(api, "b1", *[f"x{i:03}" for i in range(150)])
        put(api, "b2", "y")
        put(api, "b3", *[f"z{i:03}" for i in range(10)])
        want = {a for ref in ("main", "b1", "b2", "b3") for a in staged(api, at, ref)}

        def run(between=lambda n: None):
            doc, calls, ids = {}, 0, set()
            while True:
                a = api.call("POST", at + "/gc/prepare_uncommited", 201, doc=doc).json
                ids.add(a["run_id"])
                calls += 1
                between(calls)
                if "continuation_token" not in a:
                    assert len(ids) == 1, ids
                    assert len(os.listdir(path_of(s, a["gc_uncommitted_location"]))) == calls
                    return calls, read(s, a["gc_uncommitted_location"])
                doc = {"continuation_token": a["continuation_token"]}
        calls, rows = run()
        assert rows.keys() == want and 5 <= calls <= 10, calls

        def commit_and_delete(n):
            if n == 1:  # within b1, whose token is there no more then
                api.commit("example", "b1", "m")
                put(api, "b1", "later")
                api.call("DELETE", at + "/branches/b2", 204)
        later, rows = run(commit_and_delete)
        assert rows.keys() >= {*staged(api, at, "main"), *staged(api, at, "b3"), *staged(api, at, "b1", "later")}
        assert later < calls, later


def test_symlinks():
    with Server() as s:
        api, at = Rest(s.url), "/repositories/example"
        names = ["top", "t/a", "t/z", "t/day=1/x", "t/day=1/y", "t/day=1/h/0", "t/day=2/x", "u/x"]
        names += [f"many/{i:04}" for i in range(1100)] + [f"wide/{i:03}/x" for i in range(120)] + ["wide/zz"]
        put(api, "main", *names)
        space = api.get(at)["storage_namespace"]
        address = {o["path"]: o["physical_address"] for o in api.pages(at + "/refs/main/objects/ls")}

        def written(ref="main"):
            found = {}
            root = path_of(s, f"{space}/symlinks/example/{ref}")
            for folder, _, files in os.walk(root):
                for name in files:
                    assert name == "symlink.txt"
                    with open(os.path.join(folder, name)) as f:
                        found[os.path.relpath(folder, root)] = f.read().split("\n")
            return found

        def lines(folder, among=names):
            return [address[n] for n in sorted(among) if os.path.dirname(n) == folder]
        assert api.call("POST", at + "/refs/main/symlink", 201, location="t/").json == {"location": space + "/symlinks"}
        assert written() == {f: lines(f) for f in ("t", "t/day=1", "t/day=1/h", "t/day=2")}
        head = api.commit("example", "main", "m")["id"]
        api.call("POST", at + f"/refs/{head}/symlink", 201)
        all_folders = {os.path.dirname(n) for n in names}
        assert written(head) == {f or ".": lines(f) for f in all_folders}
        api.call("POST", at + "/refs/main@/symlink", 201, location="t/d")
        assert written("main@") == {f: lines(f) for f in ("t/day=1", "t/day=1/h", "t/day=2")}
        assert api.fails(404, "POST", at + "/refs/nosuch/symlink").message == "not found"
        put(api, "main", "up/../x")
        api.fails(400, "POST", at + "/refs/main/symlink")


main(globals())
