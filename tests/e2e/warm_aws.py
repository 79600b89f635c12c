"""An aws-cli kept warm: `Warm(program).run(args, env)` is subprocess.run of the program itself, but for its first
second, in which Python loads what it is made of. That is done once; each command is a fork, a process of its own
with its own environment, files and exit code."""
import json
import os
import re
import runpy
import subprocess
import sys
import tempfile
import traceback


class Warm:
    def __init__(self, program, env):
        with open(program) as f:
            interpreter = re.match(r"#!(\S+)", f.readline()).group(1)
        self.program = program
        self.folder = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen([interpreter, os.path.abspath(__file__), program, self.folder.name], env=env,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()

    def run(self, args, env):
        """The finished process, its output as text."""
        self.process.stdin.write(json.dumps({"args": args, "env": env}) + "\n")
        self.process.stdin.flush()
        code = self.process.stdout.readline()
        if not code:
            raise AssertionError(f"{self.program} {args}: the process that keeps it warm has ended")
        said = []
        for name in ("stdout", "stderr"):
            with open(os.path.join(self.folder.name, name)) as f:
                said.append(f.read())
        return subprocess.CompletedProcess([self.program, *args], int(code), *said)


def become(program, args, env, folder):
    """The rest of the process's life: the program, as its script runs it."""
    os.environ.clear()
    os.environ.update(env)
    for fd, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), fd)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = [program, *args]
    runpy.run_path(program, run_name="__main__")


def serve(program, folder):
    before = dict(os.environ)
    import awscli.clidriver  # noqa: F401, and with it all that takes the time
    loaded = {k: v for k, v in os.environ.items() if before.get(k) != v}  # where its models are

    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if not pid:
            code = 255
            try:
                become(program, job["args"], {**job["env"], **loaded}, folder)
                code = 0
            except SystemExit as e:
                code = e.code if isinstance(e.code, int) else 0 if e.code is None else 1
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    serve(*sys.argv[1:])
