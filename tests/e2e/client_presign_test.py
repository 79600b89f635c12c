"""Presigned URLs, on each kind of store: objects that are read and written past the server, by plain HTTP and by lakeFS's
SDK; multipart uploads in parts; and all that must be refused, by us or by the store."""
import base64
import contextlib
import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from harness import KEY, SECRET, SOURCE, Server, clean_env, main
from rest import Rest, send
from services import Azurite, FakeGcs, Local, S3Proxy, Versitygw
from sluicectl import Ctl

MIB = 1 << 20
PART = 5 * MIB
SIGNATURES = ("X-Amz-Signature", "X-Goog-Signature", "&sig=")


class OneStore(Server):
    """With a single store, as clients of lakeFS know it; and everything logged."""

    def __init__(self, store, **options):
        super().__init__(stores=[store.config()])
        self.store, self.options = store, options

    def blockstores(self):
        block = {"type": self.store.kind, self.store.kind: {**self.store.block(), **self.options}}
        return "blockstore: " + json.dumps({**block, "signing": {"secret_key": "sign-sign-sign"}})

    def env(self, **more):
        return super().env(LAKEFS_LOGGING_LEVEL="trace", **more)

    def stop(self, **kw):
        super().stop(**kw)
        with contextlib.suppress(FileNotFoundError):
            for mark in SIGNATURES:
                assert mark not in self.log_text(), f"{mark} is in the log"


class Tokens(http.server.BaseHTTPRequestHandler):
    """Where a service account's key is exchanged for a token; any will do."""

    def do_POST(self):
        answer = b'{"access_token": "a-token", "expires_in": 3600, "token_type": "Bearer"}'
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


class SigningGcs(FakeGcs):
    """With a service account, whose key can sign. The service looks at no signature."""

    def start(self):
        self.tokens = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tokens)
        threading.Thread(target=self.tokens.serve_forever, daemon=True).start()
        key = subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
                             capture_output=True, text=True, check=True).stdout
        self.account = json.dumps({
            "type": "service_account", "client_email": "who@example.test", "private_key_id": "1", "private_key": key,
            "token_uri": f"http://127.0.0.1:{self.tokens.server_port}/token"})
        return super().start()

    def stop(self):
        self.tokens.shutdown()
        self.tokens.server_close()
        super().stop()

    def block(self):
        return {**super().block(), "credentials_json": self.account}


def web(method, url, data=None, **headers):
    """By nobody: what the URL alone gives."""
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    headers.setdefault("Content-Type", "application/octet-stream" if data is not None else "")
    if data is None:
        del headers["Content-Type"]
    return send(urllib.request.Request(url, data=data, headers=headers, method=method), 60)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


def redirected(api, path, /, **query):
    """The status and the Location of a GET that isn't followed."""
    url = f"{api.url}{path}?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
    req = urllib.request.Request(url, headers={"Authorization": api.auth})
    try:
        with urllib.request.build_opener(NoRedirect).open(req, timeout=60) as r:
            return r.status, r.headers.get("Location")
    except urllib.error.HTTPError as e:
        e.read()
        return e.code, e.headers.get("Location")


def bent(url):
    """The same with another signature."""
    at = re.search("(X-Amz-Signature=|X-Goog-Signature=|[?&]sig=)", url).end()
    return url[:at] + ("b" if url[at] == "a" else "a") + url[at + 1:]


def put_presigned(store, url, data, **headers):
    if store.kind == "azure":
        headers["x_ms_blob_type"] = "BlockBlob"
    return web("PUT", url, data, **headers)


def etag_of(answer, data):
    md5 = answer.headers.get("Content-MD5")
    etag = answer.headers.get("ETag")
    if not md5 and not etag:  # the emulator of Google's tells none
        return hashlib.md5(data).hexdigest()
    return base64.b64decode(md5).hex() if md5 else etag.strip('"')


@contextlib.contextmanager
def site(kind, id, **options):
    with kind(id) as store, OneStore(store, **options) as server:
        api = Rest(server.url)
        api.call("POST", "/repositories", 201,
                 doc={"name": "repo", "storage_namespace": store.namespace("repo"), "default_branch": "main"})
        yield store, server, api


