/* SPDX-License-Identifier: MIT */
#include "trap.h"

#include <stdint.h>

#include "console.h"
#include "port.h"

#define FAULTS 32
#define INTERRUPTS 16
#define FAULT_STUB_BYTES 16
#define CODE_SEGMENT 8
#define GATE_PRESENT_INTERRUPT 0x8e00

/* Intel SDM volume 3, 11.4.1 and 11.5.1. */
#define APIC_SPURIOUS 0xfee000f0
#define APIC_LINT0 0xfee00350
#define APIC_ENABLED_VECTOR_47 0x12f
#define APIC_FROM_PIC 0x700

#define PIC1 0x20
#define PIC2 0xa0
#define PIC_START_WITH_WORD4 0x11
#define PIC_8086 0x01
#define PIC1_ONLY_TIMER 0xfe
#define PIC2_NONE 0xff

/* Intel SDM volume 3, 6.14.1: 64-bit gate. */
struct gate {
	uint16_t address_0;
	uint16_t segment;
	uint16_t flags;
	uint16_t address_16;
	uint32_t address_32;
	uint32_t reserved;
};

struct idt_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

extern const char trap_interrupt[];
extern const char trap_faults[];
__attribute__((noreturn)) void trap_fault(uint64_t vector,
					  const uint64_t *stack);

static struct gate idt[FAULTS + INTERRUPTS];

static struct gate gate_to(const char *code)
{
	uint64_t address = (uintptr_t)code;

	return (struct gate){
		.address_0 = (uint16_t)address,
		.segment = CODE_SEGMENT,
		.flags = GATE_PRESENT_INTERRUPT,
		.address_16 = (uint16_t)(address >> 16),
		.address_32 = (uint32_t)(address >> 32),
	};
}

static void pic_init(void)
{
	port_write(PIC1, PIC_START_WITH_WORD4);
	port_write(PIC2, PIC_START_WITH_WORD4);
	port_write(PIC1 + 1, FAULTS);
	port_write(PIC2 + 1, FAULTS + INTERRUPTS / 2);
	port_write(PIC1 + 1, 1 << 2);
	port_write(PIC2 + 1, 2);
	port_write(PIC1 + 1, PIC_8086);
	port_write(PIC2 + 1, PIC_8086);
	port_write(PIC1 + 1, PIC1_ONLY_TIMER);
	port_write(PIC2 + 1, PIC2_NONE);
}

/* SeaBIOS lets the PIC's interrupts through, microvm's firmware does not. */
static void apic_init(void)
{
	*(volatile uint32_t *)APIC_SPURIOUS = APIC_ENABLED_VECTOR_47;
	*(volatile uint32_t *)APIC_LINT0 = APIC_FROM_PIC;
}

void trap_init(void)
{
	struct idt_register idtr = {
		.limit = sizeof(idt) - 1,
		.base = (uintptr_t)idt,
	};

	for (unsigned i = 0; i < FAULTS; i++)
		idt[i] = gate_to(trap_faults + i * FAULT_STUB_BYTES);
	for (unsigned i = 0; i < INTERRUPTS; i++)
		idt[FAULTS + i] = gate_to(trap_interrupt);
	__asm__ volatile("lidt %0" : : "m"(idtr));
	pic_init();
	apic_init();
}

/* The stack holds an error code first for some vectors, else rip and cs. */
void trap_fault(uint64_t vector, const uint64_t *stack)
{
	uint64_t address;

	__asm__ volatile("mov %%cr2, %0" : "=r"(address));
	console_print("drover-stress: FAULT vector=%lu cr2=%lx stack=%lx %lx "
		      "%lx\n",
		      vector, address, stack[0], stack[1], stack[2]);
	for (;;)
		__asm__ volatile("cli; hlt");
}
