"""Clients of release_versions_test.py: one that writes and is told, or not, what became of it; one that looks, after
a crash, at all that the server has."""
import base64
import hashlib
import http.client
import json
import random
import urllib.parse

from harness import KEY, SECRET, sign
from rest import Rest

AT = "/repositories/example"


class Unknown(Exception):
    """The answer never came, or says nothing of the outcome; then it has a status."""

    def __init__(self, story, status=None):
        super().__init__(story)
        self.status = status


class Client:
    """Two connections that are never tried again."""

    def __init__(self, server):
        self.server, self.conn = server, server.connect(60)
        self.basic = "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()

    def ask(self, method, path, headers, body=None):
        try:
            self.conn.request(method, path, body=body, headers=headers)
            r = self.conn.getresponse()
            data = r.read()
        except (OSError, http.client.HTTPException) as e:
            raise Unknown(f"{method} {path}: {e!r}") from None
        if r.status >= 500:
            raise Unknown(f"{method} {path}: {r.status} {data[:300]}", r.status)
        return r.status, data, r.headers

    def s3(self, method, key, body=None, query="", good=(200, 204)):
        path = "/example/" + urllib.parse.quote(key) + (query and "?" + query)
        status, data, headers = self.ask(method, path, sign(method, self.server.url + path), body)
        assert status in good, f"{method} {path}: {status} {data[:500]}"
        return data, headers

    def rest(self, method, path, /, doc=None, good=(), **query):
        path = "/api/v1" + AT + path + ("?" + urllib.parse.urlencode(query) if query else "")
        headers = {"Authorization": self.basic}
        if doc is not None:
            headers["Content-Type"] = "application/json"
        status, data, _ = self.ask(method, path, headers, json.dumps(doc).encode() if doc is not None else None)
        assert 200 <= status < 300 or status in good, f"{method} {path} {doc}: {status} {data[:500]}"
        return status, json.loads(data) if data[:1] in (b"{", b"[") else data.decode()

    def put(self, branch, path, body):
        if body.parts:
            return self.put_parts(branch, path, body)
        if random.random() < 0.3:
            _, got = self.upload(branch, path, body)
            etag = got["checksum"]
        else:
            etag = self.s3("PUT", f"{branch}/{path}", body.bytes())[1]["ETag"].strip('"')
        assert etag == body.etag, (etag, body)

    def upload(self, branch, path, body):
        url = f"/api/v1{AT}/branches/{branch}/objects?path={urllib.parse.quote(path)}"
        status, data, _ = self.ask("POST", url, {"Authorization": self.basic,
                                                 "Content-Type": "application/octet-stream"}, body.bytes())
        assert status == 201, (status, data)
        return status, json.loads(data)

    def put_parts(self, branch, path, body):
        key = f"{branch}/{path}"
        made, _ = self.s3("POST", key, query="uploads=")
        upload = made.split(b"<UploadId>")[1].split(b"<")[0].decode()
        doc = ""
        for n, piece in enumerate(body.pieces(), 1):
            _, h = self.s3("PUT", key, piece, f"partNumber={n}&uploadId={upload}")
            doc += f"<Part><PartNumber>{n}</PartNumber><ETag>{h['ETag']}</ETag></Part>"
        done, _ = self.s3("POST", key, f"<CompleteMultipartUpload>{doc}</CompleteMultipartUpload>".encode(),
                          f"uploadId={upload}")
        assert b"<Error>" not in done and body.etag.encode() in done, (done, body)

    def delete(self, branch, path):
        if random.random() < 0.5:
            self.s3("DELETE", f"{branch}/{path}")
        else:
            self.rest("DELETE", f"/branches/{branch}/objects", path=path, good=(404,))

    def delete_many(self, branch, paths):
        doc = "".join(f"<Object><Key>{branch}/{p}</Key></Object>" for p in paths)
        doc = f"<Delete><Quiet>true</Quiet>{doc}</Delete>".encode()
        path = "/example?delete="
        headers = {"Content-MD5": base64.b64encode(hashlib.md5(doc).digest()).decode()}
        status, data, _ = self.ask("POST", path, sign("POST", self.server.url + path, headers), doc)
        assert status == 200, (status, data)
        if b"<Error>" in data:
            raise Unknown(f"{path}: {data[:500]}", status)


class View:
    """What the server says after a crash, asked once."""

    def __init__(self, server):
        self.server, self.api = server, Rest(server.url)
        self.branches = {b["id"]: b["commit_id"] for b in self.api.pages(AT + "/branches")}
        self.tags = {t["id"]: t["commit_id"] for t in self.api.pages(AT + "/tags")}
        self.listings, self.logs, self.read = {}, {}, 0

    def head(self, name):
        return self.branches[name]

    def commit(self, id):
        return self.api.get(f"{AT}/commits/{id}")

    def listing(self, ref):
        if ref not in self.listings:
            self.listings[ref] = {o["path"]: o["checksum"] for o in self.api.pages(f"{AT}/refs/{ref}/objects/ls")}
        return dict(self.listings[ref])

    def log(self, ref):
        if ref not in self.logs:
            self.logs[ref] = self.api.pages(f"{AT}/refs/{ref}/commits")
        return self.logs[ref]

    def same(self, ref, contents):
        seen, want = self.listing(ref), {p: b.etag for p, b in contents.items()}
        wrong = [(p, seen.get(p), contents.get(p)) for p in sorted(set(seen) | set(want)) if seen.get(p) != want.get(p)]
        assert not wrong, f"{ref}: {wrong[:5]}"

    def bodies(self, ref, contents, some=None):
        client = Client(self.server)
        paths = sorted(contents)
        for path in paths if some is None else random.sample(paths, min(some, len(paths))):
            assert client.s3("GET", f"{ref}/{path}")[0] == contents[path].bytes(), f"{ref}/{path}"
            self.read += 1
