/* SPDX-License-Identifier: MIT */

/*
 * Devices that are made of the guest's memory and of other parts of the
 * machine alone, from -device help of QEMU 7.2 and 10.0, and what of their
 * properties is data: numbers, switches, names of other parts.
 */
#include "base/text.h"
#include "qemu/policy_rules.h"

static const char devices[] =
	"acpi-erst ahci am53c974 amd-iommu ati-vga bochs-display "
	"cirrus-vga dc390 e1000 e1000-82540em e1000-82544gc "
	"e1000-82545em e1000e floppy i2c-ddc i2c-echo i6300esb i8042 "
	"i82550 i82551 i82557a i82557b i82557c i82558a i82558b i82559a "
	"i82559b i82559c i82559er i82562 i82801 i82801b11-bridge ib700 "
	"ich9-ahci ich9-intel-hda ich9-usb-ehci1 ich9-usb-ehci2 "
	"ich9-usb-uhci1 ich9-usb-uhci2 ich9-usb-uhci3 ich9-usb-uhci4 "
	"ich9-usb-uhci5 ich9-usb-uhci6 ide-cd ide-cf ide-hd igb "
	"intel-hda intel-iommu ioh3420 ipmi-bmc-sim isa-cirrus-vga "
	"isa-debug-exit isa-debugcon isa-fdc isa-ide isa-ipmi-bt "
	"isa-ipmi-kcs isa-parallel isa-serial isa-vga lsi lsi53c810 "
	"lsi53c895a mc146818rtc megasas megasas-gen2 mptsas1068 ne2k_isa "
	"ne2k_pci nec-usb-xhci nvdimm nvme nvme-ns nvme-subsys pc-dimm "
	"pci-bridge pci-bridge-seat pci-ipmi-bt pci-ipmi-kcs pci-ohci "
	"pci-serial pci-serial-2x pci-serial-4x pcie-pci-bridge "
	"pcie-root-port pcnet piix3-ide piix3-usb-uhci piix4-ide "
	"piix4-usb-uhci pvpanic pvpanic-pci pvscsi pxb pxb-pcie "
	"qemu-xhci qxl qxl-vga ramfb rtl8139 scsi-cd scsi-hd sd-card "
	"sd-card-spi sdhci sdhci-pci secondary-vga tpm-crb tpm-tis tulip "
	"ufs ufs-lu usb-bot usb-ccid usb-ehci usb-hub usb-kbd usb-mouse "
	"usb-net usb-serial usb-storage usb-tablet usb-uas "
	"usb-wacom-tablet VGA virtconsole virtio-balloon "
	"virtio-balloon-device virtio-balloon-pci "
	"virtio-balloon-pci-non-transitional "
	"virtio-balloon-pci-transitional virtio-blk virtio-blk-device "
	"virtio-blk-pci virtio-blk-pci-non-transitional "
	"virtio-blk-pci-transitional virtio-crypto-device "
	"virtio-crypto-pci virtio-gpu virtio-gpu-device virtio-gpu-pci "
	"virtio-iommu virtio-iommu-device virtio-iommu-pci "
	"virtio-keyboard virtio-keyboard-device virtio-keyboard-pci "
	"virtio-mem virtio-mem-pci virtio-mouse virtio-mouse-device "
	"virtio-mouse-pci virtio-multitouch virtio-multitouch-device "
	"virtio-multitouch-pci virtio-net virtio-net-device "
	"virtio-net-pci virtio-net-pci-non-transitional "
	"virtio-net-pci-transitional virtio-pmem virtio-pmem-pci "
	"virtio-rng virtio-rng-device virtio-rng-pci "
	"virtio-rng-pci-non-transitional virtio-rng-pci-transitional "
	"virtio-scsi virtio-scsi-device virtio-scsi-pci "
	"virtio-scsi-pci-non-transitional virtio-scsi-pci-transitional "
	"virtio-serial virtio-serial-device virtio-serial-pci "
	"virtio-serial-pci-non-transitional "
	"virtio-serial-pci-transitional virtio-tablet "
	"virtio-tablet-device virtio-tablet-pci virtio-vga "
	"virtserialport vmcoreinfo vmgenid vmmouse vmware-svga vmxnet3 "
	"x3130-upstream xio3130-downstream";

/* Those look for a way to play on the host where no other is named. */
static const char sound[] =
	"AC97 ac97 ES1370 es1370 adlib cs4231a gus hda-duplex hda-micro "
	"hda-output sb16 usb-audio virtio-sound virtio-sound-device "
	"virtio-sound-pci";

