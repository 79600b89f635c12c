"""The libraries that data is written and read with: Arrow's file system (aws-sdk-cpp), s3fs (fsspec), pandas, polars
and Delta tables (object_store). Each under both addresses of a branch: keys below `main/` of the bucket `example`, and
at the root of the bucket `example.main`."""
import concurrent.futures
import contextlib
import os
import posixpath

import pyarrow as pa

from harness import KEY, REGION, SECRET, Server, main, md5, sign

ROOTS = ("example/main", "example.main")
FORM = dict(zip(ROOTS, ("prefix", "bucket")))
OBJECT_STORE = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "aws_region": REGION,
                "aws_allow_http": "true"}


@contextlib.contextmanager
def both_addresses():
    """A server, and one folder of each address; both are the same branch, so what one wrote the other reads."""
    for name in [n for n in os.environ if n.startswith("AWS_") or n.lower().endswith("_proxy")]:
        del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    with Server() as server:
        yield server, ROOTS


def other(path):
    """The same object under the other address."""
    a, b = ROOTS
    return b + path[len(a):] if path.startswith(a) else a + path[len(b):]


def table(n, groups=4):
    return pa.table({"id": pa.array(range(n), pa.int64()), "group": pa.array([f"g{i % groups}" for i in range(n)]),
                     "text": pa.array([f"row {i} \u017c\U0001d11e" for i in range(n)])})


def raises(kind, fn, *args, **kw):
    try:
        fn(*args, **kw)
    except kind as e:
        return str(e)
    raise AssertionError(f"{fn} raised nothing")


def arrow(server, **more):
    from pyarrow import fs
    return fs.S3FileSystem(access_key=KEY, secret_key=SECRET, region=REGION, scheme="http",
                           endpoint_override=f"127.0.0.1:{server.port}", **more)


def s3fs_of(server, **more):
    import s3fs
    return s3fs.S3FileSystem(key=KEY, secret=SECRET, endpoint_url=server.url, use_listings_cache=False,
                             skip_instance_cache=True, client_kwargs={"region_name": REGION}, **more)


def test_arrow_files():
    from pyarrow import fs
    with both_addresses() as (server, roots):
        s3 = arrow(server)
        for root in roots:
            top = f"{root}/arrow-{FORM[root]}"
            data = os.urandom(13 << 20)
            with s3.open_output_stream(f"{top}/stream", metadata={"Content-Type": "a/b"}) as out:
                for i in range(0, len(data), 1 << 20):
                    out.write(data[i:i + (1 << 20)])
            with s3.open_input_stream(f"{top}/stream") as f:
                assert f.read() == data
                meta = f.metadata()
            assert meta["Content-Length"] == str(len(data)).encode() and meta["Content-Type"] == b"a/b", meta
            with s3.open_input_file(f"{top}/stream") as f:
                assert f.size() == len(data)
                for at, n in ((0, 1), (5 << 20, 4096), (len(data) - 3, 3), (len(data) - 3, 100), (77, 0)):
                    f.seek(at)
                    assert f.read(n) == data[at:at + n], (at, n)
                assert f.read_at(1000, 6 << 20) == data[6 << 20:(6 << 20) + 1000]
            with arrow(server).open_input_stream(other(f"{top}/stream")) as f:
                assert f.read() == data
            with s3.open_output_stream(f"{top}/empty"):
                pass
            for name, body in (("one", b"1"), ("sp ace+%&=\u017c", b"22"), ("dir/x/deep", b"333"), ("dir.txt", b"4")):
                with s3.open_output_stream(f"{top}/{name}") as out:
                    out.write(body)
            info = s3.get_file_info([f"{top}/one", f"{top}/dir", f"{top}/none", f"{top}/empty", root])
            assert [i.type for i in info] == [fs.FileType.File, fs.FileType.Directory, fs.FileType.NotFound,
                                              fs.FileType.File, fs.FileType.Directory], info
            assert (info[0].size, info[3].size) == (1, 0)

            def names(**how):
                found = s3.get_file_info(fs.FileSelector(how.pop("at", top), **how))
                return sorted(i.path[len(top) + 1:] for i in found)
            flat = ["dir", "dir.txt", "empty", "one", "sp ace+%&=\u017c", "stream"]
            assert names() == flat, names()
            assert names(recursive=True) == sorted(flat + ["dir/x", "dir/x/deep"]), names(recursive=True)
            assert names(at=f"{top}/none", allow_not_found=True) == []
            raises(FileNotFoundError, names, at=f"{top}/none")
            raises(FileNotFoundError, s3.open_input_stream, f"{top}/none")
            raises(FileNotFoundError, s3.delete_file, f"{top}/none")

            s3.copy_file(f"{top}/sp ace+%&=\u017c", f"{top}/copied")
            s3.copy_file(f"{top}/stream", other(f"{top}/copied-big"))
            s3.move(f"{top}/one", f"{top}/moved")
            for name, body in (("copied", b"22"), ("copied-big", data), ("moved", b"1")):
                with s3.open_input_stream(f"{top}/{name}") as f:
                    assert f.read() == body, name
            assert s3.get_file_info(f"{top}/one").type == fs.FileType.NotFound
            raises(OSError, s3.copy_file, f"{top}/none", f"{top}/x")


