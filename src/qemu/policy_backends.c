/* SPDX-License-Identifier: MIT */

/*
 * Backends, which are where a machine meets its host: those that stay inside
 * of QEMU, or in the machine's own folder, are allowed.  The kinds are those
 * of QEMU 7.2 and 10.0 (-object help, -chardev help, -netdev help).
 */
#include "base/text.h"
#include "qemu/policy_rules.h"

#define SYNTAX(table, ...) \
	{ \
		.kinds = (table), .kinds_count = ARRAY_SIZE(table), \
		__VA_ARGS__ \
	}

/* --- -object */

static const struct policy_key secret_keys[] = {
	{ "file", RULE_REFUSED,
	  "QEMU would read a secret from a file of this host: write it as "
	  "data=" },
	{ 0 },
};

static const struct policy_key rng_keys[] = {
	{ "filename", RULE_ONE_OF, "/dev/urandom /dev/random" },
	{ 0 },
};

static const char memory_keys[] =
	"id size share dump merge policy host-nodes host-nodes.* prealloc "
	"prealloc-threads prealloc-context reserve hugetlb hugetlbsize seal "
	"x-use-canonical-path-for-ramblock-id";

static const struct policy_kind objects[] = {
	{ .names = "memory-backend-ram memory-backend-memfd",
	  .any = memory_keys },
	{ .names = "iothread main-loop",
	  .any = "id aio-max-batch poll-grow poll-max-ns poll-shrink "
		 "thread-pool-max thread-pool-min" },
	{ .names = "throttle-group",
	  .any = "id limits.bps-read limits.bps-read-max "
		 "limits.bps-read-max-length limits.bps-total "
		 "limits.bps-total-max limits.bps-total-max-length "
		 "limits.bps-write limits.bps-write-max "
		 "limits.bps-write-max-length limits.iops-read "
		 "limits.iops-read-max limits.iops-read-max-length "
		 "limits.iops-size limits.iops-total limits.iops-total-max "
		 "limits.iops-total-max-length limits.iops-write "
		 "limits.iops-write-max limits.iops-write-max-length "
		 "x-bps-read x-bps-read-max x-bps-read-max-length x-bps-total "
		 "x-bps-total-max x-bps-total-max-length x-bps-write "
		 "x-bps-write-max x-bps-write-max-length x-iops-read "
		 "x-iops-read-max x-iops-read-max-length x-iops-size "
		 "x-iops-total x-iops-total-max x-iops-total-max-length "
		 "x-iops-write x-iops-write-max x-iops-write-max-length" },
	{ .names = "secret",
	  .any = "id format keyid",
	  .text = "data iv",
	  .keys = secret_keys },
	{ .names = "rng-random", .any = "id", .keys = rng_keys },
	{ .names = "rng-builtin", .any = "id" },
	{ .names = "cryptodev-backend-builtin cryptodev-backend",
	  .any = "id queues throttle-bps throttle-ops" },
	{ .names = "filter-buffer filter-replay",
	  .any = "id insert interval netdev position queue status" },
	{ .names = "authz-simple", .any = "id", .text = "identity" },
	{ .names = "authz-list",
	  .any = "id policy rules.*.policy rules.*.format",
	  .text = "rules.*.match" },
	{ .names = "can-bus", .any = "id" },
	{ .names = "acpi-generic-initiator acpi-generic-port",
	  .any = "id node pci-dev pci-bus" },
	{ .names = "thread-context",
	  .refused = "it chooses processors of this host: leave that to the "
		     "host" },
	{ .names = "memory-backend-file memory-backend-shm "
		   "memory-backend-epc",
	  .refused = "it maps a file or device of this host as memory: use "
		     "memory-backend-ram or memory-backend-memfd" },
	{ .names = "rng-egd",
	  .refused = "it reads from another process: use rng-builtin" },
	{ .names = "secret_keyring",
	  .refused = "it reads a key of this host's kernel: use secret with "
		     "data=" },
	{ .names = "tls-creds-anon tls-creds-psk tls-creds-x509 "
		   "tls-cipher-suites",
	  .refused = "it is for a server of QEMU's own, and may read keys of "
		     "this host: leave it out" },
	{ .names = "authz-list-file authz-pam",
	  .refused = "it reads files of this host: use authz-list" },
	{ .names = "filter-dump",
	  .refused = "it writes what the guest sends to a file of this host: "
		     "leave it out" },
	{ .names = "filter-mirror filter-redirector filter-rewriter "
		   "colo-compare",
	  .refused = "it is for a second host of COLO's: leave it out" },
	{ .names = "input-linux input-barrier",
	  .refused = "it takes keys and mice of this host or its network: use "
		     "usb-kbd and usb-tablet" },
	{ .names = "can-host-socketcan",
	  .refused = "it connects the guest with a bus of this host: leave it "
		     "out" },
	{ .names = "cryptodev-vhost-user cryptodev-backend-lkcf "
		   "vhost-user-server x-vfio-user-server x-remote-object "
		   "iommufd pr-manager-helper dbus-vmstate",
	  .refused = "it hands work to a process or to the kernel of this "
		     "host: leave it out" },
	{ .names = "sev-guest sev-snp-guest tdx-guest",
	  .refused = "it opens a device of this host, and memory that is "
		     "encrypted cannot be moved: leave it out" },
	{ .names = "qtest",
	  .refused = "it is for QEMU's own tests: leave it out" },
};

