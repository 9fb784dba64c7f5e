# SPDX-License-Identifier: MIT
"""What a peer may do: every message by which a session may begin, with each single right,
with none, and with those that are given by default."""
import os
import re
import unittest

from lab import ROOT, Lab, machine, needs, wait_for
from lab.host import PROGRAMS, Host, connect
from lab.network import Network
from lab.wire import ACCEPT, BYE, OPEN, Peer, hello

TIME_LIMIT = 180
PARALLEL = True
RIGHTS = ("move-in", "return", "compare", "plan", "state", "relay", "drain", "libvirt")
DEFAULT = RIGHTS[:6]
DESCRIBED = {"name": "web", "definition": "no definition", "type": "pc", "qemu": [7, 2, 0],
             "memory": 16 << 20, "kvm": False, "files": [], "devices": [], "blockers": [],
             "capabilities": []}
# The right that each needs, and what it has to say to be understood; None: no right.
REQUESTS = {
    "move": ("move-in", {"job": "1", "machine": DESCRIBED}),
    "disks": ("move-in", {"job": "1234abcd", "machine": "web1", "disks": []}),
    "compare": ("compare", {"machine": DESCRIBED}),
    "plan": ("plan", {}),
    "facts": ("plan", {}),
    "return": ("return", {"uuid": "123e4567-e89b-42d3-a456-426614174000"}),
    "holds": ("state", {"uuid": "123e4567-e89b-42d3-a456-426614174000"}),
    "relay": ("relay", {"name": "r"}),
    "carries": ("relay", {"name": "r"}),
    "pool": ("move-in", {"name": "p"}),
    "ask": (None, {"job": "1"}),
    "resolve": (None, {"job": "1", "decision": "commit"}),
    "offer": (None, {}),
    # These are answered to hosts of the CA alone.
    "members": (None, {}),
    "renew": (None, {"request": "x"}),
}
# No session begins with these, whatever the peer may do.
OTHERS = {
    "prepared": {}, "loaded": {}, "commit": {}, "running": {}, "registered": {}, "done": {},
    "failed": {"error": "x"}, "findings": {"findings": []}, "ready": {}, "blocks": {},
    "carried": {"carries": True}, "resolved": {"state": "gone"}, "answer": {"decision": "abort"},
    "holder": {"state": "none"}, "full": {}, "taken": {"takes": True},
    "renewed": {"certificate": "x"}, "host": {"facts": {}}, "returns": {"state": "unknown"},
    "takes": {}, "folder": {"path": "/x"}, "copy": {"block": 0, "first": 0, "last": True},
    "seal": {}, "sealed": {}, "drain": {}, "of-later": {},
}
# Is kept by the session itself, whoever has one, and answered by nothing.
KEPT = {"busy": {"address": "10.0.0.1", "others": 1}}


def names(table):
    """Those of a table in message.c."""
    with open(os.path.join(ROOT, "src", "wire", "message.c"), encoding="utf-8") as f:
        found = re.search(rf"\b{table}\[\w+\] = {{(.*?)}};", f.read(), re.DOTALL)
    return set(re.findall(r'"([^"]+)"', found[1]))


class Complete(unittest.TestCase):
    def test_all_messages_and_all_rights_are_walked(self):
        self.assertEqual(names("types"),
                         set(REQUESTS) | set(KEPT) | set(OTHERS) - {"drain", "of-later"})
        self.assertEqual(names("rights"), set(RIGHTS))


@needs(*PROGRAMS)
class Rights(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, ("alpha", "beta"), links=1)
        self.alpha, self.beta = connect(*(
            Host(self.lab, name, self.network[name], self.network.addresses(name))
            for name in ("alpha", "beta")))
        self.attacker, self.target = self.network["alpha"], self.beta.addresses[0]

    def say(self, kind, more):
        peer = Peer(self, hello(OPEN))
        self.assertEqual(peer.answer()[0], ACCEPT)
        peer.message({"type": kind, **more})
        # A plan is answered by nothing: only the peer ends it.
        reply = None if kind in {"plan", *KEPT} else peer.reply()
        peer.frame(BYE)
        for _ in peer.frames():
            pass
        peer.socket.close()
        return (reply or {}).get("error", "")

    def walk(self, given):
        before, idle = len(self.beta.log_text()), self.idle
        for kind, more in OTHERS.items():
            self.assertIn(f"unknown request '{kind}'", self.say(kind, more), (given, kind))
        for kind, more in KEPT.items():
            self.assertEqual(self.say(kind, more), "")
        said = {kind: self.say(kind, more) for kind, (_, more) in REQUESTS.items()}
        wait_for("all sessions have ended", lambda: self.beta.descriptors() <= idle, 20, 0.02)
        log = self.beta.log_text()[before:]
        for kind, (right, _) in REQUESTS.items():
            words = (f"host alpha may not ask host beta for '{kind}': add {right} to 'may' in "
                     "[peer alpha] of the drover.conf of beta")
            refused = right is not None and right not in given
            with self.subTest(given=given, kind=kind):
                self.assertEqual(log.count(words), refused, log)
                if kind != "plan":
                    self.assertEqual(words in said[kind], refused, said)

    def test_a_peer_can_do_exactly_what_it_may(self):
        self.beta.start()
        self.idle = self.beta.descriptors()
        self.walk(DEFAULT)
        for given in ((), *((one,) for one in RIGHTS), ("move-in", "state")):
            self.beta.drover("host", "set", "peer.alpha.may", ", ".join(given) or "none")
            self.walk(given)

    def test_the_right_to_move_in_is_enough_for_a_move(self):
        self.beta.settings["peer alpha"]["may"] = "move-in"
        self.alpha.settings["peer beta"]["may"] = "none"
        for host in (self.alpha, self.beta):
            host.start()
        self.alpha.define(machine.definition("web", *machine.boot_sector_arguments(self.lab),
                                             memory="16M"))
        self.alpha.drover("vm", "start", "web")
        answer = self.alpha.drover("compare", "web", "beta", check=False)
        self.assertEqual(answer.status, 8, answer)
        self.assertIn("add compare to 'may' in [peer alpha] of the drover.conf of beta",
                      answer.stderr)
        self.alpha.drover("move", "web", "beta")
        self.assertEqual(self.beta.machine("web")["state"], "running")
        answer = self.beta.drover("move", "web", "alpha", check=False)
        self.assertEqual(answer.status, 8, answer)
        self.assertIn("add move-in to 'may' in [peer beta] of the drover.conf of alpha",
                      answer.stderr)
        self.assertEqual(self.beta.machine("web")["state"], "running")


if __name__ == "__main__":
    unittest.main()
