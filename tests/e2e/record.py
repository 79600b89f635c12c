"""A relay that writes down what passes: each request and its answer, bodies without their aws-chunked frames.

    with Relay(port_of_the_server) as relay: ... relay.port ... ; relay.exchanges
Headers go through as they are, Host included, so signatures hold."""
import hashlib
import http.client
import json
import re
import socket
import sys
import threading
import xml.etree.ElementTree as ElementTree

REQUEST_HEADERS = ("content-type", "content-encoding", "content-md5", "x-amz-content-sha256", "x-amz-decoded-content-length",
                   "x-amz-copy-source", "x-amz-metadata-directive", "x-amz-sdk-checksum-algorithm", "x-amz-trailer",
                   "x-amz-storage-class", "x-amz-acl", "range", "if-match", "if-none-match", "if-modified-since",
                   "if-unmodified-since", "x-amz-checksum-mode", "x-amz-checksum-crc32", "x-amz-checksum-crc64nvme",
                   "cache-control", "content-disposition")
RESPONSE_HEADERS = ("content-type", "content-length", "content-range", "etag", "accept-ranges")


def unframed(body):
    """The data of an aws-chunked body."""
    out, at = [], 0
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end].split(b";")[0], 16)
        if size == 0:
            return b"".join(out)
        out.append(body[end + 2:end + 2 + size])
        at = end + 2 + size + 2


class Relay:
    def __init__(self, upstream):
        self.upstream = upstream
        self.exchanges = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, client.makefile("rb") as reader:
            server = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=120)
            while line := reader.readline():
                try:
                    if not self._one(client, reader, server, line.decode("latin-1").split()):
                        return
                except (OSError, http.client.HTTPException):
                    return

    def _one(self, client, reader, server, request):
        method, target, _ = request
        headers = []
        while (line := reader.readline().decode("latin-1").rstrip("\r\n")):
            name, _, value = line.partition(":")
            headers.append((name, value.strip()))
        have = {n.lower(): v for n, v in headers}
        if "100-continue" in have.get("expect", "").lower():
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b""
        if have.get("transfer-encoding", "").lower() == "chunked":
            while size := int(reader.readline().split(b";")[0], 16):
                body += reader.read(size)
                reader.readline()
            while reader.readline() not in (b"\r\n", b""):
                pass
        elif int(have.get("content-length", 0)):
            body = reader.read(int(have["content-length"]))
        server.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            if name.lower() not in ("expect", "transfer-encoding", "connection", "content-length"):
                server.putheader(name, value.encode("latin-1"))
        if body or "content-length" in have or "transfer-encoding" in have:
            server.putheader("Content-Length", str(len(body)))
        server.endheaders(body or None)
        answer = server.getresponse()
        data = answer.read()
        with self.lock:
            self.exchanges.append(self._note(method, target, have, body, answer, data))
        head = f"HTTP/1.1 {answer.status} {answer.reason}\r\n"
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection"):
                head += f"{name}: {value}\r\n"
        if answer.getheader("content-length") is None and answer.status not in (204, 304):
            head += f"Content-Length: {len(data)}\r\n"
        client.sendall(head.encode("latin-1") + b"\r\n" + data)
        return have.get("connection", "").lower() != "close"

    @staticmethod
    def _note(method, target, have, body, answer, data):
        path, _, query = target.partition("?")
        if "aws-chunked" in have.get("content-encoding", ""):
            body = unframed(body)
        return {"method": method, "path": path, "query": query,
                "headers": {n: have[n] for n in REQUEST_HEADERS if n in have},
                "body": shape(body), "status": answer.status,
                "answer_headers": {n: v for n, v in ((n.lower(), v) for n, v in answer.getheaders())
                                   if n in RESPONSE_HEADERS or n.startswith("x-amz-meta-")},
                "answer": shape(data)}