const struct policy_syntax policy_object =
	SYNTAX(objects, .implied = "qom-type", .kind = "qom-type",
	       .what = "object", .json = true);

/* --- -chardev */

static const struct policy_key log_keys[] = {
	{ "logfile", RULE_OWN, NULL },
	{ 0 },
};

static const struct policy_key file_keys[] = {
	{ "path", RULE_OWN, NULL },
	{ "input-path", RULE_OWN, NULL },
	{ "logfile", RULE_OWN, NULL },
	{ 0 },
};

#define NETWORK_WHY \
	"it opens a port of this host or connects to one: use a socket in " \
	"the machine's own folder, path=${dir}/NAME,server=on,wait=off"

static const struct policy_key socket_keys[] = {
	{ "path", RULE_OWN, NULL },
	{ "logfile", RULE_OWN, NULL },
	{ "abstract", RULE_OFF,
	  "a name without a file can be reached by everybody: leave it out" },
	{ "host", RULE_REFUSED, NETWORK_WHY },
	{ "port", RULE_REFUSED, NETWORK_WHY },
	{ "fd", RULE_REFUSED,
	  "descriptors are handed to QEMU by droverd alone: leave it out" },
	{ 0 },
};

static const char socket_any[] =
	"id server wait delay nodelay reconnect reconnect-ms telnet tn3270 "
	"websocket mux logappend tight";

static const struct policy_kind chardevs[] = {
	{ .names = "socket",
	  .any = socket_any,
	  .keys = socket_keys,
	  .needed = "path" },
	{ .names = "file",
	  .any = "id append mux logappend",
	  .keys = file_keys },
	{ .names = "null mux hub ringbuf memory vc pty stdio msmouse wctablet "
		   "spicevmc spiceport qemu-vdagent",
	  .any = "id mux logappend size width height cols rows signal chardev "
		 "chardevs.* name debug mouse clipboard",
	  .keys = log_keys },
	{ .names = "udp", .refused = NETWORK_WHY },
	{ .names = "pipe serial tty parallel parport braille dbus console con",
	  .refused = "it opens a device or a pipe of this host: use a socket "
		     "in the machine's own folder, ${dir}/NAME" },
	{ .names = "testdev",
	  .refused = "it is for QEMU's own tests: leave it out" },
};

const struct policy_syntax policy_chardev =
	SYNTAX(chardevs, .implied = "backend", .kind = "backend",
	       .what = "character device");

/* What follows "unix:" in -serial. */
static const struct policy_kind chardev_socket[] = {
	{ .any = socket_any, .keys = socket_keys },
};

const struct policy_syntax policy_chardev_socket =
	SYNTAX(chardev_socket, .implied = "path");

/* --- -netdev, -nic, -net */

#define BRIDGE_WHY \
	"QEMU may neither make a tap nor start the helper of a bridge on " \
	"this host: let its administrator define the machine here, or leave " \
	"it out"

static const struct policy_key user_keys[] = {
	{ "restrict", RULE_ON,
	  "the guest would reach what listens on this host's loopback: write "
	  "restrict=on" },
	{ "smb", RULE_REFUSED,
	  "it shares a folder of this host, by a program that is started for "
	  "that: leave it out" },
	{ "smbserver", RULE_REFUSED,
	  "it shares a folder of this host: leave it out" },
	{ "tftp", RULE_REFUSED,
	  "it shares a folder of this host: leave it out" },
	{ "hostfwd", RULE_REFUSED,
	  "it opens a port of this host: leave it out" },
	{ "guestfwd", RULE_REFUSED,
	  "it connects to this host or starts a program: leave it out" },
	{ 0 },
};

#define USER_ANY \
	"id ipv4 ipv6 host hostname dhcpstart dns domainname " \
	"dnssearch dnssearch.*.str ipv6-prefix ipv6-prefixlen " \
	"ipv6-host ipv6-dns bootfile tftp-server-name"
#define CARD_ANY " mac macaddr model name addr vectors netdev vlan"

