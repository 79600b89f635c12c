"""What strangers send: each gets S3's own error, stores nothing, and the server goes on."""
import contextlib
import datetime
import os
import re
import socket
import threading
from unittest import mock

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from harness import KEY, REGION, SECRET, Server, main, sign

B = "example"


def raw(s, data, wait=60, shut=False):
    """Sends bytes as they are; what comes back until the peer closes or `wait` passes."""
    with socket.create_connection(("127.0.0.1", s.port), wait) as c:
        with contextlib.suppress(OSError):  # it may have answered and gone already
            c.sendall(data)
            if shut:
                c.shutdown(socket.SHUT_WR)
        c.settimeout(wait)
        got = b""
        try:
            while True:
                d = c.recv(65536)
                if not d:
                    return got
                got += d
                head, sep, body = got.partition(b"\r\n\r\n")
                m = re.search(rb"(?i)content-length: (\d+)", head)
                if sep and m and len(body) >= int(m.group(1)):
                    return got
        except (TimeoutError, ConnectionResetError):
            return got


def request(s, method, path, headers, body=b"", **kw):
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
    return raw(s, head.encode("latin-1") + body, **kw)


def signed(s, method, path, body=b"", headers=None, payload="UNSIGNED-PAYLOAD", raw_path=None, **kw):
    more = dict(headers or {})
    h = sign(method, s.url + path, more, payload, **kw)
    h.setdefault("Host", f"127.0.0.1:{s.port}")
    if method in ("PUT", "POST") and "Transfer-Encoding" not in h:
        h.setdefault("Content-Length", str(len(body)))
    h["Connection"] = "close"
    return request(s, method, raw_path or path, h, body)


def status(answer):
    m = re.match(rb"HTTP/1.1 (\d+)", answer)
    return int(m.group(1)) if m else 0


def code(answer):
    m = re.search(rb"<Code>(\w+)</Code>", answer)
    return m.group(1).decode() if m else None


def expect(answer, want_status, want_code):
    assert (status(answer), code(answer)) == (want_status, want_code), answer[:1500]


def nothing_stored(s, prefix="main/"):
    got = s.boto3().list_objects_v2(Bucket=B, Prefix=prefix)
    assert got["KeyCount"] == 0, [o["Key"] for o in got["Contents"]]
    bodies = [f for d, _, fs in os.walk(s.path("objects", B, "data")) for f in fs] if os.path.isdir(s.path("objects", B, "data")) else []
    assert bodies == [], bodies


def test_signatures():
    now = datetime.datetime.now(datetime.timezone.utc)
    with Server() as s:
        expect(request(s, "GET", "/example/main/x", {"Host": "h", "Connection": "close"}), 403, "AccessDenied")
        expect(signed(s, "PUT", "/example/main/x", b"d", key="AKIAJNOSUCHKEYNOSUCHQ"), 403, "InvalidAccessKeyId")
        expect(signed(s, "PUT", "/example/main/x", b"d", secret="wrong"), 403, "SignatureDoesNotMatch")
        expect(signed(s, "PUT", "/example/main/x", b"d", raw_path="/example/main/y"), 403, "SignatureDoesNotMatch")
        for minutes in (-16, 16):
            expect(signed(s, "PUT", "/example/main/x", b"d", when=now + datetime.timedelta(minutes=minutes)),
                   403, "RequestTimeTooSkewed")
        for bad in ("AWS4-HMAC-SHA256 nonsense", "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=, Signature=",
                    "AWS4-HMAC-SHA256 " + "Credential=" * 50, "AWS4-HMAC-SHA999 Credential=x"):
            got = request(s, "GET", "/example/main/x", {"Host": "h", "Authorization": bad, "Connection": "close",
                                                       "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ"), "x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
            assert status(got) in (400, 403) and code(got), got
        nothing_stored(s)


def test_links():
    with Server() as s:
        s.boto3().put_object(Bucket=B, Key="main/x", Body=b"d")

        def link(lasts, ago=0):
            """Signed some seconds ago."""
            then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=ago)
            asked = AWSRequest("GET", f"{s.url}/{B}/main/x")
            with mock.patch("botocore.auth.get_current_datetime", return_value=then):
                S3SigV4QueryAuth(Credentials(KEY, SECRET), "s3", REGION, expires=lasts).add_auth(asked)
            return asked.url[len(s.url):]
        path = link(60)
        host = {"Host": f"127.0.0.1:{s.port}", "Connection": "close"}
        assert status(request(s, "GET", path, host)) == 200
        expect(request(s, "GET", path.replace("Expires=60", "Expires=61"), host), 403, "SignatureDoesNotMatch")
        assert status(request(s, "GET", link(600, ago=500), host)) == 200
        for lasts in (1, 600):
            expect(request(s, "GET", link(lasts, ago=lasts + 1.1), host), 403, "AccessDenied")
        for n in ("604801", "-1", "x", ""):
            expect(request(s, "GET", path.replace("Expires=60", "Expires=" + n), host), 400, "AuthorizationQueryParametersError")
        assert status(request(s, "GET", link(604800), host)) == 200


