/* SPDX-License-Identifier: MIT */

/* Lines of arguments, and what the policy says of them: read by test_policy.c
 * alone. */
#pragma once

#define OUTSIDE \
	"it lies outside of the folders for images (/srv, " \
	"/var/lib/drover/images): move it there, or add its folder " \
	"to image-directories"
#define NOT_OWN \
	"it is not a file of the machine's own: write ${dir}/NAME " \
	"with a plain name, other than those of Drover's: qmp.sock " \
	"qemu.log incoming.sock migrate.sock"
#define MONITOR \
	"it is a second monitor, by which QEMU can be told " \
	"anything: leave it out, or write none"
#define OPENS \
	"it opens a device or a port of this host: write none, " \
	"null or unix:${dir}/NAME,server=on,wait=off"
#define NO_PATH "it is no path of a file: write it from / on"
#define DOTS "write the path without '..'"
#define DRIVERS \
	"only these are allowed: raw qcow2 luks file host_device " \
	"throttle copy-on-read null-co null-aio"
#define TAP \
	"QEMU may neither make a tap nor start the helper of a " \
	"bridge on this host: let its administrator define the " \
	"machine here, or leave it out"
#define NETWORK \
	"it opens a port of this host or connects to one: use a " \
	"socket in the machine's own folder, " \
	"path=${dir}/NAME,server=on,wait=off"
#define DROVERS "names that begin with drover- are Drover's own: use another"
#define NO_JSON "QEMU takes no JSON here: write it as key=value,key=value"
#define FLOODS \
	"it is for debugging, and fills files of this host: leave " \
	"it out"
#define CONFINES "Drover confines QEMU: leave it out"
#define LOOPBACK \
	"the guest would reach what listens on this host's " \
	"loopback: write restrict=on"

struct row {
	const char *arguments, *blame;
};

static const char *const allowed[] = {
	"-append 'console=ttyS0 quiet root=/dev/vda1'",
	"-drive file=/srv/web1.img,if=virtio,format=raw",
	"-drive if=none,id=cd,media=cdrom",
	"-drive file=/srv/a,,b.img,format=qcow2,cache=none,aio=nati"
	"ve,discard=unmap,detect-zeroes=unmap,werror=stop,rerror=st"
	"op,id=d0,if=none",
	"-drive driver=qcow2,file.driver=file,file.filename=/srv/we"
	"b1.qcow2,backing.file.filename=/srv/base.qcow2,backing.dri"
	"ver=qcow2,if=none,id=d",
	"-drive if=pflash,format=raw,readonly=on,file=/usr/share/OV"
	"MF/OVMF_CODE.fd",
	"-blockdev driver=file,node-name=f,filename=/srv/web1.img",
	"-blockdev '{\"driver\":\"qcow2\",\"node-name\":\"n\",\"file\":{\"driv"
	"er\":\"file\",\"filename\":\"/srv/web1.qcow2\"},\"backing\":null}'",
	"-device virtio-blk-pci,drive=d0,id=disk0,bootindex=1,num-q"
	"ueues=4,iothread=io0",
	"-device '{\"driver\":\"virtio-net-pci\",\"netdev\":\"n0\",\"mac\":\"5"
	"2:54:00:12:34:56\",\"mq\":true,\"vectors\":10}'",
	"-device pvpanic -device vmgenid,guid=auto -device "
	"i6300esb -device virtio-rng-pci,rng=r0",
	"-device virtio-net-pci,romfile=,netdev=n0",
	"-device virtio-net-pci,romfile=efi-virtio.rom",
	"-object iothread,id=io0 -object "
	"'{\"qom-type\":\"throttle-group\",\"id\":\"t0\",\"limits\":{\"iops-to"
	"tal\":100}}'",
	"-object rng-random,id=r0,filename=/dev/urandom",
	"-object memory-backend-ram,id=m1,size=1G -numa "
	"node,nodeid=0,memdev=m1",
	"-object secret,id=s0,data=letmein",
	"-chardev socket,id=c0,path=${dir}/serial.sock,server=on,wa"
	"it=off -serial chardev:c0",
	"-chardev socket,id=c0,path=${dir}/serial.sock,server,nowai"
	"t",
	"-serial unix:${dir}/serial.sock,server,nowait -monitor "
	"none",
	"-serial file:${dir}/${name}.log",
	"-serial none -parallel none -vga none -display none",
	"-nic none",
	"-nic user,restrict=on,model=virtio-net-pci",
	"-netdev '{\"type\":\"user\",\"id\":\"n0\",\"restrict\":true}'",
	"-kernel /srv/vmlinuz -initrd /srv/initrd.img -append quiet",
	"-bios bios-256k.bin",
	"-fw_cfg name=opt/org.example/a,string=hello",
	"-fw_cfg opt/org.example/a,file=/srv/config",
	"-smbios type=1,uuid=00000000-0000-0000-0000-000000000001,s"
	"erial=7",
	"-global kvm-pit.lost_tick_policy=delay -global "
	"ICH9-LPC.disable_s3=1",
	"-boot order=cd,menu=on -rtc base=utc,driftfix=slew -k "
	"en-us -usb -usbdevice tablet",
	"-vnc unix:${dir}/vnc.sock -audiodev none,id=a0",
	"--serial none --no-reboot",
	"-vnc none",
	"-spice unix=on,addr=${dir}/spice.sock,disable-ticketing=on",
	"-drive file=//srv//web1.img,format=raw",
	"-global driver=cfi.pflash01,property=secure,value=on",
	"-nic user,restrict=on -net none",
	"-drive file=/srv/toraw,format=raw",
	"-drive file=/srv/a..b/..c,format=raw",
	"-fw_cfg name=opt/a,string=/any/text",
	"-nic user,restrict=on,net=10.0.3.0/24",
	"-smbios type=2,asset=a/b",
	"-audiodev none,id=a0 -device intel-hda -device "
	"hda-duplex,audiodev=a0",
};

