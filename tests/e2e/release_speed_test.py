"""Speed, by what an operation costs the server in CPU: steadier than operations a second on a shared machine.
The bounds are several times what docs/PERFORMANCE.md shows: they catch a mistake, not a breeze."""
import json
import os
import subprocess

from harness import KEY, SECRET, Server, clean_env, main

BENCH = os.path.join(os.path.dirname(os.environ["SLUICE_BIN"]), "sluice-bench")


def bench(s, op, connections, count, *more, prefix="main/speed/"):
    done = subprocess.run(
        [BENCH, "--op", op, "--endpoint", f"127.0.0.1:{s.port}", "--bucket", "example", "--prefix", prefix,
         "--connections", str(connections), "--count", str(count), "--pid", str(s.pid), "--json", *more],
        env=clean_env(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout.strip())
    return json.loads(done.stdout)


def cpu_us(result):
    return next(v for k, v in result.items() if "server" in k and "us" in k)


def test_cost_of_operations():
    with Server() as s:
        assert cpu_us(bench(s, "put", 32, 4000)) < 1500
        assert cpu_us(bench(s, "get", 32, 20000, "--keys", "4000")) < 150
        assert cpu_us(bench(s, "head", 32, 20000, "--keys", "4000")) < 150
        assert cpu_us(bench(s, "list", 4, 200)) < 6000
        assert cpu_us(bench(s, "delete", 32, 4000)) < 1000
        assert s.peak_kib() < 128 << 10


def test_large_objects_cost_little():
    with Server() as s:
        put = bench(s, "put", 1, 2, "--size", "256MiB", prefix="main/large/")
        assert cpu_us(put) / 1e6 * 4 < 12, "CPU seconds a GiB"
        get = bench(s, "get", 1, 4, "--size", "256MiB", "--keys", "2", prefix="main/large/")
        assert cpu_us(get) / 1e6 * 4 < 3, "CPU seconds a GiB"


def test_first_page_costs_the_same_whatever_lies_behind():
    """The first page of a branch of 20,000 staged objects against one of 1,000."""
    with Server() as s:
        bench(s, "put", 64, 1000, "--size", "16", prefix="main/few/")
        bench(s, "put", 64, 20000, "--size", "16", prefix="main/many/")
        few = cpu_us(bench(s, "list", 1, 200, prefix="main/few/"))
        many = cpu_us(bench(s, "list", 1, 200, prefix="main/many/"))
        print(f"first page: {few:.0f} us of 1,000, {many:.0f} us of 20,000")
        assert many < 4 * few + 500


if __name__ == "__main__":
    main(globals())
