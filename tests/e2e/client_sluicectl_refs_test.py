"""sluicectl dumps and restores repositories' refs: `refs dump` and `refs restore` do all that lakeFS's lakefs-refs.py does, in the
same order of requests and the same files; and the guide's commands do what they say, as they are written there."""
import json
import os
import re
import shutil
import time

from harness import KEY, SECRET, Server, main
from rest import Rest
from sluicectl import Ctl

REPOS = {"alpha": "main", "beta": "trunk", "gamma": "main"}


def fill(ctl, api):
    for repo, default in REPOS.items():
        ctl("repo", "create", f"lakefs://{repo}", f"local://{repo}/ns", "-d", default)
        for i in range(20):
            api.call("POST", f"/repositories/{repo}/branches/{default}/objects", 201, path=f"d/{i}", body=f"{repo} {i}".encode())
        ctl("commit", f"lakefs://{repo}/{default}", "-m", "data")
        ctl("tag", "create", f"lakefs://{repo}/v1", f"lakefs://{repo}/{default}")
        for name in ("dev", "clean"):
            ctl("branch", "create", f"lakefs://{repo}/{name}", "-s", f"lakefs://{repo}/{default}")
        api.call("POST", f"/repositories/{repo}/branches/dev/objects", 201, path="left", body=b"uncommitted")


def told(api, repo):
    out = {"about": {k: v for k, v in api.get(f"/repositories/{repo}").items() if k not in ("creation_date", "id")}}
    for kind in ("branches", "tags"):
        for r in api.pages(f"/repositories/{repo}/{kind}"):
            commits = api.get(f"/repositories/{repo}/refs/{r['id']}/commits", amount=1000)["results"]
            objects = [(o["path"], o["checksum"], o["mtime"], api.call("GET", f"/repositories/{repo}/refs/{r['id']}/objects",
                                                                      path=o["path"]).body)
                       for o in api.pages(f"/repositories/{repo}/refs/{r['id']}/objects/ls")]
            out[kind, r["id"]] = r["commit_id"], commits, objects
    return out


class Asked:
    """What the server is asked from now on, in order; its log tells, a moment later."""

    marks = 0

    def __init__(self, server):
        self.server, self.api = server, Rest(server.url)
        self.since = self.mark() + 1

    def mark(self):
        """Which line of the log is that of a request of our own, like no other."""
        Asked.marks += 1
        path = f"/repositories/no-such-mark-{Asked.marks}"
        self.api.fails(404, "GET", path)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for i, (_, asked) in enumerate(self.lines()):
                if asked.endswith(path):
                    return i
            time.sleep(0.05)
        raise AssertionError("the log doesn't tell of " + path)

    def lines(self):
        seen = [json.loads(line) for line in self.server.log_text().splitlines() if '"msg":"request"' in line and line.endswith("}")]
        return [(x.get("operation"), x.get("path", "")) for x in seen]

    def operations(self):
        end = self.mark()
        return [operation for operation, _ in self.lines()[self.since:end]]


def test_all_and_back():
    with Server(repos=()) as source, Ctl(source.url) as ctl:
        api = Rest(source.url)
        fill(ctl, api)
        asked = Asked(source)
        done = ctl("refs", "dump", "--all", "--commit", "--rm")
        assert done.stdout.count("Committed changes in branch dev\n") == 3 and done.stdout.count("Repository deleted: ") == 3, done
        one = ["getRepository", "listBranches", "diffBranch", "diffBranch", "commit", "diffBranch", "dumpRefs", "deleteRepository"]
        operations = asked.operations()
        assert operations == ["listRepositories"] + one * 3, operations
        assert api.get("/repositories")["results"] == []
        with open(ctl.path("beta_manifest.json")) as f:
            manifest = json.load(f)
        with open(source.path("objects", "beta", "ns", "_lakefs", "refs_manifest.json")) as f:
            assert json.load(f) == manifest["refs"]
        assert manifest["repository"] == {"name": "beta", "storage_namespace": "local://beta/ns", "default_branch": "trunk",
                                          "storage_id": manifest["repository"]["storage_id"]}, manifest
        # On the same server ...
        asked = Asked(source)
        done = ctl("refs", "restore", *(f"{r}_manifest.json" for r in REPOS))
        assert done.stdout.splitlines()[:2] == ["Created repository: alpha", "Restored refs for repository: alpha"], done
        assert asked.operations() == ["createRepository", "restoreRefs"] * 3
        before = {r: told(api, r) for r in REPOS}
        assert before["beta"]["branches", "dev"][1][0]["message"] == "Committed changes for dump"
        assert list(before["beta"]["branches", "dev"][1][0]["metadata"]) == ["dump"]
        assert ("left", b"uncommitted") in [(o[0], o[3]) for o in before["beta"]["branches", "dev"][2]]
        # ... and on another, whose stores have other names, after its bytes were copied.
        with Server(repos=()) as target:
            target.stop()
            with open(target.path("config.yaml")) as f:
                lines = [line for line in f.read().splitlines() if not line.startswith("blockstore:")]
            lines.append(f'''blockstores:
  signing: {{secret_key: "sign-sign-sign"}}
  stores:
    - {{id: "here", backward_compatible: true, type: local, local: {{path: "{target.path("objects")}"}}}}
    - {{id: "there", type: local, local: {{path: "{target.path("more")}"}}}}''')
            with open(target.path("config.yaml"), "w") as f:
                f.write("\n".join(lines) + "\n")
            shutil.copytree(source.path("objects"), target.path("objects"), dirs_exist_ok=True)
            target.start()
            manifest["repository"]["storage_id"] = "elsewhere"
            ctl.write({"moved.json": json.dumps(manifest)})
            where = ["--endpoint-url", target.url, "--access-key-id", KEY, "--secret-access-key", SECRET]
            env = {"LAKECTL_SERVER_ENDPOINT_URL": "http://127.0.0.1:1", "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY": "wrong"}
            failed = ctl("refs", "restore", "moved.json", *where, code=1, env=env)
            assert "elsewhere" in failed.stderr and "1 of 1 manifests couldn't be restored" in failed.stderr, failed
            ctl("refs", "restore", "moved.json", "--ignore-storage-id", *where, env=env)
            there = told(Rest(target.url), "beta")
            assert there.pop("about")["storage_id"] == "here"
            before["beta"].pop("about")
            assert there == before["beta"]


