"""Debian's s3cmd, unmodified."""
import os
import re

from cli_tools import FILES, MIB, Tool, every_place, fetch, same_tree, started
from harness import KEY, SECRET, main, md5, write_tree


class S3cmd(Tool):
    def __init__(self, server, folder):
        super().__init__(server, folder)
        host = server.url.split("//")[1]
        with open(os.path.join(folder, "s3cfg"), "w") as f:
            f.write(f"[default]\naccess_key = {KEY}\nsecret_key = {SECRET}\nhost_base = {host}\n"
                    f"host_bucket = {host}\nuse_https = False\nmax_retries = 1\n")

    def command(self, *args):
        return ["/usr/bin/s3cmd", "-c", os.path.join(self.folder, "s3cfg"), "--no-progress", *args]

    def names(self, base):
        lines = self("ls", "--recursive", base + "/").splitlines()
        return sorted(line.split(base + "/", 1)[1] for line in lines)

    def content(self, url):
        at = os.path.join(self.folder, "content")
        self("get", "--force", url, at)
        with open(at, "rb") as f:
            return f.read()


def syncing(s, c, d, bucket, root):
    base, src, dst = f"s3://{bucket}/{root}tree", os.path.join(d, "src"), os.path.join(d, "dst")
    write_tree(src, FILES)
    c("sync", "--multipart-chunk-size-mb=5", src + "/", base + "/")
    assert c.names(base) == sorted(FILES)
    c("sync", base + "/", dst + "/")
    same_tree(src, dst)
    assert c("sync", src + "/", base + "/") == "", "an unchanged tree was sent again"
    assert c("sync", base + "/", dst + "/") == "", "an unchanged tree was fetched again"

    write_tree(src, {"a.txt": b"HELLO\n", "new/one": b"1"})
    os.remove(os.path.join(src, "xy/z"))
    c("sync", "--delete-removed", src + "/", base + "/")
    assert "xy/z" not in c.names(base) and "new/one" in c.names(base)
    c("sync", "--delete-removed", base + "/", dst + "/")
    same_tree(src, dst)
    count, size = re.search(r"(\d+) +(\d+) objects", c("du", base)).groups()[::-1]
    assert (int(count), int(size)) == (len(FILES), sum(os.path.getsize(os.path.join(p, f))
                                                       for p, _, fs in os.walk(src) for f in fs))
    top = c("ls", base + "/")
    assert re.search(r"DIR +%s/dir/$" % re.escape(base), top, re.M) and "deep" not in top, top
    assert md5(b"HELLO\n") in c("ls", "--list-md5", base + "/a.txt")

    c("del", "--recursive", base + "/dir/")
    assert c.names(base) == sorted(n for n in [*FILES, "new/one"] if not n.startswith("dir/") and n != "xy/z")
    c("del", "--recursive", "--force", base + "/")
    assert c.names(base) == []


def copies(s, c, d, bucket, root):
    base, at = f"s3://{bucket}/{root}one", os.path.join(d, "m.bin")
    with open(at, "wb") as f:
        f.write(FILES["multipart.bin"])
    c("put", "--multipart-chunk-size-mb=5", at, base + "/m.bin")
    assert c.content(base + "/m.bin") == FILES["multipart.bin"]
    head = s.boto3().head_object(Bucket=bucket, Key=root + "one/m.bin")
    assert head["ETag"].endswith('-3"') and head["ContentLength"] == os.path.getsize(at)
    c("cp", base + "/m.bin", base + "/copy of m.bin")
    c("cp", "--multipart-chunk-size-mb=5", base + "/m.bin", base + "/in parts+\u00e9.bin")
    c("mv", base + "/copy of m.bin", base + "/moved.bin")
    assert c.names(base) == ["in parts+\u00e9.bin", "m.bin", "moved.bin"]
    for name in c.names(base):
        assert c.content(f"{base}/{name}") == FILES["multipart.bin"], name
    c("mv", "--recursive", base + "/", f"s3://{bucket}/{root}two/")
    assert c.names(base) == [] and len(c.names(f"s3://{bucket}/{root}two")) == 3
    c("put", "-", base + "/piped", "--multipart-chunk-size-mb=5", stdin="from a pipe")
    assert c.content(base + "/piped") == b"from a pipe"
    half = os.path.join(d, "half")
    with open(half, "wb") as f:
        f.write(FILES["multipart.bin"][:6 * MIB])
    c("get", "--continue", f"s3://{bucket}/{root}two/m.bin", half)
    with open(half, "rb") as f:
        assert f.read() == FILES["multipart.bin"]

    assert fetch(c("signurl", base + "/piped", "+60").strip()) == b"from a pipe"
    c("--signature-v2", "put", at, base + "/v2", "--disable-multipart")
    assert c.content(base + "/v2") == FILES["multipart.bin"]
    assert base + "/v2" in c("--signature-v2", "ls", base + "/")
    c("del", base + "/v2")
    assert "404" in c("info", base + "/v2", check=False, both=True)
    c("get", base + "/v2", at + "2", check=False)
    assert not os.path.exists(at + "2")


