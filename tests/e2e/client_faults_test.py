"""What a running lakeFS does otherwise than its documents or S3 say, by the numbers of the list that was made of it (test_01
to test_28). Where that is a fault, the right behaviour is shown here, else that ours is the same: clients may have got
used to it. What isn't served here (imports, hooks, pull requests) is shown to say so."""
import base64
import functools
import hashlib
import http.client
import sys
import urllib.parse

from harness import KEY, SECRET, Server, error, main, refusal, sign
from rest import Rest

AT = "/repositories/example"
SPACE = "local://example"


class Place:
    """One server for all."""

    server = None
    n = 0

    @classmethod
    def name(cls, kind="n"):
        cls.n += 1
        return f"{kind}{cls.n}"


def on_the_server(fn):
    """The test gets a client of each kind, and a branch of its own."""
    @functools.wraps(fn)
    def run():
        s = Place.server
        api = Rest(s.url)
        branch = Place.name("b")
        api.branch("example", branch)
        fn(s, api, s.boto3(), branch)
    return run


def put(api, branch, path, body=b"x", repo="example", **query):
    return api.call("POST", f"/repositories/{repo}/branches/{branch}/objects", 201, query=dict(query, path=path), body=body)


def repo(api, bare=False, **more):
    name = Place.name("repo-")
    api.call("POST", "/repositories", 201, doc=dict(name=name, storage_namespace="local://" + name, **more), bare=bare)
    return name


def raw(server, method, target, body=None, headers=None, payload=None):
    """A request that botocore wouldn't make: (status, headers, body). payload: it is signed for S3 with it."""
    url = server.url + target
    headers = dict(headers or {})
    if payload is not None:
        headers = sign(method, url, headers, payload)
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    c.putrequest(method, target, skip_accept_encoding=True)
    for k, v in headers.items():
        c.putheader(k, v)
    if body is not None and "Content-Length" not in headers:
        c.putheader("Content-Length", str(len(body)))
    c.endheaders(body)
    r = c.getresponse()
    out = r.status, dict((k.lower(), v) for k, v in r.getheaders()), r.read()
    c.close()
    return out


def s3_code(answer):
    text = answer[2].decode()
    return answer[0], text.split("<Code>")[1].split("</Code>")[0] if "<Code>" in text else ""


def gone(api, branch, path="gone"):
    """An object whose bytes aren't there."""
    address = api.get(f"{AT}/branches/{branch}/staging/backing", path=path)["physical_address"]
    api.call("PUT", f"{AT}/branches/{branch}/staging/backing", 200, query={"path": path}, doc={
        "staging": {"physical_address": address}, "checksum": "c" * 32, "size_bytes": 5})


@on_the_server
def test_01_request_ids_and_wrong_methods(s, api, s3, branch):
    for method, path, status in (("GET", "/nothing", 404), ("PATCH", AT, 404), ("GET", AT + "/branches?amount=x", 400)):
        a = api.fails(status, method, path)
        assert a.headers["X-Request-ID"] and (status == 400 or a.message == "invalid API endpoint"), a


@on_the_server
def test_02_parameter_errors_are_json(s, api, s3, branch):
    for bad in ("", "-2", "1001", "x"):
        a = api.fails(400, "GET", AT + "/branches", query={"amount": bad})
        assert a.headers["Content-Type"] == "application/json" and "amount" in a.message
    for good in (-1, 0):
        assert api.get(AT + "/branches", amount=good)["pagination"]["max_per_page"] == 1000


@on_the_server
def test_03_names_in_the_path(s, api, s3, branch):
    assert api.fails(400, "GET", "/repositories/No").message == \
        "argument repository: repository id: invalid value: validation error"
    assert api.fails(400, "GET", AT + "/branches/a%20b").status == 400


@on_the_server
def test_04_what_lakefs_answers_with_500(s, api, s3, branch):
    for path, doc in (("/branches", {"name": "", "source": "main"}), ("/tags", {"id": "", "ref": "main"})):
        api.fails(400, "POST", AT + path, doc=doc)
    for ref in ("main^2", "main~x", "~1", "main$"):
        a = api.fails(400, "GET", f"{AT}/commits/{urllib.parse.quote(ref)}")
        assert a.message and "internal" not in a.message
    assert api.fails(404, "GET", AT + "/commits/main~9").message == "commit not found"
    at = f"{AT}/branches/{branch}/objects"
    form = b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\nv\r\n--x--\r\n'
    for kind in ("multipart/form-data; boundary=x", "multipart/form-data", "nonsense"):
        api.fails(400, "POST", at, query={"path": "f"}, body=form, headers={"Content-Type": kind})
    api.fails(400, "GET", f"{AT}/branches/{branch}/staging/backing", path="p", presign=True)
    gone(api, branch)
    # 410, as reading it is answered: more exact than 404, which means that there is no such object.
    api.fails(410, "POST", at + "/copy", query={"dest_path": "copy"}, doc={"src_path": "gone", "src_ref": branch})
    api.fails(404, "POST", at + "/copy", query={"dest_path": "copy"}, doc={"src_path": "none", "src_ref": branch})


