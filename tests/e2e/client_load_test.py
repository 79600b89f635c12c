"""More than the server can do at once (`server.admission`): who is refused, how fast and in which form; what was begun
is ended; afterwards everything is as before."""
import base64
import collections
import concurrent.futures
import json
import os
import re
import threading
import time
import urllib.request

from client_limits_test import Client, head, once, serves, side_by_side
from harness import KEY, SECRET, Server, main, md5
from rest import Rest

B = "example"
PATIENCE = 60


def basic(s, method, path, length=None, key=KEY, secret=SECRET, more=""):
    pair = base64.b64encode(f"{key}:{secret}".encode()).decode()
    if length is not None:
        more += f"Content-Type: application/json\r\nContent-Length: {length}\r\n"
    return (f"{method} /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\nAuthorization: Basic {pair}\r\n"
            f"{more}\r\n").encode()


def metrics(s):
    with urllib.request.urlopen(s.url + "/metrics", timeout=PATIENCE) as r:
        text = r.read().decode()
    return {m[1]: float(m[2]) for m in re.finditer(r"^(\w*admission_\S+) (\S+)$", text, re.M)}


def metric(s, name, labels):
    found = [v for k, v in metrics(s).items() if k.endswith(f"admission_{name}{{{labels}}}")]
    assert len(found) == 1, (name, labels, metrics(s))
    return found[0]


def stat(s, key):
    """The status of a HEAD, whose length is of no body."""
    with Client(s, head(s, "HEAD", f"/{B}/main/{key}"), wait=PATIENCE) as c:
        return int(c.sock.recv(65536).split()[1])


def until(s, kind, in_progress, waiting):
    end = time.monotonic() + PATIENCE
    while True:
        now = tuple(metric(s, name, f'class="{kind}"') for name in ("in_progress", "waiting"))
        if now == (in_progress, waiting):
            return
        assert time.monotonic() < end, (kind, now, (in_progress, waiting))
        time.sleep(0.02)


def slow_down(answer, rest=False):
    status, headers, body = answer
    assert status == 503, answer
    assert 1 <= int(headers["retry-after"]) <= 30, headers
    if rest:
        assert headers["content-type"] == "application/json", headers
        assert json.loads(body) == {"message": "Throughput exceeded. Slow down and retry"}, body
    else:
        assert b"<Code>SlowDown</Code>" in body and b"<RequestId>" in body, body


class Upload(Client):
    """A PUT whose body has only begun: it keeps its place until it is ended."""

    def __init__(self, s, key, body):
        self.rest_of = body[100:]
        super().__init__(s, head(s, "PUT", f"/{B}/main/{key}", len(body)) + body[:100], wait=PATIENCE)

    def end(self):
        self.sock.sendall(self.rest_of)
        return self.ended_as()

    def ended_as(self):
        status, headers, answer = self.answer()
        assert status == 200, (status, answer)
        self.sock.close()
        return headers["etag"].strip('"')


