"""Copies, tags, conditional deletions and what is kept with an object, by boto3 and by aws-cli's s3api."""
import base64
import datetime
import hashlib
import json
import os

from harness import Server, aws_programs, error, main, md5

A, B = "first", "second"


def tags(*pairs):
    return {"TagSet": [{"Key": k, "Value": v} for k, v in pairs]}


def copies(c):
    data = os.urandom(3 << 20)
    put = c.put_object(Bucket=A, Key="main/src", Body=data, ContentType="a/b", Metadata={"m": "1"}, Tagging="t=1&u=2",
                       CacheControl="no-cache", ChecksumAlgorithm="SHA256")
    for bucket, key in ((A, "main/copy"), (B, "main/copy"), (A + ".main", "ref/copy"), (B + ".main", "ref/copy")):
        for source in ({"Bucket": A, "Key": "main/src"}, {"Bucket": A + ".main", "Key": "src"}, A + "/main/src", f"/{A}/main/src"):
            done = c.copy_object(Bucket=bucket, Key=key, CopySource=source)["CopyObjectResult"]
            assert done["ETag"] == put["ETag"] and done["ChecksumSHA256"] == put["ChecksumSHA256"], done
            got = c.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
            assert got["Body"].read() == data
            assert (got["ContentType"], got["Metadata"], got["TagCount"], got["CacheControl"]) == ("a/b", {"m": "1"}, 2, "no-cache")
            assert got["ChecksumSHA256"] == put["ChecksumSHA256"]
    # the copy in another repository lives on its own
    c.delete_object(Bucket=A, Key="main/src")
    assert c.get_object(Bucket=B, Key="main/copy")["Body"].read() == data
    # boto3's transfer manager
    c.copy({"Bucket": B, "Key": "main/copy"}, A, "main/managed")
    assert c.get_object(Bucket=A, Key="main/managed")["Body"].read() == data
    replaced = c.copy_object(Bucket=B, Key="main/copy", CopySource=f"{B}/main/copy", MetadataDirective="REPLACE", Metadata={"n": "2"},
                             TaggingDirective="REPLACE", Tagging="w=%2B", ChecksumAlgorithm="CRC32C")["CopyObjectResult"]
    assert replaced["ETag"] == put["ETag"] and replaced["ChecksumCRC32C"]
    head = c.head_object(Bucket=B, Key="main/copy")
    assert head["Metadata"] == {"n": "2"} and "CacheControl" not in head and head["TagCount"] == 1
    assert c.get_object_tagging(Bucket=B, Key="main/copy")["TagSet"] == [{"Key": "w", "Value": "+"}]


NAMES = ["plus+and space", "percent%25 %41", "q?versionId=x#y", "\u00fcml\u00e4ut \u65e5\u672c", "a//b", "~!*'()&=;:@$,"]


def copies_of_odd_names(c):
    for name in NAMES:
        c.put_object(Bucket=A, Key="main/odd/" + name, Body=name.encode())
        c.copy_object(Bucket=B, Key="main/odd/" + name, CopySource={"Bucket": A, "Key": "main/odd/" + name})
        assert c.get_object(Bucket=B, Key="main/odd/" + name)["Body"].read() == name.encode(), name


