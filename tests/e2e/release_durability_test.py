"""kill -9 during a load of writes, again and again: every acknowledged object is there and whole, none is
torn, and what was deleted stays deleted."""
import http.client
import os
import random
import signal
import threading
import time

from harness import Server, main, sign

ROUNDS = 50
WRITERS = 8


def body(key, version, size):
    seed = f"{key}:{version}:".encode()
    return (seed * (size // len(seed) + 1))[:size]


class Writer(threading.Thread):
    """Writes its own keys over and over; keeps what was acknowledged and what may have been."""

    def __init__(self, server, n, state):
        super().__init__()
        self.server, self.n, self.state = server, n, state
        self.stopping = False
        self.random = random.Random(os.urandom(8))

    def run(self):
        h = self.server.connect(30)
        while not self.stopping:
            key = f"/example/main/k/{self.n}-{self.random.randrange(20)}"
            old = self.state.get(key, {None})
            size = self.random.choice((0, 10, 1000, 70000, 600000))
            version = time.monotonic_ns()
            delete = self.random.random() < 0.15
            new = None if delete else (version, size)
            self.state[key] = old | {new}  # until it is acknowledged, either
            try:
                if delete:
                    h.request("DELETE", key, headers=sign("DELETE", self.server.url + key))
                else:
                    h.request("PUT", key, body=body(key, version, size), headers=sign("PUT", self.server.url + key))
                r = h.getresponse()
                r.read()
            except (OSError, http.client.HTTPException):
                return
            if r.status in (200, 204):
                self.state[key] = {new}
            elif r.status >= 500:
                pass  # unknown
            else:
                raise AssertionError(f"{r.status} for {key}")


def verify(s, state):
    h = s.connect(60)
    for key, allowed in state.items():
        h.request("GET", key, headers=sign("GET", s.url + key))
        r = h.getresponse()
        got = r.read()
        if r.status == 404:
            assert None in allowed, f"{key} is lost: {allowed}"
            state[key] = {None}
            continue
        assert r.status == 200, (r.status, got)
        found = [a for a in allowed if a and body(key, *a) == got]
        assert found, f"{key} is torn or old: {len(got)} bytes, allowed {allowed}"
        state[key] = {found[0]}


def test_kill_9():
    with Server() as s:
        state, acknowledged = {}, 0
        for i in range(ROUNDS):
            writers = [Writer(s, n, state) for n in range(WRITERS)]
            for w in writers:
                w.start()
            time.sleep(random.uniform(0.05, 0.5))
            s.stop(signal.SIGKILL)
            for w in writers:
                w.stopping = True
            for w in writers:
                w.join()
            acknowledged += sum(1 for v in state.values() if len(v) == 1)
            s.start()
            verify(s, state)
        print(f"{ROUNDS} kills, {len(state)} keys, {acknowledged} acknowledged states checked")
        assert acknowledged > ROUNDS * 5


if __name__ == "__main__":
    main(globals())
