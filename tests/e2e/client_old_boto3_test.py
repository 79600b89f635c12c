"""boto3 of 2022, which makes no checksums of its own, and today's: the same calls by each, on a prefix and
on a branch's own bucket, with both versions of signatures, over http and https."""
import http.client
import os
import random
import ssl
import tempfile
import traceback
import urllib.error
import urllib.request

import boto3

from harness import SECRET, Server, main_in_venvs, md5, refusal, sign

OLD = "2022" in os.environ.get("TEST_VENV", "")
PLACES = (("example", "main/"), ("example.main", ""))
MIB = 1 << 20

KEYS = [
    "plain", "a", "a/b", "a/b/c", "a.b", "a-b", "a//b", "x//y", "x///y", "/leading", "//leading", "dir/", "dir//",
    "with space", " space", "space ", "two  spaces", "plus+plus", "100%", "%41", "%2F", "%252B", "a%20b", "q?x=y&z",
    "#fragment", "semi;colon", "at@:,$!*'()", "[brackets]{braces}", "<tag>&amp;\"quoted\"", "back\\slash", "pipe|^`~",
    "\u00e9 precomposed", "e\u0301 combining", "\u65e5\u672c\u8a9e/\u30ad\u30fc", "emoji \U0001f600\U0001f468\u200d\U0001f469",
    "\uffee\U00010000 order", ".", "./x", "..dots", "a/./b", "a/../b", "...", "~tilde", "=", "tab\there", "line\nbreak",
    "return\rhere", "del\x7f", "\u0085\u2028", "k" * 1000, "\u65e5" * 330, "uploads", "d?uploads", "z/?delete",
]


def code(fn, **kw):
    return refusal(fn, **kw).response["Error"]["Code"]


def open_url(s, url, data=None, method=None, headers=None):
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    context = ssl.create_default_context(cafile=s.cert) if s.tls else None
    with urllib.request.urlopen(request, context=context) as r:
        return r.read()


def listed(c, bucket, prefix, operation="list_objects_v2", **kw):
    found = []
    for page in c.get_paginator(operation).paginate(Bucket=bucket, Prefix=prefix, **kw):
        found += [o["Key"] for o in page.get("Contents", [])]
    return found


def keys(s, c, bucket, root):
    p = root + "k/"
    for k in KEYS:
        c.put_object(Bucket=bucket, Key=p + k, Body=k.encode())
    for k in KEYS:
        assert c.get_object(Bucket=bucket, Key=p + k)["Body"].read() == k.encode(), k
        assert c.head_object(Bucket=bucket, Key=p + k)["ContentLength"] == len(k.encode()), k
    want = sorted((p + k for k in KEYS), key=lambda k: k.encode())
    for operation in ("list_objects_v2", "list_objects"):
        for size in (1000, 7):
            got = listed(c, bucket, p, operation, PaginationConfig={"PageSize": size})
            assert got == want, (operation, size, set(got) ^ set(want))
    for k in KEYS[::3]:
        copy = root + "copy/" + k
        c.copy_object(Bucket=bucket, Key=copy, CopySource={"Bucket": bucket, "Key": p + k})
        assert c.get_object(Bucket=bucket, Key=copy)["Body"].read() == k.encode(), k
        c.delete_object(Bucket=bucket, Key=copy)
        assert code(c.head_object, Bucket=bucket, Key=copy) == "404", k
        url = c.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": p + k})
        assert open_url(s, url) == k.encode(), (k, url)
    gone = c.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": p + k} for k in KEYS]})
    assert sorted(o["Key"] for o in gone["Deleted"]) == sorted(p + k for k in KEYS) and "Errors" not in gone, gone
    assert listed(c, bucket, p) == []


def odd_first_keys(s, c, bucket, root):
    """Keys that begin the bucket's, where the address before them ends."""
    for k in ("/x", "//x", "/", "?x", "#x", "%2Fx", " ", "+", "=", "\u00e9"):
        c.put_object(Bucket=bucket, Key=root + k, Body=k.encode())
        assert c.get_object(Bucket=bucket, Key=root + k)["Body"].read() == k.encode(), k
        assert listed(c, bucket, root + k) == [root + k], k
        c.delete_object(Bucket=bucket, Key=root + k)
    assert listed(c, bucket, root) == []


