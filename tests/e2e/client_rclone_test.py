"""Debian's rclone, unmodified."""
import filecmp
import json
import os

from cli_tools import FILES, MIB, Tool, every_place, fetch, same_tree, started
from harness import KEY, REGION, SECRET, main, md5, write_tree


class Rclone(Tool):
    def __init__(self, server, folder):
        super().__init__(server, folder)
        for k, v in dict(TYPE="s3", PROVIDER="Other", ENDPOINT=server.url, FORCE_PATH_STYLE="true",
                         ACCESS_KEY_ID=KEY, SECRET_ACCESS_KEY=SECRET, REGION=REGION).items():
            self.env["RCLONE_CONFIG_R_" + k] = v

    def command(self, *args):
        return ["/usr/bin/rclone", "--config", "", "--retries", "1", "--low-level-retries", "1", *args]


def rclone_trees(s, r, d, bucket, root):
    base, src, dst = f"r:{bucket}/{root}tree", os.path.join(d, "src"), os.path.join(d, "dst")
    write_tree(src, FILES)
    r("copy", src, base, "--s3-upload-cutoff", "5Mi", "--s3-chunk-size", "5Mi")
    r("check", src, base)
    r("check", "--download", src, base)
    r("copy", base, dst)
    same_tree(src, dst)
    assert sorted(r("lsf", "-R", "--files-only", base).splitlines()) == sorted(FILES)
    assert sorted(r("lsf", base).splitlines()) == ["a.txt", "dir/", "empty", "multipart.bin", "x", "xy/"]
    sums = dict(reversed(line.split("  ", 1)) for line in r("md5sum", base).splitlines())
    assert sums == {name: md5(data) for name, data in FILES.items()}, sums
    assert json.loads(r("size", "--json", base)) == {
        "count": len(FILES), "bytes": sum(map(len, FILES.values())), "sizeless": 0}

    again = r("sync", "--checksum", "-v", src, base, both=True)
    assert "Copied" not in again and "There was nothing to transfer" in again, again
    again = r("sync", "-v", src, base, both=True)  # by the time that rclone keeps in metadata
    assert "Copied" not in again and "There was nothing to transfer" in again, again
    write_tree(src, {"a.txt": b"HELLO\n", "new/one": b"1"})
    os.remove(os.path.join(src, "xy/z"))
    r("sync", "--checksum", src, base)
    assert r("cat", base + "/a.txt") == "HELLO\n"
    assert "xy/" not in r("lsf", base)
    r("check", src, base)
    r("sync", base, dst)
    same_tree(src, dst)
    write_tree(src, {"x": b"differs"})
    assert "1 differences" in r("check", src, base, check=False, both=True)
    assert open(os.path.join(dst, "a.txt")).read() == "HELLO\n"
    r("delete", base, "--include", "/dir/**")
    assert "dir/" not in r("lsf", base) and "a.txt" in r("lsf", base)
    r("purge", base)
    assert r("lsf", "-R", f"r:{bucket}/{root}") == ""


def rclone_single(s, r, d, bucket, root):
    base, at = f"r:{bucket}/{root}one", os.path.join(d, "here.bin")
    with open(at, "wb") as f:
        f.write(FILES["multipart.bin"])
    r("rcat", base + "/piped.txt", stdin="from a pipe")
    assert r("cat", base + "/piped.txt") == "from a pipe"
    assert r("cat", "--offset", "5", "--count", "1", base + "/piped.txt") == "a"
    streamed = os.urandom(12 * MIB)  # of a length not known before: multipart
    r("rcat", base + "/streamed", "--s3-chunk-size", "5Mi", stdin=streamed, text=False)
    assert r("cat", base + "/streamed", text=False) == streamed

    r("move", at, base + "/moved")
    assert not os.path.exists(at)
    r("moveto", base + "/moved/here.bin", base + "/renamed.bin")
    assert r("lsf", base).splitlines() == ["piped.txt", "renamed.bin", "streamed"]
    r("copyto", base + "/renamed.bin", base + "/copied.bin")
    r("copyto", base + "/renamed.bin", base + "/copied-in-parts.bin", "--s3-copy-cutoff", "5Mi",
      "--s3-chunk-size", "5Mi")
    for name in ("renamed", "copied", "copied-in-parts"):
        assert r("cat", f"{base}/{name}.bin", text=False) == FILES["multipart.bin"], name
    assert len({r("lsf", "--format", "st", f"{base}/{n}.bin") for n in ("renamed", "copied")}) == 1
    r("touch", "--timestamp", "2001-02-03T04:05:06", base + "/copied.bin")
    assert r("lsf", "--format", "t", base + "/copied.bin").startswith("2001-02-03 04:05:06")
    assert fetch(r("link", "--expire", "60s", base + "/piped.txt").strip()) == b"from a pipe"
    r("copyto", base + "/piped.txt", base + "/it's 100% \u00e9+ &.txt")
    r("moveto", base + "/it's 100% \u00e9+ &.txt", base + "/back.txt")
    assert r("cat", base + "/back.txt") == "from a pipe"
    r("deletefile", base + "/back.txt")
    r("deletefile", base + "/back.txt", check=False)
    assert "back.txt" not in r("lsf", base)


