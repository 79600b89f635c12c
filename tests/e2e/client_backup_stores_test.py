"""Backups from each kind of store to the next, restored on a server that knows only the stores; who may make one; and what a
store that fails, a server that dies and a cancellation leave."""
import contextlib
import os
import signal
import time

from client_backup_pages_test import fill, told
from harness import Server, main, wait_for
from rest import Rest
from services import Azurite, FakeGcs, Local, Versitygw

ROWS = ((Local, "disk"), (Versitygw, "s3"), (Azurite, "azure"), (FakeGcs, "google"), (Local, "disk-two"))


def backup(api, repo, store, space, done=True, **more):
    """The status of a backup once it is done; or its id."""
    at = f"/sluice/repositories/{repo}/backup"
    doc = {"storage_id": store, "storage_namespace": space, **more}
    task = api.call("POST", at, 202, doc=doc).json["id"]
    return finished(api, at, task_id=task) if done else task


def finished(api, at, **query):
    return wait_for(lambda: (lambda s: s["done"] and s)(api.get(at, **query)), f"the end of {query}", 300)


def good(api, *args, **more):
    status = backup(api, *args, **more)
    assert "error" not in status, status
    return status


def verify(api, store, space, **more):
    task = api.call("POST", "/sluice/backups/verify", 202,
                    doc={"storage_id": store, "storage_namespace": space, **more}).json["id"]
    return finished(api, "/sluice/backups/verify", task_id=task, storage_namespace=space)


def restore(api, repo, store, space):
    refs = api.get("/sluice/backups/manifest", storage_id=store, storage_namespace=space)
    api.call("POST", "/repositories", 201, query={"bare": True},
             doc={"name": repo, "storage_id": store, "storage_namespace": space})
    api.call("PUT", f"/repositories/{repo}/refs/restore", 200, doc=refs)


def test_every_kind_of_store():
    with contextlib.ExitStack() as stack:
        stores = [stack.enter_context(kind(id)) for kind, id in ROWS]
        configs = [s.config() for s in stores]
        server = stack.enter_context(Server(stores=configs))
        other = stack.enter_context(Server(stores=configs))  # another database
        api, there = Rest(server.url), Rest(other.url)
        for here, to in zip(stores, stores[1:] + stores[:1]):
            repo, space = f"of-{here.id}", to.namespace(f"backup-of-{here.id}")
            fill(api, repo, here.id, here.namespace(repo))
            before = told(api, repo)
            first = good(api, repo, to.id, space)["progress"]
            assert first["new"] == first["objects"] + first["tables"] and first["objects"] == 7, (here.id, to.id, first)
            again = good(api, repo, to.id, space)["progress"]
            assert again["new"] == 0 and again["skipped"] == first["new"], (here.id, to.id, again)
            found = verify(there, to.id, space, content=True)
            assert found["restorable"] and found["findings"] == [], (here.id, to.id, found)
            assert found["progress"]["bodies"] == 7, found
            restore(there, "restored-" + here.id, to.id, space)
            assert told(there, "restored-" + here.id) == before, (here.id, to.id)
            # and within the store, by its own copies
            clone = here.namespace(f"clone-of-{here.id}")
            good(api, repo, here.id, clone)
            restore(api, f"clone-{here.id}", here.id, clone)
            assert told(api, f"clone-{here.id}") == before, here.id


