"""sluice fsck: alone with the database, and beside the server that has it open."""
import json
import os
import signal

from harness import KEY, SECRET, Server, main
from rest import Rest

B = "example"


def run(server, *args, code=0):
    out = server.command("fsck", B, *args, check=False)
    assert out.returncode == code, (out.returncode, out.stdout, out.stderr)
    return out


def lines(out):
    return [json.loads(line) for line in out.stdout.splitlines()]


def bodies(server):
    found = []
    for folder, _, names in os.walk(server.path()):
        found += [os.path.join(folder, n) for n in names if "/data/" in folder + "/"]
    return found


def tables(server):
    found = []
    for folder, _, names in os.walk(server.path()):
        if os.path.basename(folder) == "_lakefs":
            found += [os.path.join(folder, n) for n in names if len(n) == 64]
    return found


AS = ("--access-key-id", KEY, "--secret-access-key", SECRET)


def test_fsck():
    with Server() as server:
        s3 = server.boto3()
        for i in range(20):
            s3.put_object(Bucket=B, Key=f"main/o/{i}", Body=b"x" * (i + 1))
        Rest(server.url).call("POST", f"/repositories/{B}/branches/main/commits", doc={"message": "m"})
        # beside the server: who are you?
        out = run(server, code=2)
        assert "--access-key-id" in out.stderr and "SLUICE_ACCESS_KEY_ID" in out.stderr, out.stderr
        out = run(server, "--access-key-id", KEY, "--secret-access-key", "wrong", code=2)
        assert "401" in out.stderr, out.stderr
        out = run(server, *AS, "--bodies")
        assert "0 missing, 0 damaged" in out.stdout and " 20 bodies" in out.stdout, out.stdout
        gone = bodies(server)
        assert gone
        big = max(gone, key=os.path.getsize)
        with open(big, "rb") as f:
            whole = f.read()
        os.remove(big)
        there = lines(run(server, *AS, "--bodies", "--json", code=1))
        assert [f["kind"] for f in there[:-1]] == ["missing"] and "path o/19" in there[0]["named_by"], there
        out = run(server, "--endpoint", server.url, *AS, "--bodies", code=1)
        assert out.stdout.startswith("missing body data/"), out.stdout
        run(server, *AS)  # tables alone are whole
        server.stop(signal.SIGTERM)
        # alone
        here = lines(run(server, "--bodies", "--json", code=1))
        assert here == there, (here, there)
        with open(big, "wb") as f:
            f.write(whole[:-1])
        out = run(server, "--bodies", code=1)
        assert "damaged body" in out.stdout and "it has 19 bytes, not 20" in out.stdout, out.stdout
        with open(big, "wb") as f:
            f.write(whole)
        out = run(server, "--bodies")
        assert "0 missing, 0 damaged" in out.stdout, out.stdout
        for table in tables(server):
            with open(table, "rb") as f:
                good = f.read()
            with open(table, "wb") as f:
                f.write(good[:-60])
            out = run(server, code=1)
            assert "damaged" in out.stdout and os.path.basename(table) in out.stdout, out.stdout
            with open(table, "wb") as f:
                f.write(good)
        out = server.command("fsck", "nobody", check=False)
        assert out.returncode == 2 and "not found" in out.stderr, out.stderr
        server.start()


if __name__ == "__main__":
    main(globals())
