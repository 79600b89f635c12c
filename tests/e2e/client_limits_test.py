"""Each bound of `server` in the configuration, reached from outside: what happens there is what is documented, and
the server goes on afterwards."""
import collections
import os
import re
import resource
import signal
import socket
import threading
import time

import harness
from harness import Server, main, sign, wait_for

B = "example"
PATIENCE = 60
HEALTH = b"GET /_health HTTP/1.1\r\nHost: h\r\n\r\n"


class Client:
    """A connection, byte by byte."""

    def __init__(self, s, data=b"", wait=PATIENCE, rcvbuf=0):
        self.sock = socket.socket()
        self.sock.settimeout(wait)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.connect(("127.0.0.1", s.port))
        self.sock.sendall(data)

    def answer(self):
        """One answer: status, headers, body. Status 0: the connection ended before one."""
        got = b""
        while b"\r\n\r\n" not in got:
            more = self.sock.recv(65536)
            if not more:
                assert not got, got
                return 0, {}, b""
            got += more
        head, _, body = got.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
        while len(body) < int(headers.get("content-length", 0)):
            more = self.sock.recv(65536)
            assert more, f"the body ends after {len(body)} bytes"
            body += more
        return int(lines[0].split()[1]), headers, body

    def ended(self):
        """Everything until the server ends the connection."""
        got = 0
        while True:
            try:
                data = self.sock.recv(1 << 20)
            except ConnectionResetError:
                return got
            if not data:
                return got
            got += len(data)

    def silent(self, seconds):
        self.sock.settimeout(seconds)
        try:
            return not self.sock.recv(1, socket.MSG_PEEK) and False
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()


def head(s, method, path, length=None):
    h = sign(method, s.url + path)
    h["Host"] = f"127.0.0.1:{s.port}"
    if length is not None:
        h["Content-Length"] = str(length)
    return (f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in h.items()) + "\r\n").encode()


def once(s, data):
    with Client(s, data) as c:
        return c.answer()


def begun(s, path, length, first):
    """A PUT of which the server has read the head, and that goes on slowly: it was asked to."""
    c = Client(s, head(s, "PUT", path, length)[:-2] + b"Expect: 100-continue\r\n\r\n")
    assert c.answer()[0] == 100
    c.sock.sendall(first)
    return c


def accepted(s, data):
    """Its answer; asked for again while the answer is SlowDown, as clients do."""
    end = time.monotonic() + PATIENCE
    while (answer := once(s, data))[0] == 503 and time.monotonic() < end:
        time.sleep(0.05)
    return answer


def serves(s):
    assert once(s, HEALTH)[0] == 200
    body = os.urandom(1000)
    assert accepted(s, head(s, "PUT", f"/{B}/main/serves", 1000) + body)[0] == 200
    assert accepted(s, head(s, "GET", f"/{B}/main/serves"))[2] == body


def at_speed(seconds, attempt):
    """attempt(), again where it fails and has taken longer than that: then this machine stood still, and times of the
    server's were over."""
    end = time.monotonic() + PATIENCE
    while True:
        start = time.monotonic()
        try:
            return attempt()
        except (AssertionError, OSError):
            if time.monotonic() - start < seconds or time.monotonic() > end:
                raise


def side_by_side(n, fn):
    """fn(0) to fn(n - 1), each on a thread, all started at once; their results."""
    results, gate = [None] * n, threading.Barrier(n)

    def run(i):
        gate.wait()
        try:
            results[i] = fn(i)
        except Exception as e:
            results[i] = e
    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for r in results:
        if isinstance(r, Exception):
            raise r
    return results


def answered(clients, least, most):
    """Those who got an answer; the others wait to be accepted."""
    wait_for(lambda: sum(not c.silent(0.001) for c in clients) >= least, f"{least} answers")
    time.sleep(0.5)
    inside = [c for c in clients if not c.silent(0.001)]
    assert least <= len(inside) <= most and all(c.answer()[0] == 200 for c in inside), len(inside)
    return inside


def test_queue():
    """New jobs are refused; a put whose bytes are here goes on, and is refused by admission instead."""
    extra = "server: {queue: 1, data_workers: 1, meta_workers: 1, admission: {data: 2, queue: 1}}\n"
    with Server(extra=extra) as s:
        body = os.urandom(600_000)

        def listing(i):
            return [once(s, head(s, "GET", f"/{B}?list-type=2"))[0] for _ in range(12)]
        statuses = collections.Counter(status for got in side_by_side(24, listing) for status in got)
        assert statuses[503] > 0 and statuses[200] > 0 and sum(statuses.values()) == 288 == statuses[503] + statuses[200], statuses
        assert not re.search(r'"component":"admission".*"class":"metadata"', s.log_text())

        def put(i):
            got = []
            for n in range(6):
                status, headers, answer = once(s, head(s, "PUT", f"/{B}/main/q{i}-{n}", len(body)) + body)
                assert status in (200, 503), (status, answer)
                if status == 503:
                    assert b"<Code>SlowDown</Code>" in answer and int(headers["retry-after"]) >= 1, (headers, answer)
                got.append((status, f"q{i}-{n}"))
            return got
        results = [r for rs in side_by_side(24, put) for r in rs]
        statuses = collections.Counter(status for status, _ in results)
        assert statuses[503] > 0 and statuses[200] > 0, statuses
        listed = {o["Key"][len("main/"):] for o in s.boto3(retries={"max_attempts": 8}).list_objects_v2(Bucket=B, Prefix="main/")["Contents"]}
        assert listed == {key for status, key in results if status == 200}
        serves(s)


