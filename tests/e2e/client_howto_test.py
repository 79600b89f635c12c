"""The pages of docs/how-to: what they tell to type works, and shows what they say."""
import glob
import os
import re
import subprocess

from harness import KEY, SECRET, SLUICE, SOURCE, VENV, Server, clean_env, main

END = "-- end of a block --"


def blocks(page):
    """(language, text) of each fenced block."""
    with open(page) as f:
        return re.findall(r"^```(\w+)\n(.*?)^```$", f.read(), re.M | re.S)


def check_yaml(server, text):
    path = server.path("page.yaml")
    with open(path, "w") as f:
        f.write('database: {type: mem}\nblockstore: {type: mem, signing: {secret_key: "x"}}\n')
        if not text.startswith("auth:"):
            f.write('auth: {encrypt: {secret_key: "x"}}\n')
        f.write(text.replace("auth:\n", 'auth:\n  encrypt: {secret_key: "x"}\n'))
    done = subprocess.run([SLUICE, "config", "check", path], env=clean_env(), capture_output=True, text=True)
    assert done.returncode == 0, (text, done.stdout, done.stderr)


def run_page(page):
    found = blocks(page)
    with Server(repos=("example",)) as server:
        script, expected = "", []
        for n, (language, text) in enumerate(found):
            if language == "yaml":
                check_yaml(server, text)
            if language != "sh":
                continue
            says = found[n + 1][1] if n + 1 < len(found) and found[n + 1][0] == "text" else ""
            script += text + f"echo '{END}'\n"
            expected.append((text, says))
        env = clean_env(SLUICE=server.url, KEY=KEY, SECRET=SECRET, LOG=server.path("server.log"), HOME=server.folder,
                        PATH=VENV + os.pathsep + os.environ["PATH"])
        done = subprocess.run(["bash", "-c", "set -eu\n" + script], env=env, cwd=server.folder, capture_output=True,
                              text=True)
        assert done.returncode == 0, (page, done.stdout, done.stderr)
        shown = done.stdout.split(END + "\n")
        for (text, says), got in zip(expected, shown, strict=False):
            assert got == says, (text, says, got)
        assert len(shown) == len(expected) + 1


def test_pages():
    pages = glob.glob(os.path.join(SOURCE, "docs/how-to/access.md"))
    assert pages
    for page in pages:
        run_page(page)


if __name__ == "__main__":
    main(globals())
