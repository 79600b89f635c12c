"""What Spark's S3A asked (tests/data/s3a.jsonl, made by full_spark_test.py and record.py), asked again in its order and
freshly signed, chunk by chunk where S3A signs chunks: committers' markers, probes that find nothing, renames by copy
and delete, deletes of many, parts. Contents are made up, of the recorded sizes; what is read must be what a model of
the bucket holds. Under both addresses of a branch."""
import base64
import collections
import hashlib
import html
import json
import os
import re
import urllib.parse
import zlib

from harness import KEY, SECRET, SOURCE, Server, main
from record import view
from replay import Chunks, Signer, amz_date, now, send

TOKEN = re.compile(r"(?:etag|upload)\d{3}")


def content(body):
    """Bytes of a size, the same for the same seed."""
    if isinstance(body, dict):
        block = hashlib.sha256(body["seed"].encode()).digest() * 32
        return (block * (body["size"] // len(block) + 1))[:body["size"]]
    return (body or "").encode()


class Replay:
    def __init__(self, server, bucket, prefix):
        self.server, self.bucket, self.prefix = server, bucket, prefix
        self.names = {}   # of the recording -> here
        self.objects = {}
        self.parts = collections.defaultdict(dict)
        self.done = collections.Counter()

    def fill(self, text):
        for mark, value in (("{bucket}", self.bucket), ("{branch}", "main"), ("{prefix}", self.prefix),
                            ("{prefix%}", urllib.parse.quote(self.prefix, safe=""))):
            text = text.replace(mark, value)
        return TOKEN.sub(lambda m: self.names[m.group()], text)

    def applies(self, x):
        """A branch has an address of its own below its repository; the root of a bucket has none."""
        return bool(self.prefix) or not (
            "/{branch}" in x["request"] or x["request"].split("?")[0].endswith("/{bucket}/{prefix}") or
            (isinstance(x.get("body"), str) and "<Key>{prefix}</Key>" in x["body"]))

    def ask(self, x):
        method, target = self.fill(x["request"]).split(" ", 1)
        data = content(x["body"]) if isinstance(x.get("body"), dict) else self.fill(x.get("body", "")).encode()
        when, wire, payload = now(), data, x.get("payload", "UNSIGNED-PAYLOAD")
        headers = {"host": f"127.0.0.1:{self.server.port}", "x-amz-date": amz_date(when)}
        headers.update((n, self.fill(v)) for n, v in x.get("headers", {}).items())
        computed = {"content-md5": lambda: hashlib.md5(data).digest(),
                    "x-amz-checksum-crc32": lambda: zlib.crc32(data).to_bytes(4, "big")}
        headers.update((n, base64.b64encode(computed[n]()).decode()) for n, v in headers.items() if v == "{computed}")
        if payload == "sha256":
            payload = hashlib.sha256(data).hexdigest()
        elif payload.startswith("STREAMING"):
            headers["x-amz-decoded-content-length"] = str(len(data))
        headers["x-amz-content-sha256"] = payload
        signature, scope, key = Signer(KEY, SECRET, list(headers), payload).sign(method, "http://h" + target, headers, when)
        headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, "
                                    f"SignedHeaders={';'.join(sorted(headers))}, Signature={signature}")
        if payload == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD":
            wire = Chunks(signature, scope, key, when).encode(data, 128 << 10)
        return method, target, data, *send(self.server.port, method, target, headers, wire)

    def same(self, expected, got, where):
        """Equal, but for names: what one stands for is learned, and then holds."""
        if isinstance(expected, dict):
            assert isinstance(got, dict) and expected.keys() == got.keys(), f"{where}: {expected} -> {got}"
            for k in expected:
                self.same(expected[k], got[k], f"{where}/{k}")
        elif isinstance(expected, list):
            assert isinstance(got, list) and len(expected) == len(got), f"{where}: {expected} -> {got}"
            for i, (a, b) in enumerate(zip(expected, got)):
                self.same(a, b, f"{where}[{i}]")
        elif isinstance(expected, str):
            pattern, names = "", []
            at = 0
            for m in TOKEN.finditer(expected):
                pattern += re.escape(self.fill(expected[at:m.start()])) + "(.*?)"
                names.append(m.group())
                at = m.end()
            found = re.fullmatch(pattern + re.escape(self.fill(expected[at:])), got or "")
            assert found, f"{where}: {expected!r} -> {got!r}"
            for name, value in zip(names, found.groups()):
                assert self.names.setdefault(name, value) == value, f"{where}: {name} was {self.names[name]}, is {value}"
        else:
            assert expected == got, f"{where}: {expected!r} -> {got!r}"

    def one(self, n, x):
        method, target, data, status, headers, body = self.ask(x)
        where = f"{n + 1}: {x['request']}"
        assert status == x["status"], f"{where}: {x['status']} -> {status} {body[:500]!r}"
        for name, value in x.get("has", {}).items():
            self.same(value, headers.get(name), f"{where} {name}")
        answer = x.get("answer")
        if isinstance(answer, dict) and "is" in answer:
            self.same(answer, view(body.decode()), where)
        path, _, query = target.partition("?")
        key = urllib.parse.unquote(path)[len(self.bucket) + 2:]
        self.model(method, key, dict(urllib.parse.parse_qsl(query, keep_blank_values=True)), x, data, status, headers,
                   body, where)
        self.done[(method, status)] += 1

    def model(self, method, key, query, x, data, status, headers, body, where):
        objects = self.objects
        if status >= 300:
            assert not (key in objects and method in ("GET", "HEAD")), f"{where}: it is there"
        elif method == "PUT" and "uploadId" in query:
            self.parts[query["uploadId"]][int(query["partNumber"])] = data
        elif method == "PUT":
            source = x.get("headers", {}).get("x-amz-copy-source")
            if source:
                data = objects[urllib.parse.unquote(self.fill(source)).lstrip("/")[len(self.bucket) + 1:]]
            if key != self.prefix:
                objects[key] = data
        elif method == "POST" and "uploadId" in query:
            parts = self.parts.pop(query["uploadId"])
            objects[key] = b"".join(parts[i] for i in sorted(parts))
        elif method == "POST" and "delete" in query:
            for gone in re.findall("<Key>(.*?)</Key>", data.decode()):
                objects.pop(html.unescape(gone), None)
        elif method == "DELETE":
            objects.pop(key, None)
        elif method == "GET" and key:
            first, last = 0, len(objects[key]) - 1
            if status == 206:
                first, last = map(int, re.match(r"bytes (\d+)-(\d+)/", headers["content-range"]).groups())
            assert body == objects[key][first:last + 1], f"{where}: other bytes"
        elif method == "HEAD" and key:
            assert int(headers["content-length"]) == len(objects[key]), f"{where}: length"
        elif method == "GET" and "list-type" in query and "delimiter" not in query:
            found = sorted(k for k in objects if k.startswith(query.get("prefix", "")))
            listed = [k for k, _, _ in view(body.decode())["keys"]]
            assert listed == found[:len(listed)] and (listed == found or b"<IsTruncated>true<" in body), \
                f"{where}: {sorted(set(listed) ^ set(found))}"


def replay(bucket, prefix):
    with open(os.path.join(SOURCE, "tests", "data", "s3a.jsonl")) as f:
        exchanges = [json.loads(line) for line in f]
    with Server() as server:
        r = Replay(server, bucket, prefix)
        for n, x in enumerate(exchanges):
            if r.applies(x):
                r.one(n, x)
        assert sum(r.done.values()) > 900, r.done
        kinds = {("HEAD", 404), ("HEAD", 200), ("PUT", 200), ("DELETE", 204), ("POST", 200), ("GET", 206), ("GET", 200)}
        assert kinds <= r.done.keys(), r.done
        chunked = [x for x in exchanges if x.get("payload") == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"]
        copies = [x for x in exchanges if "x-amz-copy-source" in x.get("headers", {})]
        markers = [x for x in exchanges if x["request"].startswith("PUT") and x["request"].endswith("/")]
        assert len(chunked) > 50 and len(copies) > 20 and len(markers) > 5, (len(chunked), len(copies), len(markers))
        assert not r.objects, sorted(r.objects)


def test_s3a_below_a_branch():
    replay("example", "main/")


def test_s3a_in_a_branch_bucket():
    replay("example.main", "")


if __name__ == "__main__":
    main(globals())
