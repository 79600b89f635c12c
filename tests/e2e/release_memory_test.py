"""Memory is bounded by configuration, not by object size or the number of clients."""
import contextlib
import hashlib
import http.client
import os
import socket
import threading
import time

from harness import Server, main, sign

B = "example"
GIB = 1 << 30
SIZE = (5 if os.environ.get("SLUICE_FULL") else 1) * GIB
LIMIT_KIB = 64 << 10
BLOCK = os.urandom(1 << 20)


def blocks(size):
    for i in range(0, size, len(BLOCK)):
        yield BLOCK[:min(len(BLOCK), size - i)]


def digest(size):
    h = hashlib.sha256()
    for b in blocks(size):
        h.update(b)
    return h.hexdigest()


def send(s, path, size):
    h = s.connect(600)
    headers = sign("PUT", s.url + path)
    h.putrequest("PUT", path)
    for k, v in headers.items():
        h.putheader(k, v)
    h.putheader("Content-Length", str(size))
    h.endheaders()
    for b in blocks(size):
        h.send(b)
    r = h.getresponse()
    body = r.read()
    assert r.status == 200, (r.status, body)
    return r.headers["ETag"]


def fetch(s, path):
    h = s.connect(600)
    h.request("GET", path, headers=sign("GET", s.url + path))
    r = h.getresponse()
    assert r.status == 200
    sha, n = hashlib.sha256(), 0
    while True:
        d = r.read(1 << 20)
        if not d:
            return sha.hexdigest(), n
        sha.update(d)
        n += len(d)


def idle(s):
    s.boto3().list_buckets()
    s.reset_peak()
    return s.peak_kib()


def test_large_objects():
    with Server() as s:
        base = idle(s)
        want = digest(SIZE)
        send(s, "/example/main/single", SIZE)
        assert fetch(s, "/example/main/single") == (want, SIZE)
        single = s.peak_kib() - base
        c = s.boto3(read_timeout=600)
        up = c.create_multipart_upload(Bucket=B, Key="main/multi")["UploadId"]
        part, n = 64 << 20, SIZE // (64 << 20)
        tags = [send(s, f"/example/main/multi?partNumber={i + 1}&uploadId={up}", part) for i in range(n)]
        c.complete_multipart_upload(Bucket=B, Key="main/multi", UploadId=up, MultipartUpload={
            "Parts": [{"PartNumber": i + 1, "ETag": t} for i, t in enumerate(tags)]})
        assert fetch(s, "/example/main/multi") == (want, SIZE)
        multi = s.peak_kib() - base
        print(f"idle {base} KiB; peak above it: single {single} KiB, multipart {multi} KiB")
        assert max(single, multi) < LIMIT_KIB


def test_idle_connections_and_slow_uploads():
    """1,000 idle connections and 200 uploads that trickle: others are served, memory stays bounded."""
    with Server() as s:
        base = idle(s)
        with contextlib.ExitStack() as stack:
            for _ in range(1000):
                stack.enter_context(socket.create_connection(("127.0.0.1", s.port)))
            slow = []
            for i in range(200):
                h = stack.enter_context(contextlib.closing(s.connect()))
                path = f"/example/main/slow/{i}"
                h.putrequest("PUT", path)
                for k, v in sign("PUT", s.url + path).items():
                    h.putheader(k, v)
                h.putheader("Content-Length", str(300000))
                h.endheaders()
                h.send(b"x" * 150000)
                slow.append(h)
            c = s.boto3()
            worst = 0
            for i in range(100):
                start = time.monotonic()
                c.put_object(Bucket=B, Key=f"main/quick/{i}", Body=b"q")
                assert c.get_object(Bucket=B, Key=f"main/quick/{i}")["Body"].read() == b"q"
                worst = max(worst, time.monotonic() - start)
            for h in slow:
                h.send(b"y" * 150000)
            for h in slow:
                r = h.getresponse()
                assert r.status == 200, (r.status, r.read())
                r.read()
            print(f"peak {s.peak_kib() - base} KiB above idle; slowest PUT and GET {worst * 1000:.0f} ms")
            # 200 uploads hold at most two slots of 256 KiB each, and then some
            assert s.peak_kib() - base < (200 * 2 * 256) + LIMIT_KIB
            assert worst < 30  # and not until the slow ones are done, or given up


def test_many_at_once():
    """64 uploads of 16 MiB at once: the sum of their buffers, not of their bytes."""
    with Server() as s:
        base = idle(s)
        size, failures = 16 << 20, []

        def one(i):
            try:
                send(s, f"/example/main/many/{i}", size)
            except Exception as e:
                failures.append(e)
        threads = [threading.Thread(target=one, args=(i,)) for i in range(64)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not failures, failures[0]
        print(f"peak {s.peak_kib() - base} KiB above idle for 64 uploads at once")
        assert s.peak_kib() - base < 64 * 512 + LIMIT_KIB


if __name__ == "__main__":
    main(globals())
