"""Spark writes and reads through S3A, Hadoop's file system over S3: committers, directories made of markers, renames
by copy and delete, parts. Each under both addresses of a branch. Needs Java; tools/test --full brings the rest.

With SLUICE_RECORD=file the requests are written down, as client_s3a_replay_test.py wants them."""
import glob
import json
import os
import shutil
import sys

from harness import KEY, REGION, SECRET, SOURCE, Server, clean_env, main

ROOTS = ("example/main", "example.main")
PART = 5 << 20


def session(server, port):
    from pyspark.sql import SparkSession
    for name in list(os.environ):
        if name not in clean_env() and not name.startswith("SLUICE_"):
            del os.environ[name]
    os.environ.update(SPARK_LOCAL_IP="127.0.0.1", HOME=server.folder, PYSPARK_PYTHON=sys.executable, AWS_EC2_METADATA_DISABLED="true")
    jars = ":".join(sorted(glob.glob(os.path.join(SOURCE, "build", "spark-jars", "*.jar"))))
    s3a = {"endpoint": f"http://127.0.0.1:{port}", "endpoint.region": REGION, "path.style.access": "true",
           "connection.ssl.enabled": "false", "access.key": KEY, "secret.key": SECRET,
           "aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
           "multipart.size": str(PART), "multipart.threshold": str(PART), "committer.magic.enabled": "true",
           "buffer.dir": server.path("s3a"), "attempts.maximum": "2", "retry.limit": "2"}
    builder = SparkSession.builder.master("local[1]" if "SLUICE_RECORD" in os.environ else "local[2]")
    options = {"spark.driver.extraClassPath": jars, "spark.driver.bindAddress": "127.0.0.1",
               "spark.driver.host": "127.0.0.1", "spark.ui.enabled": "false",
               "spark.ui.showConsoleProgress": "false", "spark.driver.memory": "1g",
               "spark.sql.shuffle.partitions": "2", "spark.local.dir": server.path("spark"),
               "spark.sql.warehouse.dir": server.path("warehouse"), "spark.log.level": "ERROR",
               "spark.driver.extraJavaOptions": f"-Duser.home={server.folder} -Djava.io.tmpdir={server.folder}",
               **{f"spark.hadoop.fs.s3a.{k}": v for k, v in s3a.items()}}
    for key, value in options.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def frame(spark, start, stop):
    from pyspark.sql import functions as f
    return spark.range(start, stop, numPartitions=2).select(
        "id", (f.col("id") % 3).alias("part"), f.concat(f.lit("row "), f.col("id").cast("string")).alias("text"))


def numbers(df):
    return sorted(r.id for r in df.select("id").collect())


def committers(spark, top):
    """FileOutputCommitter renames when the job ends (1) or when each task does (2); the magic one doesn't."""
    rows = frame(spark, 0, 300)
    for version in ("1", "2"):
        option = {"mapreduce.fileoutputcommitter.algorithm.version": version, "fs.s3a.committer.name": "file"}
        where = f"{top}/v{version}"
        rows.write.options(**option).partitionBy("part").parquet(f"{where}/parquet")
        rows.write.options(**option).csv(f"{where}/csv", header=True)
        check(spark, where)
    # Data frames have the magic committer from a part of Spark that PyPI's lacks; RDDs have it from Hadoop.
    where = f"{top}/magic"
    spark.sparkContext.parallelize([(f"key {i}", f"value {i}") for i in range(300)], 2).saveAsNewAPIHadoopFile(
        where, "org.apache.hadoop.mapreduce.lib.output.TextOutputFormat", "org.apache.hadoop.io.Text",
        "org.apache.hadoop.io.Text", conf={"fs.s3a.committer.name": "magic"})
    assert sorted(r.value for r in spark.read.text(where).collect()) == sorted(f"key {i}\tvalue {i}" for i in range(300))
    fs, path = file_system(spark, where)
    success = fs.open(path(f"{where}/_SUCCESS"))
    assert json.loads(bytes(success.readAllBytes()))["committer"] == "magic"
    success.close()


def file_system(spark, where):
    path = spark.sparkContext._jvm.org.apache.hadoop.fs.Path
    return path(where).getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()), path


def check(spark, where):
    back = spark.read.parquet(f"{where}/parquet")
    assert numbers(back) == list(range(300))
    assert numbers(back.where("part = 2 and id < 30")) == list(range(2, 30, 3))
    csv = spark.read.csv(f"{where}/csv", header=True, inferSchema=True)
    assert numbers(csv) == list(range(300)) and csv.where("id = 7").first().text == "row 7"