static const struct row refused[] = {
	{ "-drive file=/etc/shadow,format=raw",
	  "-drive file=/etc/shadow: " OUTSIDE },
	{ "-drive file=/srv/../etc/shadow,format=raw",
	  "-drive file=/srv/../etc/shadow: " DOTS },
	{ "-drive file=/srv/./../etc/shadow,format=raw",
	  "-drive file=/srv/./../etc/shadow: " DOTS },
	{ "-drive file=/srv,format=raw", "-drive file=/srv: " OUTSIDE },
	{ "-drive file=/srvx/web1.img,format=raw",
	  "-drive file=/srvx/web1.img: " OUTSIDE },
	{ "-drive file=web1.img,format=raw", "-drive file=web1.img: " NO_PATH },
	{ "-drive file=json:{\"driver\":\"file\"},format=raw",
	  "-drive file=json:{driver:file}: " NO_PATH },
	{ "-drive 'file=json:{\"driver\":\"file\",\"filename\":\"/etc/shadow"
	  "\"},format=raw'",
	  "-drive file=json:{\"driver\":\"file\": " NO_PATH "\n"
	  "-drive \"filename\":\"/etc/shadow\"}=on: the property "
	  "'\"filename\":\"/etc/shadow\"}' is not among those that are "
	  "allowed: leave it out" },
	{ "-drive file=nbd:localhost:10809,format=raw",
	  "-drive file=nbd:localhost:10809: " NO_PATH },
	{ "-drive file=ssh://host/x,format=raw",
	  "-drive file=ssh://host/x: " NO_PATH },
	{ "-drive file=fat:rw:/srv,format=raw",
	  "-drive file=fat:rw:/srv: " NO_PATH },
	{ "-drive file=file:/etc/shadow,format=raw",
	  "-drive file=file:/etc/shadow: " NO_PATH },
	{ "-drive file=/dev/fdset/0,format=raw",
	  "-drive file=/dev/fdset/0: " OUTSIDE },
	{ "-drive file.filename=/etc/shadow,format=raw",
	  "-drive file.filename=/etc/shadow: " OUTSIDE },
	{ "-drive file=/srv/a.img,file=/etc/shadow,format=raw",
	  "-drive file=/etc/shadow: " OUTSIDE },
	{ "-drive file=/srv/a.img,backing.file.filename=/etc/shadow,f"
	  "ormat=qcow2",
	  "-drive backing.file.filename=/etc/shadow: " OUTSIDE },
	{ "-drive file=/srv/a.img,format=raw,file.locking=off",
	  "-drive file.locking=off: only these are allowed: on auto" },
	{ "-drive file=/srv/a.img,format=vmdk",
	  "-drive format=vmdk: " DRIVERS },
	{ "-drive file.driver=nbd,file.host=localhost,format=raw",
	  "-drive file.driver=nbd: " DRIVERS "\n"
	  "-drive file.host=localhost: the property 'file.host' is "
	  "not among those that are allowed: leave it out" },
	{ "-drive file=/srv/a.img,snapshot=on,format=raw",
	  "-drive snapshot=on: it writes to a file in this host's "
	  "/var/tmp: leave it out" },
	{ "-drive file=/srv/link.img,format=raw",
	  "-drive file=/srv/link.img: it leads to /etc/shadow, which "
	  "lies outside of the folders for images: move that there" },
	{ "-drive file=/srv/loop.img,format=raw",
	  "-drive file=/srv/loop.img: where it leads cannot be seen: "
	  "Too many levels of symbolic links" },
	{ "-drive if=pflash,format=raw,file=/usr/share/OVMF/OVMF_CODE"
	  ".fd",
	  "-drive file=/usr/share/OVMF/OVMF_CODE.fd: it belongs to "
	  "QEMU: add readonly=on where it is a drive, or copy it to "
	  "a folder for images" },
	{ "-drive if=pflash,format=raw,readonly=on,readonly=off,file="
	  "/usr/share/OVMF/OVMF_CODE.fd",
	  "-drive file=/usr/share/OVMF/OVMF_CODE.fd: it belongs to "
	  "QEMU: add readonly=on where it is a drive, or copy it to "
	  "a folder for images" },
	{ "-drive opts-of-later=1",
	  "-drive opts-of-later=1: the property 'opts-of-later' is "
	  "not among those that are allowed: leave it out" },
	{ "-blockdev "
	  "'{\"driver\":\"file\",\"node-name\":\"f\",\"filename\":\"/e"
	  "tc/shadow\"}'",
	  "-blockdev filename=/etc/shadow: " OUTSIDE },
	{ "-blockdev "
	  "'{\"driver\":\"raw\",\"node-name\":\"f\",\"file\":{\"driver"
	  "\":\"nbd\",\"server\":{\"type\":\"unix\",\"path\":\"/run/x\"}}}'",
	  "-blockdev file.driver=nbd: " DRIVERS "\n"
	  "-blockdev file.server.type=unix: the property "
	  "'file.server.type' is not among those that are allowed: "
	  "leave it out\n"
	  "-blockdev file.server.path=/run/x: the property "
	  "'file.server.path' is not among those that are allowed: "
	  "leave it out" },
	{ "-blockdev '{\"driver\":\"raw\",\"file.filename\":\"/etc/shadow\"}'",
	  "-blockdev file.filename=/etc/shadow: " OUTSIDE },
	{ "-blockdev '{\"driver\":\"raw\"'",
	  "-blockdev {\"driver\":\"raw\": it is no JSON object: '}' "
	  "expected near end of file" },
	{ "-blockdev '{\"driver\":\"raw\",\"driver\":\"nbd\"}'",
	  "-blockdev {\"driver\":\"raw\",\"driver\":\"nbd\"}: it is no JSON "
	  "object: duplicate object key near '\"driver\"'" },
	{ "-blockdev driver=nbd,node-name=n,server.type=unix,server.p"
	  "ath=/run/x",
	  "-blockdev nbd: QEMU would connect to somewhere on this "
	  "host's behalf: use a file or a volume below the image "
	  "directories" },
	{ "-blockdev vvfat,dir=/etc,node-name=n",
	  "-blockdev vvfat: it shows a folder or a drive of this "
	  "host to the guest: use an image" },
	{ "-hda /etc/shadow", "-hda /etc/shadow: " OUTSIDE },
	{ "-cdrom /srv/../etc/shadow", "-cdrom /srv/../etc/shadow: " DOTS },
	{ "/etc/shadow", "the word /etc/shadow: " OUTSIDE },
	{ "json:{}", "the word json:{}: " NO_PATH },
	{ "-fda fat:/etc", "-fda fat:/etc: " NO_PATH },
	{ "-mtdblock /etc/shadow", "-mtdblock /etc/shadow: " OUTSIDE },
	{ "-sd /etc/shadow", "-sd /etc/shadow: " OUTSIDE },
	{ "-pflash /etc/shadow", "-pflash /etc/shadow: " OUTSIDE },
	{ "-device vfio-pci,host=01:00.0",
	  "-device vfio-pci: it hands a device of this host to the "
	  "guest: leave it out" },
	{ "-device '{\"driver\":\"vfio-pci\",\"host\":\"01:00.0\"}'",
	  "-device vfio-pci: it hands a device of this host to the "
	  "guest: leave it out" },
	{ "-device id=x,driver=usb-host,hostbus=1",
	  "-device usb-host: it hands a device or files of this host "
	  "to the guest: use usb-storage, usb-kbd, usb-tablet or "
	  "leave it out" },
	{ "-device virtio-net-pci,driver=vfio-pci",
	  "-device driver: it stands there twice" },
	{ "-device scsi-block,drive=d",
	  "-device scsi-block: the guest would send SCSI commands to "
	  "a device of this host: use scsi-hd or scsi-cd" },
	{ "-device loader,file=/etc/shadow,addr=0",
	  "-device loader: it reads any file of this host into the "
	  "guest: use -kernel, -initrd or -fw_cfg" },
	{ "-device virtio-net-pci,romfile=/etc/shadow",
	  "-device romfile=/etc/shadow: " OUTSIDE },
	{ "-device virtio-net-pci,romfile=../../etc/shadow.rom",
	  "-device romfile=../../etc/shadow.rom: " NO_PATH },
	{ "-device vhost-user-fs-pci,chardev=c",
	  "-device vhost-user-fs-pci: it hands the guest's memory to "
	  "another process or to this host's kernel: use the virtio "
	  "device of that kind" },
	{ "-device device-of-later",
	  "-device device-of-later: this device is not among those "
	  "that are allowed: use another one" },
	{ "-device virtio-net-pci,property-of-later=1",
	  "-device property-of-later=1: the property "
	  "'property-of-later' is not among those that are allowed: "
	  "leave it out" },
	{ "-device nvme,spdm_port=22,serial=1",
	  "-device spdm_port=22: it makes QEMU connect to a port of "
	  "this host: leave it out" },
	{ "-device usb-kbd,pcap=/etc/x",
	  "-device pcap=/etc/x: it makes QEMU write a file on this "
	  "host: leave it out" },
	{ "-device", "-device: its value is missing" },
	{ "-chardev socket,id=c,host=localhost,port=22",
	  "-chardev host=localhost: " NETWORK "\n"
	  "-chardev port=22: " NETWORK "\n"
	  "-chardev socket: the property 'path' is missing" },
	{ "-chardev socket,id=c,path=/run/x.sock",
	  "-chardev path=/run/x.sock: " NOT_OWN },
	{ "-chardev socket,id=c,path=${dir}/qmp.sock",
	  "-chardev path=/run/drover/web1/qmp.sock: " NOT_OWN },
	{ "-chardev socket,id=c,path=${dir}/migrate.sock",
	  "-chardev path=/run/drover/web1/migrate.sock: " NOT_OWN },
	{ "-device isa-serial,chardev=drover-qmp",
	  "-device chardev=drover-qmp: " DROVERS },
	{ "-chardev mux,id=m,chardev=drover-qmp",
	  "-chardev chardev=drover-qmp: " DROVERS },
	{ "-serial chardev:drover-qmp", "-serial drover-qmp: " DROVERS },
	{ "-device virtio-blk-pci,drive=d,scsi=on",
	  "-device scsi=on: the guest would send SCSI commands to a device of "
	  "this host: leave it out" },
	{ "-chardev socket,id=c,path=${dir}/../x.sock",
	  "-chardev path=/run/drover/web1/../x.sock: " DOTS },
	{ "-chardev socket,id=c,path=${dir}/a/b",
	  "-chardev path=/run/drover/web1/a/b: " NOT_OWN },
	{ "-chardev socket,id=c,path=${dir}/x,abstract=on",
	  "-chardev abstract=on: a name without a file can be "
	  "reached by everybody: leave it out" },
	{ "-chardev file,id=c,path=/etc/cron.d/x",
	  "-chardev path=/etc/cron.d/x: " NOT_OWN },
	{ "-chardev null,id=c,logfile=/etc/cron.d/x",
	  "-chardev logfile=/etc/cron.d/x: " NOT_OWN },
	{ "-chardev pipe,id=c,path=${dir}/x",
	  "-chardev pipe: it opens a device or a pipe of this host: "
	  "use a socket in the machine's own folder, ${dir}/NAME" },
	{ "-chardev udp,id=c,port=1", "-chardev udp: " NETWORK },
	{ "-chardev serial,id=c,path=/dev/ttyS0",
	  "-chardev serial: it opens a device or a pipe of this "
	  "host: use a socket in the machine's own folder, "
	  "${dir}/NAME" },
	{ "-serial file:/etc/cron.d/x",
	  "-serial file:/etc/cron.d/x: " NOT_OWN },
	{ "-serial unix:/run/x.sock,server,nowait",
	  "-serial path=/run/x.sock: " NOT_OWN },
	{ "-serial unix:${dir}/x,host=localhost",
	  "-serial host=localhost: " NETWORK },
	{ "-serial tcp::4444,server", "-serial tcp::4444,server: " OPENS },
	{ "-serial /dev/ttyS0", "-serial /dev/ttyS0: " OPENS },
	{ "-serial mon:stdio", "-serial mon:stdio: " MONITOR },
	{ "-serial pipe:/x", "-serial pipe:/x: " OPENS },
	{ "-parallel /dev/parport0", "-parallel /dev/parport0: " OPENS },
	{ "-debugcon file:/etc/x", "-debugcon file:/etc/x: " NOT_OWN },
	{ "-monitor unix:${dir}/mon.sock,server,nowait",
	  "-monitor unix:/run/drover/web1/mon.sock,server,nowait: " MONITOR },
	{ "-qmp tcp::4444,server", "-qmp tcp::4444,server: " MONITOR },
	{ "-mon chardev=c0", "-mon chardev=c0: " MONITOR },
	{ "-gdb tcp::1234",
	  "-gdb tcp::1234: it lets a debugger into QEMU: leave it out" },
	{ "-s", "-s: it lets a debugger into QEMU: leave it out" },
	{ "-nic user", "-nic user: " LOOPBACK },
	{ "-nic user,restrict=on,smb=/",
	  "-nic smb=/: it shares a folder of this host, by a program "
	  "that is started for that: leave it out" },
	{ "-nic user,restrict=on,hostfwd=tcp::22-:22",
	  "-nic hostfwd=tcp::22-:22: it opens a port of this host: "
	  "leave it out" },
	{ "-nic user,restrict=on,tftp=/",
	  "-nic tftp=/: it shares a folder of this host: leave it out" },
	{ "-nic user,restrict=off", "-nic restrict=off: " LOOPBACK },
	{ "-netdev "
	  "'{\"type\":\"user\",\"id\":\"n\",\"restrict\":true,\"hostfwd\""
	  ":[{\"str\":\"tcp::22-:22\"}]}'",
	  "-netdev hostfwd.*.str=tcp::22-:22: the property "
	  "'hostfwd.*.str' is not among those that are allowed: "
	  "leave it out" },
	{ "-netdev user,id=n,restrict=on,guestfwd=tcp:10.0.2.1:1-cmd:"
	  "id",
	  "-netdev guestfwd=tcp:10.0.2.1:1-cmd:id: it connects to "
	  "this host or starts a program: leave it out" },
	{ "-nic bridge,br=br0", "-nic bridge: " TAP },
	{ "-nic tap,script=/tmp/x", "-nic tap: " TAP },
	{ "-netdev tap,id=n,fd=3", "-netdev tap: " TAP },
	{ "-netdev socket,id=n,listen=:1",
	  "-netdev socket: it sends the guest's network through one "
	  "of this host's, or through another process: leave it out" },
	{ "-netdev vhost-user,id=n,chardev=c",
	  "-netdev vhost-user: it hands the guest's network to "
	  "another process or a device of this host: leave it out" },
	{ "-net user,smb=/",
	  "-net smb=/: it shares a folder of this host, by a program "
	  "that is started for that: leave it out\n"
	  "-net user: " LOOPBACK },
	{ "-object memory-backend-file,id=m,mem-path=/etc/shadow,size"
	  "=1M",
	  "-object memory-backend-file: it maps a file or device of "
	  "this host as memory: use memory-backend-ram or "
	  "memory-backend-memfd" },
	{ "-object '{\"qom-type\":\"memory-backend-file\",\"id\":\"m\",\"mem-p"
	  "ath\":\"/etc/shadow\",\"size\":4096}'",
	  "-object memory-backend-file: it maps a file or device of "
	  "this host as memory: use memory-backend-ram or "
	  "memory-backend-memfd" },
	{ "-object rng-random,id=r,filename=/etc/shadow",
	  "-object filename=/etc/shadow: only these are allowed: "
	  "/dev/urandom /dev/random" },
	{ "-object secret,id=s,file=/etc/shadow",
	  "-object file=/etc/shadow: QEMU would read a secret from a "
	  "file of this host: write it as data=" },
	{ "-object filter-dump,id=f,netdev=n,file=/etc/x",
	  "-object filter-dump: it writes what the guest sends to a "
	  "file of this host: leave it out" },
	{ "-object input-linux,id=i,evdev=/dev/input/event0",
	  "-object input-linux: it takes keys and mice of this host "
	  "or its network: use usb-kbd and usb-tablet" },
	{ "-object cryptodev-vhost-user,id=c,chardev=c",
	  "-object cryptodev-vhost-user: it hands work to a process "
	  "or to the kernel of this host: leave it out" },
	{ "-object authz-pam,id=a,service=x",
	  "-object authz-pam: it reads files of this host: use "
	  "authz-list" },
	{ "-object object-of-later,id=o",
	  "-object object-of-later: this object is not among those "
	  "that are allowed: use another one" },
	{ "-fw_cfg name=opt/a,file=/etc/shadow",
	  "-fw_cfg file=/etc/shadow: " OUTSIDE },
	{ "-fw_cfg '{\"string\":\"x,file=/etc/shadow,name=opt/y\"}'",
	  "-fw_cfg {\"string\":\"x,file=/etc/shadow,name=opt/y\"}: " NO_JSON },
	{ "-spice '{\"unix\":true,\"password\":\"x,addr=0.0.0.0,port=59\"}'",
	  "-spice "
	  "{\"unix\":true,\"password\":\"x,addr=0.0.0.0,port=59\"}: " NO_JSON },
	{ "-serial 'unix:{\"path\":\"${dir}/x\"}'",
	  "-serial {\"path\":\"/run/drover/web1/x\"}: " NO_JSON },
	{ "-fw_cfg opt/a,file=/srv/../etc/shadow",
	  "-fw_cfg file=/srv/../etc/shadow: " DOTS },
	{ "-smbios type=11,path=/etc/shadow",
	  "-smbios path=/etc/shadow: " OUTSIDE },
	{ "-smbios file=/etc/shadow", "-smbios file=/etc/shadow: " OUTSIDE },
	{ "-acpitable file=/srv/a:/etc/shadow",
	  "-acpitable file=/srv/a:/etc/shadow: QEMU would take it "
	  "for a list of files: write one, without ':', ',' and "
	  "blanks" },
	{ "-acpitable sig=ABCD,data=/etc/shadow",
	  "-acpitable data=/etc/shadow: " OUTSIDE },
	{ "-kernel /etc/shadow", "-kernel /etc/shadow: " OUTSIDE },
	{ "-initrd /srv/a,/etc/shadow",
	  "-initrd /srv/a,/etc/shadow: QEMU would take it for a list "
	  "of files: write one, without ':', ',' and blanks" },
	{ "-bios /etc/shadow", "-bios /etc/shadow: " OUTSIDE },
	{ "-bios swapfile", "-bios swapfile: " NO_PATH },
	{ "-option-rom /etc/shadow",
	  "-option-rom romfile=/etc/shadow: " OUTSIDE },
	{ "-option-rom romfile=/etc/shadow,bootindex=1",
	  "-option-rom romfile=/etc/shadow: " OUTSIDE },
	{ "-boot splash=/etc/shadow", "-boot splash=/etc/shadow: " OUTSIDE },
	{ "-dtb /etc/shadow -shim /etc/shadow",
	  "-dtb /etc/shadow: " OUTSIDE "\n"
	  "-shim /etc/shadow: " OUTSIDE },
	{ "-L /tmp", "-L /tmp: QEMU would read its firmware from another "
		     "folder: name the file by -bios" },
	{ "-D /etc/x", "-D /etc/x: " FLOODS },
	{ "-d in_asm", "-d in_asm: " FLOODS },
	{ "-trace file=/etc/x", "-trace file=/etc/x: " FLOODS },
	{ "-plugin /tmp/x.so",
	  "-plugin /tmp/x.so: it loads code of another into QEMU: "
	  "leave it out" },
	{ "-dump-vmstate /etc/x",
	  "-dump-vmstate /etc/x: it writes a file on this host: "
	  "leave it out" },
	{ "-readconfig /tmp/x",
	  "-readconfig /tmp/x: it reads further options from a file: "
	  "write them among the arguments" },
	{ "-runas root", "-runas root: " CONFINES },
	{ "-chroot /", "-chroot /: " CONFINES },
	{ "-run-with user=root", "-run-with user=root: " CONFINES },
	{ "-sandbox off", "-sandbox off: " CONFINES },
	{ "-add-fd fd=3,set=1",
	  "-add-fd fd=3,set=1: descriptors are handed to QEMU by "
	  "droverd alone: leave it out" },
	{ "-set device.x.romfile=/etc/shadow",
	  "-set device.x.romfile=/etc/shadow: it changes what "
	  "another option says: write the property there" },
	{ "-global virtio-net-pci.romfile=/etc/shadow",
	  "-global romfile=/etc/shadow: " OUTSIDE },
	{ "-global driver=virtio-net-pci,property=romfile,value=/etc/"
	  "shadow",
	  "-global romfile=/etc/shadow: " OUTSIDE },
	{ "-global vfio-pci.host=01:00.0",
	  "-global host=01:00.0: the property 'host' is not among "
	  "those that are allowed: leave it out" },
	{ "-loadvm x", "-loadvm x: a machine that moves brings its own state: "
		       "leave it out" },
	{ "-incoming exec:id",
	  "-incoming exec:id: Drover sets it: leave it out" },
	{ "-iscsi user=x",
	  "-iscsi user=x: QEMU would connect to a disk elsewhere on "
	  "this host's behalf: use a file below the image directories" },
	{ "-xen-domid 1",
	  "-xen-domid 1: it belongs to a host of Xen's: leave it out" },
	{ "-semihosting",
	  "-semihosting: the guest would open files of this host: "
	  "leave it out" },
	{ "-fsdev local,id=f,path=/,security_model=none",
	  "-fsdev local,id=f,path=/,security_model=none: it shares a "
	  "folder of this host with the guest: use a disk" },
	{ "-virtfs local,path=/,mount_tag=t,security_model=none",
	  "-virtfs local,path=/,mount_tag=t,security_model=none: it "
	  "shares a folder of this host with the guest: use a disk" },
	{ "-tpmdev passthrough,id=t,path=/dev/tpm0",
	  "-tpmdev passthrough: it hands this host's TPM to the "
	  "guest: use emulator" },
	{ "-vnc :1",
	  "-vnc :1: it opens a port of this host or connects to one: "
	  "write unix:${dir}/NAME, or none" },
	{ "-vnc unix:/run/x.sock", "-vnc unix:/run/x.sock: " NOT_OWN },
	{ "-vnc unix:${dir}/x,websocket=on",
	  "-vnc websocket=on: the property 'websocket' is not among "
	  "those that are allowed: leave it out" },
	{ "-vnc unix:${dir}/x,,y",
	  "-vnc unix:/run/drover/web1/x,,y: it opens a port of this "
	  "host or connects to one: write unix:${dir}/NAME, or none" },
	{ "-spice port=5900",
	  "-spice port=5900: it opens a port of this host: write "
	  "unix=on,addr=${dir}/NAME\n"
	  "-spice: it opens a port of this host: write "
	  "unix=on,addr=${dir}/NAME" },
	{ "-spice addr=${dir}/x", "-spice: it opens a port of this host: write "
				  "unix=on,addr=${dir}/NAME" },
	{ "-spice unix=off,addr=${dir}/x",
	  "-spice unix=off: it opens a port of this host: write "
	  "unix=on,addr=${dir}/NAME" },
	{ "-display gtk",
	  "-display gtk: it shows the guest on this host, or draws "
	  "with its card: use none, and -vnc unix:${dir}/NAME" },
	{ "-display egl-headless,rendernode=/dev/dri/renderD128",
	  "-display egl-headless: it shows the guest on this host, "
	  "or draws with its card: use none, and -vnc "
	  "unix:${dir}/NAME" },
	{ "-display vnc=:1", "-display: it does not say which display" },
	{ "-audiodev wav,id=a,path=/etc/x",
	  "-audiodev wav: it writes a file on this host: use none" },
	{ "-audiodev alsa,id=a",
	  "-audiodev alsa: it plays on this host: use none" },
	{ "-icount shift=auto,rr=record,rrfile=/etc/x",
	  "-icount rr=record: it records to a file of this host: "
	  "leave it out\n"
	  "-icount rrfile=/etc/x: it records to a file of this host: "
	  "leave it out" },
	{ "-overcommit mem-lock=on",
	  "-overcommit mem-lock=on: it locks memory of this host: "
	  "leave it out" },
	{ "-snapshot", "-snapshot: it writes to files in this host's /var/tmp: "
		       "leave it out" },
	{ "-daemonize", "-daemonize: Drover sets it: leave it out" },
	{ "-pidfile /etc/x", "-pidfile /etc/x: Drover sets it: leave it out" },
	{ "-mem-path /etc",
	  "-mem-path /etc: Drover sets it: use the key 'huge-pages'" },
	{ "-qtest unix:/x",
	  "-qtest unix:/x: it is for QEMU's own tests: leave it out" },
	{ "-k ../../etc/shadow",
	  "-k ../../etc/shadow: write a plain name, of letters, "
	  "digits, '-' and '_'" },
	{ "-usbdevice host:1",
	  "-usbdevice host:1: only these are allowed: mouse tablet "
	  "keyboard wacom-tablet ccid; write other devices as -device" },
	{ "-option-of-later x",
	  "-option-of-later: this option is not among those that are "
	  "allowed: leave it out" },
	{ "---serial none",
	  "---serial: this option is not among those that are "
	  "allowed: leave it out" },
	{ "-", "-: this option is not among those that are allowed: leave "
	       "it out" },
	{ "-append", "-append: its value is missing" },
	{ "-drive file=/dev/vg0/web1,format=raw",
	  "-drive file=/dev/vg0/web1: " OUTSIDE },
	{ "-drive file=/srv/x/..,format=raw", "-drive file=/srv/x/..: " DOTS },
	{ "-kernel /usr/share/qemu/x",
	  "-kernel /usr/share/qemu/x: it belongs to QEMU: add "
	  "readonly=on where it is a drive, or copy it to a folder "
	  "for images" },
	{ "-device virtio-blk-pci,bus=/x",
	  "-device bus=/x: it names no file: write it without '/'" },
	{ "-serial chardev:/x",
	  "-serial /x: write a plain name, of letters, digits, '-' "
	  "and '_'" },
	{ "-device virtio-blk-pci,drive=/etc/shadow",
	  "-device drive=/etc/shadow: '/etc/shadow' is no id of "
	  "another part of the machine: use letters, digits, '-', "
	  "'.' and '_'" },
	{ "-device AC97", "-device AC97: QEMU would play on this host: write "
			  "audiodev=NAME and -audiodev none,id=NAME" },
};