def test_bodies():
    with Server() as s:
        sha = "0" * 64
        expect(signed(s, "PUT", "/example/main/x", b"data", payload=sha), 400, "XAmzContentSHA256Mismatch")
        expect(signed(s, "PUT", "/example/main/x", b"data", headers={"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}), 400, "BadDigest")
        expect(signed(s, "PUT", "/example/main/x", b"data", headers={"Content-MD5": "short"}), 400, "InvalidDigest")
        expect(signed(s, "PUT", "/example/main/x", b"data", headers={"x-amz-checksum-crc32": "AAAAAA=="}), 400, "BadDigest")
        expect(signed(s, "PUT", "/example/main/x", b"data", headers={"x-amz-checksum-crc32": "AA=="}), 400, "InvalidRequest")
        # truncated: fewer bytes than promised, then the client leaves
        h = sign("PUT", s.url + "/example/main/x")
        h.update({"Host": f"127.0.0.1:{s.port}", "Content-Length": "1000", "Connection": "close"})
        head = "PUT /example/main/x HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in h.items()) + "\r\n"
        raw(s, head.encode() + b"only this", shut=True)
        # too large by its own word
        h["Content-Length"] = str((5 << 30) + 1)
        expect(request(s, "PUT", "/example/main/x", h), 400, "EntityTooLarge")
        del h["Content-Length"]
        expect(request(s, "PUT", "/example/main/x", h), 411, "MissingContentLength")
        nothing_stored(s)


def chunked(s, frames, length, payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER", trailer="x-amz-checksum-crc32", extra=None):
    headers = {"x-amz-decoded-content-length": str(length), "Content-Encoding": "aws-chunked", **(extra or {})}
    if trailer:
        headers["x-amz-trailer"] = trailer
    return signed(s, "PUT", "/example/main/x", frames, headers=headers, payload=payload)


def test_aws_chunked():
    good = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
    with Server() as s:
        for frames, length, want in (
                (good.replace(b"NhCmhg", b"AAAAAA"), 5, "BadDigest"),
                (b"5\r\nhello\r\n0\r\n\r\n", 5, "MalformedTrailerError"),
                (good, 6, "IncompleteBody"),
                (good, 4, None),
                (b"zz\r\nhello\r\n0\r\n\r\n", 5, None),
                (b"ffffffffffffffffff\r\nhello\r\n0\r\n\r\n", 5, None),
                (b"5;" + b"x" * 4000 + b"\r\nhello\r\n0\r\n\r\n", 5, None),
                (b"5\r\nhello", 5, "IncompleteBody")):
            got = chunked(s, frames, length)
            assert status(got) == 400 and code(got) and want in (None, code(got)), (frames, got[:800])
        got = signed(s, "PUT", "/example/main/x", b"5;chunk-signature=" + b"0" * 64 + b"\r\nhello\r\n0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n",
                     headers={"x-amz-decoded-content-length": "5", "Content-Encoding": "aws-chunked"},
                     payload="STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
        expect(got, 403, "SignatureDoesNotMatch")
        nothing_stored(s)
        assert status(chunked(s, good, 5)) == 200
        got = s.boto3().get_object(Bucket=B, Key="main/x")
        assert got["Body"].read() == b"hello" and "ContentEncoding" not in got


def test_xml():
    with Server() as s:
        s.boto3().put_object(Bucket=B, Key="main/keep", Body=b"k")
        bomb = b'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Delete><Object><Key>&b;</Key></Object></Delete>'
        outside = b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&x;</Key></Object></Delete>'
        deep = b"<Delete>" + b"<Object>" * 5000 + b"</Object>" * 5000 + b"</Delete>"
        for doc in (b"", b"<", b"<Delete>", b"<Delete/>", b"not xml", b"<Delete><Object></Object></Delete>", bomb, outside, deep,
                    b"<Other><Object><Key>main/keep</Key></Object></Other>", b"\xff\xfe<Delete/>",
                    b"<Delete><Object><Key>\xff</Key></Object></Delete>"):
            expect(signed(s, "POST", "/example?delete=", doc, raw_path="/example?delete="), 400, "MalformedXML")
        up = s.boto3().create_multipart_upload(Bucket=B, Key="main/m")["UploadId"]
        for doc in (b"", b"<CompleteMultipartUpload/>", b"<CompleteMultipartUpload><Part><PartNumber>x</PartNumber><ETag>y</ETag></Part></CompleteMultipartUpload>"):
            expect(signed(s, "POST", f"/example/main/m?uploadId={up}", doc), 400, "MalformedXML")
        assert s.boto3().get_object(Bucket=B, Key="main/keep")["Body"].read() == b"k"


def test_heads():
    host = b"Host: h\r\n"
    with Server() as s:
        for head in (b"GET / HTTP/1.1\r\n\r\n",                                        # no Host
                     b"GET / HTTP/1.1\nHost: h\n\n",                                   # bare LF
                     b"GET / HTTP/1.1\r\n" + host + b"A: b\r\n c\r\n\r\n",             # obs-fold
                     b"GET / HTTP/1.1\r\n" + host + b"A : b\r\n\r\n",
                     b"GET / HTTP/1.1\r\n" + host + b"A: b\0c\r\n\r\n",
                     b"GET /\x01 HTTP/1.1\r\n" + host + b"\r\n",
                     b"GET / HTTP/9.9\r\n" + host + b"\r\n",
                     b"\r\n\r\n\r\n\x16\x03\x01",                                      # TLS on a plain port
                     b"POST / HTTP/1.1\r\n" + host + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                     b"POST / HTTP/1.1\r\n" + host + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
                     b"POST / HTTP/1.1\r\n" + host + b"Content-Length: -5\r\n\r\n",
                     b"POST / HTTP/1.1\r\n" + host + b"Content-Length: 99999999999999999999999\r\n\r\n",
                     b"POST / HTTP/1.1\r\n" + host + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
                     b"POST / HTTP/1.1\r\n" + host + b"Transfer-Encoding: xchunked\r\n\r\n"):
            got = raw(s, head, shut=True)
            assert status(got) in (400, 501, 505) or got == b"", (head, got)
            assert b"HTTP/1.1 2" not in got
        for big in (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n" + host + b"\r\n",
                    b"GET / HTTP/1.1\r\n" + host + b"A: " + b"b" * 70000 + b"\r\n\r\n",
                    b"GET / HTTP/1.1\r\n" + host + b"".join(b"a%d: b\r\n" % i for i in range(500)) + b"\r\n"):
            got = raw(s, big, shut=True)
            assert status(got) in (400, 414, 431), got
        assert raw(s, b"GET /_health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_paths():
    with Server() as s:
        c = s.boto3()
        secret = s.path("outside")
        with open(secret, "w") as f:
            f.write("outside")
        for path in ("/example/main/../../../outside", "/example/main/..%2f..%2f..%2foutside", "/example/main/%2e%2e/%2e%2e/outside",
                     "/example/../outside", "/../../outside", "/example/main/./x"):
            got = signed(s, "GET", path)
            assert status(got) in (400, 404) and code(got) in ("InvalidURI", "NoSuchKey"), (path, got)
        for key in ("main/../../outside", "..", "main/%2e%2e/%2e%2e/outside", "main/a/../../../b"):
            expect(signed(s, "PUT", "/example/" + key, b"in"), 400, "InvalidURI")
        nothing_stored(s)
        # those that stay inside are names like any other, and nothing is resolved
        for key in ("main/a/../b", "main/./x", "main/a//b"):
            assert status(signed(s, "PUT", "/example/" + key, b"in")) == 200, key
        assert [o["Key"] for o in c.list_objects_v2(Bucket=B, Prefix="main/")["Contents"]] == ["main/./x", "main/a/../b", "main/a//b"]
        assert open(secret).read() == "outside"
        expect(signed(s, "PUT", "/example/main/a%00b", b"x"), 400, "InvalidURI")
        expect(signed(s, "PUT", "/example/main/a%zz", b"x", raw_path="/example/main/a%zz"), 400, "InvalidURI")
        expect(signed(s, "PUT", "/example/main/a%ff", b"x"), 400, "InvalidURI")
        expect(signed(s, "PUT", "/example/main/" + "k" * 1025, b"x"), 400, "KeyTooLongError")
        assert status(signed(s, "PUT", "/example/main/" + "k" * 1024, b"x")) == 200
        assert c.get_object(Bucket=B, Key="main/" + "k" * 1024)["Body"].read() == b"x"
        for bucket in ("..", "%2e%2e", "EXAMPLE", "_lakefs", "e" * 300):
            got = signed(s, "PUT", f"/{bucket}/main/x", b"x")
            assert status(got) in (400, 403, 404), (bucket, got)


def test_100_continue():
    """Only after permission; and for an empty body, too: botocore takes an answer in its place for the
    answer to the connection's next request as well."""
    with Server() as s:
        def put(body, **kw):
            h = sign("PUT", s.url + "/example/main/x", {"Expect": "100-continue"}, **kw)
            h.update({"Host": f"127.0.0.1:{s.port}", "Content-Length": str(len(body)), "Connection": "close", "Expect": "100-continue"})
            head = "PUT /example/main/x HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in h.items()) + "\r\n"
            with socket.create_connection(("127.0.0.1", s.port), 60) as c:
                c.sendall(head.encode())
                first = c.recv(65536)
                if first.startswith(b"HTTP/1.1 100 Continue\r\n\r\n"):
                    c.sendall(body)
                got = first
                while True:
                    d = c.recv(65536)
                    if not d:
                        return got
                    got += d
        for body in (b"", b"hello"):
            got = put(body)
            assert got.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 "), got
        refused = put(b"hello", secret="wrong")
        assert refused.startswith(b"HTTP/1.1 403 "), refused
        assert s.boto3().get_object(Bucket=B, Key="main/x")["Body"].read() == b"hello"


def test_other_requests_during_slow_and_broken_ones():
    with Server() as s:
        c = s.boto3()
        c.put_object(Bucket=B, Key="main/x", Body=b"served")
        stop = threading.Event()

        def noise():
            while not stop.is_set():
                raw(s, os.urandom(300), wait=0.2)
        threads = [threading.Thread(target=noise) for _ in range(4)]
        for t in threads:
            t.start()
        try:
            for _ in range(30):
                assert c.get_object(Bucket=B, Key="main/x")["Body"].read() == b"served"
        finally:
            stop.set()
            for t in threads:
                t.join()


def test_secrets_stay_out_of_the_log():
    with Server() as s:
        c = s.boto3(signature_version="s3v4")
        c.put_object(Bucket=B, Key="main/x", Body=b"x")
        url = c.generate_presigned_url("get_object", Params={"Bucket": B, "Key": "main/x"})
        h = s.connect()
        h.request("GET", url[len(s.url):])
        assert h.getresponse().read() == b"x"
        s.stop()
        text = s.log_text()
        signature = re.search("Signature=([0-9a-f]+)", url).group(1)
        assert '"operation":"PutObject"' in text and KEY not in text, text[-2000:]
        assert SECRET not in text and signature not in text and "encrypt-encrypt" not in text


if __name__ == "__main__":
    main(globals())