def copies_refused(c):
    c.put_object(Bucket=A, Key="main/x", Body=b"x")
    etag, stale = f'"{md5(b"x")}"', '"%s"' % ("0" * 32)
    old = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    new = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    src = {"Bucket": A, "Key": "main/x"}
    for good in ({"CopySourceIfMatch": etag}, {"CopySourceIfNoneMatch": stale}, {"CopySourceIfModifiedSince": old},
                 {"CopySourceIfUnmodifiedSince": new}, {"CopySourceIfMatch": etag, "CopySourceIfUnmodifiedSince": old}):
        c.copy_object(Bucket=B, Key="main/x", CopySource=src, **good)
    for bad in ({"CopySourceIfMatch": stale}, {"CopySourceIfNoneMatch": etag}, {"CopySourceIfModifiedSince": new},
                {"CopySourceIfUnmodifiedSince": old}, {"CopySourceIfNoneMatch": etag, "CopySourceIfModifiedSince": old}):
        assert error(c.copy_object, Bucket=B, Key="main/x", CopySource=src, **bad) == ("PreconditionFailed", 412), bad
    assert error(c.copy_object, Bucket=A, Key="main/x", CopySource=src) == ("InvalidRequest", 400)
    assert error(c.copy_object, Bucket=A, Key="main/y", CopySource={"Bucket": A, "Key": "main/none"}) == ("NoSuchKey", 404)
    assert error(c.copy_object, Bucket=A, Key="main/y", CopySource={"Bucket": "nobody", "Key": "main/none"}) == ("NoSuchBucket", 404)
    assert error(c.copy_object, Bucket=A, Key="nobranch/y", CopySource=src) == ("NoSuchBucket", 404)
    assert error(c.copy_object, Bucket=A, Key="main/y", CopySource=src, ExpectedBucketOwner="111122223333") == ("AccessDenied", 403)


def multipart_goes_with_its_parts(c):
    part = os.urandom(5 << 20)
    up = c.create_multipart_upload(Bucket=A, Key="main/mp", Tagging="by=parts")["UploadId"]
    parts = [{"PartNumber": n, "ETag": c.upload_part(Bucket=A, Key="main/mp", UploadId=up, PartNumber=n, Body=d)["ETag"]}
             for n, d in ((1, part), (2, b"end"))]
    etag = c.complete_multipart_upload(Bucket=A, Key="main/mp", UploadId=up, MultipartUpload={"Parts": parts})["ETag"]
    assert c.get_object_tagging(Bucket=A, Key="main/mp")["TagSet"] == [{"Key": "by", "Value": "parts"}]
    c.copy_object(Bucket=B, Key="main/mp", CopySource=f"{A}/main/mp")
    got = c.get_object(Bucket=B, Key="main/mp", PartNumber=2)
    assert got["Body"].read() == b"end" and got["ETag"] == etag and got["PartsCount"] == 2


def tagging(c):
    c.put_object(Bucket=A, Key="main/t", Body=b"t", Metadata={"m": "1"})
    before = c.head_object(Bucket=A, Key="main/t")
    assert c.get_object_tagging(Bucket=A, Key="main/t")["TagSet"] == [] and "TagCount" not in before
    c.put_object_tagging(Bucket=A, Key="main/t", Tagging=tags(("b", "\u00fc & x"[:1]), ("a", "1 + 2 = 3"), ("e", "")))
    after = c.head_object(Bucket=A, Key="main/t")
    assert after["TagCount"] == 3 and after["LastModified"] == before["LastModified"] and after["ETag"] == before["ETag"]
    assert after["Metadata"] == {"m": "1"}
    assert c.get_object_tagging(Bucket=A + ".main", Key="t")["TagSet"] == \
        [{"Key": "a", "Value": "1 + 2 = 3"}, {"Key": "b", "Value": "\u00fc"}, {"Key": "e", "Value": ""}]
    for bad, code in ((tags(*((str(i), "") for i in range(11))), "BadRequest"), (tags(("a", "1"), ("a", "2")), "InvalidTag"),
                      (tags(("k" * 129, "")), "InvalidTag"), (tags(("k", "v" * 257)), "InvalidTag"), (tags(("k", "<")), "InvalidTag"),
                      (tags(("aws:k", "v")), "InvalidTag")):
        assert error(c.put_object_tagging, Bucket=A, Key="main/t", Tagging=bad) == (code, 400), bad
    c.delete_object_tagging(Bucket=A, Key="main/t")
    assert c.get_object_tagging(Bucket=A, Key="main/t")["TagSet"] == []
    assert error(c.get_object_tagging, Bucket=A, Key="main/none") == ("NoSuchKey", 404)
    assert error(c.put_object, Bucket=A, Key="main/t2", Body=b"", Tagging="a=1&a=2") == ("InvalidArgument", 400)


