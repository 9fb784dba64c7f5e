/* SPDX-License-Identifier: MIT */

/*
 * Every option in -help of QEMU 7.2 and 10.0, and some that are not shown
 * there: allowed, allowed for some values, or refused with the reason and
 * what to do instead.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "qemu/policy.h"
#include "qemu/policy_rules.h"

#define OWN "Drover sets it: leave it out"
#define OWN_KEY(key) "Drover sets it: use the key '" key "'"
#define CONFINES "Drover confines QEMU: leave it out"
#define MONITOR \
	"it is a second monitor, by which QEMU can be told anything: leave " \
	"it out, or write none"
#define DEBUGGER "it lets a debugger into QEMU: leave it out"
#define FLOODS "it is for debugging, and fills files of this host: leave it out"
#define ENDS "QEMU would print something and end: leave it out"
#define XEN "it belongs to a host of Xen's: leave it out"
#define TESTS "it is for QEMU's own tests: leave it out"
#define SHARES "it shares a folder of this host with the guest: use a disk"

/* --- values that are no lists of properties */

static void check_image(struct policy_run *r, const char *value)
{
	policy_path(r, value, value, PLACE_IMAGE);
}

static void check_initrd(struct policy_run *r, const char *value)
{
	policy_check_one_image(r, value, value);
}

static void check_bios(struct policy_run *r, const char *value)
{
	policy_path(r, value, value, PLACE_IMAGE | PLACE_DATA);
}

void policy_check_disk(struct policy_run *r, const char *path)
{
	if (policy_path(r, path, path, PLACE_IMAGE))
		policy_image(r, path, path, true);
}

static void check_none(struct policy_run *r, const char *value)
{
	if (strcmp(value, "none") != 0 && strcmp(value, "null") != 0)
		policy_blame(r, value, MONITOR);
}

/* A name without anything that could lead elsewhere. */
static void check_name(struct policy_run *r, const char *value)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_";

	if (policy_is_drovers(r, value, value))
		return;
	if (!value[0] || value[strspn(value, letters)])
		policy_blame(r, value,
			     "write a plain name, of letters, digits, '-' and "
			     "'_'");
}

static void check_usb(struct policy_run *r, const char *value)
{
	static const char devices[] = "mouse tablet keyboard wacom-tablet ccid";

	if (!text_listed(devices, value))
		policy_blame(r, value,
			     "only these are allowed: %s; write other devices "
			     "as -device",
			     devices);
}

static void check_vnc(struct policy_run *r, const char *value)
{
	char address[512];
	size_t n = strcspn(value, ",");

	if (value[n] == ',' && value[n + 1] == ',')
		n = sizeof(address);
	snprintf(address, sizeof(address), "%.*s", (int)n, value);
	if (n >= sizeof(address) || (strncmp(address, "unix:", 5) != 0 &&
				     strcmp(address, "none") != 0)) {
		policy_blame(r, value,
			     "it opens a port of this host or connects to one: "
			     "write unix:${dir}/NAME, or none");
		return;
	}
	if (address[0] == 'u')
		policy_path(r, address, address + 5, PLACE_OWN);
	if (value[n])
		policy_check_properties(r, &policy_vnc, value + n + 1);
}

/* -serial and its like, in the way of long ago: "unix:PATH,server=on". */
static void check_serial(struct policy_run *r, const char *value)
{
	static const char plain[] = "none null vc pty stdio msmouse";

	if (text_listed(plain, value))
		return;
	if (!strncmp(value, "vc:", 3) || !strncmp(value, "chardev:", 8))
		check_name(r, strchr(value, ':') + 1);
	else if (!strncmp(value, "file:", 5))
		policy_path(r, value, value + 5, PLACE_OWN);
	else if (!strncmp(value, "unix:", 5))
		policy_check_properties(r, &policy_chardev_socket, value + 5);
	else if (!strncmp(value, "mon:", 4))
		policy_blame(r, value, MONITOR);
	else
		policy_blame(r, value,
			     "it opens a device or a port of this host: write "
			     "none, null or unix:${dir}/NAME,server=on,"
			     "wait=off");
}

static void check_property(struct policy_run *r, const char *key,
			   const char *value)
{
	static const struct policy_kind kind = {
		.any = policy_device_keys, .keys = policy_device_special
	};
	static const struct policy_syntax syntax = { .kinds = &kind,
						     .kinds_count = 1 };
	static const char more[] =
		"disable_s3 disable_s4 s4_val secure lost_tick_policy "
		"memory-hotplug-support acpi-pci-hotplug-with-bridge-support "
		"acpi-root-pci-hotplug smm-enabled noreboot enable_tco";

	if (!text_listed(more, key) || strchr(value, '/'))
		policy_check_property(r, &syntax, key, value);
}

