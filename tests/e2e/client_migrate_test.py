"""sluice migrate and sluice kv: a server's database goes elsewhere, by whatever way, and is the same there."""
import base64
import json
import os
import shutil
import signal
import subprocess
import time

import kvdump
from harness import SLUICE, Server, main
from migrating import OnTerminal, Pair, with_staged
from rest import Rest

B = "example"
MANY, MORE = 20000, 40000
SEEN_MOVING = 200000  # copying them takes several times the 0.1 s after which a bar is drawn again


def busy(server):
    """Something of everything that a server keeps in its database."""
    s3 = server.boto3()
    for i in range(30):
        s3.put_object(Bucket=B, Key=f"main/o/{i:02d}", Body=b"x" * (i + 1), Metadata={"n": str(i)})
    api = Rest(server.url)
    api.call("POST", f"/repositories/{B}/branches/main/commits", doc={"message": "one"})
    api.branch(B, "dev")
    api.call("POST", f"/repositories/{B}/tags", doc={"id": "v1", "ref": "main"})
    s3.put_object(Bucket=B, Key="dev/staged", Body=b"staged")
    s3.delete_object(Bucket=B, Key="dev/o/00")
    up = s3.create_multipart_upload(Bucket=B, Key="dev/parts")
    s3.upload_part(Bucket=B, Key="dev/parts", UploadId=up["UploadId"], PartNumber=1, Body=b"y" * (5 << 20))
    api.call("POST", f"/repositories/{B}/dump")
    return up["UploadId"]


def listing(s3, prefix):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=B, Prefix=prefix)
    return [(o["Key"], o["ETag"], o["Size"]) for page in pages for o in page.get("Contents", [])]


def look(server, upload):
    s3 = server.boto3()
    parts = s3.list_parts(Bucket=B, Key="dev/parts", UploadId=upload)["Parts"]
    return (listing(s3, "main/"), listing(s3, "dev/"), listing(s3, "v1/"), [p["ETag"] for p in parts],
            s3.get_object(Bucket=B, Key="dev/staged")["Body"].read(),
            s3.head_object(Bucket=B, Key="main/o/07")["Metadata"])


def use(server, config):
    """The server's own configuration is that one from now on."""
    shutil.copy(config, server.path("config.yaml"))


def test_everything_moves():
    with Server() as server:
        pair = Pair(server)
        upload = busy(server)
        before = look(server, upload)
        out = pair.migrate(code=2)  # beside the server
        assert "in use by process" in out.stderr and "Stop it" in out.stderr, out.stderr
        assert not os.path.exists(server.path("kv-b"))
        out = pair.run("kv", "dump", server.path("dump"), "--config", pair.a, code=2)
        assert "in use by process" in out.stderr and not os.path.exists(server.path("dump")), out.stderr
        server.stop()
        source = pair.digest(pair.a)
        out = pair.migrate("--dry-run")
        assert "the target would be made\nnothing was written\n" in out.stdout, out.stdout
        assert not os.path.exists(server.path("kv-b"))
        out = pair.migrate()
        assert "copied" in out.stdout and "verified" in out.stdout, out.stdout
        assert "sluice migrate: copying   100%" in out.stderr and "\r" not in out.stderr, out.stderr
        assert pair.digest(pair.a) == source and pair.digest(pair.b) == source
        assert "sluice-parts" in source and "sluice-kv" not in source, source
        out = pair.migrate(code=1)
        assert "isn't empty" in out.stderr and "--clear-target" in out.stderr, out.stderr
        use(server, pair.b)
        server.start()
        assert look(server, upload) == before
        server.boto3().put_object(Bucket=B, Key="main/after", Body=b"new")


