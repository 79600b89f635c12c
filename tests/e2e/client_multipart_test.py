"""Checksums and multipart uploads, as today's boto3 (with crt) and the aws-cli see them."""
import base64
import hashlib
import json
import os
import subprocess

import zlib

import boto3
from awscrt import checksums as crt
from botocore.config import Config

from harness import KEY, REGION, SECRET, Server, aws_programs, clean_env, main, refusal

B = "example"
MIB = 1 << 20


def b64(raw):
    return base64.b64encode(raw).decode()


SUMS = {
    "CRC32": lambda d: zlib.crc32(d).to_bytes(4, "big"),
    "CRC32C": lambda d: crt.crc32c(d).to_bytes(4, "big"),
    "CRC64NVME": lambda d: crt.crc64nvme(d).to_bytes(8, "big"),
    "SHA1": lambda d: hashlib.sha1(d).digest(),
    "SHA256": lambda d: hashlib.sha256(d).digest(),
}
CRCS = ("CRC32", "CRC32C", "CRC64NVME")


def plain(s):
    """A client that adds no checksums of its own."""
    return boto3.client("s3", endpoint_url=s.url, aws_access_key_id=KEY, aws_secret_access_key=SECRET,
                        region_name=REGION,
                        config=Config(request_checksum_calculation="when_required",
                                      response_checksum_validation="when_required",
                                      retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}))


def error(call, **kw):
    said = refusal(call, **kw).response["Error"]
    return said["Code"], said["Message"]


def single(s):
    c = plain(s)
    data = os.urandom(100_000)
    for name, of in SUMS.items():
        field = "Checksum" + name
        for kw in ({field: b64(of(data))}, {"ChecksumAlgorithm": name}):
            put = c.put_object(Bucket=B, Key="main/one", Body=data, **kw)
            assert put[field] == b64(of(data)) and put["ChecksumType"] == "FULL_OBJECT", put
            got = c.head_object(Bucket=B, Key="main/one", ChecksumMode="ENABLED")
            assert got[field] == b64(of(data)) and got["ChecksumType"] == "FULL_OBJECT", got
            told = c.get_object_attributes(Bucket=B, Key="main/one", ObjectAttributes=["Checksum", "ObjectSize", "ETag", "StorageClass", "ObjectParts"])
            assert told["Checksum"] == {field: b64(of(data)), "ChecksumType": "FULL_OBJECT"}, told
            assert told["ObjectSize"] == len(data) and told["ETag"] == hashlib.md5(data).hexdigest()
            assert told["StorageClass"] == "STANDARD" and "ObjectParts" not in told
        assert error(c.put_object, Bucket=B, Key="main/one", Body=data, **{field: b64(of(b"other"))})[0] == "BadDigest"
        assert error(c.put_object, Bucket=B, Key="main/one", Body=data, **{field: b64(b"xyz")})[0] == "InvalidRequest"
    assert c.get_object(Bucket=B, Key="main/one")["Body"].read() == data
    put = c.put_object(Bucket=B, Key="main/none", Body=data)
    assert put["ChecksumCRC64NVME"] == b64(SUMS["CRC64NVME"](data)) and put["ChecksumType"] == "FULL_OBJECT", put
    put = c.put_object(Bucket=B, Key="main/empty", Body=b"")
    assert put["ChecksumCRC64NVME"] == "AAAAAAAAAAA=", put
    code, text = error(c.put_object, Bucket=B, Key="main/two", Body=data, ChecksumCRC32=b64(SUMS["CRC32"](data)),
                       ChecksumSHA1=b64(SUMS["SHA1"](data)))
    assert code == "InvalidRequest" and "Multiple checksum Types" in text
    assert error(c.get_object_attributes, Bucket=B, Key="main/absent", ObjectAttributes=["ETag"])[0] == "NoSuchKey"
    assert error(c.get_object_attributes, Bucket=B, Key="main/one", ObjectAttributes=["Colour"])[0] == "InvalidArgument"


PARTS = [os.urandom(5 * MIB), os.urandom(5 * MIB + 17), b"the end"]


def composite(name, parts=PARTS):
    return b64(SUMS[name](b"".join(SUMS[name](p) for p in parts))) + f"-{len(parts)}"