def conditional_deletes(c):
    def fresh():
        c.put_object(Bucket=A, Key="main/d", Body=b"d")
        return c.head_object(Bucket=A, Key="main/d")

    for good in (lambda h: {"IfMatch": h["ETag"]}, lambda h: {"IfMatch": "*"}, lambda h: {"IfMatchSize": 1},
                 lambda h: {"IfMatchLastModifiedTime": h["LastModified"]},
                 lambda h: {"IfMatch": h["ETag"], "IfMatchSize": 1, "IfMatchLastModifiedTime": h["LastModified"]}):
        c.delete_object(Bucket=A, Key="main/d", **good(fresh()))
        assert error(c.head_object, Bucket=A, Key="main/d")[1] == 404
    head = fresh()
    for bad in ({"IfMatch": '"x"'}, {"IfMatchSize": 2}, {"IfMatchLastModifiedTime": datetime.datetime(2020, 1, 1)},
                {"IfMatch": head["ETag"], "IfMatchSize": 2}):
        assert error(c.delete_object, Bucket=A, Key="main/d", **bad) == ("PreconditionFailed", 412), bad
    assert error(c.delete_object, Bucket=A, Key="main/none", IfMatch="*") == ("NoSuchKey", 404)
    assert error(c.delete_object, Bucket=A, Key="main/none", IfMatch='"x"') == ("NoSuchKey", 404)
    assert error(c.delete_object, Bucket=A + ".none", Key="d", IfMatch="*") == ("NoSuchBucket", 404)
    c.delete_object(Bucket=A, Key="main/none", IfMatchSize=1)
    c.put_object(Bucket=A, Key="main/d2", Body=b"d")
    done = c.delete_objects(Bucket=A, Delete={"Objects": [
        {"Key": "main/d", "ETag": '"x"'}, {"Key": "main/d2", "ETag": head["ETag"], "Size": 1},
        {"Key": "main/none", "ETag": "*"}, {"Key": "main/none2", "Size": 3}, {"Key": "main/none2"}]})
    assert [o["Key"] for o in done["Deleted"]] == ["main/d2", "main/none2", "main/none2"], done
    assert [(e["Key"], e["Code"]) for e in done["Errors"]] == [("main/d", "PreconditionFailed"), ("main/none", "NoSuchKey")], done
    c.delete_object(Bucket=A, Key="main/d", VersionId="null")
    assert error(c.head_object, Bucket=A, Key="main/d")[1] == 404


def many_deletes(c):
    keys = [f"many/{i} <&>\"'\u00fc+%" for i in range(1000)]
    for k in keys[:20]:
        c.put_object(Bucket=A, Key="main/" + k, Body=b"")
    done = c.delete_objects(Bucket=A, Delete={"Objects": [{"Key": "main/" + k} for k in keys]}, ChecksumAlgorithm="SHA256")
    assert [o["Key"] for o in done["Deleted"]] == ["main/" + k for k in keys] and "Errors" not in done
    assert all("DeleteMarker" not in o and "VersionId" not in o for o in done["Deleted"])
    assert c.list_objects_v2(Bucket=A, Prefix="main/many/")["KeyCount"] == 0


def metadata(c):
    long = "v" * (2048 - len("long"))
    c.put_object(Bucket=A, Key="main/m", Body=b"", Metadata={"long": long})
    assert c.head_object(Bucket=A, Key="main/m")["Metadata"]["long"] == long
    assert error(c.put_object, Bucket=A, Key="main/m", Body=b"", Metadata={"long": long + "v"}) == ("MetadataTooLarge", 400)
    c.put_object(Bucket=A, Key="main/m", Body=b"", Metadata={"empty": "", "two": "a, b"}, Expires=datetime.datetime(2030, 1, 1),
                 ContentLanguage="de, en", ContentEncoding="gzip, br", ContentDisposition="attachment", CacheControl="max-age=1")
    head = c.head_object(Bucket=A, Key="main/m")
    assert head["Metadata"] == {"empty": "", "two": "a, b"}, head
    assert (head["ContentLanguage"], head["ContentDisposition"], head["CacheControl"], head["ExpiresString"]) == \
        ("de, en", "attachment", "max-age=1", "Tue, 01 Jan 2030 00:00:00 GMT"), head