def alive(s):
    """What tells that the server lives, without anybody's name."""
    for path in ("/_health", "/metrics", "/api/v1/healthcheck"):
        status, _, _ = once(s, f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        assert status in (200, 204), (path, status)


def test_data():
    """All places are uploads that go on slowly, the line is full."""
    body = os.urandom(400_000)
    with Server(extra="server: {admission: {data: 4, queue: 2, wait: 60s, share: 100}}\n") as s:
        serves(s)
        uploads = [Upload(s, f"slow{i}", body) for i in range(4)]
        until(s, "data", 4, 0)
        line = [Upload(s, "line", body), Client(s, head(s, "GET", f"/{B}/main/serves"), wait=PATIENCE)]
        until(s, "data", 4, 2)
        # refused before a body is asked for
        expecting = head(s, "PUT", f"/{B}/main/no", 5 << 30).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
        slow_down(once(s, expecting))
        slow_down(once(s, head(s, "GET", f"/{B}/main/serves")))
        slow_down(once(s, basic(s, "GET", f"/repositories/{B}/refs/main/objects?path=serves")), rest=True)
        slow_down(once(s, basic(s, "POST", f"/repositories/{B}/branches/main/objects?path=no", 1 << 30,
                                more="Expect: 100-continue\r\n")), rest=True)
        # and before it is looked at who it is
        slow_down(once(s, f"GET /{B}/main/serves HTTP/1.1\r\nHost: h\r\n\r\n".encode()))
        # what isn't data goes on
        assert stat(s, "serves") == 200
        assert once(s, basic(s, "GET", f"/repositories/{B}/refs/main/objects/stat?path=serves"))[0] == 200
        alive(s)
        # who has gone from the line isn't begun
        line[1].sock.close()
        until(s, "data", 4, 1)
        # a patient client gets there
        boto3 = s.boto3(retries={"max_attempts": 20, "mode": "standard"})
        another = Client(s, head(s, "GET", f"/{B}/main/serves"), wait=PATIENCE)
        until(s, "data", 4, 2)
        ends = threading.Timer(1, lambda: [u.end() for u in uploads])
        ends.start()
        boto3.put_object(Bucket=B, Key="main/retried", Body=body)
        ends.join()
        assert another.answer()[0] == 200
        assert line[0].end() == md5(body)
        for key in ("slow0", "slow3", "line", "retried"):
            assert boto3.get_object(Bucket=B, Key=f"main/{key}")["Body"].read() == body
        assert stat(s, "no") == 404
        another.sock.close()
        until(s, "data", 0, 0)
        assert metric(s, "refused_total", 'class="data",reason="full"') >= 5
        assert metric(s, "wait_seconds_count", 'class="data"') >= 2
        s.wait_for_log('"admission"')
        warnings = [json.loads(line) for line in s.log_text().splitlines() if '"admission"' in line]
        assert warnings and all(w["class"] == "data" and "server.admission.data" in w["remedy"] for w in warnings), warnings
        serves(s)


def test_metadata_and_long():
    """A JSON body that doesn't end keeps a place of its class."""
    extra = "server: {admission: {metadata: 2, long_work: 1, queue: 1, wait: 60s, share: 100}}\n"
    with Server(extra=extra) as s:
        serves(s)
        branch = b'{"name": "other", "source": "main"}'
        commit = b'{"message": "slow"}'
        branches, commits = f"/repositories/{B}/branches", f"/repositories/{B}/branches/main/commits"
        first = Client(s, basic(s, "POST", branches, len(branch)), wait=PATIENCE)
        second = Client(s, basic(s, "POST", branches, len(branch)), wait=PATIENCE)
        until(s, "metadata", 2, 0)
        stat_by_rest = basic(s, "GET", f"/repositories/{B}/refs/main/objects/stat?path=serves")
        waits = Client(s, stat_by_rest, wait=PATIENCE)
        until(s, "metadata", 2, 1)
        slow_down(once(s, stat_by_rest), rest=True)
        slow_down(once(s, head(s, "GET", f"/{B}?list-type=2")))
        assert stat(s, "serves") == 503
        long = Client(s, basic(s, "POST", commits, len(commit)), wait=PATIENCE)
        until(s, "long", 1, 0)
        log = Client(s, basic(s, "GET", f"/repositories/{B}/refs/main/commits"), wait=PATIENCE)
        until(s, "long", 1, 1)
        slow_down(once(s, basic(s, "POST", commits, len(commit))), rest=True)
        alive(s)
        first.sock.sendall(branch)
        assert first.answer()[0] == 201
        assert waits.answer()[0] == 200
        second.sock.sendall(branch)
        assert second.answer()[0] == 409
        long.sock.sendall(commit)
        assert long.answer()[0] == 201
        assert log.answer()[0] == 200
        for c in (first, second, waits, long, log):
            c.sock.close()
        for kind in ("metadata", "long"):
            until(s, kind, 0, 0)
        serves(s)


def test_too_late():
    """Who has waited as long as is allowed is refused, though the line has room."""
    with Server(extra="server: {admission: {data: 1, queue: 10, wait: 300ms, share: 100}}\n") as s:
        serves(s)
        until(s, "data", 0, 0)  # who waits for the one before, in there yet, isn't in time on a slow machine
        upload = Upload(s, "slow", os.urandom(1000))
        until(s, "data", 1, 0)
        start = time.monotonic()
        slow_down(once(s, head(s, "GET", f"/{B}/main/serves")))
        assert time.monotonic() - start >= 0.3
        assert metric(s, "refused_total", 'class="data",reason="late"') == 1
        upload.end()
        serves(s)


def test_share():
    """One key has its share, and leaves the rest to others."""
    with Server(extra="server: {admission: {data: 4, queue: 4, wait: 60s, share: 75}}\n") as s:
        serves(s)
        rest = Rest(s.url)
        rest.call("POST", "/auth/users", 201, doc={"id": "other"})
        rest.call("PUT", "/auth/groups/Admins/members/other", 201)
        other = rest.call("POST", "/auth/users/other/credentials", 201).json
        body = os.urandom(1000)
        uploads = [Upload(s, f"hog{i}", body) for i in range(6)]
        until(s, "data", 3, 3)
        slow_down(once(s, head(s, "GET", f"/{B}/main/serves")))
        get = f"/repositories/{B}/refs/main/objects?path=serves"
        for _ in range(3):
            status, _, answer = once(s, basic(s, "GET", get, key=other["access_key_id"], secret=other["secret_access_key"]))
            assert status == 200 and len(answer) == 1000, (status, answer)
        for u in uploads:  # whichever of them are in, and whichever wait
            u.sock.sendall(u.rest_of)
        assert [u.ended_as() for u in uploads] == [md5(body)] * 6
        serves(s)


def test_stop():
    """Who stops says so to those in line, and ends what is begun."""
    with Server(extra="server: {admission: {data: 1, queue: 10, wait: 60s, share: 100}}\n") as s:
        body = os.urandom(1000)
        upload = Upload(s, "begun", body)
        until(s, "data", 1, 0)
        line = Client(s, head(s, "GET", f"/{B}/main/begun"), wait=PATIENCE)
        until(s, "data", 1, 1)
        s.proc.terminate()
        slow_down(line.answer())
        assert upload.end() == md5(body)
        line.sock.close()
        s.stop()
        s.start()
        assert once(s, head(s, "GET", f"/{B}/main/begun"))[2] == body


def test_flood():
    """Many more clients than places: each answer is a success or SlowDown, what is acknowledged is there, uploads
    in parts end, and refusals take a fraction of what work does."""
    extra = "server: {admission: {metadata: 3, data: 3, long_work: 1, queue: 2, wait: 1s}, data_workers: 2, meta_workers: 1}\n"
    with Server(extra=extra) as s:
        serves(s)
        body = os.urandom(300_000)
        refusals, kinds = [], collections.Counter()
        requests = (
            lambda i, n: (head(s, "PUT", f"/{B}/main/f{i}-{n}", len(body)), body),
            lambda i, n: (head(s, "GET", f"/{B}?list-type=2&prefix=main%2Ff"), b""),
            lambda i, n: (basic(s, "GET", f"/repositories/{B}/refs/main/objects/ls?prefix=f"), b""),
            lambda i, n: (basic(s, "POST", f"/repositories/{B}/branches/main/objects?path=f{i}-{n}", len(body)), body),
        )

        def client(i):
            got = []
            for n in range(8):
                data, more = requests[i % 4](i, n)
                start = time.monotonic()
                answer = once(s, data + more)
                took = time.monotonic() - start
                kinds[i % 4, answer[0]] += 1
                if answer[0] == 503:
                    slow_down(answer, rest=i % 4 > 1)
                    refusals.append(took)
                else:
                    assert answer[0] in (200, 201), answer
                    if more:
                        got.append(f"f{i}-{n}")
            return got

        def multipart(i):
            """As boto3 does it when refused: again."""
            boto3 = s.boto3(retries={"max_attempts": 30, "mode": "standard"})
            key = {"Bucket": B, "Key": f"main/f-parts{i}"}
            upload = boto3.create_multipart_upload(**key)["UploadId"]
            parts = []
            for n in range(1, 4):
                part = boto3.upload_part(**key, UploadId=upload, PartNumber=n, Body=b"p" * (5 << 20))
                parts.append({"PartNumber": n, "ETag": part["ETag"]})
            boto3.complete_multipart_upload(**key, UploadId=upload, MultipartUpload={"Parts": parts})
            return [key["Key"][len("main/"):]]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            uploads = [pool.submit(multipart, i) for i in range(4)]
            done = [key for keys in side_by_side(40, client) for key in keys]
            done += [key for u in uploads for key in u.result()]
        assert len(refusals) > 10, kinds
        print(f"     {dict(kinds)}; a refusal took {sorted(refusals)[len(refusals) // 2] * 1000:.1f} ms (median)")
        boto3 = s.boto3(retries={"max_attempts": 10})
        listed = {o["Key"][len("main/"):] for page in boto3.get_paginator("list_objects_v2").paginate(Bucket=B, Prefix="main/f")
                  for o in page["Contents"]}
        assert listed == set(done), (listed ^ set(done))
        for kind in ("metadata", "data", "long"):
            until(s, kind, 0, 0)
        # a line a second and class at most
        s.wait_for_log('"component":"admission"')
        times = collections.Counter(json.loads(line)["time"][:19] + json.loads(line)["class"]
                                    for line in s.log_text().splitlines() if '"component":"admission"' in line)
        assert times and max(times.values()) <= 4, times  # told late by one that stood still meanwhile
        serves(s)


if __name__ == "__main__":
    main(globals())