def upload(c, name, kind, key="main/multi", parts=PARTS, give=True, **done):
    field = "Checksum" + name
    made = c.create_multipart_upload(Bucket=B, Key=key, ChecksumAlgorithm=name, ChecksumType=kind)
    assert made["ChecksumAlgorithm"] == name and made["ChecksumType"] == kind, made
    up, listed = made["UploadId"], []
    for i, p in enumerate(parts, 1):
        # Of a FULL_OBJECT one those that are not given are computed here.
        kw = {"ChecksumAlgorithm": name} if i % 2 or kind == "COMPOSITE" else {}
        put = c.upload_part(Bucket=B, Key=key, UploadId=up, PartNumber=i, Body=p, **kw)
        assert put[field] == b64(SUMS[name](p)), put
        listed.append({"PartNumber": i, "ETag": put["ETag"], **({field: put[field]} if give else {})})
    seen = c.list_parts(Bucket=B, Key=key, UploadId=up)
    assert seen["ChecksumAlgorithm"] == name and seen["ChecksumType"] == kind, seen
    assert [p[field] for p in seen["Parts"]] == [b64(SUMS[name](p)) for p in parts], seen
    return up, listed


def multipart(s):
    c = plain(s)
    whole = b"".join(PARTS)
    for name, kinds in {n: (("COMPOSITE", "FULL_OBJECT") if n in CRCS else ("COMPOSITE",)) for n in SUMS}.items():
        for kind in kinds:
            if name == "CRC64NVME" and kind == "COMPOSITE":
                continue
            field = "Checksum" + name
            want = composite(name) if kind == "COMPOSITE" else b64(SUMS[name](whole))
            up, listed = upload(c, name, kind)
            other = {**{"Bucket": B, "Key": "main/multi", "UploadId": up}}
            bad = [dict(p) for p in listed]
            bad[1][field] = b64(SUMS[name](b"x"))
            assert error(c.complete_multipart_upload, **other, MultipartUpload={"Parts": bad})[0] == "InvalidPart"
            code, text = error(c.complete_multipart_upload, **other, MultipartUpload={"Parts": listed}, **{field: b64(SUMS[name](b"x"))})
            assert code == "BadDigest" and text.startswith(f"The {name} "), text
            wrong = "FULL_OBJECT" if kind == "COMPOSITE" else "COMPOSITE"
            code, text = error(c.complete_multipart_upload, **other, MultipartUpload={"Parts": listed}, ChecksumType=wrong)
            assert code == "InvalidRequest" and f"created using the {kind} checksum mode" in text, text
            code, text = error(c.complete_multipart_upload, **other, MultipartUpload={"Parts": listed}, MpuObjectSize=1)
            assert code == "InvalidRequest" and "x-amz-mp-object-size" in text
            given = want if kind == "FULL_OBJECT" or name != "CRC32" else want.split("-")[0]
            done = c.complete_multipart_upload(**other, MultipartUpload={"Parts": listed}, ChecksumType=kind,
                                               MpuObjectSize=len(whole), **{field: given})
            assert done[field] == want and done["ChecksumType"] == kind, (done, want)
            again = c.complete_multipart_upload(**other, MultipartUpload={"Parts": listed})
            assert again["ETag"] == done["ETag"] and again[field] == want, again
            assert error(c.complete_multipart_upload, **other, MultipartUpload={"Parts": listed[:1]})[0] == "NoSuchUpload"
            got = c.get_object(Bucket=B, Key="main/multi", ChecksumMode="ENABLED")
            assert got["Body"].read() == whole and got[field] == want and got["ChecksumType"] == kind
            part = c.head_object(Bucket=B, Key="main/multi", PartNumber=2, ChecksumMode="ENABLED")
            assert part["PartsCount"] == 3, part
            if kind == "COMPOSITE":
                assert part[field] == b64(SUMS[name](PARTS[1])), part
            told = c.get_object_attributes(Bucket=B, Key="main/multi", ObjectAttributes=["Checksum", "ObjectParts"], MaxParts=2)
            assert told["Checksum"] == {field: want, "ChecksumType": kind}, told
            page = told["ObjectParts"]
            assert page["TotalPartsCount"] == 3 and page["IsTruncated"] and page["NextPartNumberMarker"] == 2, page
            assert [(p["PartNumber"], p["Size"], p[field]) for p in page["Parts"]] == \
                [(i, len(p), b64(SUMS[name](p))) for i, p in enumerate(PARTS[:2], 1)], page
            rest = c.get_object_attributes(Bucket=B, Key="main/multi", ObjectAttributes=["ObjectParts"], PartNumberMarker=2)["ObjectParts"]
            assert [p["PartNumber"] for p in rest["Parts"]] == [3] and not rest["IsTruncated"], rest


