"""A server that misbehaves on request; made of sockets, so that it can break HTTP itself.

It answers ``POST /FAULT`` like an honest endpoint (``{"p": [[…], …]}`` for ``{"data": [[…], …]}``),
except that the fault named in the path happens. ``/FAULT:n`` makes only the first ``n`` requests
fail, ``/FAULT~n`` every n-th one, ``/FAULT=n`` the n-th alone. ``GET /log`` lists the requests that
came, ``GET /forget`` forgets them. Run: ``python fault_server.py PORT``.
"""

import json
import math
import random
import re
import socket
import sys
import threading
import time
import zlib

N_CLASSES = 3
LOG, COUNTS, LOCK, CHANCE = [], {}, threading.Lock(), random.Random(0)


def scores_of(row):
    """Three probabilities that depend smoothly on the row."""
    first = 1 / (1 + math.exp(4 * (row[0] - row[1])))
    return [first, 0.6 * (1 - first), 0.4 * (1 - first)]


def honest(rows):
    """The answer that no fault has touched."""
    return {"p": [scores_of(row) for row in rows]}


def reply(status, body, *headers):
    """A complete HTTP answer."""
    lines = [
        f"HTTP/1.1 {status} x",
        f"Content-Length: {len(body)}",
        "Content-Type: application/json",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def drip(connection, data, gap, stop_after=30):
    """One byte at a time."""
    end = time.monotonic() + stop_after
    for byte in data:
        if time.monotonic() > end:
            return
        connection.sendall(bytes([byte]))
        time.sleep(gap)


def read_slowly(stream, length, pieces=20, gap=0.05):
    """Take a body in, in a second."""
    parts = []
    for piece in range(pieces):
        parts.append(stream.read(length * (piece + 1) // pieces - length * piece // pieces))
        time.sleep(gap)
    return b"".join(parts)


def gzipped(parts):
    """Compress, piece by piece."""
    packer = zlib.compressobj(1, wbits=31)
    return b"".join(packer.compress(part) for part in parts) + packer.flush()


def chunked(parts):
    """A body in HTTP's chunks."""
    return CHUNKED + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNFRAMED = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
GZIP = "Content-Encoding: gzip"

BODIES = {
    "nan": lambda good, first: good.replace(first, b"[NaN, 0.5, 0.5]"),
    "infinity": lambda good, first: good.replace(first, b"[1e999, 0.5, 0.5]"),
    "null": lambda good, first: good.replace(first, b"[null, 0.5, 0.5]"),
    "text": lambda good, first: good.replace(first, b'["0.2", 0.5, 0.3]'),
    "true": lambda good, first: good.replace(first, b"[true, 0.0, 0.0]"),
    "negative": lambda good, first: good.replace(first, b"[-0.2, 0.6, 0.6]"),
    "short-row": lambda good, first: good.replace(first, b"[0.5, 0.5]"),
    "double": lambda good, first: b'{"p": [], "p"' + good[4:],
    "html": lambda good, first: b"<html><body>It works!</body></html>",
    "empty": lambda good, first: b"",
    "cut": lambda good, first: good[:-7],
    "deep": lambda good, first: b"[" * 60_000,
    "latin": lambda good, first: b'{"p": "\xe9"}',
    "huge": lambda good, first: good[:-1] + b', "pad": "' + b"x" * 50_000_000 + b'"}',
    "digits": lambda good, first: b'{"p": [[' + b"9" * 10_000 + b", 0, 0]]}",
}
"""Complete HTTP answers with a body that is not right."""

RAW = {
    "gzip": lambda good: reply(200, gzipped([good]), GZIP),
    "cut-gzip": lambda good: reply(200, gzipped([good])[:-12], GZIP),
    "bomb": lambda good: reply(200, gzipped([b" " * 1_000_000] * 20), GZIP),
    "brotli": lambda good: reply(200, good, "Content-Encoding: br"),
    "cookie": lambda good: reply(200, good, "Set-Cookie: session=1; Path=/"),
    "chunked": lambda good: chunked([good[i : i + 7] for i in range(0, len(good), 7)]),
    "after-1": lambda good: reply(429, b'{"error": "slow down"}', "Retry-After: 1"),
    "after-1h": lambda good: reply(429, b'{"error": "come back later"}', "Retry-After: 3600"),
    "r301": lambda good: reply(301, b"", "Location: /ok"),
    "r307": lambda good: reply(307, b"", "Location: /ok"),
}
"""Other answers, after which the connection stays open."""

LAST = {
    "truncated": lambda good: reply(200, good)[:-5],
    "cut-chunked": lambda good: CHUNKED + b"40\r\n" + good[:10],
    "unframed-cut": lambda good: UNFRAMED + good[:-5],
    "unframed": lambda good: UNFRAMED + good,
    "close": lambda good: b"",
    "not-http": lambda good: b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "many-headers": lambda good: (
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(500)) + b"\r\n"
    ),
    "two-lengths": lambda good: (
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 9\r\n\r\n" + good
    ),
    "drop-idle": lambda good: reply(200, good),
}
"""What is sent before the connection is closed."""

ROWS = {
    "few-rows": lambda rows: rows[:-1],
    "one-row": lambda rows: rows[:1],
    "many-rows": lambda rows: [*rows, rows[0]],
}
"""The rows that are answered, instead of those asked."""


def judge(fault, rows, key):
    """Faults that depend on what was asked; None where there is nothing to object to."""
    if fault == "batch-400" and len(rows) > 4:
        return reply(400, b'{"error": "inference request batch-size must be <= 4"}')
    if fault == "wrapped-413" and len(rows) > 4:
        return reply(424, b"", "ms-azureml-model-error-statuscode: 413")
    if fault == "poison" and any(row[0] > 8 for row in rows):
        return reply(500, b"boom")
    if fault == "echo-key":
        return reply(403, json.dumps({"error": f"key {key} is not known"}).encode())
    if fault == "echo-in-200":
        return reply(200, json.dumps({"error": key}).encode())
    return None


def act(fault, connection, rows, key):
    """Misbehave; returns whether the connection stays open. "mixed" is a fifth of all faults."""
    if fault == "mixed":
        fault = (
            CHANCE.choice(
                ["e429", "e500", "e503", "reset", "truncated", "cut-chunked", "close", "silent"]
            )
            if CHANCE.random() < 0.2
            else "ok"
        )
    good = json.dumps(honest(ROWS.get(fault, lambda same: same)(rows))).encode()
    if fault in BODIES:
        connection.sendall(reply(200, BODIES[fault](good, json.dumps(scores_of(rows[0])).encode())))
    elif fault in RAW:
        connection.sendall(RAW[fault](good))
    elif fault in LAST:
        connection.sendall(LAST[fault](good))
    elif re.fullmatch(r"e\d+", fault):
        connection.sendall(reply(int(fault[1:]), b"<html><h1>no</h1></html>"))
    elif fault == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    elif fault == "silent":
        time.sleep(1.5)
    elif fault.startswith("drip"):
        head = reply(200, good)[: -len(good)] if fault == "drip-body" else b""
        connection.sendall(head)
        drip(connection, reply(200, good)[len(head) :], 0.1)
    else:
        connection.sendall(judge(fault, rows, key) or reply(200, good))
    return fault not in LAST and fault not in ("reset", "silent")


def serve(connection):
    """Answer requests on one connection until it ends."""
    stream = connection.makefile("rb")
    try:
        while line := stream.readline():
            method, path, _ = line.decode().split(" ", 2)
            headers = {}
            while (header := stream.readline().decode().strip()) != "":
                name, _, value = header.partition(":")
                headers[name.lower()] = value.strip()
            path = re.sub("^http://[^/]+", "", path)  # as a proxy is asked
            length = int(headers.get("content-length", 0))
            body = read_slowly(stream, length) if path == "/slow-read" else stream.read(length)
            if path == "/log":
                connection.sendall(reply(200, json.dumps(LOG).encode()))
                continue
            if path == "/forget":
                with LOCK:
                    LOG.clear()
                    COUNTS.clear()
                connection.sendall(reply(200, b"{}"))
                continue
            fault, kind, number = re.fullmatch(r"/([\w-]+)(?:([:~=])(\d+))?", path).groups()
            rows = json.loads(body)["data"] if body else []
            with LOCK:
                count = COUNTS[path] = COUNTS.get(path, 0) + 1
                LOG.append(
                    {
                        "method": method,
                        "path": path,
                        "n": len(rows),
                        "headers": headers,
                        "first": rows[0][0] if rows else None,
                        "port": connection.getpeername()[1],
                    }
                )
            limit = int(number or 0)
            fails = {
                None: True,
                ":": count <= limit,
                "=": count == limit,
                "~": limit and count % limit == 0,
            }[kind]
            if not act(
                fault if fails else "ok", connection, rows, headers.get("authorization", "")
            ):
                break
    except (OSError, ValueError, AttributeError):
        pass
    finally:
        stream.close()
        connection.close()


def main(port):
    """Serve for ever, a thread for each connection."""
    with socket.create_server(("127.0.0.1", port), backlog=64) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]))
