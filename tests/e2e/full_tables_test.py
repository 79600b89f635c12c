"""DuckDB's httpfs and Iceberg tables, under both addresses of a branch."""
import os

from harness import KEY, REGION, SECRET, Server, main

ROOTS = ("example/main", "example.main")
FORM = dict(zip(ROOTS, ("prefix", "bucket")))


def bare_environment():
    for name in [n for n in os.environ if n.startswith("AWS_") or n.lower().endswith("_proxy")]:
        del os.environ[name]


def test_duckdb():
    import duckdb
    from duckdb_extensions import import_extension
    bare_environment()
    with Server() as server:
        import_extension("httpfs")
        db = duckdb.connect()
        db.execute("LOAD httpfs")
        db.execute(f"CREATE SECRET (TYPE s3, KEY_ID '{KEY}', SECRET '{SECRET}', REGION '{REGION}', USE_SSL false, "
                   f"ENDPOINT '127.0.0.1:{server.port}', URL_STYLE 'path')")
        db.execute("CREATE TABLE t AS SELECT i AS id, i % 4 AS part, repeat('x', 90) || i AS text FROM range(60000) r(i)")
        for root in ROOTS:
            top = f"s3://{root}/duck-{FORM[root]}"
            db.execute(f"COPY t TO '{top}/one.parquet'")
            db.execute(f"COPY t TO '{top}/one.csv' (HEADER)")
            db.execute(f"COPY t TO '{top}/parts' (FORMAT parquet, PARTITION_BY (part))")
            assert db.execute(f"SELECT count(*), sum(id) FROM '{top}/one.parquet'").fetchone() == (60000, 1799970000)
            assert db.execute(f"SELECT text FROM '{top}/one.parquet' WHERE id = 59999").fetchone() == ("x" * 90 + "59999",)
            assert db.execute(f"SELECT count(*) FROM read_csv('{top}/one.csv')").fetchone() == (60000,)
            parts = f"read_parquet('{top}/parts/*/*.parquet', hive_partitioning = true)"
            assert db.execute(f"SELECT count(*), min(id) FROM {parts} WHERE part = 3").fetchone() == (15000, 3)
            assert db.execute(f"SELECT count(DISTINCT file) FROM glob('{top}/**')").fetchone()[0] >= 6
            try:
                db.execute(f"SELECT * FROM '{top}/none.parquet'")
                raise AssertionError("a file that isn't there was read")
            except duckdb.Error:
                pass


def test_iceberg():
    import pyarrow as pa
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.expressions import EqualTo, LessThan
    bare_environment()
    with Server() as server:
        for root in ROOTS:
            catalog = SqlCatalog("c", uri=f"sqlite:///{server.path(FORM[root] + '.db')}",
                                 warehouse=f"s3://{root}/ice-{FORM[root]}",
                                 **{"s3.endpoint": server.url, "s3.access-key-id": KEY, "s3.secret-access-key": SECRET,
                                    "s3.region": REGION})
            catalog.create_namespace("n")
            rows = pa.table({"id": pa.array(range(1000), pa.int64()), "text": [f"row {i}" for i in range(1000)]})
            table = catalog.create_table("n.t", schema=rows.schema)
            table.append(rows)
            table.append(rows.slice(0, 10))
            first = table.history()[0].snapshot_id
            table.delete(LessThan("id", 5))
            table.overwrite(rows.slice(7, 1), overwrite_filter=EqualTo("id", 7))
            again = catalog.load_table("n.t")
            ids = again.scan().to_arrow()["id"].to_pylist()
            assert sorted(ids) == sorted([*range(5, 1000), 5, 6, 8, 9]), len(ids)
            assert len(again.scan(snapshot_id=first).to_arrow()) == 1000
            assert again.scan(row_filter=EqualTo("id", 999), selected_fields=("text",)).to_arrow()["text"].to_pylist() == \
                ["row 999"]
            catalog.drop_table("n.t")


if __name__ == "__main__":
    main(globals())
