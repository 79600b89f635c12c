"""What the tests of transcripts share, which ask again what a real lakeFS answered: the recordings, and the tables
that say how answers differ and why. A difference that no table has fails, and so does a row whose difference is
gone."""
import json
import os
import re

from harness import SOURCE


def exchanges(name):
    with open(os.path.join(SOURCE, "tests", "data", name)) as f:
        return [json.loads(line) for line in f]


def expand(numbers):
    """1-3,7 as {1, 2, 3, 7}."""
    out = set()
    for part in numbers.split(","):
        first, _, last = part.partition("-")
        out |= set(range(int(first), int(last or first) + 1))
    return out


def by_number(rows):
    """{number: what differs} of rows (why, numbers, what differs); a number is in one of them."""
    out = {}
    for _, numbers, expected in rows:
        for n in expand(numbers):
            assert n not in out, f"{n} is there twice"
            out[n] = expected
    return out


class Systematic:
    """What differs wherever it can: (why, a pattern of the difference). Each must be seen."""

    def __init__(self, rules):
        self.rules = rules
        self.unseen = list(rules)

    def explains(self, difference):
        for rule in self.rules:
            if re.fullmatch(rule[1], difference, re.S):
                if rule in self.unseen:
                    self.unseen.remove(rule)
                return True
        return False

    def remaining(self, found):
        """{number: (exchange, differences)} without those that are explained."""
        return {n: (x, [d for d in out if not self.explains(d)]) for n, (x, out) in found.items()}


def complaints(found, expected, systematic):
    """One for each exchange that differs otherwise than it should, and each rule that nothing needs."""
    wrong = [f"systematic, but nowhere: {rule}" for rule in systematic.unseen]
    for n, (x, out) in found.items():
        if out != expected.get(n, []):
            wrong.append(f"{n} {x['name']}\n   expected {expected.get(n, [])}\n   found    {out}")
    return wrong + [f"{n} isn't asked" for n in expected if n not in found]


def show(found):
    for n, (x, out) in found.items():
        if out:
            print(n, x["name"], out)