def metadata(s, c, d, bucket, root):
    url, at = f"s3://{bucket}/{root}meta.txt", os.path.join(d, "a.txt")
    with open(at, "w") as f:
        f.write("text")
    c("put", at, url, "--add-header=Cache-Control:no-cache", "--add-header=x-amz-meta-k:v", "--mime-type=text/x-own")
    c("modify", "--add-header=x-amz-meta-new:one two", "--add-header=Content-Language:de", url)
    told = c("info", url)
    for line in ("File size: 4", "MIME type: text/x-own", "MD5 sum:   " + md5(b"text"), "x-amz-meta-k: v",
                 "x-amz-meta-new: one two"):
        assert line in told, (line, told)
    head = s.boto3().head_object(Bucket=bucket, Key=root + "meta.txt")
    assert (head["CacheControl"], head["ContentLanguage"]) == ("no-cache", "de"), head
    c("modify", "--remove-header=x-amz-meta-new", url)
    told = c("info", url)
    assert "x-amz-meta-new" not in told and "x-amz-meta-k: v" in told, told
    assert c.content(url) == b"text"


def multipart_uploads(s, c, d, bucket, root):
    b, key = s.boto3(), root + "open/upload"
    upload = b.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    b.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=3, Body=b"x" * 1000)
    listed = c("multipart", f"s3://{bucket}")
    assert f"s3://{bucket}/{key}" in listed and upload in listed, listed
    parts = c("listmp", f"s3://{bucket}/{key}", upload)
    assert re.search(r"\t3\t.*\t1000$", parts, re.M), parts
    c("abortmp", f"s3://{bucket}/{key}", upload)
    assert upload not in c("multipart", f"s3://{bucket}")
    assert "NoSuchUpload" in c("listmp", f"s3://{bucket}/{key}", upload, check=False, both=True)


def test_s3cmd_syncing():
    every_place(S3cmd, syncing)


def test_s3cmd_copies():
    every_place(S3cmd, copies)


def test_s3cmd_metadata():
    every_place(S3cmd, metadata)


def test_s3cmd_multipart_uploads():
    every_place(S3cmd, multipart_uploads)


def test_s3cmd_buckets():
    with started(S3cmd) as (s, c, d):
        for bucket in ("made", "example.work"):
            c("mb", f"s3://{bucket}")
            c("put", "-", f"s3://{bucket}/{'main/' if bucket == 'made' else ''}dir/file", stdin="in it")
            told = c("info", f"s3://{bucket}")
            assert "Location:  us-east-1" in told, told
        assert c.content("s3://example/work/dir/file") == b"in it"
        assert re.findall(r"s3://\S+", c("ls")) == ["s3://example", "s3://made"]
        c("del", "s3://made/main/dir/file")
        c("rb", "s3://made")
        c("rb", "--recursive", "--force", "s3://example.work")
        assert re.findall(r"s3://\S+", c("ls")) == ["s3://example"]
        assert "NoSuchBucket" in c("ls", "s3://made", check=False, both=True)
        assert "NoSuchBucket" in c("put", "-", "s3://example.work/x", stdin="x", check=False, both=True)


if __name__ == "__main__":
    main(globals())