def test_commit_and_who_may():
    with Server() as server:
        api = Rest(server.url)
        api.call("POST", "/repositories/example/branches/main/objects", 201, body=b"staged", query={"path": "a"})

        def may(*statements):
            name = f"user{may.n}"
            may.n += 1
            api.call("POST", "/auth/users", 201, doc={"id": name})
            api.call("POST", "/auth/policies", 201, doc={"id": name, "statement": [
                {"effect": effect, "action": [action], "resource": resource} for effect, action, resource in statements]})
            api.call("PUT", f"/auth/users/{name}/policies/{name}", 201)
            key = api.call("POST", f"/auth/users/{name}/credentials", 201).json
            return Rest(server.url, key["access_key_id"], key["secret_access_key"])
        may.n = 0
        objects = "arn:lakefs:fs:::repository/example/object/"
        all_of_it = (("allow", "fs:*", "*"), ("allow", "retention:*", "*"))
        reader = may(("allow", "fs:Read*", "*"), ("allow", "fs:List*", "*"), ("allow", "retention:*", "*"),
                     ("allow", "fs:AttachStorageNamespace", "*"))
        doc = {"storage_namespace": "local://copy"}
        at = "/sluice/repositories/example/backup"
        # Whoever may not read one object may not take it away with all the others.
        for who, said in ((may(*all_of_it, ("deny", "fs:ReadObject", objects + "secret/*")), "fs:ReadObject"),
                          (may(*all_of_it, ("deny", "fs:ReadObject", objects + "?")), "fs:ReadObject"),
                          (may(*all_of_it, ("deny", "fs:AttachStorageNamespace", "arn:lakefs:fs:::namespace/local://copy")),
                           "fs:AttachStorageNamespace"),
                          (may(("allow", "fs:List*", "*"), ("allow", "fs:ReadRepository", "*"),
                               ("allow", "fs:AttachStorageNamespace", "*"), ("allow", "fs:ReadObject", objects + "public/*")),
                           "fs:ReadObject")):
            refused = who.fails(401, "POST", at, doc=doc)
            assert said in refused.message, refused
        refused = reader.fails(401, "POST", at, doc=dict(doc, commit=True))
        assert "fs:CreateCommit" in refused.message and "/branch/*" in refused.message, refused
        status = good(reader, "example", "", "local://copy")
        assert status["progress"]["objects"] == 0 and status["progress"]["committed"] == 0, status
        status = good(may(*all_of_it), "example", "", "local://copy", commit=True, message="for the night")
        assert status["progress"]["objects"] == 1 and status["progress"]["committed"] == 1, status
        head = api.get("/repositories/example/refs/main/commits")["results"][0]
        assert head["message"] == "for the night" and head["committer"].startswith("user"), head


def test_a_store_that_fails():
    with contextlib.ExitStack() as stack:
        disk, s3 = stack.enter_context(Local("disk")), stack.enter_context(Versitygw("s3"))
        server = stack.enter_context(Server(stores=[disk.config(), s3.config()]))
        api, space = Rest(server.url), s3.namespace("backup")
        fill(api, "example", "disk", disk.namespace("example"))
        good(api, "example", "s3", space)
        before = told(api, "example")
        api.call("POST", "/repositories/example/branches/main/objects", 201, body=b"x" * 100, query={"path": "more"})
        s3.stop()
        status = backup(api, "example", "s3", space, commit=True)
        assert status["error"] and status["status_code"] in (500, 503), status
        s3.start()
        # The last one is whole; the next one goes well.
        wait_for(lambda: "error" not in (v := verify(api, "s3", space, content=True)) and v["restorable"], "a verification")
        status = wait_for(lambda: (lambda s: "error" not in s and s)(backup(api, "example", "s3", space, commit=True)),
                          "a backup")
        assert status["progress"]["objects"] == 8, status
        now = told(api, "example")
        assert now != before
        restore(api, "restored", "s3", space)
        assert told(api, "restored") == now


def test_backup__cancelled():
    """And one whose server dies goes on with its next start."""
    with Server() as server:
        api = Rest(server.url)
        for i in range(300):
            api.call("POST", "/repositories/example/branches/main/objects", 201, body=os.urandom(2000), query={"path": f"o/{i}"})
        at = "/sluice/repositories/example/backup"
        tasks = [backup(api, "example", "", f"local://copy-{i}", done=False, commit=True) for i in range(6)]
        cancelled = api.ask("DELETE", at, query={"task_id": tasks[-1]})
        assert cancelled.status in (204, 409), cancelled
        status = finished(api, at, task_id=tasks[-1])
        assert cancelled.status == 409 or status.get("error") == "Canceled", (cancelled, status)
        task = backup(api, "example", "", "local://killed", done=False)
        server.stop(signal.SIGKILL)
        server.start()
        api = Rest(server.url)
        status = finished(api, at, task_id=task)
        assert "error" not in status, status
        assert verify(api, "", "local://killed", content=True)["restorable"]
        for i, task in enumerate(tasks[:-1]):
            assert "error" not in finished(api, at, task_id=task), i
            assert verify(api, "", f"local://copy-{i}")["restorable"], i


if __name__ == "__main__":
    main(globals())