AT = "/repositories/repo"
OBJECTS = AT + "/refs/main/objects"
BACKING = AT + "/branches/main/staging/backing"


# What every store does.

def reading(store, api):
    data = os.urandom(100_000)
    path = 'a folder/ä "quoted"+&=.csv'
    api.call("POST", AT + "/branches/main/objects", 201, path=path, body=data)
    status, url = redirected(api, OBJECTS, path=path, presign="true")
    assert status == 302 and url.startswith(store.url), (status, url)
    a = web("GET", url)
    assert a.status == 200 and a.body == data, a
    # Not every emulator heeds it.
    disposition = a.headers.get("Content-Disposition") or ""
    assert store.kind == "gs" or "filename" in disposition, a.headers
    a = web("GET", url, Range="bytes=10-19")
    assert a.status == 206 and a.body == data[10:20], a
    assert api.call("GET", OBJECTS, path=path, presign=True).body == data  # urllib goes there
    assert web("GET", url).body == data  # more than once
    if store.kind != "gs":
        assert web("GET", bent(url)).status == 403
        assert web("PUT", url, b"no").status in (400, 403)
    stat = api.get(OBJECTS + "/stat", path=path, presign=True)
    now = time.time()
    assert now + 800 < stat["physical_address_expiry"] <= now + 901, stat
    assert web("GET", stat["physical_address"]).body == data and stat["size_bytes"] == len(data), stat
    plain = api.get(OBJECTS + "/stat", path=path)
    assert plain["physical_address"].startswith(store.namespace("repo")), plain
    assert "physical_address_expiry" not in plain, plain
    # Of HEAD lakeFS asks nothing of the kind.
    assert api.call("HEAD", OBJECTS, path=path, presign=True).headers["Content-Length"] == str(len(data))
    etag = f'"{plain["checksum"]}"'
    api.fails(304, "GET", OBJECTS, path=path, presign=True, headers={"If-None-Match": etag})
    api.fails(404, "GET", OBJECTS, path="nosuch", presign=True)
    api.fails(404, "GET", OBJECTS + "/stat", path="nosuch", presign=True)
    api.fails(400, "GET", OBJECTS + "/stat", path=path, presign="yes")


def somebody(api, name, *statements):
    api.call("POST", "/auth/users", 201, doc={"id": name})
    api.call("POST", "/auth/policies", 201, doc={"id": name, "statement": [
        {"effect": "allow", "action": actions, "resource": resource} for actions, resource in statements]})
    api.call("PUT", f"/auth/users/{name}/policies/{name}", 201)
    k = api.call("POST", f"/auth/users/{name}/credentials", 201).json
    return Rest(api.url.removesuffix("/api/v1"), k["access_key_id"], k["secret_access_key"])


def listing(store, api):
    for path in ("open/one", "open/two", "shut/one"):
        api.call("POST", AT + "/branches/main/objects", 201, path=path, body=path.encode())
    some = somebody(api, "reader", (["fs:ListObjects", "fs:ReadRepository"], "*"),
                    (["fs:ReadObject"], "arn:lakefs:fs:::repository/repo/object/open/*"))
    listed = {o["path"]: o for o in api.pages(OBJECTS + "/ls", presign=True)}
    for path in ("open/one", "open/two", "shut/one"):
        assert web("GET", listed[path]["physical_address"]).body == path.encode(), listed[path]
        assert listed[path]["physical_address_expiry"] > time.time() + 800
    listed = {o["path"]: o for o in some.pages(OBJECTS + "/ls", presign=True)}
    assert web("GET", listed["open/one"]["physical_address"]).body == b"open/one"
    assert listed["shut/one"]["physical_address"].startswith(store.namespace("repo")), listed["shut/one"]
    assert "physical_address_expiry" not in listed["shut/one"]
    prefixes = api.get(OBJECTS + "/ls", delimiter="/", presign=True)["results"]
    assert {o["path"] for o in prefixes if o["path_type"] == "common_prefix"} >= {"open/", "shut/"}
    assert some.get(OBJECTS + "/ls", presign=True, prefix="none/")["results"] == []
    some.fails(401, "GET", OBJECTS, path="shut/one", presign=True)
    some.fails(401, "GET", OBJECTS + "/stat", path="shut/one", presign=True)
    some.fails(401, "GET", BACKING, path="open/one", presign=True)
    some.fails(401, "POST", AT + "/branches/main/staging/pmpu", path="open/one")