@on_the_server
def test_05_head_of_an_object_without_bytes(s, api, s3, branch):
    gone(api, branch)
    for method in ("GET", "HEAD"):
        api.fails(410, method, f"{AT}/refs/{branch}/objects", path="gone")


@on_the_server
def test_06_who_one_is(s, api, s3, branch):
    assert api.get("/user")["user"]["friendly_name"] == ""
    nobody = Rest(s.url, key=None)
    assert nobody.ask("POST", "/auth/login").status == 401
    login = nobody.call("POST", "/auth/login", 200, doc={"access_key_id": KEY, "secret_access_key": SECRET})
    cookie = {"Cookie": "internal_auth_session=" + login.json["token"]}
    bad = {"Cookie": "internal_auth_session=x"}
    assert nobody.call("GET", AT, 200, headers=cookie)
    for wrong in ("Basic " + "QTpC", "Bearer x.y.z"):
        nobody.fails(401, "GET", AT, headers=dict(cookie, Authorization=wrong))
    nobody.call("GET", AT, 200, headers=dict(bad, Authorization="Bearer " + login.json["token"]))
    a = nobody.call("GET", "/oidc/callback", 200)
    assert a.body == b""


@on_the_server
def test_07_nobody_sends_mail(s, api, s3, branch):
    api.fails(409, "POST", "/setup_comm_prefs", doc={"featureUpdates": True, "securityUpdates": True})
    report = api.get("/usage-report/summary")
    first = report["reports"][-1]["count"]
    s3.list_buckets()
    Rest(s.url, key=None).ask("GET", AT)  # nobody's
    text = api.call("GET", "/usage-report/summary", 200, headers={"Accept": "text/plain"})
    assert text.headers["Content-Type"] == "text/plain; charset=utf-8"
    month = "{year}-{month:02}".format(**report["reports"][-1])
    assert text.body.decode().splitlines() == [
        "Usage for installation ID: " + report["installation_id"], f"{month}: {first + 2:12}"], text


@on_the_server
def test_08_users_and_repositories(s, api, s3, branch):
    for name in ("prefix-a", "prefix-b"):
        api.call("POST", "/auth/users", 201, doc={"id": name})
    page = api.get("/auth/users", prefix="prefix-b")
    assert [u["id"] for u in page["results"]] == ["prefix-b"] and page["pagination"]["max_per_page"] == 1000
    api.fails(400, "POST", "/repositories", doc={"name": "bad-branch", "storage_namespace": "local://bad-branch",
                                                  "default_branch": "a b"})
    api.fails(404, "GET", "/repositories/bad-branch")
    name = repo(api)
    api.fails(400, "POST", "/repositories", doc={"name": "other", "storage_namespace": "local://" + name})
    api.call("POST", "/repositories", 201, bare=True, doc={"name": "bare-on-it", "storage_namespace": "local://" + name})
    api.call("DELETE", "/repositories/" + name, 204)
    api.fails(404, "GET", "/repositories/" + name)  # at once
    api.fails(404, "POST", "/repositories/nosuch/metadata", doc={"metadata": {"k": "v"}})
    fixed = repo(api, read_only=True)
    api.fails(403, "POST", f"/repositories/{fixed}/metadata", doc={"metadata": {"k": "v"}})
    assert api.get(f"/repositories/{fixed}/metadata") == {}