def test_dump_and_load():
    with Server() as server:
        pair = Pair(server)
        upload = busy(server)
        before = look(server, upload)
        server.stop()
        source, dump = pair.digest(pair.a), server.path("kv.dump")
        out = pair.run("kv", "dump", dump, "--config", pair.a)
        assert out.stdout == "", out.stdout
        assert os.stat(dump).st_mode & 0o777 == 0o600
        partitions = kvdump.read(dump)  # not by code of ours
        assert sum(map(len, partitions.values())) == int(source.splitlines()[-1].split()[0])
        out = subprocess.run([SLUICE, "kv", "dump", "-", "--config", pair.a], env=server.env(), capture_output=True)
        assert out.returncode == 0 and b"kv dump" not in out.stdout
        with open(dump, "wb") as f:
            f.write(out.stdout[:-20])
        out_cut = pair.run("kv", "load", dump, "--config", pair.b, code=1)
        assert "damaged at byte" in out_cut.stderr and dump in out_cut.stderr, out_cut.stderr
        loaded = subprocess.run([SLUICE, "kv", "load", "-", "--config", pair.b], env=server.env(), input=out.stdout,
                                capture_output=True)
        assert loaded.returncode == 0, loaded.stderr
        assert pair.digest(pair.b) == source
        kvdump.write(dump, {p: sorted(v.items()) for p, v in partitions.items()})  # not by code of ours
        pair.run("kv", "load", "--input", dump, "--clear-target", "--config", pair.b)
        assert pair.digest(pair.b) == source
        use(server, pair.b)
        server.start()
        assert look(server, upload) == before


def lakefs_dump(path, entries):
    with open(path, "w") as f:
        json.dump({"version": "1.0", "timestamp": "2026-01-01T00:00:00Z", "entries": [
            {"partition": p, "key": k, "value": base64.b64encode(v).decode()} for p, k, v in entries]}, f, indent=2)


def test_lakefs_dump():
    """lakeFS's users and settings, as `lakefs kv dump` writes them."""
    with Server() as server:
        pair = Pair(server)
        server.stop()
        pair.run("kv", "dump", server.path("kv.dump"), "--config", pair.a)
        entries = [(p.decode(), k.decode(), v) for p, records in kvdump.read(server.path("kv.dump")).items()
                   for k, v in records.items() if p in (b"auth", b"kv-internal-metadata")]
        lakefs_dump(server.path("lakefs.json"), reversed(entries))
        pair.run("kv", "load", server.path("lakefs.json"), "--config", pair.b)
        assert f"{len(entries)} records in 2 partitions" in pair.digest(pair.b)
        use(server, pair.b)
        server.start()
        assert server.boto3().list_buckets()["Buckets"] == []  # the user is known, the repository isn't


def test_refusals():
    with Server() as server:
        pair = Pair(server)
        server.stop()
        lakefs_dump(server.path("newer.json"), [("kv-internal-metadata", "kv/schema/version", b"5")])
        lakefs_dump(server.path("older.json"), [("kv-internal-metadata", "kv/schema/version", b"3")])
        lakefs_dump(server.path("odd.json"), [("graveler", "repos/x", b""), ("from-the-future", "k", b"v")])
        for name, story in (("newer", "schema version 5"), ("older", "lakefs migrate up"),
                            ("odd", 'record "k" of partition "from-the-future"')):
            out = pair.run("kv", "load", server.path(name + ".json"), "--config", pair.b, code=2)
            assert story in out.stderr, out.stderr
            assert pair.digest(pair.b).startswith("0 records"), name
        assert "--unknown-records" in out.stderr
        pair.run("kv", "load", server.path("odd.json"), "--unknown-records", "--config", pair.b)
        os.rename(pair.a, pair.a + ".whole")
        os.rename(pair.b, pair.a)
        os.rename(pair.a + ".whole", pair.b)
        out = pair.migrate(code=2)  # from it
        assert "from-the-future" in out.stderr, out.stderr
        out = pair.run("migrate", "version", "--config", pair.a)
        assert "version: none" in out.stdout, out.stdout
        out = pair.run("migrate", "up", "--config", pair.a)
        assert "version 4 now" in out.stdout, out.stdout
        out = pair.run("migrate", "version", "--config", pair.b)
        assert out.stdout.startswith("Database schema version: 4\n"), out.stdout
        for args in (["migrate"], ["migrate", "--from", pair.a], ["migrate", "sideways"], ["kv"], ["kv", "load"],
                     ["kv", "digest", "x"], ["kv", "dump", "x", "y"], ["migrate", "goto"]):
            pair.run(*args, code=2)
        out = pair.run("migrate", "--from", pair.a, "--to", pair.a, code=2)
        assert "already" in out.stderr, out.stderr


