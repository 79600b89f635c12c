"""Dumps of a KV (kv/dump.h), read and written by code that isn't sluice's; and staged objects in them."""
import base64
import hashlib
import json
import struct

from awscrt.checksums import crc32c

HEAD = {"sluice_kv_dump": 1, "id": "0", "created": "2026-01-01T00:00:00.000Z", "by": "a test"}


def checksum(partition, key, value):
    joined = struct.pack(">I", len(partition)) + partition + struct.pack(">I", len(key)) + key + value
    return f"{crc32c(joined):08x}"


class Tally:
    def __init__(self):
        self.all, self.partitions, self.records = hashlib.sha256(), 0, 0

    def begin(self, name):
        self.name, self.one, self.n = name, hashlib.sha256(), 0

    def add(self, key, value):
        self.one.update(struct.pack(">I", len(key)) + key + struct.pack(">I", len(value)) + value)
        self.n += 1

    def end(self):
        self.all.update(struct.pack(">I", len(self.name)) + self.name + struct.pack(">Q", self.n) + self.one.digest())
        self.partitions += 1
        self.records += self.n


def shown(name, data):
    try:
        text = data.decode()
        if not any(ord(c) < 32 or ord(c) == 127 for c in text):
            return {name: text}
    except UnicodeDecodeError:
        pass
    return {name + "64": base64.b64encode(data).decode()}


def hidden(name, doc):
    return doc[name].encode() if name in doc else base64.b64decode(doc[name + "64"], validate=True)


def write(path, partitions):
    """partitions: {name: iterable of (key, value), ascending}."""
    whole, tally = hashlib.sha256(), Tally()
    with open(path, "wb") as f:
        def line(doc):
            data = json.dumps(doc, separators=(",", ":")).encode() + b"\n"
            whole.update(data)
            f.write(data)

        line(HEAD)
        for name in sorted(partitions):
            line(shown("partition", name))
            tally.begin(name)
            for key, value in partitions[name]:
                tally.add(key, value)
                line({**shown("key", key), "value": base64.b64encode(value).decode(),
                      "crc32c": checksum(name, key, value)})
            tally.end()
            line({"records": tally.n, "sha256": tally.one.hexdigest()})
        line({"partitions": tally.partitions, "records": tally.records, "digest": tally.all.hexdigest(),
              "file_sha256": whole.hexdigest()})


def read(path):
    """{partition: {key: value}}; every checksum is looked at."""
    whole, tally, found, at = hashlib.sha256(), Tally(), {}, None
    with open(path, "rb") as f:
        lines = f.read().splitlines(keepends=True)
    docs = [json.loads(data) for data in lines]
    assert docs[0]["sluice_kv_dump"] == 1 and lines[-1].endswith(b"\n")
    for data, doc in zip(lines, docs):
        if "file_sha256" in doc:
            assert data is lines[-1] and doc["file_sha256"] == whole.hexdigest()
            assert (doc["partitions"], doc["records"]) == (tally.partitions, tally.records)
            assert doc["digest"] == tally.all.hexdigest()
            return found
        whole.update(data)
        if "partition" in doc or "partition64" in doc:
            name = hidden("partition", doc)
            at = found.setdefault(name, {})
            tally.begin(name)
        elif "crc32c" in doc:
            key, value = hidden("key", doc), base64.b64decode(doc["value"], validate=True)
            assert doc["crc32c"] == checksum(name, key, value), key
            at[key] = value
            tally.add(key, value)
        elif "sha256" in doc:
            assert (doc["records"], doc["sha256"]) == (tally.n, tally.one.hexdigest())
            tally.end()
    raise AssertionError("the last line isn't there")


def staged_like(value, key):
    """The staged entry `value` (StagedEntryData: 1 key, 2 identity, 3 entry) under another key."""
    assert value[0] == 0x0a and value[1] < 0x80, value[:4]
    rest = value[2 + value[1]:]
    assert len(key) < 0x80
    return bytes([0x0a, len(key)]) + key + rest


def staged_token(partitions, branch=b"main"):
    """The partition of the staged objects of the only repository's branch."""
    found = [p for p in partitions if b"-" + branch + b":" in p]
    assert len(found) == 1, found
    return found[0]
