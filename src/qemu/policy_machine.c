/* SPDX-License-Identifier: MIT */

/* The board and what is set of it: machine, processors, firmware's tables,
 * clocks.  The keys are those of query-command-line-options and of
 * -machine TYPE,help in QEMU 7.2 and 10.0. */
#include "base/text.h"
#include "qemu/policy_rules.h"

#define ONE(name, implied_key, ...) \
	static const struct policy_kind name##_kinds[] = { { __VA_ARGS__ } }; \
	const struct policy_syntax policy_##name = { \
		.implied = (implied_key), \
		.kinds = name##_kinds, \
		.kinds_count = 1, \
	}

static const struct policy_key machine_keys[] = {
	{ "firmware", RULE_READ, NULL },
	{ "kernel", RULE_IMAGE, NULL },
	{ "initrd", RULE_REFUSED, "write it as -initrd among the arguments" },
	{ "dtb", RULE_IMAGE, NULL },
	{ "shim", RULE_IMAGE, NULL },
	{ "boot.splash", RULE_IMAGE, NULL },
	{ "dumpdtb", RULE_REFUSED,
	  "it writes a file on this host: leave it out" },
	{ "memory-encryption", RULE_REFUSED,
	  "memory that is encrypted cannot be moved: leave it out" },
	{ "confidential-guest-support", RULE_REFUSED,
	  "memory that is encrypted cannot be moved: leave it out" },
	{ "mem-merge", RULE_ANY, NULL },
	{ "pflash0", RULE_ID, NULL },
	{ "pflash1", RULE_ID, NULL },
	{ "pcspk-audiodev", RULE_ID, NULL },
	{ "audiodev", RULE_ID, NULL },
	{ 0 },
};

static const struct policy_kind machines[] = {
	{ .names = "pc q35 microvm isapc virt pc-* virt-*",
	  .any = "accel acpi aux-ram-share auto-kernel-cmdline "
		 "boot.order boot.once boot.menu boot.splash-time "
		 "boot.reboot-timeout boot.strict bus-lock-ratelimit "
		 "default-bus-bypass-iommu dt-compatible dt_compatible "
		 "dump-guest-core fd-bootchk graphics hmat hpet i8042 ioapic2 "
		 "isa-serial its gic-version iommu kernel-irqchip "
		 "kernel_irqchip kvm-shadow-mem kvm_shadow_mem kvm-type "
		 "max-fw-size max-ram-below-4g memory.size memory.slots "
		 "memory.max-size nvdimm nvdimm-persistence pcie "
		 "phandle-start phandle_start pic pit ras rtc sata secure "
		 "smbios-entry-point-type smbus smm smp.cpus smp.sockets "
		 "smp.dies smp.clusters smp.cores smp.threads smp.maxcpus "
		 "smp.modules smp.books smp.drawers smp-cache.*.cache "
		 "smp-cache.*.topology suppress-vmdesc usb virtualization "
		 "vmport x-oem-id x-oem-table-id x-option-roms "
		 "x-south-bridge",
	  .text = "append",
	  .keys = machine_keys },
	{ .names = "none x-remote xenfv xenpv xenpvh nitro-enclave xenfv-*",
	  .refused = "it is no machine that can be moved: use q35 or pc" },
};

const struct policy_syntax policy_machine = {
	.implied = "type",
	.kind = "type",
	.what = "machine type",
	.kinds = machines,
	.kinds_count = ARRAY_SIZE(machines),
};

static const struct policy_kind accels[] = {
	{ .names = "kvm tcg",
	  .any = "dirty-ring-size kernel-irqchip kvm-shadow-mem notify-vmexit "
		 "notify-window one-insn-per-tb split-wx tb-size thread "
		 "honor-guest-pat eager-split-size" },
	{ .names = "xen qtest hvf whpx nvmm hax mshv",
	  .refused = "it is not for a machine that moves: use kvm or tcg" },
};

const struct policy_syntax policy_accel = {
	.implied = "accel",
	.kind = "accel",
	.what = "accelerator",
	.kinds = accels,
	.kinds_count = ARRAY_SIZE(accels),
};

ONE(smp, "cpus",
    .any = "cpus sockets dies clusters modules cores threads maxcpus books "
	   "drawers");
ONE(memory, NULL, .any = "slots maxmem");
ONE(numa, "type",
    .any = "type mem cpus nodeid node-id socket-id die-id cluster-id "
	   "module-id core-id thread-id book-id drawer-id memdev initiator "
	   "src dst val target hierarchy data-type latency bandwidth size "
	   "level associativity policy line");

static const struct policy_key boot_keys[] = {
	{ "splash", RULE_IMAGE, NULL },
	{ 0 },
};

ONE(boot, "order", .any = "order once menu strict splash-time reboot-timeout",
    .keys = boot_keys);

static const struct policy_key fw_cfg_keys[] = {
	{ "file", RULE_IMAGE, NULL },
	{ "gen_id", RULE_ID, NULL },
	{ 0 },
};

ONE(fw_cfg, "name", .text = "name string", .keys = fw_cfg_keys);

static const struct policy_key smbios_keys[] = {
	{ "file", RULE_IMAGE, NULL },
	{ "path", RULE_IMAGE, NULL },
	{ 0 },
};

ONE(smbios, NULL,
    .text = "type vendor version date release uefi vm manufacturer product "
	    "serial uuid sku family asset location sock_pfx part max-speed "
	    "current-speed processor-id processor-family "
	    "external_reference internal_reference connector_type port_type "
	    "value loc_pfx bank speed designation kind instance pcidev",
    .keys = smbios_keys);

static const struct policy_key acpi_keys[] = {
	{ "file", RULE_ONE_IMAGE, NULL },
	{ "data", RULE_ONE_IMAGE, NULL },
	{ 0 },
};

ONE(acpitable, "sig",
    .any = "sig rev oem_id oem_table_id oem_rev asl_compiler_id "
	   "asl_compiler_rev",
    .keys = acpi_keys);

ONE(rtc, NULL, .any = "base clock driftfix");

static const struct policy_key icount_keys[] = {
	{ "rr", RULE_REFUSED,
	  "it records to a file of this host: leave it out" },
	{ "rrfile", RULE_REFUSED,
	  "it records to a file of this host: leave it out" },
	{ 0 },
};

ONE(icount, "shift", .any = "shift align sleep", .keys = icount_keys);

static const struct policy_key overcommit_keys[] = {
	{ "mem-lock", RULE_OFF, "it locks memory of this host: leave it out" },
	{ "cpu-pm", RULE_OFF,
	  "the guest would keep processors of this host to itself: leave it "
	  "out" },
	{ 0 },
};

ONE(overcommit, NULL, .keys = overcommit_keys);
ONE(action, NULL, .any = "reboot shutdown panic watchdog");

static const struct policy_key rom_keys[] = {
	{ "romfile", RULE_READ, NULL },
	{ 0 },
};

ONE(option_rom, "romfile", .any = "bootindex", .keys = rom_keys);
ONE(msg, NULL, .any = "timestamp guest-name");
ONE(compat, NULL,
    .any = "deprecated-input deprecated-output unstable-input "
	   "unstable-output");