@on_the_server
def test_09_rules(s, api, s3, branch):
    name = repo(api)
    at = f"/repositories/{name}/settings"
    for rules in ({"default_retention_days": -1, "branches": []},
                  {"default_retention_days": 1, "branches": [{"branch_id": "main", "retention_days": -1}]}):
        api.fails(400, "PUT", at + "/gc_rules", doc=rules)
    api.fails(404, "GET", at + "/gc_rules")
    assert api.call("GET", at + "/branch_protection").headers["ETag"] == ""
    api.fails(412, "PUT", at + "/branch_protection", doc=[], headers={"If-Match": "*"})
    api.fails(400, "PUT", at + "/branch_protection", doc=[{"pattern": "[a"}])
    put(api, "main", "still", repo=name)
    api.call("PUT", at + "/branch_protection", 204, doc=[{"pattern": "main"}])
    assert '"' not in api.call("GET", at + "/branch_protection").headers["ETag"]
    api.fails(403, "POST", f"/repositories/{name}/branches/main/objects", query={"path": "x"}, body=b"x")  # at once


@on_the_server
def test_10_what_protection_blocks(s, api, s3, branch):
    name = repo(api)
    at = f"/repositories/{name}"
    for b in ("p-into", "p-gone", "p-dirty", "dev"):
        api.branch(name, b)
    put(api, "p-dirty", "x", repo=name)
    put(api, "dev", "y", repo=name)
    api.commit(name, "dev", "m")
    api.call("PUT", at + "/settings/branch_protection", 204, doc=[{"pattern": "p-*"}])
    for b, what, doc in (("p-dirty", "/commits", {"message": "m"}), ("p-dirty", "", {"type": "reset"})):
        api.fails(403, "POST" if what else "PUT", f"{at}/branches/{b}{what}", doc=doc)
    api.fails(403, "PUT", f"{at}/branches/p-into/hard_reset", ref="dev")
    api.merge(name, "dev", "p-into", 200)
    api.call("POST", at + "/branches/p-gone/cherry-pick", 201, doc={"ref": "dev"})
    api.call("DELETE", at + "/branches/p-gone", 204)


@on_the_server
def test_11_resets(s, api, s3, branch):
    put(api, branch, "staged")
    api.call("PUT", f"{AT}/branches/{branch}/hard_reset", 204, ref="main")
    api.call("GET", f"{AT}/refs/{branch}/objects", 200, path="staged")
    for doc in ({"type": "common_prefix"}, {"type": "object", "path": "none"}):
        api.call("PUT", f"{AT}/branches/{branch}", 204, doc=doc)


@on_the_server
def test_12_names_of_branches_and_tags(s, api, s3, branch):
    a = api.call("POST", AT + "/branches", 201, doc={"name": Place.name("made"), "source": "main"})
    assert a.headers["Content-Type"] == "text/plain; charset=utf-8" and len(a.body) == 64
    for tag in ("v1.0", "a@b", "-x"):
        api.call("POST", AT + "/tags", 201, doc={"id": tag, "ref": "main"})
        api.call("DELETE", AT + "/tags/" + tag, 204)


@on_the_server
def test_13_commits(s, api, s3, branch):
    put(api, branch, "picked", branch.encode())
    made = api.commit("example", branch, "m", metadata={"k": "v"})
    to = Place.name("to")
    api.branch("example", to)
    for _ in range(2):
        api.call("POST", f"{AT}/branches/{to}/cherry-pick", 201, doc={"ref": branch})
    assert api.get(f"{AT}/commits/{made['id']}") == made  # picking it has left it as it was
    api.merge("example", branch, "main", 200)
    assert api.fails(404, "POST", AT + "/branches/nosuch/commits", doc={"message": "m"}).message == "branch not found"
    api.fails(404, "POST", f"{AT}/branches/{to}/commits", query={"source_metarange": "0" * 64}, doc={"message": "m"})
    first = api.get(AT + "/commits/main")
    bare = repo(api, bare=True)
    record = {"commit_id": first["id"], "version": first["version"], "committer": first["committer"],
              "message": first["message"], "metarange_id": first["meta_range_id"],
              "creation_date": first["creation_date"], "parents": first["parents"], "generation": first["generation"]}
    # Without metadata there is an answer: this commit has some, so that the id isn't right.
    api.fails(400, "POST", f"/repositories/{bare}/commits", doc=record)
    record["metadata"] = first["metadata"]
    api.call("POST", f"/repositories/{bare}/commits", 204, doc=record)
    api.fails(409, "POST", f"/repositories/{bare}/commits", doc=record)
    api.fails(400, "POST", f"/repositories/{bare}/commits", doc=dict(record, message="another"))


@on_the_server
def test_14_where_nothing_is(s, api, s3, branch):
    for at in ("/repositories/nosuch/branches/main", AT + "/branches/nosuch"):
        assert api.call("POST", at + "/objects/delete", 200, doc={"paths": ["x"]}).json == {"errors": []}
    assert api.get(AT + "/branches/nosuch/staging/backing", path="x")["physical_address"].startswith(SPACE + "/data/")


