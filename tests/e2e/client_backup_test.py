"""A server's repositories are backed up and restored on another one, step by step as lakeFS's guide to backups has it, with
lakeFS's own Python client, and compared object by object: what its refs script asks (list, commit what is uncommitted, dump,
delete, create bare, restore) in that order, and the storage copied in between."""
from harness import KEY, SECRET, Server, use_venv

use_venv("lakefs")

import contextlib
import json
import os
import shutil

for name in list(os.environ):
    if name.startswith(("LAKECTL_", "LAKEFS_")):
        del os.environ[name]
os.environ["LAKECTL_CONFIG_FILE"] = "/dev/null"

import lakefs
import lakefs_sdk

from harness import main

REPOS = ("alpha", "beta", "empty")


def client_of(server):
    return lakefs.Client(host=server.url, username=KEY, password=SECRET)


def fill(client):
    for name in REPOS:
        lakefs.Repository(name, client=client).create(storage_namespace=f"local://{name}/ns",
                                                      default_branch="trunk" if name == "beta" else "main")
    for name, default in (("alpha", "main"), ("beta", "trunk")):
        repo = lakefs.Repository(name, client=client)
        b = repo.branch(default)
        for i in range(40):
            b.object(f"data/{i % 4}/{i:03}.bin").upload(os.urandom(100 * i), metadata={"i": str(i)})
        b.commit("data", metadata={"where": name})
        repo.tag("v1").create(default)
        for k in range(3):
            dev = repo.branch(f"dev-{k}").create(default)
            dev.object(f"only/{k}").upload(f"{name} {k}", content_type="text/plain")
            dev.object("data/0/000.bin").delete()
            dev.commit(f"on dev {k}")
        repo.branch("dev-0").merge_into(default)
        repo.tag("v2").create(default)
        repo.branch("dev-2").object("left/uncommitted").upload(f"of {name}")


def told(client):
    """All that a reader of the repositories can see, bytes and all."""
    out = {}
    for repo in lakefs.repositories(client=client):
        refs = {b.id: b.get_commit().id for b in repo.branches()}
        tags = {t.id: t.get_commit().id for t in repo.tags()}
        seen = {"default": repo.properties.default_branch, "branches": refs, "tags": tags, "log": {}, "objects": {}}
        for ref in [*refs, *tags]:
            seen["log"][ref] = [tuple(sorted((k, str(v)) for k, v in c._asdict().items())) if hasattr(c, "_asdict") else
                                (c.id, c.message, c.committer, c.creation_date, tuple(c.parents), c.meta_range_id,
                                 str(sorted((c.metadata or {}).items()))) for c in repo.ref(ref).log()]
            seen["objects"][ref] = {
                o.path: (o.checksum, o.size_bytes, o.mtime, o.content_type, o.metadata,
                         repo.ref(ref).object(o.path).reader().read())
                for o in repo.ref(ref).objects()}
        out[repo.id] = seen
    return out


def sdk(client):
    return client.sdk_client


def dump(client, repo_id, commit, rm):
    """What the script does for a repository: its manifest."""
    api = sdk(client)
    repo = api.repositories_api.get_repository(repo_id)
    if commit:
        after, more = "", True
        while more:
            page = api.branches_api.list_branches(repo_id, after=after)
            for branch in page.results:
                if api.branches_api.diff_branch(repo_id, branch.id, amount=1).results:
                    api.commits_api.commit(repo_id, branch.id, lakefs_sdk.CommitCreation(message="Automatic commit"))
            after, more = page.pagination.next_offset, page.pagination.has_more
    refs = api.internal_api.dump_refs(repo_id)
    if rm:
        api.repositories_api.delete_repository(repo_id)
    return {"repository": repo.dict(), "refs": refs.dict()}


