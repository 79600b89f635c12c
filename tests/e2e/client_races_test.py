"""Many clients at one key at once: whoever is told that a condition held was the only one; nothing comes back, nothing is
lost, nothing was ever there that nobody wrote."""
import threading

from botocore.exceptions import ClientError

from harness import Server, main, md5

B, MANY = "example", 32
LOST = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")


def at_once(s, do, clients=MANY):
    """do(client, i) on as many threads, begun together; the results, an error's code in the place of one."""
    results = [None] * clients
    gate = threading.Barrier(clients)

    def one(i):
        c = s.boto3(max_pool_connections=1)
        gate.wait()
        try:
            results[i] = do(c, i) or True
        except ClientError as e:
            results[i] = e.response["Error"]["Code"]
        except Exception as e:  # told by the main thread
            results[i] = e

    threads = [threading.Thread(target=one, args=(i,)) for i in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    wrong = [r for r in results if isinstance(r, Exception)]
    assert not wrong, wrong
    return results


def check_one(results):
    won = [i for i, r in enumerate(results) if r is True]
    assert len(won) == 1, results
    assert all(r is True or r in LOST for r in results), results
    return won[0]


def body(i):
    return b"of client %d" % i


def test_one_creates():
    with Server() as s:
        c = s.boto3()
        for key in ("main/new", "main/again"):
            results = at_once(s, lambda c, i: c.put_object(Bucket=B, Key=key, Body=body(i), IfNoneMatch="*") and True)
            won = check_one(results)
            assert c.get_object(Bucket=B, Key=key)["Body"].read() == body(won)


def test_one_replaces():
    with Server() as s:
        c = s.boto3()
        etag = c.put_object(Bucket=B, Key="main/k", Body=b"first")["ETag"]
        won = check_one(at_once(s, lambda c, i: c.put_object(Bucket=B, Key="main/k", Body=body(i), IfMatch=etag) and True))
        assert c.get_object(Bucket=B, Key="main/k")["Body"].read() == body(won)


def test_one_deletes():
    with Server() as s:
        c = s.boto3()
        etag = c.put_object(Bucket=B, Key="main/k", Body=b"first")["ETag"]
        check_one(at_once(s, lambda c, i: c.delete_object(Bucket=B, Key="main/k", IfMatch=etag) and True))
        # deleting against replacing: one of all
        etag = c.put_object(Bucket=B, Key="main/k", Body=b"second")["ETag"]
        won = check_one(at_once(s, lambda c, i: (c.delete_object(Bucket=B, Key="main/k", IfMatch=etag) if i % 2 else
                                                 c.put_object(Bucket=B, Key="main/k", Body=body(i), IfMatch=etag)) and True))
        there = c.list_objects_v2(Bucket=B, Prefix="main/k")["KeyCount"]
        assert there == (0 if won % 2 else 1)


def test_a_counter():
    """Read, add one, write if nobody else did: each success is one more."""
    with Server() as s:
        c = s.boto3()
        c.put_object(Bucket=B, Key="main/n", Body=b"0")

        def add(c, i):
            done = 0
            for _ in range(12):
                got = c.get_object(Bucket=B, Key="main/n")
                n = int(got["Body"].read())
                try:
                    c.put_object(Bucket=B, Key="main/n", Body=b"%d" % (n + 1), IfMatch=got["ETag"])
                    done += 1
                except ClientError as e:
                    assert e.response["Error"]["Code"] in LOST, e
            return done + 1000

        total = sum(r - 1000 for r in at_once(s, add, 8))
        assert int(c.get_object(Bucket=B, Key="main/n")["Body"].read()) == total > 0


def test_tags_against_puts():
    """A tag goes to what is there, and never brings back what was."""
    with Server() as s:
        c = s.boto3()
        c.put_object(Bucket=B, Key="main/k", Body=b"0")

        def work(c, i):
            for n in range(15):
                if i == 0:
                    c.put_object(Bucket=B, Key="main/k", Body=b"%d" % n)
                else:
                    c.put_object_tagging(Bucket=B, Key="main/k", Tagging={"TagSet": [{"Key": f"k{i}", "Value": str(n)}]})

        assert all(r is True for r in at_once(s, work, 8))
        got = c.get_object(Bucket=B, Key="main/k")
        assert got["Body"].read() == b"14" and got["ETag"] == f'"{md5(b"14")}"'


def test_copies_against_deletes():
    """A copy is whole or not there, whatever happens to its source."""
    with Server(repos=(B, "other")) as s:
        c = s.boto3()

        def work(c, i):
            for n in range(8):
                if i == 0:
                    c.put_object(Bucket=B, Key="main/src", Body=b"%d" % n * 100000)
                    c.delete_object(Bucket=B, Key="main/src")
                    continue
                try:
                    c.copy_object(Bucket="other" if i % 2 else B, Key=f"main/c{i}", CopySource=f"{B}/main/src")
                except ClientError as e:
                    assert e.response["Error"]["Code"] == "NoSuchKey", e

        assert all(r is True for r in at_once(s, work, 12))
        for bucket in (B, "other"):
            for o in c.list_objects_v2(Bucket=bucket, Prefix="main/").get("Contents", []):
                data = c.get_object(Bucket=bucket, Key=o["Key"])["Body"].read()
                assert data == data[:1] * 100000 and o["ETag"] == f'"{md5(data)}"', (o, len(data))


if __name__ == "__main__":
    main(globals())
