"""Today's boto3 over http and https: the operations one by one, with what S3 promises of each."""
import datetime
import io
import os
import threading
import urllib.request

from harness import Server, error, main, md5

B = "example"


def put_get_head(c):
    for size in (0, 1, 1000, 65536, 300000, 5 << 20):
        data = os.urandom(size)
        put = c.put_object(Bucket=B, Key="main/o", Body=data, ContentType="a/b", Metadata={"k": "v", "Caf\u00e9".encode().hex(): "x"})
        assert put["ETag"] == f'"{md5(data)}"', put
        got = c.get_object(Bucket=B, Key="main/o")
        assert got["Body"].read() == data
        assert got["ETag"] == put["ETag"] and got["ContentLength"] == size
        assert got["ContentType"] == "a/b" and got["Metadata"]["k"] == "v"
        head = c.head_object(Bucket=B, Key="main/o")
        assert head["ContentLength"] == size and head["ETag"] == put["ETag"]
        age = datetime.datetime.now(datetime.timezone.utc) - head["LastModified"]
        assert abs(age.total_seconds()) < 60
    assert error(c.get_object, Bucket=B, Key="main/none") == ("NoSuchKey", 404)
    assert error(c.get_object, Bucket=B, Key="nobranch/none") == ("NoSuchKey", 404)
    assert error(c.head_object, Bucket=B, Key="main/none")[1] == 404
    assert error(c.put_object, Bucket=B, Key="nobranch/x", Body=b"") == ("NoSuchBucket", 404)
    assert error(c.put_object, Bucket="nobucket", Key="main/x", Body=b"") == ("NoSuchBucket", 404)


def headers_kept(c):
    c.put_object(Bucket=B, Key="main/h", Body=b"x", CacheControl="no-cache", ContentDisposition='attachment; filename="a"',
                 ContentLanguage="de", ContentEncoding="gzip", Metadata={"a": "1"})
    h = c.head_object(Bucket=B, Key="main/h")
    assert (h["CacheControl"], h["ContentDisposition"], h["ContentLanguage"], h["ContentEncoding"]) == \
        ("no-cache", 'attachment; filename="a"', "de", "gzip"), h
    got = c.get_object(Bucket=B, Key="main/h", ResponseContentType="x/y", ResponseCacheControl="max-age=1")
    assert got["ContentType"] == "x/y" and got["CacheControl"] == "max-age=1"


def ranges(c):
    data = bytes(range(256)) * 4096
    c.put_object(Bucket=B, Key="main/r", Body=data)
    for spec, part in (("bytes=0-0", data[:1]), ("bytes=5-9", data[5:10]), ("bytes=1000000-", data[1000000:]),
                       ("bytes=-7", data[-7:]), ("bytes=0-99999999", data), ("bytes=-99999999", data)):
        got = c.get_object(Bucket=B, Key="main/r", Range=spec)
        assert got["Body"].read() == part, spec
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert got["ContentRange"].endswith("/%d" % len(data))
    whole = c.get_object(Bucket=B, Key="main/r", Range="bytes=9-5")
    assert whole["ResponseMetadata"]["HTTPStatusCode"] == 200 and whole["Body"].read() == data
    assert error(c.get_object, Bucket=B, Key="main/r", Range="bytes=1048576-") == ("InvalidRange", 416)
    assert c.head_object(Bucket=B, Key="main/r", Range="bytes=0-9")["ContentLength"] == 10