def refusals(s):
    c = plain(s)
    create = c.create_multipart_upload
    assert error(create, Bucket=B, Key="main/r", ChecksumAlgorithm="SHA1", ChecksumType="FULL_OBJECT") == \
        ("InvalidRequest", "The FULL_OBJECT checksum type cannot be used with the sha1 checksum algorithm.")
    assert error(create, Bucket=B, Key="main/r", ChecksumAlgorithm="CRC64NVME", ChecksumType="COMPOSITE") == \
        ("InvalidRequest", "The COMPOSITE checksum type cannot be used with the crc64nvme checksum algorithm.")
    assert error(create, Bucket=B, Key="main/r", ChecksumAlgorithm="MD4")[0] == "InvalidRequest"
    assert error(create, Bucket=B, Key="main/r", ChecksumType="FULL_OBJECT")[0] == "InvalidRequest"
    up = create(Bucket=B, Key="main/r", ChecksumAlgorithm="SHA1")["UploadId"]
    code, text = error(c.upload_part, Bucket=B, Key="main/r", UploadId=up, PartNumber=1, Body=b"x", ChecksumAlgorithm="CRC32C")
    assert code == "InvalidRequest" and "expected checksum type: sha1, actual checksum type: crc32c" in text.lower(), text
    c.abort_multipart_upload(Bucket=B, Key="main/r", UploadId=up)


def implied(s):
    """Nobody asks for a checksum: CRC64NVME of the whole."""
    c = plain(s)
    whole = b"".join(PARTS)
    made = c.create_multipart_upload(Bucket=B, Key="main/i")
    assert "ChecksumAlgorithm" not in made
    up, parts = made["UploadId"], []
    for i, p in enumerate(PARTS, 1):
        kw = {"ChecksumAlgorithm": "CRC32"} if i == 1 else {}
        put = c.upload_part(Bucket=B, Key="main/i", UploadId=up, PartNumber=i, Body=p, **kw)
        parts.append({"PartNumber": i, "ETag": put["ETag"]})
    args = {"Bucket": B, "Key": "main/i", "UploadId": up, "MultipartUpload": {"Parts": parts}}
    assert error(c.complete_multipart_upload, **args, ChecksumCRC64NVME=b64(SUMS["CRC64NVME"](b"x")))[0] == "BadDigest"
    done = c.complete_multipart_upload(**args)
    assert done["ChecksumCRC64NVME"] == b64(SUMS["CRC64NVME"](whole)) and done["ChecksumType"] == "FULL_OBJECT", done


