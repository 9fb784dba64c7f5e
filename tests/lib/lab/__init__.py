# SPDX-License-Identifier: MIT
"""Hosts, networks, QEMUs and faults for the tests that need real ones.

    core      Lab: processes, files and names of one test; ends them all
    network   namespaces, veth pairs, shaping, link faults
    host      a droverd in a namespace, and the drover command
    machine   definitions of machines, the stress guest, plain QEMU processes
    qmp       QEMU's monitor
    huge      huge pages for a test
    linux     a real guest: kernel and initramfs
    labhost   one or two hosts with another kernel
    agent     what runs in them
    within    a file of tests that runs in one
    resident  a droverd in one, for a test out here
    console   serial lines with the host's time; heartbeat gaps
    tap       recording the migration stream inside QEMU
    progress  what a move says of itself, and where it stood still
    release   the programs of the last release
    oracle    was what QEMU sent what the destination got?
    proxy     a TCP proxy with faults between two daemons
    wire      what daemons say to each other, said by a test
    unit      what the unit of droverd leaves to it, without a systemd
    web       drover-web, and requests to it
    browser   Chromium, for its page
    booted    a Debian of its own that its systemd runs
    authority a CA of openssl's, and certificates of hosts
    suite     runs one file of tests for tests/run

Everything is the standard library of Python 3.11.
"""
from .core import BUILD, ROOT, Failed, Lab, Stolen, needs, qemu10, slow, wait_for

__all__ = ["BUILD", "ROOT", "Failed", "Lab", "Stolen", "needs", "qemu10", "slow", "wait_for"]