def modes(spark, top):
    from pyspark.errors import AnalysisException
    where = f"{top}/modes"
    frame(spark, 0, 30).write.parquet(where)
    try:
        frame(spark, 0, 30).write.parquet(where)
        raise AssertionError("an existing table was written again")
    except AnalysisException:
        pass
    frame(spark, 30, 50).write.mode("append").parquet(where)
    assert numbers(spark.read.parquet(where)) == list(range(50))
    frame(spark, 100, 110).write.mode("overwrite").parquet(where)
    assert numbers(spark.read.parquet(where)) == list(range(100, 110))
    frame(spark, 0, 9).write.partitionBy("part").mode("overwrite").parquet(f"{where}-parts")
    frame(spark, 0, 9).where("part = 1").write.partitionBy("part").mode("overwrite").option(
        "partitionOverwriteMode", "dynamic").parquet(f"{where}-parts")
    assert numbers(spark.read.parquet(f"{where}-parts")) == list(range(9))


def files(spark, top):
    """Hadoop's own view: folders, renames, deletes, seeks, parts."""
    fs, path = file_system(spark, top)

    def write(name, data):
        out = fs.create(path(f"{top}/{name}"), True)
        out.write(bytearray(data))
        out.close()

    def read(name, at=0, n=-1):
        f = fs.open(path(f"{top}/{name}"))
        try:
            f.seek(at)
            return bytes(f.readNBytes(n if n >= 0 else 1 << 30))
        finally:
            f.close()

    def names(name=""):
        return sorted((s.getPath().getName(), s.isDirectory(), s.getLen()) for s in fs.listStatus(path(f"{top}/{name}")))
    assert fs.mkdirs(path(f"{top}/a/b/c")) and fs.mkdirs(path(f"{top}/a/b/c"))
    assert fs.getFileStatus(path(f"{top}/a/b")).isDirectory()
    assert names("a/b/c") == []
    write("a/one", b"1")
    write("a/b/two", b"22")
    write("a/sp ace+%&=", b"333")
    assert names("a") == [("b", True, 0), ("one", False, 1), ("sp ace+%&=", False, 3)], names("a")
    assert read("a/sp ace+%&=") == b"333"
    assert fs.rename(path(f"{top}/a"), path(f"{top}/moved")) and not fs.exists(path(f"{top}/a"))
    assert names("moved/b") == [("c", True, 0), ("two", False, 2)]
    assert fs.rename(path(f"{top}/moved/one"), path(f"{top}/moved/b/three"))
    assert read("moved/b/three") == b"1" and not fs.exists(path(f"{top}/moved/one"))
    total = fs.getContentSummary(path(f"{top}/moved"))
    assert (total.getFileCount(), total.getLength()) == (3, 6)
    assert [s.getPath().getName() for s in fs.globStatus(path(f"{top}/moved/b/t*"))] == ["three", "two"]

    data = bytes(range(256)) * (12 << 12)  # 12 MiB, three parts
    write("large", data)
    assert fs.getFileStatus(path(f"{top}/large")).getLen() == len(data)
    assert read("large", 5 << 20, 1000) == data[5 << 20:(5 << 20) + 1000]
    assert read("large", len(data) - 5) == data[-5:]
    assert fs.rename(path(f"{top}/large"), path(f"{top}/larger")) and read("larger", 0, 300) == data[:300]

    assert fs.delete(path(f"{top}/moved/b/two"), False)
    assert fs.delete(path(f"{top}/moved"), True) and not fs.exists(path(f"{top}/moved"))
    assert not fs.delete(path(f"{top}/nowhere"), True)
    fs.delete(path(f"{top}/larger"), False)


def everything_goes(spark, root):
    """The branch's folder, or the bucket's root, is deleted: it is empty then, and can be written to again."""
    fs, path = file_system(spark, f"s3a://{root}/")
    top = path(f"s3a://{root}/")
    fs.delete(top, True)
    for s in (fs.listStatus(top) if fs.exists(top) else ()):
        fs.delete(s.getPath(), True)
    assert not fs.exists(path(f"s3a://{root}/spark"))
    frame(spark, 0, 3).write.parquet(f"s3a://{root}/again")
    assert numbers(spark.read.parquet(f"s3a://{root}/again")) == [0, 1, 2]
    fs.delete(path(f"s3a://{root}/again"), True)


def run(server, port):
    spark = session(server, port)
    try:
        for root in ROOTS:
            top = f"s3a://{root}/spark"
            committers(spark, top)
            modes(spark, top)
            files(spark, top)
            everything_goes(spark, root)
            yield root
    finally:
        spark.stop()


def test_spark():
    record = os.environ.get("SLUICE_RECORD")
    with Server() as server:
        if not record:
            assert list(run(server, server.port)) == list(ROOTS)
            return
        from record import Relay
        with Relay(server.port) as relay:
            next(run(server, relay.port))
            with open(record, "w") as f:
                for x in relay.exchanges:
                    f.write(json.dumps(x, sort_keys=True) + "\n")


if __name__ == "__main__":
    if not shutil.which("java"):
        raise SystemExit("full_spark_test.py needs Java: install default-jre-headless")
    main(globals())
