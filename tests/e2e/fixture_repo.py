"""The repositories that a real lakeFS wrote (tests/data/lakefs), and everything that lakeFS answered about them,
compared through REST."""
import hashlib
import json
import os
import shutil
import urllib.parse

from harness import SOURCE

DATA = os.path.join(SOURCE, "tests", "data", "lakefs")


def load(name):
    with open(os.path.join(DATA, name)) as f:
        return json.load(f)


def place(server, source, name):
    """A copy of a namespace below the server's store."""
    to = server.path("objects", name)
    shutil.copytree(source, to)
    for folder, _, files in os.walk(to):
        os.chmod(folder, 0o755)
        for f in files:
            os.chmod(os.path.join(folder, f), 0o644)
    return to


def restore(api, repo, manifest):
    api.call("POST", "/repositories", 201, bare=True,
             doc={"name": repo, "storage_namespace": f"local://{repo}", "default_branch": "main"})
    api.call("PUT", f"/repositories/{repo}/refs/restore", 200, doc=manifest)


def manifest_of(folder):
    with open(os.path.join(folder, "_lakefs", "refs_manifest.json")) as f:
        return json.load(f)


def quote(ref):
    return urllib.parse.quote(ref, safe="")


def same(what, got, want):
    if got == want:
        return
    if isinstance(got, list) and isinstance(want, list):
        for i, (g, w) in enumerate(zip(got, want)):
            assert g == w, f"{what}, row {i}:\n {g}\n {w}"
    raise AssertionError(f"{what}:\n {str(got)[:2000]}\n {str(want)[:2000]}")


def bare(rows):
    """Without what says where a store is."""
    return [{k: v for k, v in r.items() if not k.startswith("physical_address")} for r in rows]


def ids(rows):
    return [r["id"] for r in rows]


def compare_refs(api, at, expected):
    same("branches", [(b["id"], b["commit_id"]) for b in api.pages(at + "/branches", show_hidden=True)],
         [(b["id"], b["commit_id"]) for b in sorted(expected["branches"], key=lambda b: b["id"].encode())])
    same("tags", api.pages(at + "/tags"), expected["tags"])
    for expression, want in expected["refs"].items():
        a = api.ask("GET", f"{at}/commits/{quote(expression)}")
        if isinstance(want, str) and len(want) == 64:
            assert a.status == 200, (expression, a)
            same(f"ref {expression}", a.json["id"], want)
        else:
            assert a.status in (400, 404), (expression, a, want)


def compare_commits(api, at, expected, amount):
    for ref, want in expected["log"].items():
        same(f"log {ref}", ids(api.pages(f"{at}/refs/{quote(ref)}/commits", amount)), want)
    for ref, want in expected["log_first_parent"].items():
        same(f"first parents {ref}", ids(api.pages(f"{at}/refs/{quote(ref)}/commits", amount, first_parent=True)),
             want)
    for commit, want in expected["commits"].items():
        same(f"commit {commit}", api.get(f"{at}/commits/{commit}"), want)
    for pair, want in expected["merge_base"].items():
        source, into = pair.split(" -> ")
        same(f"merge base {pair}", api.get(f"{at}/refs/{quote(source)}/merge/{quote(into)}"), want)
    for commit, want in expected["metarange_location"].items():
        meta = expected["commits"][commit]["meta_range_id"]
        same(f"metarange of {commit}", api.get(f"{at}/metadata/meta_range/{meta}"), want)


def compare_listings(api, at, expected, amount):
    n = 0
    for commit, want in expected["objects"].items():
        got = api.pages(f"{at}/refs/{commit}/objects/ls", amount)
        same(f"objects {commit}", bare(got), bare(want))
        n += len(got)
    for prefix, want in expected["list_delimited"].items():
        same(f"delimited {prefix!r}",
             bare(api.pages(f"{at}/refs/main@/objects/ls", amount, prefix=prefix, delimiter="/")), bare(want))
    return n


def compare_diffs(api, at, expected, amount):
    for kind in ("two_dot", "three_dot"):
        for pair, want in expected[f"diff_{kind}"].items():
            left, right = pair.split("..")
            got = api.pages(f"{at}/refs/{quote(left)}/diff/{quote(right)}", amount, type=kind)
            same(f"{kind} {pair}", [[d["type"], d["path"], d.get("size_bytes")] for d in got], want)


def compare_bodies(api, server, at, expected):
    read = 0
    for row in expected["objects"][expected["log"]["main"][0]]:
        if "/objects/fixture/" not in row["physical_address"]:
            continue  # imported: its bytes were never in the namespace
        a = api.call("GET", f"{at}/refs/main/objects", 200, query={"path": row["path"]})
        same(f"body of {row['path']}", (len(a.body), hashlib.md5(a.body).hexdigest()),
             (row["size_bytes"], row["checksum"]))
        read += 1
    assert read > 50, read


def compare_all(api, server, repo, expected, amount):
    at = f"/repositories/{repo}"
    compare_refs(api, at, expected)
    compare_commits(api, at, expected, amount)
    n = compare_listings(api, at, expected, amount)
    compare_diffs(api, at, expected, amount)
    compare_bodies(api, server, at, expected)
    return n
