"""Repositories that a real lakeFS wrote (tests/data/lakefs): restored from their dumps, and everything that
lakeFS answered about them compared through REST; dumped again, and restored from that."""
import hashlib
import os

from fixture_repo import DATA, bare, compare_all, ids, load, manifest_of, place, restore, same
from harness import Server, main
from rest import Rest


def test_restored_repository_reads_as_in_lakefs():
    expected = load("expected.json")
    with Server(repos=()) as s:
        api = Rest(s.url)
        folder = place(s, os.path.join(DATA, "namespace"), "restored")
        restore(api, "restored", manifest_of(folder))
        n = compare_all(api, s, "restored", expected, 1000)
        assert n > 500, n
        compare_all(api, s, "restored", expected, 7)
        # What wasn't committed is not in a dump.
        assert api.get("/repositories/restored/branches/dev/diff")["results"] == []
        assert api.fails(400, "PUT", "/repositories/restored/refs/restore",
                         doc=manifest_of(folder)).message == "can only restore into a bare repository"

        # Out again, and into another one on a copy.
        dump = api.call("PUT", "/repositories/restored/refs/dump", 201).json
        assert manifest_of(folder) == dump
        again = place(s, folder, "again")
        restore(api, "again", manifest_of(again))
        compare_all(api, s, "again", expected, 1000)
        # Dumps are their content: the same refs are the same metaranges.
        assert api.call("PUT", "/repositories/again/refs/dump", 201).json == dump
        # The server forgets nothing.
        s.stop()
        s.start()
        compare_all(api, s, "again", expected, 100)


def test_actions_are_no_open_gate():
    """The repository has a hook that nobody runs here: commits and merges are refused until it goes, or is told to."""
    expected = load("expected.json")
    with Server(repos=()) as s:
        api, s3 = Rest(s.url), s.boto3()
        restore(api, "guarded", manifest_of(place(s, os.path.join(DATA, "namespace"), "guarded")))
        s3.put_object(Bucket="guarded", Key="main/added", Body=b"new")
        a = api.ask("POST", "/repositories/guarded/branches/main/commits", doc={"message": "no"})
        assert a.status == 412 and "actions.enabled: false" in a.message, a
        assert "_lakefs_actions/pre.yaml" in a.message, a
        assert api.get("/repositories/guarded/branches/main")["commit_id"] == expected["log"]["main"][0]
        s3.delete_object(Bucket="guarded", Key="main/_lakefs_actions/pre.yaml")
        api.commit("guarded", "main", "without its hook")


def test_restored_repository_can_be_worked_on():
    """What lakeFS wrote is what commits, merges and S3 clients build on."""
    expected = load("expected.json")
    with Server(repos=(), extra="actions: {enabled: false}\n") as s: # it has one
        api, s3 = Rest(s.url), s.boto3()
        restore(api, "work", manifest_of(place(s, os.path.join(DATA, "namespace"), "work")))
        before = expected["log"]["main"]
        row = next(r for r in expected["objects"][before[0]] if "/objects/fixture/" in r["physical_address"])
        got = s3.get_object(Bucket="work", Key=f"main/{row['path']}")
        assert hashlib.md5(got["Body"].read()).hexdigest() == row["checksum"]
        s3.put_object(Bucket="work", Key="main/added by sluice", Body=b"new")
        s3.delete_object(Bucket="work", Key=f"main/{row['path']}")
        made = api.commit("work", "main", "on top")
        assert made["parents"] == [before[0]]
        assert made["generation"] == expected["commits"][before[0]]["generation"] + 1
        diff = api.pages(f"/repositories/work/refs/{before[0]}/diff/main", type="two_dot")
        assert sorted((d["type"], d["path"]) for d in diff) == sorted(
            [("added", "added by sluice"), ("removed", row["path"])]), diff
        assert ids(api.pages("/repositories/work/refs/main/commits")) == [made["id"]] + before
        listed = bare(api.pages("/repositories/work/refs/main/objects/ls"))
        assert [r["path"] for r in listed] == sorted(
            [r["path"] for r in expected["objects"][before[0]] if r["path"] != row["path"]] + ["added by sluice"],
            key=str.encode)
        api.call("POST", "/repositories/work/branches/main/revert", 204,
                 doc={"ref": made["id"], "parent_number": 0})
        same("after the revert", bare(api.pages("/repositories/work/refs/main/objects/ls")),
             bare(expected["objects"][before[0]]))


def large_rows():
    rows = []
    for i in range(6000):
        path = "bulk/%02d/file-%06d.parquet" % (i % 37, i)
        row = {"path": path, "path_type": "object", "size_bytes": i, "mtime": 1600000000 + i,
               "checksum": hashlib.md5(path.encode()).hexdigest(), "content_type": "application/parquet",
               "physical_address": "local:///srv/external/" + path}
        if i % 5 == 0:
            row["metadata"] = {"n": str(i)}
        rows.append(row)
    return sorted(rows, key=lambda r: r["path"])


def test_large_range():
    """One range with an index of two levels, default splits."""
    expected, rows = load("large_expected.json"), large_rows()
    with Server(repos=()) as s:
        api = Rest(s.url)
        folder = place(s, os.path.join(DATA, "large_namespace"), "large")
        assert manifest_of(folder) == expected["dump"]
        restore(api, "large", expected["dump"])
        log = api.pages("/repositories/large/refs/main/commits")
        same("log", log, expected["commits"])
        same("objects", api.pages("/repositories/large/refs/main/objects/ls"), rows)
        for prefix in ("bulk/", "bulk/17/", "bulk/17/file-0001"):
            want = [r for r in rows if r["path"].startswith(prefix)]
            same(prefix, api.pages("/repositories/large/refs/main/objects/ls", 333, prefix=prefix), want)
        folders = api.pages("/repositories/large/refs/main/objects/ls", 5, prefix="bulk/", delimiter="/")
        same("folders", [f["path"] for f in folders], ["bulk/%02d/" % i for i in range(37)])
        diff = api.pages("/repositories/large/refs/main~1/diff/main", type="two_dot")
        same("diff", [(d["type"], d["path"], d["size_bytes"]) for d in diff],
             [("added", r["path"], r["size_bytes"]) for r in rows])
        dump = api.call("PUT", "/repositories/large/refs/dump", 201).json
        again = place(s, folder, "large-again")
        restore(api, "large-again", manifest_of(again))
        same("log again", api.pages("/repositories/large-again/refs/main/commits"), expected["commits"])
        same("objects again", api.pages("/repositories/large-again/refs/main/objects/ls"), rows)


main(globals())