def conditions(c):
    etag = c.put_object(Bucket=B, Key="main/c", Body=b"c")["ETag"]
    old = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    new = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    for good in ({"IfMatch": etag}, {"IfNoneMatch": '"x"'}, {"IfModifiedSince": old}, {"IfUnmodifiedSince": new},
                 {"IfMatch": etag, "IfUnmodifiedSince": old}):
        assert c.get_object(Bucket=B, Key="main/c", **good)["Body"].read() == b"c", good
    for bad, status in (({"IfMatch": '"x"'}, 412), ({"IfNoneMatch": etag}, 304), ({"IfModifiedSince": new}, 304),
                        ({"IfUnmodifiedSince": old}, 412), ({"IfNoneMatch": "*"}, 304)):
        assert error(c.get_object, Bucket=B, Key="main/c", **bad)[1] == status, bad
        assert error(c.head_object, Bucket=B, Key="main/c", **bad)[1] == status, bad
    assert error(c.put_object, Bucket=B, Key="main/c", Body=b"", IfNoneMatch="*") == ("PreconditionFailed", 412)
    c.put_object(Bucket=B, Key="main/c-new", Body=b"", IfNoneMatch="*")
    c.put_object(Bucket=B, Key="main/c", Body=b"d", IfMatch=etag)
    assert error(c.put_object, Bucket=B, Key="main/c", Body=b"e", IfMatch=etag) == ("PreconditionFailed", 412)
    assert c.get_object(Bucket=B, Key="main/c")["Body"].read() == b"d"


def checksums(c):
    import base64
    import zlib
    for algorithm in ("CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"):
        put = c.put_object(Bucket=B, Key="main/sum", Body=b"checked", ChecksumAlgorithm=algorithm)
        name = "Checksum" + algorithm
        assert put[name], put
        got = c.get_object(Bucket=B, Key="main/sum", ChecksumMode="ENABLED")
        assert got["Body"].read() == b"checked" and got[name] == put[name], got
    right = base64.b64encode(zlib.crc32(b"right").to_bytes(4, "big")).decode()
    assert error(c.put_object, Bucket=B, Key="main/sum", Body=b"wrong", ChecksumCRC32=right) == ("BadDigest", 400)
    assert error(c.put_object, Bucket=B, Key="main/sum", Body=b"wrong", ContentMD5=base64.b64encode(b"1" * 16).decode()) == ("BadDigest", 400)
    assert c.get_object(Bucket=B, Key="main/sum")["Body"].read() == b"checked"


KEYS = ["a", "a/b", "a/b/c", "a.b", "a-b", "b//c", "d/", "e +&?#%41=", "f/\u00e9\u4e2d\U0001f600", "z~*'()!"]


def listing(c):
    for k in KEYS:
        c.put_object(Bucket=B, Key="main/l/" + k, Body=k.encode())
    want = sorted(("main/l/" + k for k in KEYS), key=lambda s: s.encode())
    for size in (1, 2, 3, 1000):
        pages = c.get_paginator("list_objects_v2").paginate(Bucket=B, Prefix="main/l/", PaginationConfig={"PageSize": size})
        assert [o["Key"] for p in pages for o in p.get("Contents", [])] == want, size
        pages = c.get_paginator("list_objects").paginate(Bucket=B, Prefix="main/l/", PaginationConfig={"PageSize": size})
        assert [o["Key"] for p in pages for o in p.get("Contents", [])] == want, size
        pages = list(c.get_paginator("list_objects_v2").paginate(Bucket=B, Prefix="main/l/", Delimiter="/", PaginationConfig={"PageSize": size}))
        assert [o["Prefix"] for p in pages for o in p.get("CommonPrefixes", [])] == ["main/l/a/", "main/l/b/", "main/l/d/", "main/l/f/"], size
        assert [o["Key"] for p in pages for o in p.get("Contents", [])] == \
            [k for k in want if "/" not in k[len("main/l/"):]], size
    page = c.list_objects_v2(Bucket=B, Prefix="main/l/", StartAfter="main/l/b//c")
    assert [o["Key"] for o in page["Contents"]] == [k for k in want if k.encode() > b"main/l/b//c"]
    assert [p["Prefix"] for p in c.list_objects_v2(Bucket=B)["CommonPrefixes"]] == ["main/"]
    assert c.list_objects_v2(Bucket=B, Prefix="absent/")["KeyCount"] == 0
    assert c.list_objects_v2(Bucket=B, Prefix="main/l/", MaxKeys=0)["IsTruncated"] is False
    for o in c.list_objects_v2(Bucket=B, Prefix="main/l/")["Contents"]:
        body = o["Key"][len("main/l/"):].encode()
        assert o["Size"] == len(body) and o["ETag"] == f'"{md5(body)}"'
        assert c.get_object(Bucket=B, Key=o["Key"])["Body"].read() == body


