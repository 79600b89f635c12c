"""Objects of any size pass to and from remote stores in bounded memory: one server, a service of each kind."""
import contextlib
import hashlib
import os

from harness import Server, main, sign
from rest import Rest
from services import Azurite, FakeGcs, S3Proxy, Versitygw

MIB = 1 << 20
FULL = bool(os.environ.get("SLUICE_FULL"))
# (class, id, MiB, MiB of a full run): fake-gcs-server holds in memory what it has, Azurite is slow.
ROWS = ((Versitygw, "versitygw", 256, 1024), (S3Proxy, "s3proxy", 256, 1024), (Azurite, "azurite", 64, 1024),
        (FakeGcs, "fake-gcs", 64, 256))
PART = 16 * MIB
# One request at a time. It holds two slots of 256 KiB, libcurl's buffers (less than 1 MiB) and, where a store isn't
# sent a stream, one part of 5 MiB. The rest is for what the allocator keeps and for records.
LIMIT_KIB = 32 << 10
BLOCK = os.urandom(MIB + 1)  # no two parts are alike


def blocks(size):
    for i in range(0, size, len(BLOCK)):
        yield BLOCK[:min(len(BLOCK), size - i)]


def digest(bodies):
    h = hashlib.sha256()
    for b in bodies:
        h.update(b)
    return h.hexdigest()


def send(server, path, size):
    """A PUT; its ETag."""
    with contextlib.closing(server.connect(600)) as h:
        h.request("PUT", path, body=blocks(size), headers={**sign("PUT", server.url + path),
                                                           "Content-Length": str(size)})
        r = h.getresponse()
        body = r.read()
        assert r.status == 200, (r.status, body)
        return r.headers["ETag"]


def fetch(server, path):
    """A GET's digest and length."""
    with contextlib.closing(server.connect(600)) as h:
        h.request("GET", path, headers=sign("GET", server.url + path))
        r = h.getresponse()
        assert r.status == 200, (r.status, r.read())
        sha, n = hashlib.sha256(), 0
        while d := r.read(MIB):
            sha.update(d)
            n += len(d)
        return sha.hexdigest(), n


def send_parts(server, bucket, key, size):
    s3 = server.boto3(read_timeout=600)
    up = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    tags = [send(server, f"/{bucket}/{key}?partNumber={i + 1}&uploadId={up}", PART) for i in range(size // PART)]
    s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=up, MultipartUpload={
        "Parts": [{"PartNumber": i + 1, "ETag": t} for i, t in enumerate(tags)]})


class Peak:
    """KiB above what the server had when this began."""
    def __init__(self, server):
        self.server = server
        server.boto3().list_buckets()
        server.reset_peak()
        self.base = server.peak_kib()

    def take(self):
        got = self.server.peak_kib() - self.base
        self.server.reset_peak()
        return got


def large_objects(server, store, size):
    repo = store.id
    Rest(server.url).call("POST", "/repositories", 201, doc={
        "name": repo, "storage_namespace": store.namespace(repo), "storage_id": store.id})
    send(server, f"/{repo}/main/warm", MIB)  # its threads, its connections
    fetch(server, f"/{repo}/main/warm")
    peak, got = Peak(server), {}
    send(server, f"/{repo}/main/single", size)
    got["PUT"] = peak.take()
    assert fetch(server, f"/{repo}/main/single") == (digest(blocks(size)), size)
    got["GET"] = peak.take()
    send_parts(server, repo, "main/parts", size)
    got["PUT in parts"] = peak.take()
    want = digest(b for _ in range(size // PART) for b in blocks(PART))
    assert fetch(server, f"/{repo}/main/parts") == (want, size)
    got["GET of parts"] = peak.take()
    print(f"{store.id}, {size // MIB} MiB; peak in KiB above idle: {got}", flush=True)
    assert max(got.values()) < LIMIT_KIB, got


def test_large_objects():
    with contextlib.ExitStack() as stack:
        stores = [stack.enter_context(kind(id)) for kind, id, _, _ in ROWS]
        server = stack.enter_context(Server(stores=[s.config() for s in stores]))
        for store, (_, _, usual, full) in zip(stores, ROWS):
            large_objects(server, store, (full if FULL else usual) * MIB)


if __name__ == "__main__":
    main(globals())