def remaining(pair):
    """What all commands say of a target that isn't whole."""
    for command in (["run"], ["setup", "--user-name", "x"], ["repo", "create", "other"], ["kv", "dump"],
                    ["migrate", "version"]):
        out = pair.run(*command, "--config", pair.b, code=2)
        assert "isn't complete" in out.stderr and "again" in out.stderr, (command, out.stderr)


def interrupted(server, pair, sig):
    """A migration that was stopped in the copying; begun anew where it was over before it could be."""
    for _ in range(10):
        terminal = OnTerminal(pair)
        if terminal.until_copied(1):
            terminal.kill(sig)
        if terminal.wait():
            return terminal
        shutil.rmtree(server.path("kv-b"))
    raise AssertionError("it was always over before it could be stopped")


def test_killed_and_resumed():
    server = with_staged(MORE)
    try:
        pair = Pair(server)
        source = pair.digest(pair.a)
        for sig in (signal.SIGKILL, signal.SIGINT):
            terminal = interrupted(server, pair, sig)
            code = terminal.proc.returncode
            if sig == signal.SIGKILL:
                assert code == -sig
            else:
                assert code == 1 and "stopped by a signal" in terminal.shown, (code, terminal.shown[-300:])
                assert "run the same" in terminal.shown
            remaining(pair)
            assert pair.digest(pair.a) == source
        terminal = OnTerminal(pair)
        assert terminal.wait() == 0, terminal.shown
        assert "gone on with" in terminal.out
        assert pair.digest(pair.a) == source and pair.digest(pair.b) == source
        use(server, pair.b)
        server.start()
        seen = listing(server.boto3(), "main/many/")
        assert len(seen) == MORE and seen[-1][0] == f"main/many/{MORE - 1:07d}", len(seen)
        server.stop()
    finally:
        server.stop(signal.SIGKILL)
        shutil.rmtree(server.folder)


def test_the_bar():
    """On a terminal: one line that is drawn again and again, as wide as it is; elsewhere: lines."""
    server = with_staged(SEEN_MOVING)
    try:
        pair = Pair(server)
        terminal = OnTerminal(pair, columns=120)
        assert terminal.wait() == 0, terminal.shown
        bars = [b for b in terminal.shown.split("\r") if "copying" in b]
        assert len(bars) > 1 and any("#" in b and "." in b.split("]")[0] for b in bars), terminal.shown[-2000:]
        assert "\033[K" in terminal.shown and "/s" in bars[0] and "left" in "".join(bars), bars
        assert f"] 100% {SEEN_MOVING // 1000}," in bars[-1] and "\n" in bars[-1], bars[-1]
        assert all(len(b) < 125 for b in bars), max(map(len, bars))
        assert terminal.shown.count("\n") == 3, terminal.shown
        shutil.rmtree(server.path("kv-b"))
        terminal = OnTerminal(pair, columns=70)  # no room for it
        assert terminal.wait() == 0, terminal.shown
        assert "#" not in terminal.shown and "copying" in terminal.shown
        assert all(len(b) < 75 for b in terminal.shown.split("\r")), terminal.shown
    finally:
        shutil.rmtree(server.folder)


def test_killed_load():
    """A load that died goes on, too, and from no other file."""
    server = with_staged(MANY)
    try:
        pair = Pair(server)
        source = pair.digest(pair.a)
        dump = server.path("kv.dump")
        pair.run("kv", "dump", dump, "--config", pair.a)
        proc = subprocess.Popen([SLUICE, "kv", "load", dump, "--config", pair.b], env=server.env(),
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 120
        while proc.poll() is None and not os.path.exists(server.path("kv-b", "CURRENT")):
            assert time.monotonic() < end
            time.sleep(0.01)
        for _ in range(500):  # into the copying, as a rule; anywhere is right
            if proc.poll() is not None:
                break
            with open(f"/proc/{proc.pid}/io") as f:
                if int(f.read().split("write_bytes: ")[1].split()[0]) > 1 << 20:
                    break
            time.sleep(0.01)
        proc.kill()
        killed = proc.wait() == -signal.SIGKILL
        if killed:
            out = pair.run("kv", "load", dump, "--config", pair.b)
            assert "verified" in out.stdout
        assert pair.digest(pair.b) == source
    finally:
        shutil.rmtree(server.folder)


if __name__ == "__main__":
    main(globals())
