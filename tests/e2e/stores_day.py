"""The parts of a day's work that other environments' clients do, for client_stores_test.py, which runs this file with
their Pythons: stores_day.py sdk|arrow URL REPOSITORY NAMESPACE STORAGE_ID. Ends with 0, or a traceback."""
import os
import sys

from harness import KEY, REGION, SECRET

BIG = bytes(range(256)) * 4096 * 6  # 6 MiB


def sdk(url, repo, space, store):
    """lakefs's own SDK: a repository on that store, objects, branches, commits, a merge, a tag."""
    os.environ["LAKECTL_CONFIG_FILE"] = "/dev/null"
    import lakefs

    client = lakefs.Client(host=url, username=KEY, password=SECRET)
    made = lakefs.Repository(repo, client=client).create(storage_namespace=space, storage_id=store)
    assert made.properties.storage_namespace == space, made.properties
    assert client.sdk_client.repositories_api.get_repository(repo).storage_id == store
    main = made.branch("main")
    main.object("plain.txt").upload(data=b"of the sdk", content_type="text/plain", metadata={"by": "sdk"})
    main.object("big.bin").upload(data=BIG)
    with main.object("streamed.bin").writer(mode="wb") as f:
        for i in range(0, len(BIG), 1 << 20):
            f.write(BIG[i:i + (1 << 20)])
    first = main.commit("the first", metadata={"day": "one"})
    work = made.branch("work").create(source_reference="main")
    work.object("plain.txt").upload(data=b"changed")
    work.object("new/one.txt").upload(data=b"new")
    work.object("big.bin").delete()
    assert sorted((c.type, c.path) for c in work.uncommitted()) == [
        ("added", "new/one.txt"), ("changed", "plain.txt"), ("removed", "big.bin")]
    work.commit("the second")
    tag = made.tag("v1").create(first.get_commit())
    work.merge_into(main)
    assert main.object("plain.txt").reader(mode="rb").read() == b"changed"
    assert not main.object("big.bin").exists()
    old = tag.object("big.bin")
    assert old.stat().size_bytes == len(BIG) and old.reader(mode="rb").read() == BIG
    with tag.object("streamed.bin").reader(mode="rb") as f:
        f.seek(3 << 20)
        assert f.read(1000) == BIG[3 << 20:(3 << 20) + 1000]
    assert [c.message for c in main.log()][-3:-1] == ["the second", "the first"] or \
        [c.message for c in main.log()][1:3] == ["the second", "the first"]
    assert [o.path for o in main.objects()] == ["new/one.txt", "plain.txt", "streamed.bin"]


def arrow(url, repo, space, store):
    """pyarrow over S3: a data set of several files, written in parts, read back whole and in columns."""
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq
    from pyarrow import fs

    s3 = fs.S3FileSystem(access_key=KEY, secret_key=SECRET, region=REGION, scheme="http",
                         endpoint_override=url.removeprefix("http://"))
    table = pa.table({"id": pa.array(range(200_000), pa.int64()),
                      "group": pa.array([f"g{i % 3}" for i in range(200_000)]),
                      "text": pa.array([f"row {i}" for i in range(200_000)])})
    top = f"{repo}/main/table"
    ds.write_dataset(table, top, filesystem=s3, format="parquet", partitioning=["group"],
                     partitioning_flavor="hive")
    back = ds.dataset(top, filesystem=s3, format="parquet", partitioning="hive")
    assert back.count_rows() == 200_000
    some = back.to_table(columns=["id"], filter=ds.field("group") == "g1")
    assert some.num_rows == 66_667 and some.column("id")[1].as_py() % 3 == 1
    with s3.open_output_stream(f"{repo}/main/stream.bin") as out:
        for i in range(0, 3 * len(BIG), 1 << 20):
            out.write((BIG * 3)[i:i + (1 << 20)])
    with s3.open_input_file(f"{repo}/main/stream.bin") as f:
        assert f.size() == 3 * len(BIG)
        assert f.read_at(4096, 7 << 20) == (BIG * 3)[7 << 20:(7 << 20) + 4096]
    pq.write_table(table.slice(0, 10), f"{repo}/main/small.parquet", filesystem=s3)
    assert pq.read_table(f"{repo}/main/small.parquet", filesystem=s3).num_rows == 10
    s3.delete_file(f"{repo}/main/stream.bin")
    assert s3.get_file_info(f"{repo}/main/stream.bin").type == fs.FileType.NotFound


def listed(url, *ids):
    """lakefs's own SDK: what it is told of the stores, a local one and after it those in memory, and a repository on each."""
    os.environ["LAKECTL_CONFIG_FILE"] = "/dev/null"
    import lakefs
    import lakefs_sdk

    client = lakefs.Client(host=url, username=KEY, password=SECRET)
    config = client.sdk_client.config_api.get_config()
    assert config.storage_config.blockstore_id == ids[0]
    assert [c.blockstore_id for c in config.storage_config_list] == list(ids)
    kinds = ["local"] + ["mem"] * (len(ids) - 1)
    assert [c.blockstore_type for c in config.storage_config_list] == kinds
    for store, kind in zip(ids, kinds):
        space = f"{kind}://sdk-{store}"
        repo = lakefs.Repository(f"sdk-{store}", client=client).create(storage_namespace=space, storage_id=store)
        found = client.sdk_client.repositories_api.get_repository(f"sdk-{store}")
        assert found.storage_id == store and found.storage_namespace == space
        repo.branch("main").object("x").upload(data=b"x", mode="wb")
        assert repo.branch("main").object("x").reader(mode="rb").read() == b"x"
    try:
        lakefs.Repository("sdk-none", client=client).create(storage_namespace="mem://n", storage_id="nobody's")
        raise AssertionError("an unknown store was taken")
    except lakefs.exceptions.BadRequestException as e:
        assert "storage id: invalid value" in str(e), e
    repos = lakefs_sdk.RepositoriesApi(client.sdk_client.repositories_api.api_client).list_repositories()
    assert {r.id: r.storage_id for r in repos.results} == {f"sdk-{s}": s for s in ids}


if __name__ == "__main__":
    for name in [n for n in os.environ if n.startswith(("AWS_", "LAKECTL_", "LAKEFS_"))]:
        del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    globals()[sys.argv[1]](*sys.argv[2:])