def objects(s, c, bucket, root):
    for size in (0, 1, 100_000, 6 * MIB):
        data = random.randbytes(size)
        put = c.put_object(Bucket=bucket, Key=root + "o", Body=data, ContentType="x/y", Metadata={"k": "v v", "other": "2"})
        assert put["ETag"] == f'"{md5(data)}"', put
        got = c.get_object(Bucket=bucket, Key=root + "o")
        assert got["Body"].read() == data and got["ContentType"] == "x/y"
        assert got["Metadata"] == {"k": "v v", "other": "2"}, got["Metadata"]
        part = c.get_object(Bucket=bucket, Key=root + "o", Range="bytes=1-9") if size > 9 else None
        assert not part or part["Body"].read() == data[1:10]
    assert code(c.get_object, Bucket=bucket, Key=root + "absent") == "NoSuchKey"
    assert code(c.get_object, Bucket=bucket, Key=root + "o", IfNoneMatch=got["ETag"]) == "304"
    assert code(c.get_object, Bucket=bucket, Key=root + "o", IfMatch='"x"') == "PreconditionFailed"
    c.copy_object(Bucket=bucket, Key=root + "o2", CopySource=f"{bucket}/{root}o", MetadataDirective="REPLACE",
                  Metadata={"new": "1"})
    assert c.head_object(Bucket=bucket, Key=root + "o2")["Metadata"] == {"new": "1"}
    # boto3 of 2022 sends them as trailers over https whatever signs, which version 2 can't carry.
    trailers_unsigned = OLD and s.tls and c.meta.config.signature_version == "s3"
    for algorithm in () if trailers_unsigned else ("SHA256", "CRC32", "SHA1"):
        put = c.put_object(Bucket=bucket, Key=root + "sum", Body=b"checked", ChecksumAlgorithm=algorithm)
        got = c.get_object(Bucket=bucket, Key=root + "sum", ChecksumMode="ENABLED")
        assert got["Body"].read() == b"checked" and got["Checksum" + algorithm] == put["Checksum" + algorithm], got
    with tempfile.TemporaryFile() as f:  # a stream, read twice by version 4 over http, once in chunks over https
        f.write(b"stream" * 100_000)
        f.seek(0)
        c.put_object(Bucket=bucket, Key=root + "s", Body=f)
    assert c.get_object(Bucket=bucket, Key=root + "s")["Body"].read() == b"stream" * 100_000
    for k in ("o", "o2", "sum", "s"):
        c.delete_object(Bucket=bucket, Key=root + k)


def in_parts(s, c, bucket, root):
    key, part = root + "m p+\u00e9", os.urandom(5 * MIB)
    up = c.create_multipart_upload(Bucket=bucket, Key=key, Metadata={"a": "b"})["UploadId"]
    tags = [c.upload_part(Bucket=bucket, Key=key, UploadId=up, PartNumber=n, Body=d)["ETag"]
            for n, d in ((2, b"last"), (1, part))][::-1]
    assert [p["PartNumber"] for page in c.get_paginator("list_parts").paginate(
        Bucket=bucket, Key=key, UploadId=up, PaginationConfig={"PageSize": 1}) for p in page["Parts"]] == [1, 2]
    uploads = [u["Key"] for page in c.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=root)
               for u in page.get("Uploads", [])]
    assert uploads == [key], uploads
    done = c.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=up, MultipartUpload={
        "Parts": [{"PartNumber": n, "ETag": t} for n, t in zip((1, 2), tags)]})
    assert done["ETag"] == '"%s-2"' % md5(b"".join(bytes.fromhex(t.strip('"')) for t in tags)), done
    got = c.get_object(Bucket=bucket, Key=key)
    assert got["Body"].read() == part + b"last" and got["Metadata"] == {"a": "b"}
    up = c.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    copied = c.upload_part_copy(Bucket=bucket, Key=key, UploadId=up, PartNumber=1, CopySourceRange="bytes=0-99",
                                CopySource={"Bucket": bucket, "Key": key})["CopyPartResult"]["ETag"]
    assert copied == f'"{md5(part[:100])}"', copied
    c.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=up)
    assert code(c.upload_part, Bucket=bucket, Key=key, UploadId=up, PartNumber=1, Body=b"") == "NoSuchUpload"
    c.delete_object(Bucket=bucket, Key=key)


def transfers(s, c, bucket, root):
    with tempfile.TemporaryDirectory() as d:
        there, back = os.path.join(d, "there"), os.path.join(d, "back")
        data = os.urandom(20 * MIB + 1)
        with open(there, "wb") as f:
            f.write(data)
        c.upload_file(there, bucket, root + "large", ExtraArgs={"ContentType": "x/large", "Metadata": {"k": "v"}})
        head = c.head_object(Bucket=bucket, Key=root + "large")
        assert head["ETag"].endswith('-3"') and head["ContentType"] == "x/large" and head["Metadata"] == {"k": "v"}, head
        c.download_file(bucket, root + "large", back)
        with open(back, "rb") as f:
            assert f.read() == data
        c.copy({"Bucket": bucket, "Key": root + "large"}, bucket, root + "large2",
               Config=boto3.s3.transfer.TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB))
        with open(back, "wb") as f:
            c.download_fileobj(bucket, root + "large2", f)
        with open(back, "rb") as f:
            assert f.read() == data
        c.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": root + "large"}, {"Key": root + "large2"}]})


