"""sluicectl copies files to objects and back: odd names, many at once, hostile keys, damage, signals, and the bar on a terminal."""
import hashlib
import json
import os
import re
import signal
import socket
import threading

from harness import Server, main
from rest import Rest
from sluicectl import Ctl

ODD = ["plain", "with space", "per%cent%20", "plus+", "q?x=1&y=2#z", "quote'\"", "back\\slash", "ünï-日本", "tab\there", "new\nline", "-dash",
       "semi;colon", "*star", "~tilde", "dots...", ".hidden", "deep/er/and/deeper/x", "a:b", "[brackets]", "x" * 200, "emoji-🙂"]


def tree(root):
    out = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                out[os.path.relpath(path, root)] = f.read()
    return out


def test_odd_names():
    files = {name: hashlib.sha256(name.encode()).digest() * (i * 100) for i, name in enumerate(ODD)}
    with Server() as server, Ctl(server.url, files={"src/" + n: b for n, b in files.items()}) as ctl:
        os.symlink("plain", ctl.path("src", "link"))
        os.mkfifo(ctl.path("src", "fifo"))
        done = ctl("fs", "upload", "-r", "-s", "src", "lakefs://example/main/up and?/")
        assert f"Uploaded: {len(ODD)}\n" in done.stdout and "skipped src/link: no regular file" in done.stderr, done
        os.unlink(ctl.path("src", "fifo"))
        listed = json.loads(ctl("fs", "ls", "-r", "lakefs://example/main/", "-o", "json").stdout)["results"]
        assert {o["path"] for o in listed} == {"up and?/" + n for n in ODD}
        assert {o["checksum"] for o in listed} == {hashlib.md5(b).hexdigest() for b in files.values()}
        done = ctl("fs", "download", "-r", "lakefs://example/main/up and?", "down")  # without the slash, too
        assert f"Downloaded: {len(ODD)}\n" in done.stdout, done
        assert tree(ctl.path("down")) == files
        for name in ODD:
            uri = "lakefs://example/main/up and?/" + name
            assert ctl("fs", "cat", uri, text=False).stdout == files[name], name
            ctl("fs", "download", uri, "one")
            assert tree(ctl.path())["one"] == files[name], name
            assert hashlib.md5(files[name]).hexdigest() in ctl("fs", "stat", uri).stdout
        # By its own name, into where one is, and into a folder.
        ctl("fs", "download", "lakefs://example/main/up and?/per%cent%20")
        ctl("fs", "download", "lakefs://example/main/up and?/plus+", "down")
        assert os.path.exists(ctl.path("per%cent%20")) and os.path.exists(ctl.path("down", "plus+"))
        # Only what begins with the prefix goes; then all.
        ctl("fs", "rm", "-r", "lakefs://example/main/up and?/deep/")
        assert len(json.loads(ctl("fs", "ls", "-r", "lakefs://example/main/", "-o", "json").stdout)["results"]) == len(ODD) - 1
        ctl("fs", "rm", "-r", "lakefs://example/main/")
        assert ctl("fs", "ls", "-r", "lakefs://example/main/").stdout == ""


def test_many_files():
    files = {f"src/{i % 50:02}/{i:05}": str(i).encode() * (i % 7) for i in range(5000)}
    with Server() as server, Ctl(server.url, files=files) as ctl:
        done = ctl("fs", "upload", "-r", "-s", "src", "lakefs://example/main/many/", "-p", "16")
        assert "Uploaded: 5000\n" in done.stdout and done.stdout.count("... done!\n") == 5000
        assert ctl("diff", "lakefs://example/main").stdout.count("+ added many/") == 5000  # over several pages
        ctl("commit", "lakefs://example/main", "-m", "many")
        done = ctl("fs", "download", "-r", "lakefs://example/main/many/", "down", "-p", "16", "-o", "json")
        assert json.loads(done.stdout) == {"downloaded": 5000, "uploaded": 0, "removed": 0, "failed": 0}
        assert {"src/" + n: b for n, b in tree(ctl.path("down")).items()} == files
        ctl("fs", "rm", "-r", "lakefs://example/main/many/")
        assert ctl("fs", "ls", "lakefs://example/main/").stdout == ""
        assert ctl("diff", "lakefs://example/main").stdout.count("- removed many/") == 5000