@on_the_server
def test_15_signatures_of_addresses_are_checked(s, api, s3, branch):
    at = f"{AT}/branches/{branch}/staging/backing"
    address = api.get(at, path="p")["physical_address"]
    doc = {"checksum": "c" * 32, "size_bytes": 1}
    plain, _, signature = address.partition(",")
    other = api.get(at, path="p")["physical_address"]
    for bad in (plain, plain + ",", address[:-1], address + "x", plain + "," + other.partition(",")[2],
                plain[:-1] + "x," + signature):
        api.fails(400, "PUT", at, query={"path": "p"}, doc=dict(doc, staging={"physical_address": bad}))
    good = dict(doc, staging={"physical_address": address})
    api.fails(400, "PUT", at, query={"path": "q"}, doc=good)
    api.fails(400, "PUT", AT + "/branches/main/staging/backing", query={"path": "p"}, doc=good)
    api.call("PUT", at, 200, query={"path": "p"}, doc=good)


@on_the_server
def test_16_reading(s, api, s3, branch):
    put(api, branch, "o", b"0123456789")
    read = functools.partial(api.ask, "GET", f"{AT}/refs/{branch}/objects", query={"path": "o"})
    a = read()
    assert a.headers["Cache-Control"] == "no-store, must-revalidate" and a.headers["Content-Disposition"] == "attachment"
    for value, status in (("lines=1", 400), ("bytes=0-1,3-4", 416), ("bytes=5-2", 416), ("bytes=2-3", 206)):
        assert read(headers={"Range": value}).status == status, value
    etag = f'"{hashlib.md5(b"0123456789").hexdigest()}"'
    for value, status in ((etag, 304), (etag.strip('"'), 200), ("W/" + etag, 200), ("*", 200)):
        assert read(headers={"If-None-Match": value}).status == status, value


@on_the_server
def test_17_staged_and_committed(s, api, s3, branch):
    put(api, branch, "both")
    api.commit("example", branch, "m")
    put(api, branch, "only-staged")

    def seen(ref):
        return {o["path"] for o in api.pages(f"{AT}/refs/{ref}/objects/ls")} & {"both", "only-staged"}
    assert seen(branch + "$") == {"both", "only-staged"} and seen(branch + "@") == {"both"}


@on_the_server
def test_18_imports_say_that_they_are_none(s, api, s3, branch):
    for method, query in (("POST", {}), ("GET", {"id": "x"}), ("DELETE", {"id": "x"})):
        api.fails(501, method, f"{AT}/branches/{branch}/import", query=query)


@on_the_server
def test_19_what_is_unknown(s, api, s3, branch):
    no = "0" * 64
    bare = repo(api, bare=True)
    api.fails(410, "PUT", f"/repositories/{bare}/refs/restore", doc={
        "commits_meta_range_id": no, "branches_meta_range_id": no, "tags_meta_range_id": no})
    for kind in ("meta_range", "range"):
        assert api.get(f"{AT}/metadata/{kind}/{no}")["location"].endswith(no)
    api.fails(501, "GET", AT + "/pulls/x")


@on_the_server
def test_20_types_of_s3_answers(s, api, s3, branch):
    nothing = hashlib.sha256(b"").hexdigest()
    plain = raw(s, "GET", "/example?location", payload=nothing)
    assert plain[0] == 200 and plain[1]["content-type"] == "application/xml", plain
    any_ = raw(s, "GET", "/example?location", headers={"Accept": "*/*"}, payload=nothing)
    assert any_[1]["content-type"].startswith(("text/xml", "application/xml")), any_


@on_the_server
def test_21_listings(s, api, s3, branch):
    # A bucket has no branches for S3: a prefix that nothing has is no mistake, by either version.
    for listing in (s3.list_objects_v2, s3.list_objects):
        assert "Contents" not in listing(Bucket="example", Prefix="nosuch/")
    put(api, branch, "x")
    for listing in (s3.list_objects_v2, s3.list_objects):
        page = listing(Bucket="example", Prefix=branch + "/", MaxKeys=0)
        assert page["IsTruncated"] is False and "Contents" not in page and "NextContinuationToken" not in page, page