def deleting(c):
    for k in KEYS:
        c.put_object(Bucket=B, Key="main/d/" + k, Body=b"")
    c.delete_object(Bucket=B, Key="main/d/a")
    c.delete_object(Bucket=B, Key="main/d/a")
    c.delete_object(Bucket=B, Key="nobranch/a")
    assert error(c.head_object, Bucket=B, Key="main/d/a")[1] == 404
    gone = c.delete_objects(Bucket=B, Delete={"Objects": [{"Key": "main/d/" + k} for k in KEYS] + [{"Key": "main/"}]})
    assert len(gone["Deleted"]) == len(KEYS) + 1 and "Errors" not in gone, gone
    assert c.list_objects_v2(Bucket=B, Prefix="main/d/")["KeyCount"] == 0
    assert "Deleted" not in c.delete_objects(Bucket=B, Delete={"Objects": [{"Key": "main/x"}], "Quiet": True})
    assert error(c.delete_objects, Bucket=B, Delete={"Objects": [{"Key": f"main/{i}"} for i in range(1001)]}) == ("MalformedXML", 400)


def multipart(c):
    key, part = "main/mp", os.urandom(5 << 20)
    up = c.create_multipart_upload(Bucket=B, Key=key, ContentType="m/p", Metadata={"a": "b"})["UploadId"]
    tags = [c.upload_part(Bucket=B, Key=key, UploadId=up, PartNumber=n, Body=d)["ETag"]
            for n, d in ((1, b"replaced"), (1, part), (2, part[::-1]), (7, b"last"))][1:]
    listed = c.list_parts(Bucket=B, Key=key, UploadId=up)
    assert [(p["PartNumber"], p["Size"], p["ETag"]) for p in listed["Parts"]] == \
        [(1, len(part), tags[0]), (2, len(part), tags[1]), (7, 4, tags[2])], listed
    first = c.list_parts(Bucket=B, Key=key, UploadId=up, MaxParts=2)
    assert first["IsTruncated"] and first["NextPartNumberMarker"] == 2
    assert [p["PartNumber"] for p in c.list_parts(Bucket=B, Key=key, UploadId=up, PartNumberMarker=2)["Parts"]] == [7]
    parts = [{"PartNumber": n, "ETag": t} for n, t in zip((1, 2, 7), tags)]

    def complete(p, k=key, u=up):
        return error(c.complete_multipart_upload, Bucket=B, Key=k, UploadId=u, MultipartUpload={"Parts": p})[0]
    assert complete(parts[::-1]) == "InvalidPartOrder"
    assert complete(parts + [{"PartNumber": 8, "ETag": tags[0]}]) == "InvalidPart"
    assert complete([{"PartNumber": 1, "ETag": '"' + "0" * 32 + '"'}]) == "InvalidPart"
    assert complete([parts[0], parts[2], {"PartNumber": 9, "ETag": tags[2]}]) == "InvalidPart"
    assert complete(parts, u="0" * 32) == "NoSuchUpload"
    assert complete(parts, k="main/other") == "NoSuchUpload"
    done = c.complete_multipart_upload(Bucket=B, Key=key, UploadId=up, MultipartUpload={"Parts": parts})
    want = md5(b"".join(bytes.fromhex(t.strip('"')) for t in tags)) + "-3"
    assert done["ETag"] == f'"{want}"', done
    got = c.get_object(Bucket=B, Key=key)
    assert got["Body"].read() == part + part[::-1] + b"last" and got["ETag"] == f'"{want}"'
    assert got["ContentType"] == "m/p" and got["Metadata"] == {"a": "b"}
    second = c.get_object(Bucket=B, Key=key, PartNumber=2)
    assert second["Body"].read() == part[::-1] and second["PartsCount"] == 3
    again = c.complete_multipart_upload(Bucket=B, Key=key, UploadId=up, MultipartUpload={"Parts": parts})
    assert again["ETag"] == done["ETag"], again  # its first answer may have been lost
    assert complete(parts[:1]) == "NoSuchUpload"

    small = c.create_multipart_upload(Bucket=B, Key=key)["UploadId"]
    tags = [c.upload_part(Bucket=B, Key=key, UploadId=small, PartNumber=n, Body=b"tiny")["ETag"] for n in (1, 2)]
    assert complete([{"PartNumber": n, "ETag": t} for n, t in zip((1, 2), tags)], u=small) == "EntityTooSmall"
    c.abort_multipart_upload(Bucket=B, Key=key, UploadId=small)
    assert error(c.abort_multipart_upload, Bucket=B, Key=key, UploadId=small)[0] == "NoSuchUpload"
    assert error(c.upload_part, Bucket=B, Key=key, UploadId=small, PartNumber=1, Body=b"")[0] == "NoSuchUpload"
    assert error(c.upload_part, Bucket=B, Key=key, UploadId=up, PartNumber=0, Body=b"")[0] == "InvalidArgument"
    assert error(c.upload_part, Bucket=B, Key=key, UploadId=up, PartNumber=10001, Body=b"")[0] == "InvalidArgument"