/* The kinds of backend that are refused whatever their spelling. */
#define NET_REFUSED \
	{ .names = "tap bridge", .refused = BRIDGE_WHY }, \
		{ .names = "socket stream dgram l2tpv3 vde netmap af-xdp " \
			   "vmnet-host " \
			   "vmnet-shared vmnet-bridged", \
		  .refused = \
			  "it sends the guest's network through one of this " \
			  "host's, or through another process: leave it " \
			  "out" }, \
	{ \
		.names = "vhost-user vhost-vdpa passt", \
		.refused = "it hands the guest's network to another process " \
			   "or a device of this host: leave it out" \
	}

static const struct policy_kind netdevs[] = {
	{ .names = "user",
	  .any = USER_ANY,
	  .text = "net ip ipv6-net",
	  .keys = user_keys,
	  .needed = "restrict" },
	{ .names = "hubport", .any = "id hubid netdev" },
	NET_REFUSED,
};

static const struct policy_kind nics[] = {
	{ .names = "user",
	  .any = USER_ANY CARD_ANY,
	  .text = "net ip ipv6-net",
	  .keys = user_keys,
	  .needed = "restrict" },
	{ .names = "none nic hubport", .any = "id hubid" CARD_ANY },
	NET_REFUSED,
};

const struct policy_syntax policy_netdev =
	SYNTAX(netdevs, .implied = "type", .kind = "type", .what = "network",
	       .json = true);
const struct policy_syntax policy_nic =
	SYNTAX(nics, .implied = "type", .kind = "type", .what = "network");
const struct policy_syntax policy_net =
	SYNTAX(nics, .implied = "type", .kind = "type", .what = "network");

/* --- sound, TPM */

static const struct policy_kind audiodevs[] = {
	{ .names = "none",
	  .any = "id model timer-period in.mixing-engine in.fixed-settings "
		 "in.frequency in.channels in.format in.voices "
		 "in.buffer-length out.mixing-engine out.fixed-settings "
		 "out.frequency out.channels out.format out.voices "
		 "out.buffer-length" },
	{ .names = "wav",
	  .refused = "it writes a file on this host: use none" },
	{ .names = "alsa oss pa pipewire jack sdl sndio coreaudio dsound "
		   "dbus spice",
	  .refused = "it plays on this host: use none" },
};

const struct policy_syntax policy_audiodev =
	SYNTAX(audiodevs, .implied = "driver", .kind = "driver",
	       .what = "driver", .json = true);
const struct policy_syntax policy_audio =
	SYNTAX(audiodevs, .implied = "driver", .kind = "driver",
	       .what = "driver");

static const struct policy_key tpm_keys[] = {
	{ "chardev", RULE_ID, NULL },
	{ 0 },
};

static const struct policy_kind tpms[] = {
	{ .names = "emulator", .any = "id", .keys = tpm_keys },
	{ .names = "passthrough",
	  .refused = "it hands this host's TPM to the guest: use emulator" },
};

const struct policy_syntax policy_tpmdev =
	SYNTAX(tpms, .implied = "type", .kind = "type", .what = "TPM");

/* --- what shows the screen */

static const struct policy_key spice_keys[] = {
	{ "unix", RULE_ON,
	  "it opens a port of this host: write unix=on,addr=${dir}/NAME" },
	{ "addr", RULE_OWN, NULL },
	{ "port", RULE_REFUSED,
	  "it opens a port of this host: write unix=on,addr=${dir}/NAME" },
	{ "tls-port", RULE_REFUSED,
	  "it opens a port of this host: write unix=on,addr=${dir}/NAME" },
	{ 0 },
};

static const struct policy_kind spices[] = {
	{ .text = "password",
	  .any = "id password-secret disable-ticketing "
		 "image-compression jpeg-wan-compression "
		 "zlib-glz-wan-compression streaming-video disable-copy-paste "
		 "disable-agent-file-xfer agent-mouse playback-compression "
		 "seamless-migration",
	  .keys = spice_keys,
	  .needed = "unix" },
};

const struct policy_syntax policy_spice = SYNTAX(spices, .implied = NULL);

/* What follows the address. */
static const struct policy_kind vncs[] = {
	{ .text = "password",
	  .any = "id password-secret share lossy non-adaptive "
		 "lock-key-sync key-delay-ms power-control audiodev "
		 "connections display head" },
};

const struct policy_syntax policy_vnc = SYNTAX(vncs, .implied = NULL);

static const struct policy_kind displays[] = {
	{ .names = "none", .any = "" },
	{ .names = "sdl gtk curses cocoa spice-app dbus egl-headless",
	  .refused = "it shows the guest on this host, or draws with its card: "
		     "use none, and -vnc unix:${dir}/NAME" },
};

const struct policy_syntax policy_display =
	SYNTAX(displays, .implied = "type", .kind = "type", .what = "display",
	       .json = true);
