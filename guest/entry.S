/* SPDX-License-Identifier: MIT */
/*
 * From QEMU's PVH entry (32 bits, no paging, %ebx points to the start info)
 * to guest_main() in 64 bits with the first 4 GiB mapped one to one. Also the
 * first instructions of interrupts and faults. PVH: xen/include/public/
 * arch-x86/hvm/start_info.h; the note is XEN_ELFNOTE_PHYS32_ENTRY (18).
 */

#define PAGE_PRESENT_WRITE 0x3
#define PAGE_2M 0x80
#define CR0_PAGING 0x80000000
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define EFER_LONG_MODE 0x100
#define PIC_COMMAND 0x20
#define PIC_END_OF_INTERRUPT 0x20
#define STACK_BYTES 16384

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 8, 18
	.asciz "Xen"
	.quad pvh_entry

	.section .text.entry, "ax"
	.code32
	.globl pvh_entry
pvh_entry:
	cli
	cld
	mov $__bss_start, %edi
	mov $__image_end, %ecx
	sub %edi, %ecx
	shr $2, %ecx
	xor %eax, %eax
	rep stosl

	/* 2048 entries of 2 MiB; the address wraps exactly after 4 GiB. */
	mov $boot_directories, %edi
	mov $(PAGE_PRESENT_WRITE | PAGE_2M), %eax
1:	mov %eax, (%edi)
	add $8, %edi
	add $0x200000, %eax
	jnc 1b

	mov $boot_pointers, %edi
	mov $(boot_directories + PAGE_PRESENT_WRITE), %eax
	mov $4, %ecx
2:	mov %eax, (%edi)
	add $8, %edi
	add $4096, %eax
	loop 2b
	movl $(boot_pointers + PAGE_PRESENT_WRITE), boot_root

	mov %cr4, %eax
	or $CR4_PAE, %eax
	mov %eax, %cr4
	mov $boot_root, %eax
	mov %eax, %cr3
	mov $MSR_EFER, %ecx
	rdmsr
	or $EFER_LONG_MODE, %eax
	wrmsr
	mov %cr0, %eax
	or $CR0_PAGING, %eax
	mov %eax, %cr0
	lgdt gdt_register
	ljmp $8, $long_mode

	.code64
long_mode:
	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $stack_top, %esp
	mov %ebx, %edi
	call guest_main
3:	hlt
	jmp 3b

	/* An interrupt has done its work by ending the hlt. */
	.globl trap_interrupt
trap_interrupt:
	push %rax
	mov $PIC_END_OF_INTERRUPT, %al
	out %al, $PIC_COMMAND
	pop %rax
	iretq

	/* One stub of 16 bytes for each fault vector; none of them returns. */
	.balign 16
	.globl trap_faults
trap_faults:
	.set vector, 0
	.rept 32
	.balign 16
	mov $vector, %edi
	jmp fault
	.set vector, vector + 1
	.endr
fault:
	mov %rsp, %rsi
	and $-16, %rsp
	call trap_fault

	.section .rodata
	.balign 8
gdt:
	.quad 0
	.quad 0x00af9a000000ffff
	.quad 0x00cf92000000ffff
gdt_register:
	.word . - gdt - 1
	.long gdt

	.section .bss, "aw", @nobits
	.balign 4096
boot_root:
	.skip 4096
	.globl boot_pointers
boot_pointers:
	.skip 4096
boot_directories:
	.skip 4 * 4096
	.skip STACK_BYTES
stack_top:

	.section .note.GNU-stack, "", @progbits