def writing(store, api):
    data = os.urandom(50_000)
    place = api.get(BACKING, path="put/here", presign=True)
    assert place["physical_address"].startswith(store.namespace("repo") + "/data/"), place
    assert time.time() + 800 < place["presigned_url_expiry"] <= time.time() + 901, place
    if store.kind != "gs":
        assert put_presigned(store, bent(place["presigned_url"]), data).status == 403
    a = put_presigned(store, place["presigned_url"], data)
    assert a.status in (200, 201), a
    link = dict(staging=place, checksum=etag_of(a, data), size_bytes=len(data), user_metadata={"by": "url"},
                content_type="text/csv")
    api.fails(400, "PUT", BACKING, path="put/there", doc=link)
    linked = api.call("PUT", BACKING, 200, path="put/here", doc=link).json
    assert linked["physical_address"] == place["physical_address"], linked
    assert linked["metadata"] == {"by": "url"} and linked["content_type"] == "text/csv", linked
    assert api.call("GET", OBJECTS, path="put/here").body == data
    assert api.call("GET", OBJECTS, path="put/here", presign=True).body == data
    api.commit("repo", "main", "written past the server")
    assert api.call("GET", OBJECTS, path="put/here", presign=True).body == data


def tables(store, api):
    """Of what is committed, and what a collector asks for."""
    meta_range = api.get(AT + "/refs/main/commits", amount=1)["results"][0]["meta_range_id"]
    at = f"{AT}/metadata/object/meta_range/{meta_range}"
    status, url = redirected(api, at, presign="true")
    assert status == 302, (status, url)
    assert web("GET", url).body == api.call("GET", at).body
    api.call("PUT", AT + "/settings/gc_rules", doc={"default_retention_days": 1, "branches": []})
    run = api.call("POST", AT + "/gc/prepare_commits", 201).json
    csv = web("GET", run["gc_commits_presigned_url"])
    assert csv.status == 200 and csv.body.startswith(b"commit_id,expired"), csv


def by_sdk(store, server):
    done = subprocess.run([os.path.join(SOURCE, "build", "venv-lakefs", "bin", "python"), __file__, "sdk", server.url,
                           store.kind], capture_output=True, text=True, timeout=300, env=clean_env(
                               SLUICE_BIN=os.environ["SLUICE_BIN"], SLUICE_SOURCE=SOURCE,
                               LAKECTL_CONFIG_FILE="/dev/null", PYTHONDONTWRITEBYTECODE="1"))
    assert done.returncode == 0, done.stdout + done.stderr


def sdk(url, kind):
    """In build/venv-lakefs: the SDK goes to the store by itself, since the server says that it may."""
    import lakefs
    import lakefs_sdk

    client = lakefs.Client(host=url, username=KEY, password=SECRET)
    assert client.storage_config.pre_sign_support and client.storage_config.blockstore_type == kind
    main_ = lakefs.Repository("repo", client=client).branch("main")
    data = os.urandom(3 * MIB)
    for pre_sign in (None, True, False):
        o = main_.object(f"sdk/{pre_sign}")
        o.upload(data=data, pre_sign=pre_sign, content_type="image/png", metadata={"a": "b"})
        stat = o.stat()
        assert stat.size_bytes == len(data) and stat.content_type == "image/png", stat
        assert stat.metadata == {"a": "b"}, stat
        assert o.stat(pre_sign=True).physical_address.startswith("http"), stat
        for way in (None, True, False):
            assert o.reader(mode="rb", pre_sign=way).read() == data
        with o.reader(mode="rb", pre_sign=True) as f:
            f.seek(MIB)
            assert f.read(100) == data[MIB:MIB + 100]
    try:
        main_.object("sdk/True").upload(data=b"x", mode="xb", pre_sign=True)
    except lakefs.exceptions.ObjectExistsException:
        pass
    else:
        raise AssertionError("what is there was overwritten")
    assert client.sdk_client.objects_api.get_object("repo", "main", "sdk/None", presign=True) == data
    urls = [o.physical_address for o in
            client.sdk_client.objects_api.list_objects("repo", "main", prefix="sdk/", presign=True).results]
    assert len(urls) == 3 and all("?" in u for u in urls), urls
    parts_by_sdk(client.sdk_client, lakefs_sdk, kind)


