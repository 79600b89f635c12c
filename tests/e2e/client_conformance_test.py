"""versitygw's S3 conformance suite against buckets that are branches.

The suite makes its buckets by the format "test-bucket-%v". In a copy of its program those 14 bytes become
"cnf0.bucket-%v", so that each bucket it makes is a branch of the repository cnf0; nothing else is changed.
A bucket's number begins at 1 in each process: cases run at once need a repository (and a copy) each.

conformance/cases.txt names every case of the program, to be run or left out, and why. A case it doesn't
name is a failure, so that a newer program brings none in unseen. TLS: over plain HTTP the suite's SDK puts a
bucket's name with a dot into the host's name, even where the host is an address.
"""
import concurrent.futures
import os
import queue
import re
import subprocess
import tempfile

import harness

HERE = os.path.dirname(os.path.abspath(__file__))
BUCKET = b"test-bucket-%v"
AT_ONCE = 2
CASE_SECONDS = 180
# Of the account as a whole: nobody else may make or remove buckets meanwhile.
ALONE = re.compile(r"ListBuckets_")
CONFIG = "gateways: {s3: {list_branch_buckets: true, verify_region: true}}\n"


def find_suite():
    path = os.path.join(harness.SOURCE, "build", "go", "bin", "versitygw")
    assert os.path.exists(path), f"{path} is missing: tools/test installs it"
    return path


def read_cases(path=os.path.join(HERE, "conformance", "cases.txt")):
    """({case to run}, {case left out: reason})"""
    run, left_out, reason = set(), {}, None
    with open(path) as f:
        for line in f:
            line = line.split("#")[0].strip()
            if line.startswith("== run"):
                reason = None
            elif line.startswith("== left out: "):
                reason = line[len("== left out: "):]
            elif line:
                assert line not in run and line not in left_out, f"{line} is there twice"
                if reason:
                    left_out[line] = reason
                else:
                    run.add(line)
    return run, left_out


def suites_cases(suite):
    text = subprocess.run([suite, "test", "--help"], capture_output=True, text=True, check=True).stdout
    names = [line.split()[0] for line in text.split("COMMANDS:")[1].split("OPTIONS:")[0].splitlines() if line.strip()]
    return {n.rstrip(",") for n in names} - {"help"}


def patched(suite, repo, folder):
    with open(suite, "rb") as f:
        program = f.read()
    assert program.count(BUCKET) == 1, f"{suite} makes its buckets' names in another way"
    path = os.path.join(folder, repo)
    with open(path, "wb") as f:
        f.write(program.replace(BUCKET, repo.encode() + b".bucket-%v"))
    os.chmod(path, 0o755)
    return path


def sweep(s3, repo):
    """Removes what a case left behind."""
    for bucket in (b["Name"] for b in s3.list_buckets()["Buckets"]):
        if not bucket.startswith(repo + ".") or bucket == repo + ".main":
            continue
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for o in page.get("Contents", []):
                s3.delete_object(Bucket=bucket, Key=o["Key"])
        s3.delete_bucket(Bucket=bucket)


def run_case(server, program, case):
    """None, or what the case printed."""
    try:
        done = subprocess.run([program, "test", "--allow-insecure", "-a", harness.KEY, "-s", harness.SECRET,
                               "-e", server.url, case], env=harness.clean_env(), text=True, timeout=CASE_SECONDS,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              cwd=os.path.dirname(program), errors="replace")
    except subprocess.TimeoutExpired as e:
        return f"no end after {CASE_SECONDS} s\n{e.stdout or ''}"
    text = re.sub(r"\x1b\[[0-9]*m", "", done.stdout)
    passed = done.returncode == 0 and re.search(r"^PASS ", text, re.M) and not re.search(r"^FAIL ", text, re.M)
    return None if passed else f"exit code {done.returncode}\n{text}"


class Runner:
    def __init__(self, server, suite, folder):
        self.server = server
        self.repos = queue.Queue()
        self.failed = {}
        for i in range(AT_ONCE):
            repo = f"cnf{i}"
            self.repos.put((repo, patched(suite, repo, folder), server.boto3()))

    def run(self, case):
        repo, program, s3 = self.repos.get()
        try:
            output = run_case(self.server, program, case)
            if output:
                self.failed[case] = output
                sweep(s3, repo)
        finally:
            self.repos.put((repo, program, s3))

    def all(self, cases, at_once):
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            list(pool.map(self.run, cases))


def conformance(chosen):
    suite = find_suite()
    run, left_out = read_cases()
    there = suites_cases(suite)
    named = run | set(left_out)
    assert there == named, f"not in cases.txt: {sorted(there - named)}; not in the suite: {sorted(named - there)}"
    cases = sorted(c for c in run if not chosen or any(re.fullmatch(p, c) for p in chosen))
    repos = [f"cnf{i}" for i in range(AT_ONCE)]
    with harness.Server(repos=repos, tls=True, extra=CONFIG) as s, tempfile.TemporaryDirectory() as folder:
        runner = Runner(s, suite, folder)
        runner.all([c for c in cases if not ALONE.match(c)], AT_ONCE)
        runner.all([c for c in cases if ALONE.match(c)], 1)
    for case in sorted(runner.failed):
        print(f"-- {case}: {runner.failed[case].strip()}")
    print(f"{len(cases) - len(runner.failed)} of {len(cases)} cases passed, {len(left_out)} left out")
    assert not runner.failed, sorted(runner.failed)


def test_conformance__s3():
    conformance(os.environ.get("SLUICE_CASES", "").split())


if __name__ == "__main__":
    harness.main(globals())
