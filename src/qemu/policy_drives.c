/* SPDX-License-Identifier: MIT */

/*
 * Disks: files in the image directories, by the drivers that people move
 * machines with.  The keys are those of -drive and of the BlockdevOptions in
 * QEMU 7.2 and 10.0.  What lies below a node (file.x, backing.x) is judged as
 * the node itself; a path begins with '/', so no protocol ("nbd:", "json:",
 * "fat:") can stand before it.
 */
#include "base/text.h"
#include "qemu/policy_rules.h"

#define DRIVERS \
	"raw qcow2 luks file host_device throttle copy-on-read null-co " \
	"null-aio"

/* The lock is what keeps two machines from one image. */
#define LOCKING "on auto"

#define NODE_ANY \
	"node-name auto-read-only read-only discard detect-zeroes " \
	"cache.direct cache.no-flush force-share active aio " \
	"aio-max-batch size offset lazy-refcounts pass-discard-request " \
	"pass-discard-snapshot pass-discard-other discard-no-unref " \
	"overlap-check overlap-check.template cache-size l2-cache-size " \
	"l2-cache-entry-size refcount-cache-size cache-clean-interval " \
	"encrypt.format encrypt.key-secret key-secret throttle-group " \
	"latency-ns read-zeroes bottom drop-cache x-check-cache-dropped"

static const struct policy_key drive_keys[] = {
	{ "file", RULE_DISK, NULL },
	{ "filename", RULE_DISK, NULL },
	{ "format", RULE_ONE_OF, DRIVERS },
	{ "driver", RULE_ONE_OF, DRIVERS },
	{ "backing", RULE_ID, NULL },
	{ "locking", RULE_ONE_OF, LOCKING },
	{ "snapshot", RULE_OFF,
	  "it writes to a file in this host's /var/tmp: leave it out" },
	{ 0 },
};

static const struct policy_kind drives[] = {
	{ .any = NODE_ANY
	  " id if index bus unit media cyls heads secs trans addr serial boot "
	  "readonly copy-on-read werror rerror cache cache.writeback group "
	  "stats-account-failed stats-account-invalid stats-intervals "
	  "bps bps_rd bps_wr bps_max bps_rd_max bps_wr_max bps_max_length "
	  "bps_rd_max_length bps_wr_max_length iops iops_rd iops_wr iops_max "
	  "iops_rd_max iops_wr_max iops_max_length iops_rd_max_length "
	  "iops_wr_max_length iops_size throttling.group "
	  "throttling.bps-total throttling.bps-read throttling.bps-write "
	  "throttling.bps-total-max throttling.bps-read-max "
	  "throttling.bps-write-max throttling.bps-total-max-length "
	  "throttling.bps-read-max-length throttling.bps-write-max-length "
	  "throttling.iops-total throttling.iops-read throttling.iops-write "
	  "throttling.iops-total-max throttling.iops-read-max "
	  "throttling.iops-write-max throttling.iops-total-max-length "
	  "throttling.iops-read-max-length throttling.iops-write-max-length "
	  "throttling.iops-size",
	  .keys = drive_keys },
};

const struct policy_syntax policy_drive = {
	.kinds = drives,
	.kinds_count = ARRAY_SIZE(drives),
	.nested = true,
};

static const struct policy_key node_keys[] = {
	{ "file", RULE_ID, NULL },           { "backing", RULE_ID, NULL },
	{ "filename", RULE_DISK, NULL },     { "driver", RULE_ONE_OF, DRIVERS },
	{ "locking", RULE_ONE_OF, LOCKING }, { 0 },
};

#define NODE .any = NODE_ANY, .keys = node_keys

static const struct policy_kind nodes[] = {
	{ .names = DRIVERS, NODE },
	{ .names = "nbd ssh http https ftp ftps iscsi iser rbd nfs gluster "
		   "sheepdog nvme nvme-io_uring virtio-blk-vhost-user "
		   "virtio-blk-vhost-vdpa virtio-blk-vfio-pci io_uring",
	  .refused = "QEMU would connect to somewhere on this host's behalf: "
		     "use a file or a volume below the image directories" },
	{ .names = "vvfat host_cdrom",
	  .refused = "it shows a folder or a drive of this host to the guest: "
		     "use an image" },
	{ .names = "vmdk qed qcow vdi vhdx vpc parallels dmg cloop bochs",
	  .refused = "images of that format may name other files, or cannot "
		     "be moved: make a qcow2 of it by qemu-img convert" },
};

const struct policy_syntax policy_blockdev = {
	.implied = "driver",
	.kind = "driver",
	.what = "driver",
	.kinds = nodes,
	.kinds_count = ARRAY_SIZE(nodes),
	.nested = true,
	.json = true,
};