@on_the_server
def test_22_names_with_signs(s, api, s3, branch):
    for key in ("a@b", "a b+c", "é%40"):
        s3.put_object(Bucket="example", Key=f"{branch}/{key}", Body=key.encode())
        assert s3.get_object(Bucket="example", Key=f"{branch}/{key}")["Body"].read() == key.encode()
    headers = sign("GET", s.url + f"/example/{branch}/a%40b", {}, "UNSIGNED-PAYLOAD")
    assert raw(s, "GET", f"/example/{branch}/a@b", headers=headers)[0] == 200


@on_the_server
def test_23_what_is_sent_is_what_was_signed(s, api, s3, branch):
    at = f"/example/{branch}/checked"
    ask = functools.partial(raw, s, "PUT", at)
    assert s3_code(ask(b"body", payload=hashlib.sha256(b"other").hexdigest())) == (400, "XAmzContentSHA256Mismatch")
    chunked = {"X-Amz-Decoded-Content-Length": "4", "Content-Encoding": "aws-chunked"}
    signed = b"4;chunk-signature=" + b"0" * 64 + b"\r\nbody\r\n0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n"
    assert s3_code(ask(signed, chunked, payload="STREAMING-AWS4-HMAC-SHA256-PAYLOAD")) == (403, "SignatureDoesNotMatch")
    trailer = dict(chunked, **{"X-Amz-Trailer": "x-amz-checksum-crc32"})
    kind = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    for text, code in ((b"4\r\nbody\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", "BadDigest"),
                       (b"4\r\nbody\r\n0\r\n\r\n", "MalformedTrailerError")):
        status, got = s3_code(ask(text, trailer, payload=kind))
        assert status == 400 and got in (code, "InvalidRequest", "BadDigest"), (status, got)
    for length in ("3", "5"):
        status, _ = s3_code(ask(b"4\r\nbody\r\n0\r\n\r\n", {"X-Amz-Decoded-Content-Length": length}, payload=kind))
        assert status == 400, length
    absent = s3_code(ask(b"4\r\nbody\r\n0\r\n\r\n", {}, payload=kind))
    assert absent == (411, "MissingContentLength"), absent
    headers = sign("PUT", s.url + at, {}, "UNSIGNED-PAYLOAD")
    del headers["X-Amz-Date"]
    status, code = s3_code(ask(b"body", headers))
    assert status in (400, 403) and code in ("AccessDenied", "MissingSecurityHeader"), (status, code)
    api.fails(404, "GET", f"{AT}/refs/{branch}/objects", path="checked")


@on_the_server
def test_24_sub_resources_never_overwrite(s, api, s3, branch):
    put(api, branch, "kept", b"kept")
    for sub in ("retention", "legal-hold"):
        answer = raw(s, "PUT", f"/example/{branch}/kept?{sub}", b"<x/>", payload=hashlib.sha256(b"<x/>").hexdigest())
        assert s3_code(answer)[0] in (400, 405, 501), answer
    assert api.call("GET", f"{AT}/refs/{branch}/objects", path="kept").body == b"kept"
    assert error(s3.put_object, Bucket="example", Key=f"{branch}/" + "k" * 1025, Body=b"")[0] == "KeyTooLongError"
    for name in ("Bad_Name", "a"):
        status, code = s3_code(raw(s, "PUT", "/" + name, b"", payload=hashlib.sha256(b"").hexdigest()))
        assert (status, code) == (400, "InvalidBucketName"), (name, status, code)


@on_the_server
def test_25_copies(s, api, s3, branch):
    put(api, "main", "from")
    gone(api, branch)
    # Within a repository the entry is copied and its body not read: the copy lacks it as the source does.
    s3.copy_object(Bucket="example", Key=f"{branch}/to", CopySource=f"example/{branch}/gone")
    assert error(s3.get_object, Bucket="example", Key=f"{branch}/to")[1] == 404
    name = repo(api)
    e = refusal(s3.copy_object, Bucket=name, Key="main/to", CopySource=f"example/{branch}/gone")
    assert 400 <= e.response["ResponseMetadata"]["HTTPStatusCode"] < 500
    assert s.folder not in e.response["Error"]["Message"] and s.folder not in str(e)
    assert error(s3.copy_object, Bucket="example", Key=f"{branch}/to", CopySource="nosuch-repo/main/x")[1] == 404
    api.call("PUT", f"/repositories/{name}/settings/branch_protection", 204, doc=[{"pattern": "main"}])
    assert error(s3.copy_object, Bucket=name, Key="main/x", CopySource="example/main/from")[1] in (400, 403)