def test_streams():
    with Server() as server, Ctl(server.url) as ctl:
        body = os.urandom(3 << 20)
        done = ctl("fs", "upload", "-s", "-", "lakefs://example/main/piped", stdin=body, text=False)
        assert hashlib.md5(body).hexdigest().encode() in done.stdout
        assert ctl("fs", "cat", "lakefs://example/main/piped", text=False).stdout == body
        # A reader who goes away early is no crash; one who never comes neither.
        ctl.shell("lakectl fs cat lakefs://example/main/piped | head -c 10 >part || true", code=0)
        assert tree(ctl.path())["part"] == body[:10]
        assert ctl.shell("lakectl fs cat lakefs://example/main/piped >/dev/full").returncode == 1
        ctl.shell("echo hello | lakectl fs upload -s - lakefs://example/main/pipe2 >/dev/null", code=0)
        assert ctl("fs", "cat", "lakefs://example/main/pipe2").stdout == "hello\n"
        ctl.write({"empty": b""})
        ctl("fs", "upload", "-s", "empty", "lakefs://example/main/empty")
        assert ctl("fs", "cat", "lakefs://example/main/empty").stdout == ""


def test_hostile_keys():
    """Nothing is written outside of the folder, and what can't be written is said; the rest comes."""
    keys = ["ok", "../escaped", "a/../../escaped", "/absolute", "a//b", "./dot", "a/./b", "..", "dir/", "x/..", "file", "file/below", "full/"]
    with Server() as server, Ctl(server.url) as ctl:
        api = Rest(server.url)
        for key in keys:
            api.call("POST", "/repositories/example/branches/main/objects", 201, path="t/" + key,
                     body=b"" if key == "dir/" else key.encode())
        before = tree(ctl.folder)
        done = ctl("fs", "download", "-r", "lakefs://example/main/t/", "deep/down", "-p", "1", code=1)
        after = tree(ctl.folder)
        new = set(after) - set(before)
        assert new - {"work/deep/down/file", "work/deep/down/file/below"} == {"work/deep/down/ok"}, new
        assert len(new) == 2 and os.path.isdir(ctl.path("deep/down/dir")), new
        for key in ("../escaped", "a/../../escaped", "/absolute", "a//b", "./dot", "a/./b", "..", "x/..", "full/"):
            assert f"download {key}: " in done.stderr, (key, done.stderr)
        assert "10 of 13 files failed" in done.stderr and "Downloaded: 3\n" in done.stdout, done
        assert not [n for n in after if ".sluicectl-" in n]
        # By itself it gets a name of its own; without one it has none.
        ctl("fs", "download", "lakefs://example/main/t/../escaped", "mine")
        assert tree(ctl.path())["mine"] == b"../escaped"
        assert "names no file" in ctl("fs", "download", "lakefs://example/main/t/..", code=1).stderr
        assert "names no file" in ctl("fs", "download", "lakefs://example/main/t/", code=1).stderr


def test_what_fails():
    with Server() as server, Ctl(server.url, files={"src/a": "a", "src/b": "b", "keep": "old"}) as ctl:
        done = ctl("fs", "upload", "-r", "-s", "src", "lakefs://example/nosuch/", code=1)
        assert "upload a: branch 'nosuch' not found (404 Not Found)\n" in done.stderr and "2 of 2 files failed" in done.stderr, done
        assert "Uploaded: 0\n" in done.stdout
        assert ctl("fs", "upload", "-r", "-s", "nosuch", "lakefs://example/main/", code=1).stderr.startswith("stat nosuch: no such file")
        assert "is no directory" in ctl("fs", "upload", "-r", "-s", "keep", "lakefs://example/main/", code=1).stderr
        # What was there stays when the new one doesn't come.
        assert ctl("fs", "download", "lakefs://example/main/nosuch", "keep", code=1).stderr == "not found\n404 Not Found\n"
        # Bytes that aren't those that the object's checksum is of.
        os.makedirs(server.path("objects", "outside"))
        with open(server.path("objects", "outside", "a"), "w") as f:
            f.write("a")
        ctl("fs", "stage", "lakefs://example/main/wrong", "--location", "local://outside/a", "--size", "1", "--checksum", "0" * 32)
        done = ctl("fs", "download", "lakefs://example/main/wrong", "keep", code=1)
        assert f"checksum {hashlib.md5(b'a').hexdigest()}, the object has {'0' * 32} (--no-verify" in done.stderr, done
        assert tree(ctl.path())["keep"] == b"old"
        ctl("fs", "download", "lakefs://example/main/wrong", "keep", "--no-verify")
        assert tree(ctl.path())["keep"] == b"a" and not [n for n in os.listdir(ctl.path()) if n.startswith(".sluicectl")]