def test_arrow_folders():
    from pyarrow import fs
    with both_addresses() as (server, roots):
        s3 = arrow(server)
        for root in roots:
            top = f"{root}/folders-{FORM[root]}"
            s3.create_dir(f"{top}/a/b/c", recursive=True)
            kinds = {i.path[len(top) + 1:]: i.type for i in s3.get_file_info(fs.FileSelector(top, recursive=True))}
            assert kinds == {n: fs.FileType.Directory for n in ("a", "a/b", "a/b/c")}, kinds
            assert s3.get_file_info(f"{top}/a/b").type == fs.FileType.Directory
            with s3.open_output_stream(f"{top}/a/b/file") as out:
                out.write(b"x")
            s3.delete_dir(f"{top}/a/b/c")
            assert s3.get_file_info(f"{top}/a/b/c").type == fs.FileType.NotFound
            assert s3.get_file_info(f"{top}/a/b/file").type == fs.FileType.File
            s3fs_of(server).pipe({f"{top}/lots/{i % 7}/{i:04}": b"%d" % i for i in range(1203)})
            assert len(s3.get_file_info(fs.FileSelector(f"{top}/lots", recursive=True))) == 1203 + 7
            s3.delete_dir_contents(f"{top}/lots")
            assert s3.get_file_info(fs.FileSelector(f"{top}/lots", recursive=True, allow_not_found=True)) == []
            s3.delete_dir(top)
            assert s3.get_file_info(top).type == fs.FileType.NotFound


def test_branch_marker():
    """Arrow makes a marker of each folder on a path, the branch's among them: it is there already."""
    from pyarrow import fs

    def ask(method, path, body=None):
        url = f"{server.url}{path}"
        c = server.connect()
        c.request(method, path, body=body, headers=sign(method, url))
        answer = c.getresponse()
        return answer.status, answer.getheader("etag"), answer.read()
    with both_addresses() as (server, roots):
        assert ask("PUT", "/example/main/", b"") == (200, f'"{md5(b"")}"', b"")
        status, _, text = ask("PUT", "/example/main/", b"x")
        assert status == 404 and b"<Code>NoSuchKey</Code>" in text, text
        status, _, text = ask("PUT", "/example/nosuch/", b"")
        assert status == 404 and b"<Code>NoSuchBucket</Code>" in text, text
        assert ask("PUT", "/example/main", b"")[0] == 404 and ask("HEAD", "/example/main/")[0] == 404
        s3 = arrow(server)
        s3.create_dir("example/main", recursive=True)
        for root in roots:
            assert s3.get_file_info(fs.FileSelector(root, allow_not_found=True)) == []
            with s3.open_output_stream(f"{root}/file") as out:
                out.write(b"x")
            s3.delete_file(f"{root}/file")
            s3.delete_dir_contents(root, missing_dir_ok=True, accept_root_dir=True)