const char policy_device_keys[] =
	"account-failed account-invalid acpi-index addr address aer "
	"aer_log_max aer_max_queued aerl always-plugged any_layout "
	"atomic.awun atomic.awupf atomic.dn ats attached audiodev "
	"autonegotiation aw-bits backend_defaults bandwidth base_year "
	"baudbase big-endian-framebuffer bios-chs-trans blitter "
	"block-size bmc boot-bypass bootindex bootindexA bootindexB "
	"buffer bus bus-reserve bus_nr busnr bypass_iommu caching-mode "
	"cad capareg channel chardev chardev1 chardev2 chardev3 chardev4 "
	"chassis chassis_nr chmaps class cmb_size_mb cmd_per_lun cmdlog "
	"commandlog conditional-intr-mapping config-wce cryptodev csum "
	"ctratt.mem ctrl_guest_offloads ctrl_mac_addr ctrl_rx "
	"ctrl_rx_extra ctrl_vlan ctrl_vq cyls dbcs debug deflate-on-oom "
	"detached device-iotlb device_id device_rev disable-acs "
	"disable-legacy disable-modern disable_vnet_hdr discard "
	"discard_granularity display dma dma-drain dma-translation dma16 "
	"dpofua drive drive-type duplex dynamic-memslots edid eim "
	"emergency-write endianness eui64 eui64-default event_idx events "
	"extended-state extra_mac_registers failover failover_pair_id "
	"fallback fdp fdp.nrg fdp.nruh fdp.runs fdtypeA fdtypeB "
	"firstport force-pcie-endcap free-page-hint free-page-reporting "
	"freq fruareasize fs1gp fwrev1 fwrev2 global-vmstate granule gso "
	"guest-stats-polling-interval guest_announce guest_csum "
	"guest_ecn guest_hwcursor guest_rsc_ext guest_tso4 guest_tso6 "
	"guest_ufo guest_uso4 guest_uso6 guestdebug guid hash hba_serial "
	"head heads host_ecn host_mtu host_tso4 host_tso6 host_ufo "
	"host_uso hotplug id in_order index indirect_desc init-vet "
	"intremap intrs io-reserve iobase iobase2 ioeventfd "
	"iommu_platform ioport iosize iothread "
	"iothread-vq-mapping.*.iothread iothread-vq-mapping.*.vqs.* "
	"ipmi_version irq jacks kbd-irq kbd-throttle label-size lcyls "
	"len-reserved-regions lheads log-scsi-req logical_block_size "
	"lost_tick_policy lsecs lun mac masterbus max-bytes "
	"max-discard-sectors max-write-zeroes-sectors max_cmds "
	"max_io_size max_ioqpairs max_outputs max_ports max_sectors "
	"max_sge max_unmap_size maxcurr maxframes mcl mdts mem-reserve "
	"memaddr memdev mfg_id migrate-emulated-scsi-request "
	"migrate-extra migrate-timadj migrate_tso_props min_io_size "
	"mitigation mixer mmio model modern-pio-notify mouse-irq mq mqes "
	"mrg_rxbuf ms mset msi msix msix-exclusive-bar msix_qsize "
	"msos-desc msrc mssrl multi multifunction name netdev nguid node "
	"notify_on_empty nqn nr nsid num-ports num-queues num_queues "
	"numa_node ocp old_msi_addr opt_io_size p2 p3 packed page-per-vq "
	"page-poison param_change period physical_block_size pi pif pil "
	"pmrdev port port-power port_index port_wwn ports "
	"power_controller_present ppi prealloc pref32-reserve "
	"pref64-reserve primary-bus product product_id prog_if pt "
	"qemu-4-0-config-size qemu-extended-regs queue-size queue_reset "
	"quirk_mode_page_apple_vendor quirk_mode_page_truncated "
	"quirk_mode_page_vendor_specific_apple "
	"quirk_mode_sense_rom_use_dbd ram_size ram_size_mb readback "
	"record_size refresh_rate removable report-discard-granularity "
	"request-merging requested-size rerror revision rng rombar "
	"romsize rotation_rate rsc_interval rss rx_queue_size "
	"sas_address scsi-id scsi_version sd-spec-version secs "
	"seg-max-adjust seg_max_adjust serial share-rw shared shpc size "
	"slave_addr slot slots smart_critical_warning snoop-control "
	"spec_version speed spi sriov_max_vi_per_vf sriov_max_vq_per_vf "
	"sriov_vi_flexible sriov_vq_flexible stale-tm status streams "
	"subsys subsys_ven superspeed-ports-first surfaces tpmdev tx "
	"tx_queue_size uhs unarmed unit unplugged-inaccessible "
	"usb_version use-disabled-flag use-intel-id use-started "
	"use-timer use_jbod use_msg uuid vectors vendor ver version "
	"vgamem vgamem_mb virtio-pci-bus-master-bug-migration "
	"virtqueue_size vram64_size_mb vram_size vram_size_mb vsl wakeup "
	"werror wheel-axis win2k-install-hack write-cache write-zeroes "
	"wwn x-ats-page-aligned x-buggy-eim x-device-id "
	"x-disable-legacy-check x-disable-pcie "
	"x-do-not-expose-native-hotplug-cap x-early-migration "
	"x-enable-wce-if-config-wce x-flts x-ignore-backend-features "
	"x-max-bounce-buffer-size x-migrate x-migrate-msix "
	"x-mtu-bypass-backend x-native-hotplug x-old-msi-offsets "
	"x-old-pci-configuration x-pasid-mode "
	"x-pci-express-writeable-slt-bug x-pcie-ari-nextfn-1 "
	"x-pcie-deverr-init x-pcie-err-unc-mask x-pcie-ext-tag "
	"x-pcie-extcap-init x-pcie-flr-init x-pcie-lnkctl-init "
	"x-pcie-lnksta-dllla x-pcie-pm-init x-pcie-pm-no-soft-reset "
	"x-pixman x-scalable-mode x-scanout-vmstate-version x-speed "
	"x-txburst x-txtimer x-width xmax xres xtsup ymax yres zoned "
	"zoned.auto_transition zoned.cross_read zoned.descr_ext_size "
	"zoned.max_active zoned.max_open zoned.numzrwa zoned.zasl "
	"zoned.zone_capacity zoned.zone_size zoned.zrwafg zoned.zrwas";