class Between:
    """A server in front of the server, which answers the first requests that `refused` holds for with 503, or cuts bodies short."""

    def __init__(self, port, busy=0, cut=0):
        self.to, self.busy, self.cut, self.seen = port, busy, cut, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(c,), daemon=True).start()

    def one(self, c):
        head = b""
        while b"\r\n\r\n" not in head:
            head += c.recv(65536)
        head, _, body = head.partition(b"\r\n\r\n")
        length = int((re.search(rb"(?i)content-length: (\d+)", head) or [0, 0])[1])
        while len(body) < length:
            body += c.recv(65536)
        self.seen += 1
        if self.busy:
            self.busy -= 1
            c.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 21\r\nConnection: close\r\n\r\n" + b'{"message":"too busy"}'[:21])
            c.close()
            return
        with socket.create_connection(("127.0.0.1", self.to)) as s:
            s.sendall(re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", head) + b"\r\nConnection: close\r\n\r\n" + body)
            answer = b""
            while piece := s.recv(65536):
                answer += piece
        if self.cut and len(answer) > 50000:
            self.cut -= 1
            answer = answer[:40000]
        c.sendall(answer)
        c.close()

    def close(self):
        self.listener.close()


def test_tries_again():
    quick = {"LAKECTL_SERVER_RETRIES_MIN_WAIT_INTERVAL": "10ms"}
    with Server() as server, Ctl(server.url, files={"big": os.urandom(300000)}) as ctl:
        for kw in ({"busy": 3}, {"cut": 2}):
            between = Between(server.port, **kw)
            env = {**quick, "LAKECTL_SERVER_ENDPOINT_URL": between.url}
            ctl("fs", "upload", "-s", "big", "lakefs://example/main/big", env=env)
            ctl("fs", "download", "lakefs://example/main/big", "back", env=env)
            assert tree(ctl.path())["back"] == tree(ctl.path())["big"] and between.busy == between.cut == 0
            assert ctl("repo", "list", env=env).stdout.startswith("example\t")
            between.close()
        between = Between(server.port, busy=100)
        done = ctl("repo", "list", code=1, env={**quick, "LAKECTL_SERVER_ENDPOINT_URL": between.url})
        assert done.stderr.endswith("503 Service Unavailable\n") and between.seen == 5, (done, between.seen)
        between.close()


def bars(text):
    return re.findall(r"\r\x1b\[K(\w+) (?:\[([#.]+)\] )?(?:(\d+)% )?(\d+)/(\d+) files, ", text)


def test_bar():
    files = {f"src/{i:03}": os.urandom(200000) for i in range(150)}
    with Server() as server, Ctl(server.url, files=files) as ctl:
        for verb, args in (("upload", ["-r", "-s", "src", "lakefs://example/main/d/"]), ("download", ["-r", "lakefs://example/main/d/", "down"])):
            text, code = ctl.on_terminal("fs", verb, *args, "-p", "2")
            seen = bars(text)
            assert code == 0 and len(seen) >= 3, text
            assert {b[0] for b in seen} == {verb} and seen[-1][2:] == ("100", "150", "150") and set(seen[-1][1]) == {"#"}, seen[-3:]
            done = [int(b[3]) for b in seen]
            assert done == sorted(done) and {len(b[1]) for b in seen} == {40}, seen
            assert "... done!" not in text and f"{verb.title()}ed: 150" in text.replace("\r\n", "\n"), text[-500:]
        assert tree(ctl.path("down")) == {n[4:]: b for n, b in files.items()}
        # None where it isn't wanted, where nobody sees it, and only figures where there is no room.
        text, _ = ctl.on_terminal("fs", "upload", "-r", "-s", "src", "lakefs://example/main/e/", "--no-progress")
        assert not bars(text) and text.count("... done!") == 150
        assert not bars(ctl("fs", "upload", "-r", "-s", "src", "lakefs://example/main/f/").stderr)
        text, _ = ctl.on_terminal("fs", "download", "lakefs://example/main/d/000", "one", columns=60)
        assert bars(text)[-1] == ("download", "", "100", "1", "1"), text
        # Tables are for terminals, too.
        text, _ = ctl.on_terminal("branch", "list", "lakefs://example")
        assert "| BRANCH | COMMIT ID" in text, text


def test_signal():
    files = {f"src/{i:03}": os.urandom(400000) for i in range(300)}
    with Server() as server, Ctl(server.url, files=files) as ctl:
        ctl("fs", "upload", "-r", "-s", "src", "lakefs://example/main/d/")

        def some(text):
            return bars(text) and int(bars(text)[-1][3]) >= 5 and signal.SIGINT
        for n in range(10):
            down = f"down{n}"
            text, code = ctl.on_terminal("fs", "download", "-r", "lakefs://example/main/d/", down, "-p", "2", until=some)
            if code:
                break  # else it was done before it could be stopped
        assert code == 130 and "stopped" in text, (code, text[-500:])
        have = tree(ctl.path(down))
        assert 0 < len(have) < 300 and all(files["src/" + n] == b for n, b in have.items()), len(have)


if __name__ == "__main__":
    main(globals())
