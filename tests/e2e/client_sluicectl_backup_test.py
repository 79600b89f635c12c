"""sluicectl backs up, verifies and restores: `backup`, `backup verify`, `backup manifest`, on stores that are folders."""
import contextlib
import json
import os
import re
import signal
import subprocess

from client_backup_pages_test import fill, told
from harness import Server, main, wait_for
from rest import Rest
from services import Local
from sluicectl import BIN, Ctl

COPY = "local://copies/example"
IDS = ["branches_meta_range_id", "commits_meta_range_id", "tags_meta_range_id"]


@contextlib.contextmanager
def world():
    """Two stores, a repository `source` on the first."""
    with contextlib.ExitStack() as stack:
        disk, vault = (stack.enter_context(Local(id)) for id in ("disk", "vault"))
        server = stack.enter_context(Server(stores=[disk.config(), vault.config()], repos=()))
        ctl = stack.enter_context(Ctl(server.url))
        api = Rest(server.url)
        fill(api, "source", "disk", "local://source")
        yield api, ctl, disk, vault


def backup(ctl, *more, **kw):
    return ctl("backup", "lakefs://source", "--to", COPY, "--storage-id", "vault", *more, **kw)


def lines(text):
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def bodies(store, space):
    root = os.path.join(store.folder, space.removeprefix("local://"), "data")
    return sorted(os.path.join(at, name) for at, _, names in os.walk(root) for name in names)


def test_there_and_back():
    with world() as (api, ctl, _disk, vault):
        done = backup(ctl)
        said = lines(done.stdout)
        assert done.stderr == "" and said["Repository"] == "lakefs://source" and said["Backup"] == COPY, done
        assert said["Objects"].startswith("7 (") and said["There already"] == "0" and "Branches committed first" not in said, done
        manifest = ctl("backup", "manifest", COPY, "--storage-id", "vault").stdout
        refs = json.loads(manifest)
        assert sorted(refs) == IDS and all(refs.values()), refs
        assert [said[k] for k in ("Branches", "Commits", "Tags")] == [refs[k] for k in IDS], (said, refs)
        with open(os.path.join(vault.folder, "copies/example/_lakefs/refs_manifest.json")) as f:
            assert json.load(f) == refs
        # Again: nothing is new. What is staged is committed if that is wanted, with that message.
        assert lines(backup(ctl).stdout)["Copied now"] == "0 (0 B)"
        api.call("POST", "/repositories/source/branches/dev/objects", 201, body=b"staged", query={"path": "late"})
        document = json.loads(backup(ctl, "--commit", "-m", "before the backup", "-o", "json").stdout)
        assert document["done"] and "error" not in document and document["findings"] == [], document
        assert document["progress"]["committed"] == 1 and document["progress"]["objects"] == 8, document
        assert api.get("/repositories/source/refs/dev/commits", amount=1)["results"][0]["message"] == "before the backup"
        # It is whole, and a bare repository made of it is the same one.
        for more in ([], ["--content"]):
            done = ctl("backup", "verify", COPY, "--storage-id", "vault", *more)
            assert done.stdout.endswith("\nRestorable: yes\n") and "8 bodies, 0 missing, 0 damaged" in done.stdout, done
        ctl("repo", "create-bare", "lakefs://restored", COPY, "--storage-id", "vault")
        done = ctl.shell(f"sluicectl backup manifest {COPY} --storage-id vault | "
                         "sluicectl refs-restore lakefs://restored --manifest -", code=0)
        assert "All references restored" in done.stdout, done
        logs = [ctl("log", f"lakefs://{repo}/main").stdout for repo in ("source", "restored")]
        assert logs[0] == logs[1] and "second" in logs[0], logs
        assert told(api, "restored") == told(api, "source")


def test_damage():
    with world() as (_api, ctl, _disk, vault):
        backup(ctl)
        old = ctl("backup", "manifest", COPY, "--storage-id", "vault").stdout
        # Of a body its size is looked at, and with --content its bytes.
        victim = max(bodies(vault, COPY), key=os.path.getsize)
        with open(victim, "r+b") as f:
            f.write(b"\0\0\0\0\0\0\0\0")
        name = os.path.relpath(victim, os.path.join(vault.folder, "copies/example"))
        verify = ["backup", "verify", COPY, "--storage-id", "vault"]
        assert "Restorable: yes\n" in ctl(*verify).stdout
        done = ctl(*verify, "--content", code=1)
        found = [line for line in done.stdout.splitlines() if line.startswith("damaged ")]
        assert len(found) == 1 and name in found[0] and ", named by " in found[0], done
        assert "Restorable: no\n" in done.stdout and f"what is at {COPY} can't be restored" in done.stderr, done
        os.unlink(victim)
        done = ctl(*verify, "-o", "json", code=1)
        document = json.loads(done.stdout)
        assert document["restorable"] is False and document["progress"]["missing"] == 1, document
        assert name in document["findings"][0]["thing"] and document["findings"][0]["kind"] == "missing", document
        # The same backup again heals it. Refs that it doesn't have are missed.
        backup(ctl)
        assert "Restorable: yes\n" in ctl(*verify, "--content").stdout
        assert "Restorable: yes\n" in ctl(*verify, "--manifest", "-", stdin=old).stdout
        ctl.write({"other.json": json.dumps({**json.loads(old), "tags_meta_range_id": "0" * 64}), "poor.json": "{}"})
        done = ctl(*verify, "--manifest", "other.json", code=1)
        assert "missing " in done.stdout and "0" * 64 in done.stdout and "Restorable: no\n" in done.stdout, done
        assert "the manifest lacks commits_meta_range_id" in ctl(*verify, "--manifest", "poor.json", code=1).stderr