def test_arrow_datasets():
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq
    with both_addresses() as (server, roots):
        s3 = arrow(server)
        rows = table(5000)
        for root in roots:
            top = f"{root}/dataset-{FORM[root]}"
            for behaviour in ("overwrite_or_ignore", "delete_matching", "delete_matching"):
                ds.write_dataset(rows, top, filesystem=s3, format="parquet", partitioning=["group"],
                                 partitioning_flavor="hive", existing_data_behavior=behaviour,
                                 max_rows_per_file=500, max_rows_per_group=500)
            for path in (top, other(top)):
                back = ds.dataset(path, filesystem=s3, partitioning="hive")
                assert len(back.files) == 12, back.files
                assert back.count_rows() == 5000
                some = back.to_table(filter=(ds.field("group") == "g2") & (ds.field("id") < 100)).sort_by("id")
                assert some["id"].to_pylist() == list(range(2, 100, 4))
                assert some["text"].to_pylist() == [rows["text"][i].as_py() for i in range(2, 100, 4)]
            raises(pa.ArrowInvalid, ds.write_dataset, rows, top, filesystem=s3, format="parquet",
                   partitioning=["group"], partitioning_flavor="hive", existing_data_behavior="error")
            ds.write_dataset(rows, f"{top}-csv", filesystem=s3, format="csv", basename_template="p-{i}.csv")
            assert ds.dataset(f"{top}-csv", filesystem=s3, format="csv").count_rows() == 5000
            pq.write_table(rows, f"{top}/one.parquet", filesystem=s3, row_group_size=1000)
            with pq.ParquetFile(f"{top}/one.parquet", filesystem=s3) as f:
                assert f.num_row_groups == 5
                assert f.read_row_group(3, columns=["id"])["id"].to_pylist() == list(range(3000, 4000))


def test_s3fs():
    with both_addresses() as (server, roots):
        for root in roots:
            s3fs_files(s3fs_of(server), f"{root}/f{FORM[root]}")
            s3fs_listing(s3fs_of(server), f"{root}/l{FORM[root]}")
        fs = s3fs_of(server)
        bucket, branch = (r.split("/")[0] for r in roots)
        assert fs.exists(bucket) and fs.exists(branch) and not fs.exists("nosuch") and not fs.exists("example.nosuch")
        assert fs.isdir(bucket) and fs.isdir(branch) and fs.isdir(f"{bucket}/main")
        assert fs.ls(bucket) == [f"{bucket}/main"], fs.ls(bucket)
        assert bucket in fs.ls("")
        # Folders are prefixes: making one is a success and nothing, in a bucket that is there.
        fs.makedirs(f"{branch}/made/of/air", exist_ok=True)
        fs.makedirs(f"{branch}/made/of/air", exist_ok=True)
        fs.makedirs(f"{bucket}/main/made/of/air", exist_ok=True)
        raises(FileExistsError, fs.makedirs, branch, exist_ok=False)
        # A bucket repository.branch that isn't there is a new branch, and one of another repository a new one.
        fs.mkdir("example.dev")
        fs.pipe("example.dev/of-dev", b"dev")
        assert fs.cat("example/dev/of-dev") == b"dev" and not fs.exists(f"{branch}/of-dev")
        fs.makedirs("another/main/x", exist_ok=True)
        fs.pipe("another/main/x/o", b"another")
        assert fs.cat("another.main/x/o") == b"another"
        fs.rm("example.dev/of-dev")
        fs.rmdir("example.dev")
        assert not fs.exists("example.dev")
        raises(FileNotFoundError, fs.ls, f"{branch}/made")
        raises(FileNotFoundError, fs.cat, f"{branch}/nosuch")
        raises(FileNotFoundError, fs.ls, "example.nosuch/x")
        raises(FileNotFoundError, fs.pipe, "example.nosuch/x", b"x")


