#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What TLS in the kernel costs: processor time of sender and receiver for each MiB.

    PYTHONPATH=tests/lib python3 -m lab.labhost --module tls python3 bench/ktls.py [MIB]

One connection over loopback, the ways one after the other, three times, medians: plain;
OpenSSL's SSL_write and SSL_read; the same with its own offload of sending; records that the
kernel makes and reads (keys set by hand, as channel/record.c could).  AES-256-GCM, TLS 1.3.
User and system time are both counted, as the kernel's work is done in the calls.
"""
import os
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

MIB, ROUNDS = 1 << 20, 3
BLOCK = bytes(range(256)) * 1024  # 256 KiB
SOL_TLS, TCP_ULP, TLS_TX, TLS_RX = 282, 31, 1, 2
OP_ENABLE_KTLS = 1 << 3
# struct tls12_crypto_info_aes_gcm_256 for TLS 1.3: version, cipher, iv, key, salt, number
INFO = struct.pack("=HH8s32s4s8s", 0x0304, 52, b"i" * 8, b"k" * 32, b"s" * 4, bytes(8))


def times():
    return time.thread_time()  # of this thread: user and system


def certificate(folder):
    key, cert = os.path.join(folder, "key"), os.path.join(folder, "cert")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
                    "-subj", "/CN=bench", "-days", "1"], check=True, capture_output=True)
    return key, cert


def contexts(folder, kernel):
    key, cert = certificate(folder)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    for context in (server, client):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if kernel:
            context.options |= OP_ENABLE_KTLS
    return server, client


def wrap_plain(s, _server):
    return s


def wrap_kernel(s, server):
    s.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    s.setsockopt(SOL_TLS, TLS_RX if server else TLS_TX, INFO)
    return s


def wrap_openssl(folder, kernel):
    pair = contexts(folder, kernel)

    def wrap(s, server):
        return pair[0 if server else 1].wrap_socket(s, server_side=server)
    return wrap


def carry(wrap, size):
    """(sender's, receiver's seconds of processor time)"""
    listener = socket.create_server(("127.0.0.1", 0))
    spent = {}

    def receive():
        s, _ = listener.accept()
        s = wrap(s, True)
        begin, buffer, left = times(), bytearray(MIB), size
        while left > 0:
            n = s.recv_into(buffer)
            if n == 0:
                raise EOFError(f"{left} bytes are missing")
            left -= n
        spent["receiver"] = times() - begin
        s.close()
    thread = threading.Thread(target=receive)
    thread.start()
    s = wrap(socket.create_connection(listener.getsockname()), False)
    begin = times()
    for _ in range(size // len(BLOCK)):
        s.sendall(BLOCK)
    spent["sender"] = times() - begin
    thread.join()
    s.close()
    listener.close()
    return spent["sender"], spent["receiver"]


def offloaded():
    try:
        with open("/proc/net/tls_stat", encoding="ascii") as f:
            return {k: int(v) for k, v in (line.split() for line in f) if k in
                    ("TlsTxSw", "TlsRxSw")}
    except OSError:
        return {}


def main():
    size = int(sys.argv[1]) * MIB if len(sys.argv) > 1 else 64 * MIB
    print(os.uname().release, ssl.OPENSSL_VERSION, f"{size // MIB} MiB")
    with tempfile.TemporaryDirectory() as folder:
        ways = {"plain": wrap_plain, "OpenSSL": wrap_openssl(folder, False),
                "OpenSSL, kernel sends": wrap_openssl(folder, True),
                "kernel, both ways": wrap_kernel}
        spent = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, wrap in ways.items():
                before = offloaded()
                spent[name].append(carry(wrap, size))
                after = offloaded()
                counts = {k: after[k] - before.get(k, 0) for k in after}
                if name != "plain" and name != "OpenSSL" and not counts.get("TlsTxSw"):
                    print(f"{name}: the kernel took none of it: {counts}")
    for name, both in spent.items():
        sender, receiver = (statistics.median(x) * 1000 / (size // MIB) for x in zip(*both))
        print(f"{name:<24} sender {sender:6.2f}  receiver {receiver:6.2f}  ms for each MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