def copies(s):
    c = plain(s)
    whole = b"".join(PARTS)
    c.put_object(Bucket=B, Key="main/source", Body=whole)
    for bucket, key in ((B, "main/copied"), ("other", "main/copied"), ("other.main", "in/a/branch")):
        up = c.create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm="SHA256")["UploadId"]
        to = {"Bucket": bucket, "Key": key, "UploadId": up}
        one = c.upload_part_copy(**to, PartNumber=1, CopySource=f"{B}/main/source", CopySourceRange=f"bytes=0-{6 * MIB - 1}")["CopyPartResult"]
        two = c.upload_part_copy(**to, PartNumber=2, CopySource=f"{B}.main/source", CopySourceRange=f"bytes={6 * MIB}-{len(whole) - 1}")["CopyPartResult"]
        assert one["ChecksumSHA256"] == b64(hashlib.sha256(whole[:6 * MIB]).digest()) and one["LastModified"], one
        assert one["ETag"] == f'"{hashlib.md5(whole[:6 * MIB]).hexdigest()}"'
        for bad in ("bytes=5-", "bytes=-5", "bytes=7-3", "bytes=a-b", "0-5", "bytes=0-1,3-4", f"bytes=0-{len(whole)}"):
            assert error(c.upload_part_copy, **to, PartNumber=3, CopySource=f"{B}/main/source", CopySourceRange=bad)[0] == "InvalidArgument", bad
        assert error(c.upload_part_copy, **to, PartNumber=3, CopySource=f"{B}/main/absent")[0] == "NoSuchKey"
        assert error(c.upload_part_copy, **to, PartNumber=3, CopySource="absent/main/source")[0] in ("NoSuchBucket", "AccessDenied")
        assert error(c.upload_part_copy, **to, PartNumber=3, CopySource=f"{B}/main/source", CopySourceIfMatch="no")[0] == "PreconditionFailed"
        assert error(c.upload_part_copy, **{**to, "UploadId": "x"}, PartNumber=3, CopySource=f"{B}/main/source")[0] == "NoSuchUpload"
        c.complete_multipart_upload(**to, MultipartUpload={"Parts": [
            {"PartNumber": n, "ETag": x["ETag"], "ChecksumSHA256": x["ChecksumSHA256"]} for n, x in ((1, one), (2, two))]})
        assert c.get_object(Bucket=bucket, Key=key)["Body"].read() == whole
    up = c.create_multipart_upload(Bucket=B, Key="main/small")["UploadId"]
    c.put_object(Bucket=B, Key="main/nothing", Body=b"")
    part = c.upload_part_copy(Bucket=B, Key="main/small", UploadId=up, PartNumber=1, CopySource=f"{B}/main/nothing")["CopyPartResult"]
    c.complete_multipart_upload(Bucket=B, Key="main/small", UploadId=up, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert c.get_object(Bucket=B, Key="main/small")["Body"].read() == b""


def listing(s):
    c = plain(s)
    keys = ["main/a", "main/a", "main/b/1", "main/b/2", "main/c d", "main/z"]
    ups = [(k, c.create_multipart_upload(Bucket="lists", Key=k, **({"ChecksumAlgorithm": "CRC32"} if k == "main/a" else {}))["UploadId"]) for k in keys]
    seen = c.list_multipart_uploads(Bucket="lists")
    assert [(u["Key"], u["UploadId"]) for u in seen["Uploads"]] == ups, seen
    assert seen["Uploads"][0]["ChecksumAlgorithm"] == "CRC32" and seen["Uploads"][0]["ChecksumType"] == "COMPOSITE", seen
    assert "ChecksumAlgorithm" not in seen["Uploads"][2] and not seen["IsTruncated"]
    for size in (1, 2, 3, 4):
        pages = list(c.get_paginator("list_multipart_uploads").paginate(Bucket="lists", PaginationConfig={"PageSize": size}))
        assert [(u["Key"], u["UploadId"]) for p in pages for u in p.get("Uploads", [])] == ups, size
        pages = list(c.get_paginator("list_multipart_uploads").paginate(Bucket="lists", Prefix="main/", Delimiter="/", PaginationConfig={"PageSize": size}))
        assert [u["Key"] for p in pages for u in p.get("Uploads", [])] == ["main/a", "main/a", "main/c d", "main/z"], size
        assert [x["Prefix"] for p in pages for x in p.get("CommonPrefixes", [])] == ["main/b/"], size
    branch = c.list_multipart_uploads(Bucket="lists.main", Prefix="b/")
    assert [u["Key"] for u in branch["Uploads"]] == ["b/1", "b/2"], branch
    assert [u["Key"] for u in c.list_multipart_uploads(Bucket="lists", KeyMarker="main/a")["Uploads"]] == keys[2:]
    after = c.list_multipart_uploads(Bucket="lists", KeyMarker="main/a", UploadIdMarker=ups[0][1])
    assert [u["UploadId"] for u in after["Uploads"]] == [u for _, u in ups[1:]]
    raw = c.list_multipart_uploads(Bucket="lists", EncodingType="url", Prefix="main/c d")
    assert raw["Uploads"][0]["Key"] == "main/c%20d", raw
    for k, u in ups:
        c.abort_multipart_upload(Bucket="lists", Key=k, UploadId=u)
    assert "Uploads" not in c.list_multipart_uploads(Bucket="lists")


def cli(s):
    folder = s.path("cli")
    os.makedirs(folder, exist_ok=True)
    for i, p in enumerate(PARTS, 1):
        with open(os.path.join(folder, str(i)), "wb") as f:
            f.write(p)
    for tool in aws_programs():
        def api(*args):
            out = subprocess.run([tool, "--endpoint-url", s.url, "s3api", *args, "--bucket", B, "--key", "main/cli"],
                                 env=clean_env(), capture_output=True, text=True)
            assert out.returncode == 0, out.stderr
            return json.loads(out.stdout or "{}")
        # Debian's knows neither types nor CRC64NVME.
        new = "aws-cli/2.9." not in subprocess.run([tool, "--version"], env=clean_env(), capture_output=True, text=True).stdout
        for name, kind in (("CRC32", "FULL_OBJECT" if new else "COMPOSITE"), ("SHA256", "COMPOSITE"),
                           *([("CRC64NVME", "FULL_OBJECT")] if new else [])):
            typed = ["--checksum-type", kind] if new else []
            up = api("create-multipart-upload", "--checksum-algorithm", name, *typed)["UploadId"]
            parts = []
            for i in range(1, 4):
                put = api("upload-part", "--upload-id", up, "--part-number", str(i), "--body", os.path.join(folder, str(i)),
                          "--checksum-algorithm", name)
                parts.append({"PartNumber": i, "ETag": put["ETag"], "Checksum" + name: put["Checksum" + name]})
            done = api("complete-multipart-upload", "--upload-id", up, "--multipart-upload", json.dumps({"Parts": parts}))
            assert done["Checksum" + name] == (composite(name) if kind == "COMPOSITE" else b64(SUMS[name](b"".join(PARTS)))), done
            told = api("get-object-attributes", "--object-attributes", "Checksum", "ObjectParts")
            assert told["ObjectParts"]["TotalPartsCount"] == 3 and "Checksum" + name in told["Checksum"], told


def test_multipart():
    with Server(repos=("example", "other", "lists")) as s:
        for part in (single, multipart, refusals, implied, copies, listing, cli):
            part(s)
            print(part.__name__, "ok")


if __name__ == "__main__":
    main(globals())