def parts_by_sdk(client, lakefs_sdk, kind):
    import urllib3
    api, http_ = client.experimental_api, urllib3.PoolManager()
    if kind != "s3":
        try:
            api.create_presign_multipart_upload("repo", "main", "parts", parts=1)
        except lakefs_sdk.ApiException as e:
            assert e.status == 501 and "presign multipart upload API is not supported" in e.body, e
            return
        raise AssertionError("a multipart upload was begun")
    data = [os.urandom(PART), os.urandom(PART), os.urandom(1000)]
    up = api.create_presign_multipart_upload("repo", "main", "parts", parts=3)
    assert len(up.presigned_urls) == 3 and up.upload_id, up
    etags = {}
    for i in (2, 0, 1):
        r = http_.request("PUT", up.presigned_urls[i], body=data[i])
        assert r.status == 200, r.data
        etags[i + 1] = r.headers["ETag"]
    done = api.complete_presign_multipart_upload(
        "repo", "main", up.upload_id, "parts", lakefs_sdk.CompletePresignMultipartUpload(
            physical_address=up.physical_address, user_metadata={"k": "v"}, content_type="text/plain",
            parts=[lakefs_sdk.UploadPart(part_number=n, etag=etags[n]) for n in (3, 1, 2)]))
    assert done.size_bytes == 2 * PART + 1000 and done.content_type == "text/plain", done
    assert re.fullmatch("[0-9a-f]{32}-3", done.checksum), done
    assert client.objects_api.get_object("repo", "main", "parts") == b"".join(data)


def whole_day(kind, id):
    with site(kind, id) as (store, server, api):
        config = api.get("/config")["storage_config"]
        assert config["pre_sign_support"] is True and config["pre_sign_support_ui"] is False, config
        assert config["pre_sign_multipart_upload"] is (store.kind == "s3"), config
        for part in (reading, listing, writing, tables):
            part(store, api)
        if store.kind == "s3":
            parts(store, api)
        by_sdk(store, server)
        by_sluicectl(store, server)


def by_sluicectl(store, server):
    """As lakectl: past the server where it may, unless it is told not to."""
    begun = server.settled_log().count('"operation":"uploadObject"')
    small, big = os.urandom(1000), os.urandom(40 * MIB if store.kind == "s3" else 3 * MIB)
    with Ctl(server.url, files={"small": small, "big": big, "tree/a": b"a", "tree/sub/b": b""}) as ctl:
        for name in ("small", "big"):
            ctl("fs", "upload", "-s", name, f"lakefs://repo/main/ctl/{name}", "--no-progress")
            stat = ctl("fs", "stat", f"lakefs://repo/main/ctl/{name}").stdout
            assert store.url in stat and "Physical Address Expires: " in stat, stat
            ctl("fs", "download", f"lakefs://repo/main/ctl/{name}", f"down-{name}", "--no-progress")
        for name, data in (("small", small), ("big", big)):
            with open(ctl.path(f"down-{name}"), "rb") as f:
                assert f.read() == data, name
            assert ctl("fs", "cat", f"lakefs://repo/main/ctl/{name}", text=False).stdout == data
        ctl("fs", "upload", "-r", "-s", "tree", "lakefs://repo/main/ctl/tree/", "--no-progress")
        ctl("fs", "download", "-r", "lakefs://repo/main/ctl/tree/", "tree-down", "--no-progress")
        with open(ctl.path("tree-down", "a"), "rb") as f:
            assert f.read() == b"a"
        assert os.path.getsize(ctl.path("tree-down", "sub", "b")) == 0
        url = ctl("fs", "presign", "lakefs://repo/main/ctl/small").stdout.strip()
        assert web("GET", url).body == small, url
        log = server.settled_log()
        before = log.count('"operation":"uploadObject"')
        assert before == begun, "bytes went through the server"
        assert log.count('"operation":"linkPhysicalAddress"') > 3
        assert ('"operation":"completePresignMultipartUpload"' in log) is (store.kind == "s3")
        ctl("fs", "upload", "-s", "small", "lakefs://repo/main/ctl/through", "--pre-sign=false", "--no-progress")
        stat = ctl("fs", "stat", "lakefs://repo/main/ctl/through", "--pre-sign=false").stdout
        assert store.namespace("repo") in stat and "Expires" not in stat, stat
        assert ctl("fs", "cat", "lakefs://repo/main/ctl/through", "--pre-sign=false", text=False).stdout == small
        ctl("fs", "upload", "-s", "-", "lakefs://repo/main/ctl/stdin", stdin="of a pipe")  # of no known length
        assert ctl("fs", "cat", "lakefs://repo/main/ctl/stdin").stdout == "of a pipe"
        assert server.settled_log().count('"operation":"uploadObject"') == before + 2
        for command in (("cat", "lakefs://repo/main/ctl/small"),
                        ("upload", "-s", "small", "lakefs://repo/main/ctl/logged", "--no-progress")):
            done = ctl("fs", *command, "--log-level", "trace", "--log-output", "-", text=False)
            said = done.stderr.decode(errors="replace")
            assert store.url in said and not any(mark in said for mark in SIGNATURES), said
        done = ctl("fs", "cat", "lakefs://repo/main/ctl/nosuch", code=1)
        assert "not found" in done.stderr, done.stderr