def shape(data):
    """XML and what is short as text; else a size and a hash."""
    if not data:
        return ""
    if data.lstrip().startswith(b"<") or re.fullmatch(rb"[\x20-\x7e\r\n\t]{1,200}", data):
        return data.decode()
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def view(text):
    """What matters of an XML answer, small enough to be compared and kept."""
    root = ElementTree.fromstring(text)
    for e in root.iter():
        e.tag = e.tag.split("}")[-1]

    def all_of(name, *fields):
        return [[e.findtext(f) or "" for f in fields] for e in root.iter(name)]
    kinds = {
        "ListBucketResult": lambda: {"keys": all_of("Contents", "Key", "Size", "ETag"),
                                     "prefixes": all_of("CommonPrefixes", "Prefix"),
                                     "truncated": root.findtext("IsTruncated"), "count": root.findtext("KeyCount")},
        "ListMultipartUploadsResult": lambda: {"uploads": all_of("Upload", "Key", "UploadId"),
                                               "truncated": root.findtext("IsTruncated")},
        "DeleteResult": lambda: {"deleted": all_of("Deleted", "Key"), "errors": all_of("Error", "Key", "Code")},
        "CopyObjectResult": lambda: {"etag": root.findtext("ETag")},
        "InitiateMultipartUploadResult": lambda: {"key": root.findtext("Key"), "upload": root.findtext("UploadId")},
        "CompleteMultipartUploadResult": lambda: {"key": root.findtext("Key"), "etag": root.findtext("ETag")},
        "Error": lambda: {"code": root.findtext("Code")},
    }
    return {"is": root.tag, **kinds[root.tag]()}


# What differs from run to run, and so gets names that are in the order of what they stand for.
NAMES = [("job", r"\b20\d{2}\d{10,}\b|(?<=_)20\d{10,}(?=_)"), ("uuid", r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
         ("etag", r"(?<![0-9a-f])[0-9a-f]{32}(?:-\d+)?(?![0-9a-f])")]


def trimmed(exchanges, bucket="example", branch="main"):
    """A recording under bucket/branch/... as lines to keep: names that repeat, {bucket} and {prefix} for the address,
    sizes for contents, no read that was answered already and with nothing written since, and nothing that the server
    lacked."""
    out, known = [], set()
    for x in exchanges:
        if x["status"] == 501:
            continue
        answer = x["answer"]
        if isinstance(answer, str) and answer.startswith("<"):
            answer = view(answer)
        elif answer:
            answer = {"bytes": answer["size"] if isinstance(answer, dict) else len(answer)}
        body = x["body"]
        if isinstance(body, dict):
            body = {"size": body["size"], "seed": body["sha256"][:12]}
        elif body and not body.startswith("<"):
            body = {"size": len(body), "seed": hashlib.sha256(body.encode()).hexdigest()[:12]}
        headers = dict(x["headers"])
        payload = headers.pop("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
        for name in ("content-md5", "x-amz-checksum-crc32"):
            if name in headers:
                headers[name] = "{computed}"
        headers.pop("x-amz-decoded-content-length", None)
        kept = {n: v for n, v in x["answer_headers"].items()
                if n in ("etag", "content-range") or (n == "content-length" and x["method"] == "HEAD" and x["status"] < 300) or
                (n == "content-type" and x["method"] == "HEAD" and x["status"] < 300)}
        item = {"request": x["method"] + " " + x["path"] + ("?" + x["query"] if x["query"] else ""), "headers": headers,
                "payload": {"UNSIGNED-PAYLOAD": ""}.get(payload, payload if payload.startswith("STREAMING") else "sha256"),
                "body": body,
                "status": x["status"], "has": kept, "answer": answer}
        text = json.dumps({k: v for k, v in item.items() if v}, ensure_ascii=False)
        if x["method"] not in ("GET", "HEAD"):
            known.clear()
        elif text in known:
            continue
        known.add(text)
        out.append(text)
    whole = "\n".join(out)
    uploads = dict.fromkeys(re.findall(r'"upload": "([^"]+)"', whole))
    for i, upload in enumerate(uploads, 1):
        whole = whole.replace(upload, f"upload{i:03}")
    for kind, pattern in NAMES:
        rank = {name: f"{kind}{i:03}" for i, name in enumerate(sorted(set(re.findall(pattern, whole))), 1)}
        whole = re.sub(pattern, lambda m: rank[m.group()], whole)
    for old, new in ((f"/{bucket}/{branch}/", "/{bucket}/{prefix}"),
                     (f'source": "{bucket}/{branch}/', 'source": "{bucket}/{prefix}'), (f"={branch}%2F", "={prefix%}"),
                     (f"<Key>{branch}/", "<Key>{prefix}"), (f'"{branch}/', '"{prefix}'), (f" /{bucket}?", " /{bucket}?"),
                     (f" /{bucket}/{branch}", " /{bucket}/{branch}")):
        whole = whole.replace(old, new)
    return whole.split("\n")


if __name__ == "__main__":  # record.py RECORDING TRIMMED
    with open(sys.argv[1]) as recording, open(sys.argv[2], "w") as kept_lines:
        kept_lines.write("\n".join(trimmed([json.loads(line) for line in recording])) + "\n")
