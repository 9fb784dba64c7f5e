# SPDX-License-Identifier: MIT
"""A CA as administrators have one: made by openssl, not by Drover."""
import os
import shutil
import subprocess

SETTINGS = """[ca]
default_ca = it
[it]
database = {folder}/index.txt
new_certs_dir = {folder}
serial = {folder}/serial
default_md = sha256
policy = names
unique_subject = no
[names]
commonName = supplied
[host]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = serverAuth,clientAuth
"""
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
PAST = ("-startdate", "20200101000000Z", "-enddate", "20210101000000Z")
FUTURE = ("-startdate", "20900101000000Z", "-enddate", "20910101000000Z")


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


class Authority:
    def __init__(self, folder, days=30):
        os.makedirs(folder)
        self.key, self.certificate, self.settings = (
            os.path.join(folder, name) for name in ("ca.key", "ca.pem", "ca.cnf"))
        for name, text in (("ca.cnf", SETTINGS.format(folder=folder)), ("index.txt", ""),
                           ("serial", "1000\n")):
            with open(os.path.join(folder, name), "w", encoding="ascii") as f:
                f.write(text)
        openssl("req", "-x509", *CURVE, "-keyout", self.key, "-out", self.certificate,
                "-subj", "/CN=our CA", "-days", str(days), "-addext", "keyUsage=critical,keyCertSign")

    def enrol(self, folder, name, days=7, when=None):
        """What belongs into the host's trust-directory; the folder."""
        os.makedirs(folder, mode=0o700, exist_ok=True)
        key, asked, made = (os.path.join(folder, x) for x in ("host.key", "host.csr", "host.pem"))
        openssl("req", *CURVE, "-keyout", key, "-out", asked, "-subj", f"/CN={name}")
        openssl("ca", "-batch", "-notext", "-config", self.settings, "-extensions", "host",
                "-cert", self.certificate, "-keyfile", self.key, "-in", asked, "-out", made,
                *(when or ("-days", str(days))))
        shutil.copy(self.certificate, os.path.join(folder, "authority.pem"))
        return folder


def trust(lab, hosts):
    """The hosts, which are not yet started, know each other by certificates."""
    authority = Authority(lab.path("ca"))
    for host in hosts:
        folder = authority.enrol(lab.path(f"{host.name}-trust"), host.name)
        host.settings["host"]["trust-directory"] = folder
        for section, values in host.settings.items():
            if section.startswith("peer "):
                values["tls"] = "on"