# Multipart uploads.

PMPU = AT + "/branches/main/staging/pmpu"


def begin(api, path="big", parts=2, at=PMPU):
    return api.call("POST", at, 201, path=path, parts=parts).json


def finish(api, up, etags, status=200, path="big", upload_id=None, at=PMPU, **more):
    doc = dict(physical_address=up["physical_address"],
               parts=[dict(part_number=n, etag=e) for n, e in etags], **more)
    return api.call("PUT", f"{at}/{urllib.parse.quote(upload_id or up['upload_id'], safe='')}", status, path=path, doc=doc)


def part_url(api, up, number, status=200, path="big", upload_id=None):
    a = api.call("PUT", f"{PMPU}/{urllib.parse.quote(upload_id or up['upload_id'], safe='')}/parts/{number}", status,
                 path=path, doc={"physical_address": up["physical_address"]})
    return a.json.get("presigned_url")


def abort(api, up, status=204, path="big", at=PMPU):
    return api.call("DELETE", f"{at}/{urllib.parse.quote(up['upload_id'], safe='')}", status, path=path,
                    doc={"physical_address": up["physical_address"]})


def parts(store, api):
    one, two = os.urandom(PART), os.urandom(1000)
    up = begin(api)
    assert len(up["presigned_urls"]) == 2 and up["physical_address"].startswith(store.namespace("repo") + "/data/"), up
    first = web("PUT", up["presigned_urls"][0], one)
    assert first.status == 200, first
    assert web("PUT", bent(up["presigned_urls"][1]), two).status == 403
    second = web("PUT", part_url(api, up, 2), two)  # one that was asked for later
    assert second.status == 200, second
    etags = [(1, first.headers["ETag"]), (2, second.headers["ETag"])]

    # Somebody else's, in each respect, and what is no list.
    other = begin(api, path="other")
    api.branch("repo", f"side-{store.id}")
    side = f"{AT}/branches/side-{store.id}/staging/pmpu"
    finish(api, up, etags, 400, path="other")
    finish(api, up, etags, 400, at=side)
    finish(api, dict(up, physical_address=up["physical_address"].split(",")[0]), etags, 400)
    finish(api, dict(up, physical_address=up["physical_address"][:-1] + "_"), etags, 400)
    finish(api, dict(up, physical_address=store.namespace("elsewhere") + "/x"), etags, 400)
    abort(api, up, 400, path="other")
    abort(api, up, 400, at=side)
    part_url(api, up, 1, 400, path="other")
    for number in ("0", "10001", "x", "-1"):
        part_url(api, up, number, 400)
    assert finish(api, up, etags, 404, upload_id=other["upload_id"]).message
    assert finish(api, up, etags, 404, upload_id="no-such-upload-id").message
    finish(api, up, [(1, etags[0][1]), (2, "0" * 32)], 400)
    finish(api, up, [], 400)
    finish(api, up, [etags[0], etags[0]], 400)
    finish(api, up, [(0, "x")], 400)
    finish(api, up, etags, 400, user_metadata={"::sluice::x": "y"})
    api.fails(404, "GET", OBJECTS, path="big")  # none of that has made an object

    done = finish(api, up, etags, user_metadata={"by": "parts"}, content_type="image/gif").json
    assert done["size_bytes"] == PART + 1000 and done["metadata"] == {"by": "parts"}, done
    assert done["physical_address"] == up["physical_address"] and done["content_type"] == "image/gif", done
    assert re.fullmatch("[0-9a-f]{32}-2", done["checksum"]), done
    assert api.call("GET", OBJECTS, path="big").body == one + two
    assert api.call("GET", OBJECTS, path="big", presign=True).body == one + two
    assert finish(api, up, etags).json["checksum"] == done["checksum"]  # whose answer was lost
    abort(api, up)  # takes nothing away
    assert api.call("GET", OBJECTS, path="big").body == one + two

    copied(store, api, one + two)
    aborted(store, api)
    refused(store, api)


