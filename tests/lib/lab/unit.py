# SPDX-License-Identifier: MIT
"""What the unit of droverd leaves to it, for tests that have no systemd.

    host.wrap = unit.wrap()     from its next start on the daemon, and its QEMUs, have
                                the capabilities, system calls, address families and
                                writable folders that dist/droverd.service.in names

Not held: the device list (a control group's), personality, real time, namespaces by
the flags of clone.  Run as a program it does that to itself, and becomes what its
arguments say.
"""
import ctypes
import functools
import os
import subprocess
import sys

from .core import ROOT

SOURCE = os.path.join(ROOT, "dist", "droverd.service.in")
ERRNO, ALLOW = 0x00050000, 0x7fff0000  # SCMP_ACT_*
EPERM, EQUAL = 1, 4
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16, "AF_VSOCK": 40}
BIND, REC, REMOUNT, RDONLY = 4096, 16384, 32, 1  # MS_*
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
READ_ONLY = {"ProtectSystem": ("/usr", "/boot", "/etc"),
             "ProtectKernelTunables": ("/proc/sys", "/sys"),
             "ProtectControlGroups": ("/sys/fs/cgroup",)}
LAST_CAPABILITY = "/proc/sys/kernel/cap_last_cap"

_libc = ctypes.CDLL(None, use_errno=True)


def settings():
    """{key: its words}, those of several lines together."""
    found = {}
    with open(SOURCE, encoding="utf-8") as f:
        for line in f:
            key, equals, value = line.strip().partition("=")
            if equals and not line.startswith("#"):
                found.setdefault(key, []).extend(value.split())
    return found


@functools.lru_cache(None)
def calls(name):
    """The system calls of a group of systemd's, and of those in it."""
    if not name.startswith("@"):
        return {name}
    told = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True,
                          capture_output=True, text=True).stdout
    found = set()
    for line in told.splitlines()[1:]:
        if line.strip() and not line.strip().startswith("#"):
            found |= calls(line.strip())
    return found


def capabilities():
    """Those that the unit leaves, as libcap calls them."""
    return [c.lower() for c in settings()["CapabilityBoundingSet"]]


def wrap():
    return ["unshare", "--mount", "--propagation", "slave", sys.executable, "-m", "lab.unit"]


class _Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int),
                ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def _checked(value):
    if value < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return value


def filter_calls(unit):
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ERRNO | EPERM))
    names = set().union(*map(calls, unit["SystemCallFilter"]))
    names |= {"execve", "exit", "exit_group"}
    if unit["RestrictNamespaces"] == ["yes"]:
        names -= {"unshare", "setns"}
    for name in names - {"socket"}:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            _checked(library.seccomp_rule_add_array(context, ALLOW, number, 0, None))
    for family in unit["RestrictAddressFamilies"]:
        _checked(library.seccomp_rule_add_array(
            context, ALLOW, library.seccomp_syscall_resolve_name(b"socket"), 1,
            ctypes.byref(_Compare(0, EQUAL, FAMILIES[family], 0))))
    _checked(library.seccomp_load(context))


def read_only(unit):
    for key, paths in READ_ONLY.items():
        for path in paths if unit.get(key, ["no"]) != ["no"] else ():
            if os.path.isdir(path):
                name = path.encode()
                _checked(_libc.mount(name, name, None, BIND | REC, None))
                _checked(_libc.mount(None, name, None, BIND | REMOUNT | RDONLY, None))


def number_of(name):
    """CAP_KILL is 5."""
    library = ctypes.CDLL("libcap.so.2")
    value = ctypes.c_int()
    _checked(library.cap_from_name(name.encode(), ctypes.byref(value)))
    return value.value


def bound(unit):
    kept = {number_of(c.lower()) for c in unit["CapabilityBoundingSet"]}
    with open(LAST_CAPABILITY, encoding="ascii") as f:
        last = int(f.read())
    for number in set(range(last + 1)) - kept:
        _checked(_libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0))


def main():
    unit = settings()
    read_only(unit)
    bound(unit)
    if unit["NoNewPrivileges"] == ["yes"]:
        _checked(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    filter_calls(unit)
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