def test_one_and_failures():
    with Server(repos=()) as server, Ctl(server.url) as ctl:
        api = Rest(server.url)
        fill(ctl, api)
        for word in ("gamma", "lakefs://gamma"):
            ctl("refs", "dump", word)
            assert os.path.exists(ctl.path("gamma_manifest.json"))
            os.unlink(ctl.path("gamma_manifest.json"))
        doc = json.loads(ctl("refs", "dump", "gamma", "-o", "json").stdout)
        with open(ctl.path("gamma_manifest.json")) as f:
            assert json.load(f) == doc
        # Uncommitted changes stay so, and the repository is still there.
        assert ctl("diff", "lakefs://gamma/dev").stdout.endswith("+ added left\n")
        assert ctl("refs", "dump", "nosuch", code=1).stderr == "repository not found\n404 Not Found\n"
        # Nothing is deleted that isn't on disk.
        os.mkdir(ctl.path("alpha_manifest.json"))
        failed = ctl("refs", "dump", "--all", "--rm", code=1)
        assert "alpha: write alpha_manifest.json: " in failed.stderr and "1 of the repositories couldn't be dumped" in failed.stderr, failed
        assert [r["id"] for r in api.get("/repositories")["results"]] == ["alpha"]
        # A bad one among good ones: the others are restored.
        ctl.write({"bad.json": "{", "other.json": '{"refs": {}}'})
        failed = ctl("refs", "restore", "bad.json", "beta_manifest.json", "other.json", "nosuch.json", code=1)
        said = failed.stderr
        assert "bad.json: it is no JSON document: " in said and "other.json: it has no repository or no refs" in said, said
        assert "nosuch.json: open nosuch.json: no such file" in said and "3 of 4 manifests couldn't be restored" in said, said
        assert [r["id"] for r in api.get("/repositories")["results"]] == ["alpha", "beta"]
        # Of one that names too little not even the repository is made.
        with open(ctl.path("gamma_manifest.json")) as f:
            poor = json.load(f)
        poor["refs"]["tags_meta_range_id"] = ""
        ctl.write({"poor.json": json.dumps(poor)})
        assert "poor.json: the manifest lacks tags_meta_range_id" in ctl("refs", "restore", "poor.json", code=1).stderr
        assert [r["id"] for r in api.get("/repositories")["results"]] == ["alpha", "beta"]
        again = ctl("refs", "restore", "beta_manifest.json", code=1)
        assert "409 Conflict" in again.stderr, again


def test_the_guides_commands():
    """Backup and restore as lakeFS's guide has it, word by word; `lakectl` is a link, the storage's copy is another tool's there."""
    with Server(repos=()) as source, Server(repos=()) as target, Ctl(source.url) as ctl:
        api = Rest(source.url)
        ctl("repo", "create", "lakefs://example-repo", "local://example-repo", "-d", "same-default-branch-as-in-source-repo")
        api.call("POST", "/repositories/example-repo/branches/same-default-branch-as-in-source-repo/objects", 201, path="x", body=b"bytes")
        ctl("commit", "lakefs://example-repo/same-default-branch-as-in-source-repo", "-m", "x")
        ctl.shell("lakectl refs-dump lakefs://example-repo > refs_manifest.json", code=0)
        with open(ctl.path("refs_manifest.json")) as f:
            text = f.read()
        assert re.fullmatch(r'\{\n  "branches_meta_range_id": "\w{64}",\n  "commits_meta_range_id": "\w{64}",\n  "tags_meta_range_id": "\w{64}"\n\}\n',
                            text), text
        shutil.copy(ctl.path("refs_manifest.json"), source.path("objects", "example-repo", "_lakefs", "refs_manifest.json"))
        shutil.copytree(source.path("objects", "example-repo"), target.path("objects", "example-repo"))
        there = {"LAKECTL_SERVER_ENDPOINT_URL": target.url}
        ctl.shell('lakectl repo create-bare lakefs://target-example-repo local://example-repo '
                  '--default-branch "same-default-branch-as-in-source-repo"', code=0, env=there)
        done = ctl.shell("cat " + target.path("objects", "example-repo", "_lakefs", "refs_manifest.json") +
                         " | lakectl refs-restore lakefs://target-example-repo --manifest -", code=0, env=there)
        assert done.stdout == "Repository: lakefs://target-example-repo\n\nAll references restored successfully!\n", done
        a, b = told(api, "example-repo"), told(Rest(target.url), "target-example-repo")
        assert a.pop("about") and b.pop("about") and a == b
        # What `refs dump` wrote is taken, too.
        ctl("refs", "dump", "example-repo")
        ctl("repo", "create-bare", "lakefs://third", "local://example-repo", "-d", "same-default-branch-as-in-source-repo", env=there)
        ctl("refs-restore", "lakefs://third", "--manifest", "example-repo_manifest.json", "-o", "json", env=there)


if __name__ == "__main__":
    main(globals())