def test_connections():
    with Server(extra="server: {connections: 8}\n") as s:
        # those who are at something stay in, and those who come wait
        held = [begun(s, f"/{B}/main/held{i}", 10, b"12345") for i in range(8)]
        waiting = [Client(s, HEALTH) for _ in range(4)]
        assert all(c.silent(0.4) for c in waiting)
        for c in held:
            c.sock.sendall(b"67890")
            assert c.answer()[0] == 200
            c.sock.close()
        for c in waiting:
            assert c.answer()[0] == 200
            c.sock.close()
        serves(s)


def test_idle_connections_make_room():
    """Whoever only holds connections, silent, idle or dribbling a head, keeps nobody out."""
    with Server(extra="server: {connections: 9, loops: 1}\n") as s:
        upload = begun(s, f"/{B}/main/slow", 10, b"12345")
        idle = [Client(s, HEALTH) for _ in range(3)]
        assert [c.answer()[0] for c in idle] == [200] * 3
        held = idle + [Client(s) for _ in range(2)] + [Client(s, HEALTH[:10]) for _ in range(3)]
        time.sleep(0.5)
        for _ in range(12):
            assert once(s, HEALTH)[0] == 200
        # all come at once: each is served, one after the other
        more = [Client(s, HEALTH) for _ in range(20)]
        assert [c.answer()[0] for c in more] == [200] * 20
        upload.sock.sendall(b"67890")
        assert upload.answer()[0] == 200
        assert held[0].ended() == 0  # closed in good order
        text = s.log_text()
        assert "as many connections as are allowed" in text and "server.connections" in text
        for c in held + more + [upload]:
            c.sock.close()
        serves(s)


def descriptors(s):
    return len(os.listdir(f"/proc/{s.pid}/fd"))


def test_descriptors():
    """A process that may open few files: fewer connections from the start; none at all for a while."""
    with Server() as s:
        serves(s)
        s.stop()
        limited = s.path("limited")
        with open(limited, "w") as f:
            f.write(f'#!/bin/sh\nulimit -n 680\nexec "{harness.SLUICE}" "$@"\n')
        os.chmod(limited, 0o700)
        program, harness.SLUICE = harness.SLUICE, limited
        try:
            s.start()
        finally:
            harness.SLUICE = program
        assert '"allowed":20' in s.log_text(), s.log_text()[-2000:]
        serves(s)
        before = descriptors(s)
        # those who are at something: who is idle would make room
        inside = [begun(s, f"/{B}/main/held{i}", 10, b"12345") for i in range(20)]
        waiting = [Client(s, HEALTH) for _ in range(10)]
        assert all(c.silent(0.05) for c in waiting)
        for c in inside:
            c.sock.close()
        assert [c.answer()[0] for c in waiting] == [200] * 10
        for c in waiting:
            c.sock.close()
        serves(s)
        wait_for(lambda: descriptors(s) <= before, "the end of those connections")
        before = descriptors(s)
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (before + 6, 680))
        clients = [Client(s, HEALTH) for _ in range(15)]
        inside = answered(clients, 4, 8)
        # who is in hears of it in S3's words, or is served
        inside[0].sock.sendall(head(s, "GET", f"/{B}/main/serves"))
        assert inside[0].answer()[0] in (200, 500, 503)
        for c in clients:
            c.sock.close()
        s.wait_for_log("can't accept connections")
        serves(s)
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (680, 680))
        serves(s)


def test_heads():
    with Server(extra="server: {head_bytes: 4KiB, headers: 16, head_timeout: 300ms, idle_timeout: 500ms}\n") as s:
        def sized(n):
            return HEALTH[:-2] + b"A: " + b"a" * (n - len(HEALTH) - 5) + b"\r\n\r\n"

        def numbered(n):
            return HEALTH[:-2] + b"".join(b"A%d: b\r\n" % i for i in range(n - 1)) + b"\r\n"
        for data, want in ((sized(4096), 200), (sized(4097), 431), (b"GET /" + b"x" * 9000, 431),
                           (numbered(16), 200), (numbered(17), 431)):
            def is_so(data=data, want=want):
                assert once(s, data)[0] == want, data[:60]
            at_speed(0.3, is_so)

        def dribbling():
            start = time.monotonic()
            with Client(s, HEALTH[:10]) as c:
                while c.silent(0.05):  # drops don't prolong it
                    c.sock.sendall(b"x")
                    assert time.monotonic() - start < 30
                assert c.answer()[0] == 408
                assert 0.25 < time.monotonic() - start
                assert c.ended() == 0
        at_speed(0.5, dribbling)  # it may be idle before it begins

        def idle():
            start = time.monotonic()
            with Client(s, HEALTH) as c:
                assert c.answer()[0] == 200 and c.ended() == 0
                assert 0.45 < time.monotonic() - start < 30
        at_speed(0.5, idle)
        with Client(s) as c:
            assert c.ended() == 0
        at_speed(0.3, lambda: serves(s))