def presigned(s, c, bucket, root):
    key = root + "pre signed+\u00e9%2F.txt"

    def url(method, **kw):
        return c.generate_presigned_url(method, Params=dict(Bucket=bucket, Key=key, **kw), ExpiresIn=60)
    open_url(s, url("put_object"), b"by link", "PUT", {"Content-Type": ""})
    assert open_url(s, url("get_object")) == b"by link"
    open_url(s, url("put_object", ContentType="x/y"), b"typed", "PUT", {"Content-Type": "x/y"})
    assert c.head_object(Bucket=bucket, Key=key)["ContentType"] == "x/y"
    assert open_url(s, url("get_object", ResponseContentType="text/html")) == b"typed"
    for bad in (url("get_object").replace("Signature=", "Signature=0"), url("get_object").replace("signed", "forged"),
                url("get_object") + "&response-content-type=x"):
        try:
            open_url(s, bad)
        except urllib.error.HTTPError as e:
            assert e.code == 403, (e.code, bad)
        else:
            raise AssertionError("a forged link was served: " + bad)
    assert SECRET not in url("get_object")
    open_url(s, url("delete_object"), method="DELETE")
    assert code(c.head_object, Bucket=bucket, Key=key) == "404"


def non_ascii_metadata(s, c, bucket, root):
    """boto3 refuses to send it as it is: by RFC 2047, or by another client as UTF-8. It returns as the former."""
    import email.header
    text = "Gr\u00fc\u00dfe \u65e5\u672c"
    encoded = email.header.Header(text, "utf-8").encode()
    url = f"{s.url}/{bucket}/{root}meta"
    c.put_object(Bucket=bucket, Key=root + "meta", Body=b"", Metadata={"k": encoded})
    for _ in range(2):
        got = c.head_object(Bucket=bucket, Key=root + "meta")["Metadata"]["k"]
        assert str(email.header.make_header(email.header.decode_header(got))) == text, got
        connection = http.client.HTTPSConnection("127.0.0.1", s.port, context=ssl.create_default_context(
            cafile=s.cert)) if s.tls else s.connect()
        connection.request("PUT", f"/{bucket}/{root}meta", b"", dict(
            sign("PUT", url, {"x-amz-meta-k": text}), **{"x-amz-meta-k": text.encode()}))
        response = connection.getresponse()
        assert response.status == 200, response.read()
        connection.close()
    c.delete_object(Bucket=bucket, Key=root + "meta")


def pages(s, c, bucket, root):
    names = [f"{root}p/{i % 3}/{i:03}" for i in range(60)]
    for name in names:
        c.put_object(Bucket=bucket, Key=name, Body=b"")
    assert listed(c, bucket, root + "p/", PaginationConfig={"PageSize": 7}) == sorted(names)
    found = [p["Prefix"] for page in c.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=root + "p/", Delimiter="/", PaginationConfig={"PageSize": 1})
        for p in page.get("CommonPrefixes", [])]
    assert found == [f"{root}p/{i}/" for i in range(3)], found
    objects = boto3_bucket(s, c, bucket).objects
    assert [o.key for o in objects.filter(Prefix=root + "p/1/")] == sorted(n for n in names if "p/1/" in n)
    objects.filter(Prefix=root + "p/").delete()
    assert listed(c, bucket, root + "p/") == []


def boto3_bucket(s, c, bucket):
    """The resource interface, over the client's own settings."""
    session = boto3.session.Session(**{k: v for k, v in zip(
        ("aws_access_key_id", "aws_secret_access_key"), c._request_signer._credentials.get_frozen_credentials())},
        region_name=c.meta.region_name)
    return session.resource("s3", endpoint_url=s.url, verify=s.cert if s.tls else None, config=c.meta.config).Bucket(bucket)


def every(tls, signature):
    assert (boto3.__version__ == "1.24.96") == OLD, boto3.__version__
    wrong = []
    with Server(tls=tls) as s:
        c = s.boto3(signature_version=signature)
        for bucket, root in PLACES:
            for test in (odd_first_keys, keys, objects, in_parts, transfers, presigned, pages, non_ascii_metadata):
                try:
                    test(s, c, bucket, root)
                except Exception:
                    wrong.append(f"{test.__name__} on {bucket}: {traceback.format_exc()}")
        assert not wrong, "\n".join(wrong)


def test_version_4_http():
    every(False, "s3v4")


def test_version_4_https():
    every(True, "s3v4")


def test_version_2_http():
    every(False, "s3")


def test_version_2_https():
    every(True, "s3")


if __name__ == "__main__":
    main_in_venvs(("", "boto3-2022"), globals())