def test_boto3():
    with Server(repos=(A, B)) as s:
        c = s.boto3()
        for part in (copies, copies_of_odd_names, copies_refused, multipart_goes_with_its_parts, tagging, conditional_deletes,
                     many_deletes, metadata):
            part(c)


def s3api(s, aws, *args, code=None):
    done = s.aws(aws, "s3api", *args, check=code is None)
    if code:
        assert done.returncode != 0 and code in done.stderr, (args, done.stderr)
        return None
    return json.loads(done.stdout) if done.stdout.strip() else None


def by_cli(s, aws):
    body = s.path("body")
    with open(body, "wb") as f:
        f.write(b"by aws-cli")
    sha = base64.b64encode(hashlib.sha256(b"by aws-cli").digest()).decode()
    put = s3api(s, aws, "put-object", "--bucket", A, "--key", "main/cli", "--body", body, "--tagging", "a=1&b=2")
    copied = s3api(s, aws, "copy-object", "--bucket", B, "--key", "main/cli", "--copy-source", f"{A}/main/cli", "--checksum-algorithm", "SHA256")
    assert copied["CopyObjectResult"]["ETag"] == put["ETag"] and copied["CopyObjectResult"]["ChecksumSHA256"] == sha, copied
    got = s3api(s, aws, "get-object-tagging", "--bucket", B, "--key", "main/cli")
    assert got["TagSet"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}], got
    s3api(s, aws, "put-object-tagging", "--bucket", B, "--key", "main/cli", "--tagging", "TagSet=[{Key=k,Value=v}]")
    s3api(s, aws, "delete-object-tagging", "--bucket", B, "--key", "main/cli")
    assert s3api(s, aws, "get-object-tagging", "--bucket", B, "--key", "main/cli")["TagSet"] == []
    s3api(s, aws, "copy-object", "--bucket", B, "--key", "main/cli", "--copy-source", f"{B}/main/cli", code="InvalidRequest")
    s.aws(aws, "s3", "cp", f"s3://{A}/main/cli", f"s3://{B}.main/again + more")
    assert s.aws(aws, "s3", "cp", f"s3://{B}/main/again + more", "-").stdout == "by aws-cli"
    s.aws(aws, "s3", "mv", f"s3://{B}/main/again + more", f"s3://{A}/main/moved")
    assert s.aws(aws, "s3", "cp", f"s3://{A}/main/moved", "-").stdout == "by aws-cli"
    s3api(s, aws, "delete-objects", "--bucket", A, "--delete", json.dumps({"Objects": [{"Key": "main/moved"}], "Quiet": True}))
    s3api(s, aws, "head-object", "--bucket", A, "--key", "main/moved", code="404")
    s3api(s, aws, "head-object", "--bucket", B, "--key", "main/again + more", code="404")
    stale = s.aws(aws, "s3api", "delete-object", "--bucket", A, "--key", "main/cli", "--if-match", '"x"', check=False)
    if "Unknown options" in stale.stderr:  # an aws-cli of before
        return
    assert "PreconditionFailed" in stale.stderr, stale.stderr
    s3api(s, aws, "delete-object", "--bucket", A, "--key", "main/cli", "--if-match", put["ETag"])
    s3api(s, aws, "delete-object", "--bucket", A, "--key", "main/cli", "--if-match", "*", code="NoSuchKey")


def test_aws_cli():
    with Server(repos=(A, B)) as s:
        for aws in aws_programs():
            by_cli(s, aws)


if __name__ == "__main__":
    main(globals())