def rclone_metadata(s, r, d, bucket, root):
    base = f"r:{bucket}/{root}meta"
    with open(os.path.join(d, "m.txt"), "w") as f:
        f.write("with metadata")
    r("copy", "-M", os.path.join(d, "m.txt"), base, "--metadata-set", "colour=deep blue", "--metadata-set",
      "cache-control=no-cache", "--metadata-set", "content-language=de", "--metadata-set", "content-type=text/x-own",
      "--metadata-set", 'content-disposition=attachment; filename="m"')
    for name in ("m.txt", "m2.txt"):
        meta = json.loads(r("lsjson", "-M", "--stat", f"{base}/{name}"))["Metadata"]
        assert meta["colour"] == "deep blue" and meta["cache-control"] == "no-cache", meta
        assert meta["content-language"] == "de" and meta["content-type"] == "text/x-own", meta
        assert meta["content-disposition"] == 'attachment; filename="m"', meta
        r("copyto", "-M", base + "/m.txt", base + "/m2.txt")


def rclone_many(s, r, d, bucket, root):
    base, src = f"r:{bucket}/{root}many", os.path.join(d, "many")
    write_tree(src, {f"{i % 7}/{i:04}": b"%d" % i for i in range(1100)})
    r("copy", "--transfers", "16", "--checkers", "16", src, base)
    want = sorted(f"{i % 7}/{i:04}" for i in range(1100))
    for more in ([], ["--s3-list-chunk", "100"], ["--s3-list-version", "1"], ["--fast-list"],
                 ["--s3-list-version", "2", "--s3-list-chunk", "333", "--fast-list"]):
        assert sorted(r("lsf", "-R", "--files-only", base, *more).splitlines()) == want, more
    r("check", src, base, "--checkers", "16")
    r("purge", base, "--checkers", "16")
    assert r("lsf", "-R", base) == ""


def rclone_large(s, r, d, bucket, root):
    base, at = f"r:{bucket}/{root}large", os.path.join(d, "large")
    with open(at, "wb") as f:
        f.write(os.urandom(40 * MIB + 1))
    r("copyto", at, base, "--s3-upload-cutoff", "5Mi", "--s3-chunk-size", "5Mi", "--s3-upload-concurrency", "4")
    r("copyto", base, at + ".back", "--multi-thread-streams", "4", "--multi-thread-cutoff", "10Mi")
    assert filecmp.cmp(at, at + ".back", shallow=False)
    assert s.boto3().head_object(Bucket=bucket, Key=root + "large")["ETag"].endswith('-9"')
    assert json.loads(r("backend", "list-multipart-uploads", f"r:{bucket}")) == {bucket: []}


def rclone_buckets(s, r, d, bucket, root):
    r("mkdir", "r:made")
    r("mkdir", "r:made")
    r("mkdir", "r:example.work")
    listed = r("lsf", "r:").splitlines()
    assert "made/" in listed and "example/" in listed, listed
    r("rcat", "r:example.work/dir/file", stdin="on a branch")
    assert r("cat", "r:example/work/dir/file") == "on a branch"
    r("rmdir", "r:made")
    assert "made/" not in r("lsf", "r:").splitlines()
    r("purge", "r:example.work")
    assert r("lsf", "r:example/").splitlines() == ["main/"]
    r("lsf", "r:absent-bucket", check=False)


def test_rclone_trees():
    every_place(Rclone, rclone_trees)


def test_rclone_single():
    every_place(Rclone, rclone_single)


def test_rclone_metadata():
    every_place(Rclone, rclone_metadata)


def test_rclone_many():
    every_place(Rclone, rclone_many)


def test_rclone_large():
    every_place(Rclone, rclone_large)


def test_rclone_buckets():
    with started(Rclone) as (s, r, d):
        rclone_buckets(s, r, d, "example", "main/")


if __name__ == "__main__":
    main(globals())