def test_source_not_whole():
    with world() as (_api, ctl, disk, _vault):
        os.unlink(max(bodies(disk, "local://source"), key=os.path.getsize))
        done = backup(ctl, code=1)
        assert "isn't whole" in done.stderr and "Commits: " not in done.stdout, done
        failed = backup(ctl, "-o", "json", code=1)
        assert json.loads(failed.stdout)["error"] and failed.stderr, failed
        done = backup(ctl, "--allow-missing")
        assert lines(done.stdout)["Missing or damaged in the repository, and not in the backup"] == "1", done
        assert any(line.startswith("missing ") for line in done.stdout.splitlines()), done


def test_refused():
    with world() as (_api, ctl, _disk, _vault):
        assert "required flag(s) \"to\" not set" in ctl("backup", "lakefs://source", code=1).stderr
        assert "say --commit" in backup(ctl, "-m", "x", code=1).stderr
        done = ctl("backup", "lakefs://source", "--to", "s3://elsewhere/x", "--storage-id", "vault", code=1)
        assert done.stderr.endswith("400 Bad Request\n") and "s3://elsewhere/x" in done.stderr, done
        done = ctl("backup", "lakefs://source", "--to", "local://source", "--storage-id", "disk", code=1)
        assert done.stderr.endswith("400 Bad Request\n") and "in use" in done.stderr, done
        assert "404 Not Found\n" in ctl("backup", "lakefs://nosuch", "--to", COPY, "--storage-id", "vault", code=1).stderr
        done = ctl("backup", "manifest", "local://nothing", "--storage-id", "vault", code=1)
        assert done.stdout == "" and "refs_manifest.json" in done.stderr, done
        assert "Restorable: no\n" in ctl("backup", "verify", "local://nothing", "--storage-id", "vault", code=1).stdout
        # Its own help, and what is below it.
        shown = ctl("backup", "--help").stdout
        assert "backup <repository URI> [flags]" in shown and "  manifest " in shown and "  verify " in shown, shown


def test_progress_line():
    with world() as (_api, ctl, _disk, _vault):
        args = ["backup", "lakefs://source", "--to", COPY, "--storage-id", "vault"]
        text, code = ctl.on_terminal(*args)
        seen = re.findall(r"\r\x1b\[Kbackup: (\d+) objects \([^)]*\), (\d+) tables, (\d+) new \(", text)
        assert code == 0 and seen and seen[-1][0] == "7", text
        text, code = ctl.on_terminal(*args, "--no-progress")
        assert code == 0 and "\x1b[K" not in text and "Objects: 7" in text, text


def stopped(ctl, space):
    """Ctrl-C as soon as the task is there: what was said, and the task's id; nothing where it was done before."""
    proc = subprocess.Popen([BIN, "backup", "lakefs://source", "--to", space, "--storage-id", "vault", "--log-level", "debug"],
                            cwd=ctl.path(), env=ctl.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert proc.stdout.readline() == "Repository: lakefs://source\n"  # it is written once the task is there
    proc.send_signal(signal.SIGINT)
    _, said = proc.communicate(timeout=300)
    if proc.returncode == 0:
        return None
    assert proc.returncode == 130 and "Sanitizer" not in said, (proc.returncode, said)
    return said, re.search(r"task_id=([\w-]+)", said)[1]


def test_interrupt():
    with world() as (api, ctl, _disk, _vault):
        at = "/sluice/repositories/source/backup"
        for attempt in range(10):
            # Others come first: it isn't done before it can be stopped, most of the time.
            for i in range(4):
                api.call("POST", at, 202, doc={"storage_id": "vault", "storage_namespace": f"local://of-{attempt}-{i}"})
            seen = stopped(ctl, f"local://stopped-{attempt}")
            if not seen:
                continue
            said, task = seen
            status = wait_for(lambda task=task: (lambda s: s["done"] and s)(api.get(at, task_id=task)), "its end", 300)
            if status.get("error") == "Canceled":
                assert "stopped; the backup was cancelled: what was copied stays there" in said, said
                break
            assert "error" not in status and "stopped; " in said, (status, said)
        else:
            raise AssertionError("it was always done before")


if __name__ == "__main__":
    main(globals())