def restore(client, manifest, name=None, namespace=None, ignore_storage_id=False):
    api, repo = sdk(client), manifest["repository"]
    api.repositories_api.create_repository(
        lakefs_sdk.RepositoryCreation(
            name=name or repo["id"], storage_namespace=namespace or repo["storage_namespace"],
            default_branch=repo["default_branch"],
            **({} if ignore_storage_id else {"storage_id": repo.get("storage_id") or ""})), bare=True)
    api.internal_api.restore_refs(name or repo["id"], lakefs_sdk.RefsRestore(**manifest["refs"]))


def listed(client):
    return [r.id for r in sdk(client).repositories_api.list_repositories().results]


def test_whole_server():
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(Server(repos=()))
        target = stack.enter_context(Server(repos=()))
        here, there = client_of(source), client_of(target)
        fill(here)
        assert listed(here) == sorted(REPOS)
        uncommitted = {r: [c.path for c in lakefs.Repository(r, client=here).branch("dev-2").uncommitted()]
                       for r in ("alpha", "beta")}
        assert uncommitted == {"alpha": ["left/uncommitted"], "beta": ["left/uncommitted"]}
        manifests = {r: dump(here, r, commit=True, rm=False) for r in listed(here)}
        before = told(here)
        # The dump is also in the storage.
        for r, m in manifests.items():
            with open(source.path("objects", r, "ns", "_lakefs", "refs_manifest.json")) as f:
                assert json.load(f) == m["refs"]
        shutil.copytree(source.path("objects"), target.path("objects"), dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns(".sluice"))
        for i, m in enumerate(manifests.values()):
            restore(there, json.loads(json.dumps(m)), ignore_storage_id=i % 2 == 1)
        assert told(there) == before
        assert b"of alpha" == lakefs.Repository("alpha", client=there).branch("dev-2").object("left/uncommitted").reader().read()
        # Life goes on there.
        b = lakefs.Repository("beta", client=there).branch("trunk")
        b.object("after").upload("restore")
        b.commit("after the restore")
        lakefs.Repository("beta", client=there).branch("dev-1").merge_into(b)
        assert b.object("only/1").exists() and b.object("after").exists()
        assert told(here) == before


def test_deleted_and_brought_back():
    with Server(repos=()) as server:
        client = client_of(server)
        fill(client)
        for r in ("alpha", "beta"):
            lakefs.Repository(r, client=client).branch("dev-2").commit("all is committed")
        before = told(client)
        manifests = [dump(client, r, commit=False, rm=True) for r in REPOS]
        assert listed(client) == []
        for m in manifests:
            restore(client, m)
        assert told(client) == before


def test_clone():
    """Under another name and namespace, beside the first."""
    with Server(repos=()) as server:
        client = client_of(server)
        fill(client)
        m = dump(client, "alpha", commit=True, rm=False)
        before = told(client)
        shutil.copytree(server.path("objects", "alpha"), server.path("objects", "clone"))
        restore(client, m, name="clone", namespace="local://clone/ns")
        now = told(client)
        assert now.pop("clone") == before["alpha"] and now == before
        # Each has objects of its own: what is lost here is there.
        shutil.rmtree(server.path("objects", "alpha"))
        again = told_of(client, "clone")
        assert again == before["alpha"]["objects"]["main"]


def told_of(client, repo):
    repo = lakefs.Repository(repo, client=client)
    return {o.path: (o.checksum, o.size_bytes, o.mtime, o.content_type, o.metadata,
                     repo.ref("main").object(o.path).reader().read()) for o in repo.ref("main").objects()}


def test_restore_wants_a_bare_repository():
    with Server(repos=()) as server:
        client = client_of(server)
        fill(client)
        m = dump(client, "alpha", commit=False, rm=False)
        for name in ("alpha", "beta"):
            try:
                sdk(client).internal_api.restore_refs(name, lakefs_sdk.RefsRestore(**m["refs"]))
            except lakefs_sdk.ApiException as e:
                assert e.status == 400 and "can only restore into a bare repository" in e.body
            else:
                raise AssertionError(name)


if __name__ == "__main__":
    main(globals())