def copied(store, api, whole):
    up = begin(api, path="copy", parts=0)
    assert "presigned_urls" not in up, up
    to = f"{PMPU}/{urllib.parse.quote(up['upload_id'], safe='')}/parts"
    source = dict(repository="repo", ref="main", path="big")
    doc = lambda **more: dict(physical_address=up["physical_address"], copy_source=dict(source, **more))
    first = api.call("PUT", f"{to}/1/copy", 204, path="copy", doc=doc(range=f"bytes=0-{PART - 1}"))
    second = api.call("PUT", f"{to}/2/copy", 204, path="copy", doc=doc(range=f"bytes={PART}-{len(whole) - 1}"))
    assert first.headers["ETag"] and second.headers["ETag"]
    api.fails(416, "PUT", f"{to}/3/copy", path="copy", doc=doc(range=f"bytes=0-{len(whole)}"))
    api.fails(400, "PUT", f"{to}/3/copy", path="copy", doc=doc(range="bytes=5-"))
    api.fails(404, "PUT", f"{to}/3/copy", path="copy", doc=doc(path="nosuch"))
    api.fails(404, "PUT", f"{to}/3/copy", path="copy", doc=doc(repository="nosuch"))
    api.fails(400, "PUT", f"{to}/3/copy", path="copy", doc={"physical_address": up["physical_address"]})
    writer = somebody(api, f"writer-{store.id}", (["fs:WriteObject", "fs:ReadRepository"], "*"))
    writer.fails(401, "PUT", f"{to}/3/copy", path="copy", doc=doc())
    finish(api, up, [(1, first.headers["ETag"]), (2, second.headers["ETag"])], path="copy")
    assert api.call("GET", OBJECTS, path="copy").body == whole


def aborted(store, api):
    up = begin(api, path="gone")
    first = web("PUT", up["presigned_urls"][0], b"x" * 100)
    assert first.status == 200, first
    abort(api, up, path="gone")
    abort(api, up, path="gone")
    finish(api, up, [(1, first.headers["ETag"])], 404, path="gone")
    assert isinstance(store, S3Proxy) or web("PUT", up["presigned_urls"][1], b"late").status == 404
    api.fails(404, "GET", OBJECTS, path="gone")


def refused(store, api):
    assert api.fails(404, "POST", PMPU.replace("main", "nosuch"), path="x", parts=1).message == \
        "branch 'nosuch' not found"
    for wrong in (-1, 10001, "x"):
        assert "between 0 and 10000" in api.fails(400, "POST", PMPU, path="x", parts=wrong).message
    api.fails(400, "POST", PMPU)
    api.call("POST", "/repositories", 201, doc={
        "name": f"fixed-{store.id}", "storage_namespace": store.namespace("fixed"), "read_only": True})
    api.fails(403, "POST", PMPU.replace("/repo/", f"/fixed-{store.id}/"), path="x", parts=1)
    many = begin(api, path="many", parts=10000)
    assert len(set(many["presigned_urls"])) == 10000
    abort(api, many, path="many")


def test_versitygw():
    whole_day(Versitygw, "gw")


def test_s3proxy():
    whole_day(S3Proxy, "proxy")


def test_azurite():
    whole_day(Azurite, "az")


def test_google():
    whole_day(SigningGcs, "gs")


# Configuration.

