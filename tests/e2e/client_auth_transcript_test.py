"""What a real lakeFS answered about setup, logins, users and what it has no groups and policies for, asked again of a
server that is set up by the first of these requests and runs without access control (auth.ui_config.rbac: none), as
lakeFS does. The tables say where the answers differ on purpose; each difference must be there.

After a change:  client_auth_transcript_test.py --show  prints what differs now."""
import base64
import json
import sys

import client_rest_transcript_test as rest
from harness import Server, main
from transcript import Systematic, by_number, complaints, exchanges, show

PAIR = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
EXTRA = 'auth: {encrypt: {secret_key: "encrypt-encrypt-encrypt"}, ui_config: {rbac: none}}\n'

# (why, numbers, exactly what differs)
DIFFERENCES = [
    ("nobody here sends mail, so no preferences are kept", "3,18",
     ['/comm_prefs_missing: True -> False']),
    ("the same", "20-21",
     ['status 400 -> 409']),
    ("the same", "22",
     ['status 200 -> 409']),
    ("the same", "23",
     ["/message: 'communication preferences already set' -> 'no preferences are kept here: nobody sends mail'"]),
    ("words of the JSON reader", "10",
     ["/message: 'request body has an error: failed to decode request body: unexpected EOF' -> \"request body has an "
      "error: failed to decode request body: The JSON is not valid at line 1, column 1: string or '}' expected near "
      "end of file\""]),
    ("words of the JSON reader", "33",
     ["/message: \"request body has an error: failed to decode request body: invalid character 'o' in literal null "
      "(expecting 'u')\" -> \"request body has an error: failed to decode request body: The JSON is not valid at line "
      "1, column 4: invalid token near 'nope'\""]),
    ("a token is nothing to keep", "29",
     ["cache-control: None -> 'no-store'"]),
    ("a page's bound is told, and its prefix heeded", "79-80",
     ['/pagination/max_per_page: 0 -> 1000']),
    ("the same", "81",
     ['/pagination/max_per_page: 0 -> 1000', '/pagination/results: 1 -> 0', '/results: without admin']),
    ("what wasn't found is named", "95",
     ["/message: 'not found' -> 'user not found'"]),
]


# Neither asked here nor by client_rest_transcript_test.py: number -> why.
NOT_ASKED = {
    2: "no part of the API: client_server_test.py asks for /_health",
    48: "no part of the API: client_auth_test.py asks for /logout",
    53: "there is no web UI: a path outside of the API is S3's",
    57: "no part of the API: client_rest_routes_test.py asks for /openapi.json",
    60: "there is no Iceberg catalogue", 61: "there is no Iceberg catalogue",
    67: "66 with a token; client_auth_test.py asks with tokens",
    559: "a commit by two digits of its id, which others may begin with",
    844: "no part of the API: client_server_test.py asks for /metrics",
    845: "there is no web UI", 846: "there is no web UI",
    851: "after a restart, which client_rest_test.py and others do", 852: "after a restart, as 851",
}


class FreshServer(Server):
    """Nobody has set it up."""

    def configure(self):
        super().configure()
        path = self.path("config.yaml")
        with open(path) as f:
            lines = [line for line in f if not line.startswith("auth:")]
        with open(path, "w") as f:
            f.write("".join(lines) + EXTRA)

    def prepare(self):
        self.configure()


class Replay(rest.Replay):
    token = cookie = None

    def authorization(self, x):
        kind, out = x["auth"], {}
        for pair, secret in (("admin", PAIR), ("bad-secret", (PAIR[0], "wrong")),
                             ("bad-key", ("AKIAUNKNOWNEXAMPLEAA", PAIR[1]))):
            if kind == pair:
                out["Authorization"] = "Basic " + base64.b64encode(":".join(secret).encode()).decode()
        if kind == "bearer" or kind.endswith("+bearer"):
            out["Authorization"] = "Bearer " + self.token
        if kind == "bearer-bad":
            out["Authorization"] = "Bearer abc.def.ghi"
        if kind.startswith("cookie"):
            value = self.token if kind == "cookie" else "bad"
            out["Cookie"] = "internal_auth_session=" + value
        return out


def asked(x):
    if x["n"] > 130 or not x["path"].startswith("/api/v1"):
        return False
    if x.get("op") == "getConfig":
        return False
    return x.get("op") in rest.OF_AUTH or any(x["auth"].startswith(a) for a in ("bearer", "cookie", "bad-"))


def replayed():
    found = {}
    with FreshServer(repos=()) as server:
        replay = Replay(server)
        for x in exchanges("lakefs_rest.jsonl"):
            if not asked(x):
                continue
            status, headers, body = replay.ask(x)
            if x.get("op") == "login" and status == 200:
                check_login(json.loads(body), headers["set-cookie"])
                replay.token = json.loads(body)["token"]
                x = dict(x, response_body=json.dumps(dict(json.loads(x["response_body"]), token=replay.token,
                                                          token_expiration=json.loads(body)["token_expiration"])))
            found[x["n"]] = x, rest.differences(x, status, headers, body, replay)
    return found


def check_login(answer, cookie):
    parts = [part.strip() for part in cookie.split(";")]
    assert parts[0] == "internal_auth_session=" + answer["token"], parts
    assert parts[1] == "Path=/" and parts[2].startswith("Expires=") and parts[3:] == [
        "Max-Age=2592000", "HttpOnly", "SameSite=Lax"], parts


def test_transcript():
    found = replayed()
    wrong = complaints(found, by_number(DIFFERENCES), Systematic([]))
    assert not wrong, "\n".join(wrong)
    assert len(found) == 95, len(found)


def test_every_exchange_is_asked_or_excused():
    recorded = exchanges("lakefs_rest.jsonl")
    left = {x["n"] for x in recorded if not asked(x) and not rest.asked(x)}
    assert left == set(NOT_ASKED), left ^ set(NOT_ASKED)
    assert len(recorded) == 852, len(recorded)


if __name__ == "__main__":
    if "--show" in sys.argv:
        rows = replayed()
        show(rows)
        print(len(rows))
    else:
        main(globals())
