#!/usr/bin/env python3
"""Writes vectors.h: requests that botocore signed, for test_sigv4_verify.c.

Usage: make_vectors.py > vectors.h   (with botocore installed; the file that is committed came
from botocore 1.44.5). The time of signing is fixed, so that the output is, too.
"""
import datetime
import sys
from urllib.parse import quote, urlsplit

import botocore
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

NOW = datetime.datetime(2026, 11, 21, 4, 49, 37, tzinfo=datetime.timezone.utc)
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
HOST = "http://127.0.0.1:8000"

KEYS = [
    "plain.txt",
    "dir/with space/and+plus",
    "a@b=c&d;e:f,g!h$i'(j)*k~l",
    "percent%41literal%2Fand%25",
    "//double//slash///",
    "./dot/../dots/./.",
    "fran\u00e7ais/\u65e5\u672c\u8a9e/\U0001f600",
    'quote"<>\\^`{|}#?[]',
    "tab\tand\x7fcontrol\x01",
    "%",
]
QUERIES = [
    [],
    [("acl", None)],
    [("prefix", "a b+c"), ("delimiter", "/"), ("list-type", "2")],
    [("b", "2"), ("b", "1"), ("a", ""), ("B", "x"), ("a-b", "y"), ("a", "0")],
    [("prefix", "fran\u00e7ais@&=%"), ("marker", "//"), ("uploads", "")],
    [("partNumber", "7"), ("uploadId", "a+b/c=="), ("x-id", "UploadPart")],
]
HEADERS = [
    {},
    {"x-amz-meta-spaces": "  a   b    c  ", "Content-Type": "text/plain; charset=utf-8"},
    {"x-amz-meta-empty": "", "x-amz-copy-source": "/repo/main/a%20b", "Range": "bytes=0-9"},
    {"X-Amz-Meta-CAPS": "Value", "Content-MD5": "4gJE4saaMU4BqNR0kLY+lw=="},
]


def target_of(key, query):
    path = "/repo/main/" + quote(key, safe="/~")
    parts = [quote(k, safe="-_.~") + ("" if v is None else "=" + quote(v, safe="-_.~"))
             for k, v in query]
    return path + ("?" + "&".join(parts) if parts else "")


def freeze():
    class Frozen(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return NOW.replace(tzinfo=None)

        @classmethod
        def now(cls, tz=None):
            return NOW

    botocore.auth.datetime.datetime = Frozen
    if hasattr(botocore.auth, "get_current_datetime"):
        botocore.auth.get_current_datetime = lambda remove_tzinfo=True: (
            NOW.replace(tzinfo=None) if remove_tzinfo else NOW)
    botocore.auth.formatdate = lambda usegmt=True: NOW.strftime("%a, %d %b %Y %H:%M:%S GMT")


def c_str(s):
    out = []
    for byte in s.encode("utf-8"):
        if byte in b'"\\':
            out.append("\\" + chr(byte))
        elif byte == 10:
            out.append("\\n")
        elif 32 <= byte < 127:
            out.append(chr(byte))
        else:
            out.append("\\%03o" % byte)
    return '"' + "".join(out) + '"'


def signed(form, method, target, headers, token):
    credentials = Credentials("AKIAIOSFODNN7EXAMPLE", SECRET, token)
    request = AWSRequest(method=method, url=HOST + target, headers=dict(headers), data=b"")
    if form == "header":
        signer = botocore.auth.S3SigV4Auth(credentials, "s3", "us-east-1")
    elif form == "query":
        signer = botocore.auth.S3SigV4QueryAuth(credentials, "s3", "us-east-1", expires=3600)
    else:
        signer = botocore.auth.HmacV1Auth(credentials)
    signer.add_auth(request)
    parts = urlsplit(request.url)
    lines = [("host", "127.0.0.1:8000")]
    lines += [(k.lower(), v) for k, v in request.headers.items() if k.lower() != "host"]
    raw = request.url[len(HOST):]
    assert raw.startswith(parts.path)
    return raw, "".join(f"{k}:{v.strip()}\n" for k, v in lines)


def main():
    freeze()
    rows = []
    for form in ("header", "query", "v2"):
        for i, key in enumerate(KEYS):
            for j, query in enumerate(QUERIES):
                headers = HEADERS[(i + j) % len(HEADERS)]
                method = ("GET", "PUT", "HEAD", "DELETE", "POST")[(i + 2 * j) % 5]
                token = "tok/en+with=signs" if (i + j) % 3 == 0 else None
                target, lines = signed(form, method, target_of(key, query), headers, token)
                rows.append((form, method, target, lines))
    print("/* Made by make_vectors.py; do not edit. Signed at 20261121T044937Z. */")
    print("static const struct vector {\n\tconst char *form, *method, *target, *headers;\n} vectors[] = {")
    for row in rows:
        headers = "\n\t ".join(c_str(line) for line in row[3].splitlines(keepends=True))
        print("\t{" + ", ".join(c_str(field) for field in row[:3]) + ",\n\t " + headers + "},")
    print("};")
    print(len(rows), "vectors of botocore", botocore.__version__, file=sys.stderr)


main()