const struct policy_key policy_device_special[] = {
	{ "romfile", RULE_READ, NULL },
	{ "drive", RULE_ID, NULL },
	{ "netdev", RULE_ID, NULL },
	{ "chardev", RULE_ID, NULL },
	{ "memdev", RULE_ID, NULL },
	{ "audiodev", RULE_ID,
	  "QEMU would play on this host: write audiodev=NAME and -audiodev "
	  "none,id=NAME" },
	{ "scsi", RULE_OFF,
	  "the guest would send SCSI commands to a device of this host: leave "
	  "it out" },
	{ "spdm_port", RULE_REFUSED,
	  "it makes QEMU connect to a port of this host: leave it out" },
	{ "frudatafile", RULE_IMAGE, NULL },
	{ "sdrfile", RULE_IMAGE, NULL },
	{ "pcap", RULE_REFUSED,
	  "it makes QEMU write a file on this host: leave it out" },
	{ "blob", RULE_OFF,
	  "it maps memory by a device of this host: leave it out" },
	{ 0 },
};

/* What is refused with a reason; the rest is refused for being in no list. */
static const struct policy_kind kinds[] = {
	{ .names = devices,
	  .any = policy_device_keys,
	  .keys = policy_device_special },
	{ .names = sound,
	  .any = policy_device_keys,
	  .keys = policy_device_special,
	  .needed = "audiodev" },
	{ .names = "vfio-pci vfio-pci-nohotplug vfio-pci-igd-lpc-bridge "
		   "vfio-user-pci vfio-ap vfio-ccw vfio-platform "
		   "x-pci-proxy-dev pvrdma",
	  .refused = "it hands a device of this host to the guest: leave it "
		     "out" },
	{ .names = "usb-host usb-redir usb-mtp usb-braille u2f-passthru "
		   "u2f-emulated ccid-card-passthru ccid-card-emulated "
		   "virtio-input-host virtio-input-host-pci "
		   "virtio-input-host-device",
	  .refused = "it hands a device or files of this host to the guest: "
		     "use usb-storage, usb-kbd, usb-tablet or leave it out" },
	{ .names = "scsi-block scsi-generic",
	  .refused = "the guest would send SCSI commands to a device of this "
		     "host: use scsi-hd or scsi-cd" },
	{ .names = "loader guest-loader",
	  .refused = "it reads any file of this host into the guest: use "
		     "-kernel, -initrd or -fw_cfg" },
	{ .names = "ivshmem-plain ivshmem-doorbell",
	  .refused = "it shares memory with other processes of this host: "
		     "leave it out" },
	{ .names = "virtio-9p virtio-9p-pci virtio-9p-device "
		   "virtio-9p-pci-transitional "
		   "virtio-9p-pci-non-transitional",
	  .refused = "it shares folders of this host with the guest: use a "
		     "disk" },
	{ .names = "virtio-gpu-gl virtio-gpu-gl-pci virtio-gpu-gl-device "
		   "virtio-vga-gl virtio-gpu-rutabaga "
		   "virtio-gpu-rutabaga-pci virtio-vga-rutabaga",
	  .refused = "it draws with this host's graphics card: use virtio-gpu "
		     "or virtio-vga" },
	{ .names = "vhost-vsock-pci vhost-vsock-device "
		   "vhost-vsock-pci-non-transitional",
	  .refused = "the guest would reach sockets of this host's kernel: "
		     "leave it out" },
	{ .names = "ipmi-bmc-extern rocker tpm-spapr hv-syndbg",
	  .refused = "it talks to a process or a network of this host: leave "
		     "it out" },
	{ .names = "vhost-*",
	  .refused = "it hands the guest's memory to another process or to "
		     "this host's kernel: use the virtio device of that "
		     "kind" },
	{ .names = "xen-*",
	  .refused = "it belongs to a host of Xen's: leave it out" },
};

const struct policy_syntax policy_device = {
	.implied = "driver",
	.kind = "driver",
	.what = "device",
	.kinds = kinds,
	.kinds_count = ARRAY_SIZE(kinds),
	.json = true,
};