def test_several_stores():
    """Each is told as it is; the one that stands for all as what all of them can."""
    with Versitygw("gw") as gw, Azurite("az") as az, FakeGcs("anonymous") as gs, Local("disk") as disk:
        def s3(id, **options):
            c = gw.config()
            return {**c, "id": id, "s3": {**c["s3"], **options}}

        stores = [s3("gw", disable_pre_signed_ui=False), s3("whole", disable_pre_signed_multipart=True),
                  s3("none", disable_pre_signed=True, disable_pre_signed_ui=False),
                  s3("short", pre_signed_expiry="1s"),
                  s3("elsewhere", pre_signed_endpoint="https://public.example.test:8443"),
                  az.config(), gs.config()]
        with Server(stores=[*stores, disk.config(backward_compatible=True)]) as server:
            api = Rest(server.url)
            told = lambda c: (c["pre_sign_support"], c["pre_sign_support_ui"], c["pre_sign_multipart_upload"])
            listed = {c["blockstore_id"]: told(c) for c in api.get("/config")["storage_config_list"]}
            assert listed == {
                "gw": (True, True, True), "whole": (True, False, False), "none": (False, False, False),
                "short": (True, False, True), "elsewhere": (True, False, True), "az": (True, False, False),
                "anonymous": (False, False, False), "disk": (False, False, False)}, listed
            assert told(api.get("/config")["storage_config"]) == (False, False, False)
            for store, id in ((gw, "gw"), (gw, "whole"), (gw, "none"), (gw, "short"), (gw, "elsewhere"),
                              (gs, "anonymous"), (disk, "disk")):
                api.call("POST", "/repositories", 201, doc={
                    "name": f"at-{id}", "storage_namespace": store.namespace(id), "storage_id": id})
                api.call("POST", f"/repositories/at-{id}/branches/main/objects", 201, path="x", body=b"bytes")
            refusals(api)
            short(api)
            status, url = redirected(api, "/repositories/at-elsewhere/refs/main/objects", path="x", presign="true")
            assert url.startswith("https://public.example.test:8443/bucket-one/elsewhere/data/"), url
        with Server(stores=[s3("gw"), s3("whole", disable_pre_signed_multipart=True)]) as server:
            one = Rest(server.url).get("/config")["storage_config"]
            assert told(one) == (True, False, False), one
        # Clients that take all stores for the first would send Azure's header to nobody.
        with Server(stores=[s3("gw"), az.config()]) as server:
            assert told(Rest(server.url).get("/config")["storage_config"]) == (False, False, False)
        with Server(stores=[az.config(), s3("gw")]) as server:
            assert told(Rest(server.url).get("/config")["storage_config"]) == (True, False, False)


def refusals(api):
    for id in ("none", "anonymous", "disk"):
        at = f"/repositories/at-{id}"
        for path in ("/refs/main/objects", "/refs/main/objects/stat", "/refs/main/objects/ls",
                     "/branches/main/staging/backing"):
            a = api.fails(400, "GET", at + path, path="x", presign=True)
            assert a.message == "presigned URL: operation not supported by the store", a
        api.fails(400, "HEAD", at + "/refs/main/objects", path="x", presign=True)
    for id in ("none", "whole", "anonymous", "disk"):
        at = f"/repositories/at-{id}/branches/main/staging/pmpu"
        doc = {"physical_address": "s3://x/y"}
        for method, path in (("POST", ""), ("PUT", "/id"), ("DELETE", "/id"), ("PUT", "/id/parts/1"),
                             ("PUT", "/id/parts/1/copy")):
            a = api.fails(501, method, at + path, path="x", doc=doc if path else None)
            assert a.message == "presign multipart upload API is not supported", a


def short(api):
    """Of a second: the store refuses what has ended."""
    at = "/repositories/at-short"
    status, url = redirected(api, at + "/refs/main/objects", path="x", presign="true")
    place = api.get(at + "/branches/main/staging/backing", path="y", presign=True)
    assert place["presigned_url_expiry"] <= time.time() + 2, place
    time.sleep(2.5)
    assert web("GET", url).status in (400, 403)
    assert web("PUT", place["presigned_url"], b"late").status in (400, 403)


if sys.argv[1:2] == ["sdk"]:
    sdk(*sys.argv[2:])
else:
    main(globals())