/* "driver=D,property=P,value=V" */
static void check_long_global(struct policy_run *r, const char *value)
{
	SCOPED(policy_properties_done) struct policy_properties p;
	struct error e;

	if (policy_properties(&p, value, NULL, &e) < 0 || p.keys.count != 3 ||
	    strcmp(p.keys.at[0], "driver") != 0 ||
	    strcmp(p.keys.at[1], "property") != 0 ||
	    strcmp(p.keys.at[2], "value") != 0)
		policy_blame(r, value,
			     "write it as driver=DRIVER,property=PROPERTY,"
			     "value=VALUE");
	else
		check_property(r, p.values.at[1], p.values.at[2]);
}

/* "DRIVER.PROPERTY=VALUE" by the rule of QEMU's sscanf(). */
static void check_global(struct policy_run *r, const char *value)
{
	size_t driver = strcspn(value, ".="), property;
	const char *at = value + driver;
	char key[64];

	if (*at != '.') {
		check_long_global(r, value);
		return;
	}
	property = strcspn(++at, "=");
	if (driver == 0 || driver >= sizeof(key) || property == 0 ||
	    at[property] != '=' || property >= sizeof(key)) {
		policy_blame(r, value, "write it as DRIVER.PROPERTY=VALUE");
		return;
	}
	snprintf(key, sizeof(key), "%.*s", (int)property, at);
	check_property(r, key, at + property + 1);
}

static void check_network(struct policy_run *r, const char *value)
{
	(void)value;
	r->no_network = false;
}

/* --- the table */

#define ALONE(n) \
	{ \
		.name = (n), .class = POLICY_ALLOWED, .alone = true \
	}
#define CHECKED(n, fn) \
	{ \
		.name = (n), .class = POLICY_ALLOWED, .check = (fn) \
	}
#define PROPERTIES(n, s) \
	{ \
		.name = (n), .class = POLICY_ALLOWED, .syntax = &policy_##s \
	}
#define FILE_PROPERTIES(n, s) \
	{ \
		.name = (n), .class = POLICY_FILES, .syntax = &policy_##s \
	}
#define NETWORK(n, s) \
	{ \
		.name = (n), .class = POLICY_ALLOWED, .syntax = &policy_##s, \
		.check = check_network \
	}
#define FILE_OF(n, fn) \
	{ \
		.name = (n), .class = POLICY_FILES, .check = (fn) \
	}
#define REFUSED(n, w) \
	{ \
		.name = (n), .class = POLICY_REFUSED, .why = (w) \
	}
#define REFUSED_ALONE(n, w) \
	{ \
		.name = (n), .class = POLICY_REFUSED, .alone = true, \
		.why = (w) \
	}