@on_the_server
def test_26_deletions(s, api, s3, branch):
    for ref in ("main~0", "nosuch", api.get(AT + "/branches/main")["commit_id"]):
        s3.delete_object(Bucket="example", Key=ref + "/x")
    fixed = repo(api, read_only=True)
    assert error(s3.delete_objects, Bucket=fixed, Delete={"Objects": [{"Key": "main/x"}]})[1] == 403
    for text in (b"<Delete><Object>", b"nonsense", b""):
        status, code = s3_code(raw(s, "POST", "/example?delete", text, {
            "Content-MD5": base64.b64encode(hashlib.md5(text).digest()).decode()},
            payload=hashlib.sha256(text).hexdigest()))
        assert status == 400 and code in ("MalformedXML", "MissingRequestBodyError"), (text, status, code)


@on_the_server
def test_27_multipart_uploads(s, api, s3, branch):
    key = f"{branch}/multi"
    upload = s3.create_multipart_upload(Bucket="example", Key=key)["UploadId"]
    part = functools.partial(s3.upload_part, Bucket="example", Key=key, UploadId=upload)
    for number in (0, 10001):
        assert error(part, PartNumber=number, Body=b"x")[0] == "InvalidArgument"
    big = b"x" * (5 << 20)
    tags = {n: part(PartNumber=n, Body=big if n == 1 else b"y")["ETag"] for n in (1, 2)}

    def complete(parts, at=key):
        return dict(Bucket="example", Key=at, UploadId=upload, MultipartUpload={"Parts": parts})
    one, two = ({"PartNumber": n, "ETag": tags[n]} for n in (1, 2))
    for parts, code in (([two, one], "InvalidPartOrder"), ([one, {"PartNumber": 3, "ETag": tags[2]}], "InvalidPart"),
                        ([one, {"PartNumber": 2, "ETag": '"' + "0" * 32 + '"'}], "InvalidPart")):
        assert error(s3.complete_multipart_upload, **complete(parts))[0] == code, code
    # An upload belongs to its key.
    assert error(s3.complete_multipart_upload, **complete([one, two], f"{branch}/elsewhere"))[0] == "NoSuchUpload"
    assert [p["PartNumber"] for p in s3.list_parts(Bucket="example", Key=key, UploadId=upload)["Parts"]] == [1, 2]
    put(api, branch, "source", big)
    copied = s3.upload_part_copy(Bucket="example", Key=key, UploadId=upload, PartNumber=3,
                                 CopySource=f"example/{branch}/source")
    assert copied["CopyPartResult"]["ETag"]
    target = f"/example/{branch}/multi?partNumber=4&uploadId=" + urllib.parse.quote(upload, safe="")
    text = raw(s, "PUT", target, b"", {"x-amz-copy-source": f"/example/{branch}/source"},
               payload=hashlib.sha256(b"").hexdigest())
    assert text[0] == 200 and b"<CopyPartResult" in text[2], text
    s3.complete_multipart_upload(**complete([one, two]))
    assert s3.get_object(Bucket="example", Key=key)["Body"].read() == big + b"y"


@on_the_server
def test_28_what_lakectl_asks(s, api, s3, branch):
    """lakectl's own faults are in lakectl; what they need of a server."""
    assert api.get("/config")["version_config"]["version_context"] == "lakeFS"
    listed = {r["id"]: r["storage_id"] for r in api.pages("/repositories")}
    assert listed["example"] == ""
    put(api, branch, "in/x")
    put(api, branch, "out")
    # `diff REF --prefix`: the server heeds it.
    assert [d["path"] for d in api.pages(f"{AT}/branches/{branch}/diff", prefix="in/")] == ["in/x"]
    assert api.pages(f"{AT}/refs/{branch}/objects/ls", prefix="nosuch") == []
    api.call("DELETE", f"{AT}/branches/{branch}/objects", 204, path="in/")
    assert api.fails(401, "GET", "/config", headers={"Authorization": "Basic eDp5"}).message == \
        "error authenticating request"
    assert api.get("/config")["storage_config"]["pre_sign_support"] is False
    api.fails(400, "GET", f"{AT}/refs/{branch}/objects/stat", path="out", presign=True)


def all_numbers():
    have = sorted(int(name[5:7]) for name in globals() if name.startswith("test_"))
    assert have == list(range(1, 29)), have


if __name__ == "__main__":
    all_numbers()
    failed = 0
    with Server() as Place.server:
        try:
            main(globals())
        except SystemExit as e:
            failed = e.code
    sys.exit(failed)