def managed_transfer(c):
    """upload_fileobj and download_fileobj: threads, multipart, ranged parts."""
    data = os.urandom(20 << 20)
    c.upload_fileobj(io.BytesIO(data), B, "main/transfer")
    out = io.BytesIO()
    c.download_fileobj(B, "main/transfer", out)
    assert out.getvalue() == data


def copying(c):
    c.put_object(Bucket=B, Key="main/cp/a b+c", Body=b"copied", ContentType="t/x", Metadata={"m": "1"})
    c.copy_object(Bucket=B, Key="main/cp/to", CopySource={"Bucket": B, "Key": "main/cp/a b+c"})
    h = c.get_object(Bucket=B, Key="main/cp/to")
    assert h["Body"].read() == b"copied" and h["ContentType"] == "t/x" and h["Metadata"] == {"m": "1"}
    c.copy_object(Bucket=B, Key="main/cp/to", CopySource=f"{B}/main/cp/to", MetadataDirective="REPLACE", Metadata={"n": "2"})
    assert c.head_object(Bucket=B, Key="main/cp/to")["Metadata"] == {"n": "2"}
    assert error(c.copy_object, Bucket=B, Key="main/cp/to", CopySource=f"{B}/main/none")[0] == "NoSuchKey"
    assert error(c.copy_object, Bucket=B, Key="main/cp/to", CopySource=f"{B}/main/cp/to")[0] == "InvalidRequest"


def presigning(c, s):
    import ssl
    context = ssl.create_default_context(cafile=s.cert) if s.tls else None
    url = c.generate_presigned_url("put_object", Params={"Bucket": B, "Key": "main/pre/\u00e4 b"}, ExpiresIn=604800)
    # version 2 signs the content type, and urllib would send one of its own
    req = urllib.request.Request(url, data=b"put by link", method="PUT", headers={"Content-Type": ""})
    assert urllib.request.urlopen(req, context=context).status == 200
    url = c.generate_presigned_url("get_object", Params={"Bucket": B, "Key": "main/pre/\u00e4 b", "ResponseContentType": "q/r"})
    got = urllib.request.urlopen(url, context=context)
    assert got.read() == b"put by link" and got.headers["Content-Type"] == "q/r"