static const struct policy_option options[] = {
	REFUSED("accel", OWN_KEY("accelerator")),
	FILE_PROPERTIES("acpitable", acpitable),
	PROPERTIES("action", action),
	REFUSED("add-fd", "descriptors are handed to QEMU by droverd alone: "
			  "leave it out"),
	{ .name = "append", .class = POLICY_ALLOWED },
	REFUSED_ALONE("async-teardown", "it starts another process: leave it "
					"out"),
	PROPERTIES("audio", audio),
	REFUSED_ALONE("audio-help", ENDS),
	PROPERTIES("audiodev", audiodev),
	FILE_OF("bios", check_bios),
	FILE_PROPERTIES("blockdev", blockdev),
	FILE_PROPERTIES("boot", boot),
	FILE_OF("cdrom", policy_check_disk),
	PROPERTIES("chardev", chardev),
	REFUSED("chroot", CONFINES),
	PROPERTIES("compat", compat),
	REFUSED("cpu", OWN_KEY("cpu")),
	REFUSED_ALONE("curses", "it shows the guest on a terminal: leave it "
				"out"),
	REFUSED("D", FLOODS),
	REFUSED("d", FLOODS),
	REFUSED_ALONE("daemonize", OWN),
	CHECKED("debugcon", check_serial),
	FILE_PROPERTIES("device", device),
	REFUSED("dfilter", FLOODS),
	PROPERTIES("display", display),
	FILE_PROPERTIES("drive", drive),
	FILE_OF("dtb", check_image),
	REFUSED("dump-vmstate", "it writes a file on this host: leave it out"),
	CHECKED("echr", check_name),
	REFUSED_ALONE("enable-kvm", OWN_KEY("accelerator")),
	ALONE("enable-sync-profile"),
	FILE_OF("fda", policy_check_disk),
	FILE_OF("fdb", policy_check_disk),
	REFUSED("fsdev", SHARES),
	ALONE("full-screen"),
	FILE_PROPERTIES("fw_cfg", fw_cfg),
	CHECKED("g", check_name),
	REFUSED("gdb", DEBUGGER),
	CHECKED("global", check_global),
	REFUSED_ALONE("h", ENDS),
	FILE_OF("hda", policy_check_disk),
	FILE_OF("hdb", policy_check_disk),
	FILE_OF("hdc", policy_check_disk),
	FILE_OF("hdd", policy_check_disk),
	REFUSED_ALONE("help", ENDS),
	PROPERTIES("icount", icount),
	REFUSED("incoming", OWN),
	FILE_OF("initrd", check_initrd),
	REFUSED("iscsi", "QEMU would connect to a disk elsewhere on this "
			 "host's behalf: use a file below the image "
			 "directories"),
	REFUSED_ALONE("jitdump", FLOODS),
	CHECKED("k", check_name),
	FILE_OF("kernel", check_image),
	REFUSED("L", "QEMU would read its firmware from another folder: name "
		     "the file by -bios"),
	REFUSED("loadvm", "a machine that moves brings its own state: leave "
			  "it out"),
	REFUSED("M", OWN_KEY("machine")),
	REFUSED("m", OWN_KEY("memory")),
	REFUSED("machine", OWN_KEY("machine")),
	REFUSED("mem-path", OWN_KEY("huge-pages")),
	REFUSED_ALONE("mem-prealloc", OWN),
	REFUSED("mon", MONITOR),
	CHECKED("monitor", check_none),
	PROPERTIES("msg", msg),
	FILE_OF("mtdblock", policy_check_disk),
	REFUSED("name", OWN_KEY("name")),
	NETWORK("net", net),
	NETWORK("netdev", netdev),
	NETWORK("nic", nic),
	ALONE("no-acpi"),
	ALONE("no-fd-bootchk"),
	ALONE("no-hpet"),
	ALONE("no-reboot"),
	ALONE("no-shutdown"),
	ALONE("no-user-config"),
	{ .name = "nodefaults",
	  .class = POLICY_ALLOWED,
	  .alone = true,
	  .check = check_network },
	ALONE("nographic"),
	PROPERTIES("numa", numa),
	PROPERTIES("object", object),
	ALONE("one-insn-per-tb"),
	ALONE("only-migratable"),
	FILE_PROPERTIES("option-rom", option_rom),
	PROPERTIES("overcommit", overcommit),
	CHECKED("parallel", check_serial),
	REFUSED_ALONE("perfmap", FLOODS),
	FILE_OF("pflash", policy_check_disk),
	REFUSED("pidfile", OWN),
	REFUSED("plugin", "it loads code of another into QEMU: leave it out"),
	ALONE("portrait"),
	REFUSED_ALONE("preconfig", OWN),
	CHECKED("qmp", check_none),
	CHECKED("qmp-pretty", check_none),
	REFUSED("qtest", TESTS),
	REFUSED("qtest-log", TESTS),
	REFUSED("readconfig", "it reads further options from a file: write "
			      "them among the arguments"),
	CHECKED("rotate", check_name),
	PROPERTIES("rtc", rtc),
	REFUSED("run-with", CONFINES),
	REFUSED("runas", CONFINES),
	REFUSED_ALONE("S", OWN),
	REFUSED_ALONE("s", DEBUGGER),
	REFUSED("sandbox", CONFINES),
	FILE_OF("sd", policy_check_disk),
	CHECKED("seed", check_name),
	REFUSED_ALONE("semihosting", "the guest would open files of this "
				     "host: leave it out"),
	REFUSED("semihosting-config", "the guest would open files of this "
				      "host: leave it out"),
	CHECKED("serial", check_serial),
	REFUSED("set", "it changes what another option says: write the "
		       "property there"),
	FILE_OF("shim", check_image),
	ALONE("singlestep"),
	FILE_PROPERTIES("smbios", smbios),
	REFUSED("smp", OWN_KEY("vcpus")),
	REFUSED_ALONE("snapshot", "it writes to files in this host's /var/tmp: "
				  "leave it out"),
	PROPERTIES("spice", spice),
	PROPERTIES("tpmdev", tpmdev),
	REFUSED("trace", FLOODS),
	ALONE("usb"),
	CHECKED("usbdevice", check_usb),
	CHECKED("uuid", check_name),
	REFUSED_ALONE("version", ENDS),
	CHECKED("vga", check_name),
	REFUSED("virtfs", SHARES),
	CHECKED("vnc", check_vnc),
	CHECKED("watchdog-action", check_name),
	ALONE("win2k-hack"),
	REFUSED_ALONE("xen-attach", XEN),
	REFUSED("xen-domid", XEN),
	REFUSED_ALONE("xen-domid-restrict", XEN),
};

const struct policy_option *policy_find_option(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (!strcmp(options[i].name, name))
			return &options[i];
	return NULL;
}

enum policy_class policy_class_of(const char *option)
{
	const struct policy_option *o = policy_find_option(option);

	return o ? o->class : POLICY_UNKNOWN;
}

bool policy_takes_value(const char *option)
{
	const struct policy_option *o = policy_find_option(option);

	return o && !o->alone;
}

enum policy_class policy_class_of_kind(const char *option, const char *kind)
{
	const struct policy_option *o = policy_find_option(option);
	const struct policy_kind *k =
		o && o->syntax ? policy_find_kind(o->syntax, kind) : NULL;

	if (!k)
		return POLICY_UNKNOWN;
	return k->refused ? POLICY_REFUSED : POLICY_ALLOWED;
}