def test_slow_bodies():
    with Server(extra="server: {body_timeout: 400ms, write_timeout: 600ms}\n") as s:
        def dribbled():
            """The seconds until a body that gets a byte now and then, and then none, is given up."""
            start = time.monotonic()
            with Client(s, head(s, "PUT", f"/{B}/main/stalled", 1000) + b"a") as c:
                for _ in range(4):
                    time.sleep(0.2)
                    c.sock.sendall(b"a")
                status, _, answer = c.answer()
                assert status == 400 and b"<Code>RequestTimeout</Code>" in answer, (status, answer)
                took = time.monotonic() - start
                assert c.ended() == 0
            assert took < 30
            return took
        # each byte gives it more time, where the machine doesn't stand still in between
        wait_for(lambda: dribbled() > 1, "a body that goes on")
        assert once(s, head(s, "HEAD", f"/{B}/main/stalled"))[0] == 404
        big = os.urandom(24 << 20)

        def put():
            assert once(s, head(s, "PUT", f"/{B}/main/big", len(big)) + big)[0] == 200
        at_speed(0.4, put)
        with Client(s, head(s, "GET", f"/{B}/main/big"), rcvbuf=4096) as c:
            s.wait_for_log('"operation":"GetObject"')  # it is over, unread
            assert c.ended() < len(big)

        def get():
            with Client(s, head(s, "GET", f"/{B}/main/big")) as c:
                assert c.answer()[2] == big
        at_speed(0.6, get)
        at_speed(0.4, lambda: serves(s))


def test_stop_grace():
    with Server(extra="server: {stop_grace: 60s}\n") as s:
        done = begun(s, f"/{B}/main/done", 10, b"12345")
        idle = Client(s, HEALTH)
        assert idle.answer()[0] == 200
        start = time.monotonic()
        s.proc.send_signal(signal.SIGTERM)
        assert idle.ended() == 0
        done.sock.sendall(b"67890")
        assert done.answer()[0] == 200
        s.stop()
        assert time.monotonic() - start < 30
        s.extra = "server: {stop_grace: 1500ms}\n"
        s.configure()
        s.start()
        stuck = begun(s, f"/{B}/main/stuck", 10, b"12345")
        start = time.monotonic()
        s.proc.send_signal(signal.SIGTERM)
        stuck.ended()
        assert 1.4 < time.monotonic() - start < 20
        s.stop()
        assert time.monotonic() - start < 25
        for c in (done, stuck, idle):
            c.sock.close()
        s.start()
        assert once(s, head(s, "GET", f"/{B}/main/done"))[2] == b"1234567890"
        assert once(s, head(s, "HEAD", f"/{B}/main/stuck"))[0] == 404


def test_memory_of_documents():
    """The largest documents, eight at once: what is refused for its form, its size or its cost."""
    key = b"<Object><Key>main/%06d</Key></Object>"
    many = b"<Delete>" + b"".join(key % i for i in range(1001)) + b"</Delete>"
    long = b"<Delete>" + b"<Object><Key>" + b"k" * ((8 << 20) - 200) + b"</Key></Object></Delete>"
    nodes = b"<Delete>" + b"<Object/>" * 900_000 + b"</Delete>"
    attributes = b"<Delete" + b"".join(b' a%d=""' % i for i in range(700_000)) + b"/>"
    with Server() as s:
        serves(s)
        s.reset_peak()
        before = s.peak_kib()
        start = time.monotonic()
        documents = [many, long, nodes, attributes] * 2

        def post(i):
            status, _, answer = once(s, head(s, "POST", f"/{B}?delete=", len(documents[i])) + documents[i])
            code = re.search(rb"<Code>(\w+)</Code>", answer)
            return status, code and code.group(1).decode()
        for _ in range(2):
            got = side_by_side(8, post)
            assert got == [(400, "MalformedXML"), (200, "KeyTooLongError"), (400, "MalformedXML"), (400, "MalformedXML")] * 2, got
        assert time.monotonic() - start < 60
        assert s.peak_kib() - before < 500 * 1024, s.peak_kib() - before
        serves(s)


if __name__ == "__main__":
    main(globals())