def concurrently(s):
    """Eight clients write and read their own keys and one that they share: each reads whole objects."""
    failures = []

    def one(n):
        try:
            c = s.boto3()
            for i in range(15):
                body = bytes([n]) * (1000 * (i + 1))
                c.put_object(Bucket=B, Key=f"main/con/{n}/{i}", Body=body)
                c.put_object(Bucket=B, Key="main/con/shared", Body=body)
                assert c.get_object(Bucket=B, Key=f"main/con/{n}/{i}")["Body"].read() == body
                shared = c.get_object(Bucket=B, Key="main/con/shared")["Body"].read()
                assert len(set(shared)) == 1 and len(shared) % 1000 == 0
        except Exception as e:
            failures.append(e)
    threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures
    keys = s.boto3().list_objects_v2(Bucket=B, Prefix="main/con/")["KeyCount"]
    assert keys == 8 * 15 + 1, keys


def everything(s):
    c = s.boto3()
    assert [b["Name"] for b in c.list_buckets()["Buckets"]] == [B]
    assert c.head_bucket(Bucket=B)["BucketRegion"] == "us-east-1"
    assert c.get_bucket_location(Bucket=B)["LocationConstraint"] is None
    for part in (put_get_head, headers_kept, ranges, conditions, checksums, listing, deleting, multipart,
                 managed_transfer, copying):
        part(c)
    presigning(s.boto3(signature_version="s3v4"), s)
    presigning(c, s)  # boto3's own choice: version 2
    concurrently(s)


def test_boto3_over_http():
    with Server() as s:
        everything(s)


def test_boto3_over_https():
    with Server(tls=True) as s:
        everything(s)


def test_virtual_hosts():
    with Server(extra="gateways: {s3: {domain_name: [s3.test]}}\n") as s:
        from harness import sign
        h = s.connect()
        for host, path in (("example.s3.test", "/main/v"), ("s3.test", "/example/main/v")):
            headers = sign("PUT", f"http://{host}{path}")
            h.request("PUT", path, body=b"v", headers={**headers, "Host": host})
            r = h.getresponse()
            assert (r.status, r.read()) == (200, b""), host
        headers = sign("GET", "http://xs3.test/main/v")
        h.request("GET", "/main/v", headers={**headers, "Host": "xs3.test"})
        r = h.getresponse()
        assert r.status == 404 and b"NoSuchBucket" in r.read()


def test_unsupported_operations_never_become_another():
    with Server() as s:
        c = s.boto3()
        c.put_object(Bucket=B, Key="main/o", Body=b"precious")
        assert error(c.put_object_acl, Bucket=B, Key="main/o", ACL="public-read")[0] == "NotImplemented"
        assert error(c.put_object_retention, Bucket=B, Key="main/o", Retention={"Mode": "GOVERNANCE"})[0] == "NotImplemented"
        assert error(c.put_object_legal_hold, Bucket=B, Key="main/o", LegalHold={"Status": "ON"})[0] == "NotImplemented"
        assert error(c.restore_object, Bucket=B, Key="main/o", RestoreRequest={"Days": 1})[0] == "NotImplemented"
        assert error(c.put_bucket_versioning, Bucket=B, VersioningConfiguration={"Status": "Enabled"})[0] == "NotImplemented"
        assert error(c.get_bucket_inventory_configuration, Bucket=B, Id="x")[0] == "NotImplemented"
        assert error(c.delete_bucket_policy, Bucket=B)[0] == "NotImplemented"
        assert error(c.put_object, Bucket=B, Key="main/o", Body=b"", SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32)[0] == "NotImplemented" \
            if s.tls else True
        assert error(c.put_object, Bucket=B, Key="main/o", Body=b"", ACL="public-read")[0] == "NotImplemented"
        assert c.get_object(Bucket=B, Key="main/o")["Body"].read() == b"precious"


if __name__ == "__main__":
    main(globals())