def s3fs_files(fs, top):
    data = os.urandom(11 << 20)
    local = f"/tmp/sluice-data-{os.getpid()}"
    try:
        with open(local, "wb") as f:
            f.write(data)
        fs.put(local, f"{top}/put")
        fs.get(f"{top}/put", local + ".back")
        with open(local + ".back", "rb") as f:
            assert f.read() == data
    finally:
        for name in (local, local + ".back"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
    assert fs.cat(f"{top}/put") == data and fs.cat(other(f"{top}/put")) == data
    assert fs.cat_file(f"{top}/put", start=7, end=1 << 20) == data[7:1 << 20]
    assert fs.cat_file(f"{top}/put", start=-9) == data[-9:]
    assert fs.cat_ranges([f"{top}/put"] * 3, [0, 5, 1 << 20], [3, 50, (1 << 20) + 2]) == \
        [data[:3], data[5:50], data[1 << 20:(1 << 20) + 2]]
    assert fs.head(f"{top}/put", 10) == data[:10] and fs.tail(f"{top}/put", 10) == data[-10:]
    info = fs.info(f"{top}/put")
    assert info["size"] == len(data) and info["type"] == "file" and info["name"] == f"{top}/put", info
    assert fs.size(f"{top}/put") == len(data)

    fs.pipe(f"{top}/small", b"123", ContentType="a/b", Metadata={"who": "s3fs"})
    assert fs.info(f"{top}/small")["ETag"] == f'"{md5(b"123")}"' and fs.metadata(f"{top}/small") == {"who": "s3fs"}
    before = fs.checksum(f"{top}/small")
    assert before == fs.checksum(f"{top}/small")
    fs.pipe(f"{top}/small", b"124")
    assert before != fs.checksum(f"{top}/small")
    raises(OSError, fs.pipe, f"{top}/small", b"x", mode="create")
    fs.pipe(f"{top}/new", b"x", mode="create")

    with fs.open(f"{top}/written", "wb", block_size=5 << 20) as f:
        for i in range(0, len(data), 3 << 20):
            f.write(data[i:i + (3 << 20)])
    assert fs.cat(f"{top}/written") == data
    with fs.open(f"{top}/written", "rb", block_size=1 << 20) as f:
        f.seek(10 << 20)
        assert f.read(100) == data[10 << 20:(10 << 20) + 100]
        f.seek(0)
        assert f.read(5) == data[:5]
    with fs.open(f"{top}/exclusive", "xb") as f:
        f.write(b"first")
    raises(OSError, exclusive, fs, f"{top}/exclusive")
    assert fs.cat(f"{top}/exclusive") == b"first"

    # Appending: a small object is written again, a large one is a part copied before those that are new.
    for name, first in (("small", b"124"), ("written", data)):
        with fs.open(f"{top}/{name}", "ab") as f:
            f.write(b"-tail")
        assert fs.cat(f"{top}/{name}") == first + b"-tail", name

    fs.cp(f"{top}/written", other(f"{top}/copy"))
    assert fs.cat(f"{top}/copy") == data + b"-tail"
    fs.mv(f"{top}/copy", f"{top}/moved")
    assert not fs.exists(f"{top}/copy") and fs.size(f"{top}/moved") == len(data) + 5
    raises(FileNotFoundError, fs.cp, f"{top}/none", f"{top}/x")
    fs.touch(f"{top}/touched")
    assert fs.cat(f"{top}/touched") == b"" and fs.info(f"{top}/touched")["size"] == 0
    fs.rm(f"{top}/touched")
    assert not fs.exists(f"{top}/touched")
    import urllib.request
    with urllib.request.urlopen(fs.url(f"{top}/small", expires=60)) as answer:
        assert answer.read() == b"124-tail"


def exclusive(fs, path):
    with fs.open(path, "xb") as f:
        f.write(b"second")


def s3fs_listing(fs, top):
    files = {"a.txt": 1, "b.txt": 2, "d/c.txt": 3, "d/e/f.csv": 4, "d/e/g.txt": 5, "sp ace+%&=\u017c": 6}
    fs.pipe({f"{top}/{name}": b"x" * size for name, size in files.items()})

    def short(paths):
        return sorted(p[len(top) + 1:] for p in paths)
    assert short(fs.ls(top)) == ["a.txt", "b.txt", "d", "sp ace+%&=\u017c"], fs.ls(top)
    assert {i["name"][len(top) + 1:]: (i["type"], i["size"]) for i in fs.ls(f"{top}/d", detail=True)} == \
        {"d/c.txt": ("file", 3), "d/e": ("directory", 0)}
    assert short(fs.find(top)) == sorted(files)
    assert short(fs.find(top, maxdepth=1)) == ["a.txt", "b.txt", "sp ace+%&=\u017c"]
    assert short(fs.find(top, prefix="d/e")) == ["d/e/f.csv", "d/e/g.txt"]
    assert [(p[len(top) + 1:], d, sorted(f)) for p, d, f in fs.walk(top)] == [
        ("", ["d"], ["a.txt", "b.txt", "sp ace+%&=\u017c"]), ("d", ["e"], ["c.txt"]), ("d/e", [], ["f.csv", "g.txt"])]
    assert short(fs.glob(f"{top}/*.txt")) == ["a.txt", "b.txt"]
    assert short(fs.glob(f"{top}/**/*.txt")) == ["a.txt", "b.txt", "d/c.txt", "d/e/g.txt"]
    assert short(fs.glob(f"{top}/d/?/[fx].csv")) == ["d/e/f.csv"]
    assert fs.du(top) == sum(files.values())
    assert {p[len(top) + 1:]: n for p, n in fs.du(f"{top}/d", total=False).items()} == \
        {"d/c.txt": 3, "d/e/f.csv": 4, "d/e/g.txt": 5}
    assert fs.isfile(f"{top}/a.txt") and fs.isdir(f"{top}/d/e") and not fs.isfile(f"{top}/d")
    assert fs.exists(f"{top}/d") and not fs.exists(f"{top}/x")
    # Not mv: it wants to copy folders as objects, which S3 has none of either.
    fs.cp(f"{top}/d", f"{top}/moved", recursive=True)
    fs.rm(f"{top}/d", recursive=True)
    assert short(fs.find(f"{top}/moved")) == ["moved/c.txt", "moved/e/f.csv", "moved/e/g.txt"]
    assert not fs.exists(f"{top}/d")
    fs.cp(f"{top}/moved", f"{top}/again", recursive=True)
    assert len(fs.find(top)) == len(files) + 3
    fs.pipe({f"{top}/many/{posixpath.join(*f'{i:04}')}": b"" for i in range(1105)})
    assert len(fs.find(f"{top}/many")) == 1105
    fs.rm(f"{top}/many", recursive=True)
    assert not fs.exists(f"{top}/many")
    fs.rm(top, recursive=True)
    assert fs.find(top) == [] and not fs.exists(top)


def test_pandas():
    import pandas as pd
    with both_addresses() as (server, roots):
        options = {"key": KEY, "secret": SECRET, "endpoint_url": server.url, "client_kwargs": {"region_name": REGION}}
        frame = table(1000).to_pandas()
        for root in roots:
            top = f"s3://{root}/pandas-{FORM[root]}"
            frame.to_parquet(f"{top}/t.parquet", storage_options=options)
            frame.to_parquet(f"{top}/parts", partition_cols=["group"], storage_options=options)
            frame.to_csv(f"{top}/t.csv.gz", index=False, storage_options=options)
            frame.to_json(f"{top}/t.json", orient="records", lines=True, storage_options=options)
            assert pd.read_parquet(f"{top}/t.parquet", storage_options=options).equals(frame)
            assert pd.read_parquet(f"{top}/t.parquet", columns=["id"], filters=[("group", "==", "g1")],
                                   storage_options=options)["id"].tolist() == list(range(1, 1000, 4))
            parts = pd.read_parquet(f"{top}/parts", storage_options=options)
            assert sorted(parts["id"]) == list(range(1000)) and set(parts["group"]) == {"g0", "g1", "g2", "g3"}
            assert pd.read_csv(f"{top}/t.csv.gz", storage_options=options).equals(frame)
            assert pd.read_json(f"{top}/t.json", lines=True, storage_options=options).equals(frame)


def test_polars():
    import polars as pl
    with both_addresses() as (server, roots):
        options = {**OBJECT_STORE, "aws_endpoint_url": server.url}
        frame = pl.from_arrow(table(3000))
        for root in roots:
            top = f"s3://{root}/polars-{FORM[root]}"
            frame.write_parquet(f"{top}/whole.parquet", storage_options=options)
            for i in range(3):
                frame.slice(i * 1000, 1000).write_parquet(f"{top}/glob/part-{i}.parquet", storage_options=options)
            assert pl.read_parquet(f"{top}/whole.parquet", storage_options=options).equals(frame)
            for path in (f"{top}/glob/part-*.parquet", f"{top}/glob/*.parquet", f"{top}/glob/"):
                scan = pl.scan_parquet(path, storage_options=options)
                assert scan.collect().sort("id").equals(frame), path
                assert scan.filter(pl.col("group") == "g3").select(pl.col("id").sum()).collect().item() == \
                    sum(range(3, 3000, 4))
            lazy = pl.scan_parquet(f"{top}/whole.parquet", storage_options=options)
            lazy.filter(pl.col("id") % 2 == 0).sink_parquet(f"{top}/sink.parquet", storage_options=options)
            lazy.sink_csv(f"{top}/sink.csv", storage_options=options)
            lazy.sink_ipc(f"{top}/sink.arrow", storage_options=options)
            assert pl.scan_parquet(f"{top}/sink.parquet", storage_options=options).collect().height == 1500
            assert pl.scan_csv(f"{top}/sink.csv", storage_options=options).collect().equals(frame)
            assert pl.scan_ipc(f"{top}/sink.arrow", storage_options=options).collect().equals(frame)
            wide = pl.DataFrame({"id": range(60000), "noise": [os.urandom(150) for _ in range(60000)]})
            wide.lazy().sink_parquet(f"{top}/large.parquet", storage_options=options)
            assert pl.read_parquet(f"{top}/large.parquet", storage_options=options).equals(wide)
            assert raises(Exception, pl.read_parquet, f"{top}/none.parquet", storage_options=options)


def test_delta():
    from deltalake import DeltaTable, write_deltalake
    with both_addresses() as (server, roots):
        options = {**OBJECT_STORE, "aws_endpoint_url": server.url}
        for root in roots:
            uri = f"s3://{root}/delta-{FORM[root]}"
            assert not DeltaTable.is_deltatable(uri, storage_options=options)
            write_deltalake(uri, table(100), partition_by=["group"], storage_options=options)
            write_deltalake(uri, table(50), mode="append", storage_options=options)
            raises(Exception, write_deltalake, uri, table(1), mode="error", storage_options=options)
            t = DeltaTable(uri, storage_options=options)
            assert t.version() == 1 and len(t.to_pyarrow_table()) == 150
            mirror = DeltaTable(f"s3://{other(root + '/x')[:-2]}/delta-{FORM[root]}", storage_options=options)
            assert mirror.version() == 1 and len(mirror.to_pyarrow_table()) == 150

            t.delete("id >= 90")
            t.update({"text": "'new'"}, predicate="id = 7")
            merged = t.merge(pa.table({"id": pa.array([7, 1000], pa.int64()), "group": ["g3", "g0"],
                                       "text": ["merged", "merged"]}),
                             "t.id = s.id", source_alias="s", target_alias="t") \
                .when_matched_update_all().when_not_matched_insert_all().execute()
            assert (merged["num_target_rows_updated"], merged["num_target_rows_inserted"]) == (2, 1), merged
            now = DeltaTable(uri, storage_options=options)
            rows = now.to_pyarrow_table()
            assert len(rows) == 141 and rows["text"].to_pylist().count("merged") == 3
            assert len(DeltaTable(uri, version=0, storage_options=options).to_pyarrow_table()) == 100
            assert now.to_pyarrow_table(filters=[("group", "=", "g0")])["id"].to_pylist().count(1000) == 1

            write_deltalake(uri, table(10), mode="overwrite", storage_options=options)
            now = DeltaTable(uri, storage_options=options)
            assert len(now.to_pyarrow_table()) == 10
            now.optimize.compact()
            gone = now.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
            assert gone
            raises(Exception, DeltaTable(uri, version=0, storage_options=options).to_pyarrow_table)
            now.create_checkpoint()
            now = DeltaTable(uri, storage_options=options)
            assert len(now.to_pyarrow_table()) == 10 and len(now.history()) >= 6
            now.restore(now.version() - 1)
            assert DeltaTable(uri, storage_options=options).version() == now.version()


def test_delta_writers_at_once():
    """A log entry is made with If-None-Match: *; of those who try for one version, one gets it."""
    from deltalake import CommitProperties, DeltaTable, write_deltalake
    writers, appends = 8, 4
    with both_addresses() as (server, roots):
        options = {**OBJECT_STORE, "aws_endpoint_url": server.url}
        uris = [f"s3://{root}/race" for root in roots]
        write_deltalake(uris[0], table(1), storage_options=options)

        def writer(n):
            for i in range(appends):
                rows = pa.table({"id": pa.array([1000 * (n + 1) + i], pa.int64()), "group": ["g"], "text": ["t"]})
                write_deltalake(uris[n % 2], rows, mode="append", storage_options=options,
                                commit_properties=CommitProperties(max_commit_retries=100))
        with concurrent.futures.ThreadPoolExecutor(writers) as pool:
            list(pool.map(writer, range(writers)))
        t = DeltaTable(uris[1], storage_options=options)
        assert t.version() == writers * appends
        assert sorted(t.to_pyarrow_table()["id"].to_pylist()) == \
            [0] + [1000 * (n + 1) + i for n in range(writers) for i in range(appends)]


if __name__ == "__main__":
    main(globals())
