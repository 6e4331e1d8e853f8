/* Reset, start-up, exception vectors, the two interrupts. Xtensa Instruction Set Architecture Reference Manual (ISA RM),
 * chapters 4.4 (interrupts, exceptions) and 5.3 (special registers); call0 ABI: a0 return address, a1 stack pointer, a12 to
 * a15 callee-saved. Offsets of the vectors: QEMU, target/xtensa/core-lx106/core-isa.h. */

#define PS_RESET 0x1F /* EXCM, all interrupts masked: ISA RM, "Reset" */
#define CAUSE_LEVEL1 4 /* EXCCAUSE: Level1InterruptCause */
#define TIMER_BIT 6    /* interrupt number of CCOMPARE0 */
#define UART_BIT 0     /* ... of the UART of QEMU's FPGA boards: external interrupt 0 */

#define ATTR_RWX 2      /* region protection attributes: bypass the cache, ... */
#define ATTR_ILLEGAL 15 /* ... no access at all */

    .section .reset, "ax"
    .global xt_reset
    .align 4
xt_reset: /* at 0x50000000, where the core starts; also how the firmware restarts itself */
    j start
    .align 4
    .literal_position
start:
    movi a2, PS_RESET
    wsr a2, ps
    movi a2, 0
    wsr a2, intenable
    wsr a2, dbreakc0 /* a restart must be able to paint the stack */
    rsync

    /* As ESP-IDF does: nothing is allowed where nothing should be (512 MB regions), above all at address 0. Of the others
     * the one with the RAM is data only. 0x80000000 has the UART. */
    movi a2, ATTR_ILLEGAL
    movi a3, 0x00000000
    wdtlb a2, a3
    witlb a2, a3
    movi a3, 0x20000000
    witlb a2, a3
    movi a3, 0x60000000
    wdtlb a2, a3
    witlb a2, a3
    movi a3, 0x80000000
    witlb a2, a3
    movi a3, 0xA0000000
    wdtlb a2, a3
    witlb a2, a3
    movi a3, 0xC0000000
    wdtlb a2, a3
    witlb a2, a3
    movi a3, 0xE0000000
    wdtlb a2, a3
    witlb a2, a3
    dsync
    isync

    movi a2, link_iram_load
    movi a3, link_iram_start
    movi a4, link_iram_end
    call0 copy
    movi a2, link_text_load
    movi a3, link_text_start
    movi a4, link_text_end
    call0 copy
    movi a2, link_data_load
    movi a3, link_data_start
    movi a4, link_data_end
    call0 copy
    movi a2, 0
    movi a3, link_bss_start
    movi a4, link_bss_end
    call0 fill
    movi a2, 0x5AC4F111 /* XT_PAINT */
    movi a3, link_stack_bottom
    movi a4, link_stack_top
    call0 fill
    isync

    movi a2, xt_vectors
    wsr a2, vecbase
    /* A store to the lowest 64 bytes of the stack is a debug exception: what ESP-IDF calls
     * CONFIG_FREERTOS_WATCHPOINT_END_OF_STACK. DBREAKC: bit 31 stores, bits 5..0 the address bits that must be equal. */
    movi a2, link_stack_bottom
    wsr a2, dbreaka0
    movi a2, 0x80000000
    wsr a2, dbreakc0
    movi a1, link_stack_top
    movi a2, 0
    wsr a2, ps /* privileged, not in an exception, no interrupt masked */
    rsync
    movi a0, xt_main
    callx0 a0 /* does not return */

copy: /* from a2 to [a3, a4), words */
    bgeu a3, a4, 1f
    l32i a5, a2, 0
    s32i a5, a3, 0
    addi a2, a2, 4
    addi a3, a3, 4
    j copy
1:  ret

fill: /* [a3, a4) with a2, words */
    bgeu a3, a4, 1f
    s32i a2, a3, 0
    addi a3, a3, 4
    j fill
1:  ret

/* Each vector keeps a0 in a register of its own and leaves. */
    .section .vectors, "ax"
    .global xt_vectors
    .align 256
xt_vectors:
    .org 0x10 /* level 2: debug */
    wsr a0, excsave2
    j on_debug
    .org 0x20 /* level 3: NMI */
    wsr a0, excsave3
    j on_nmi
    .org 0x30 /* kernel */
    wsr a0, excsave1
    j on_exception
    .org 0x50 /* user: nothing here runs in user mode */
    wsr a0, excsave1
    j on_exception
    .org 0x70 /* an exception while PS.EXCM is set, i.e. in a handler; EXCSAVE1 is in use then */
    wsr a0, excsave2
    j on_double
    .org 0x80

    .align 4
    .literal_position
on_exception:
    rsr a0, exccause
    beqi a0, CAUSE_LEVEL1, on_level1
to_exception:
    movi a0, xt_fault_frame
    s32i a2, a0, 8
    rsr a2, excsave1
    s32i a2, a0, 0
    rsr a2, epc1
    s32i a2, a0, 64
    rsr a2, ps
    s32i a2, a0, 68
    movi a2, 0 /* XT_EXCEPTION */
    j save

on_double:
    movi a0, xt_fault_frame
    s32i a2, a0, 8
    rsr a2, excsave2
    s32i a2, a0, 0
    rsr a2, depc
    s32i a2, a0, 64
    rsr a2, ps
    s32i a2, a0, 68
    movi a2, 1 /* XT_DOUBLE */
    j save

on_debug:
    movi a0, xt_fault_frame
    s32i a2, a0, 8
    rsr a2, excsave2
    s32i a2, a0, 0
    rsr a2, epc2
    s32i a2, a0, 64
    rsr a2, eps2
    s32i a2, a0, 68
    movi a2, 2 /* XT_DEBUG */
    j save

on_nmi:
    movi a0, xt_fault_frame
    s32i a2, a0, 8
    rsr a2, excsave3
    s32i a2, a0, 0
    rsr a2, epc3
    s32i a2, a0, 64
    rsr a2, eps3
    s32i a2, a0, 68
    movi a2, 3 /* XT_NMI */

save: /* a0 the frame, a2 the kind; a0, a2, pc and ps are in it */
    s32i a1, a0, 4
    s32i a3, a0, 12
    s32i a4, a0, 16
    s32i a5, a0, 20
    s32i a6, a0, 24
    s32i a7, a0, 28
    s32i a8, a0, 32
    s32i a9, a0, 36
    s32i a10, a0, 40
    s32i a11, a0, 44
    s32i a12, a0, 48
    s32i a13, a0, 52
    s32i a14, a0, 56
    s32i a15, a0, 60
    rsr a3, exccause
    s32i a3, a0, 72
    rsr a3, excvaddr
    s32i a3, a0, 76
    rsr a3, debugcause
    s32i a3, a0, 80
    rsr a3, interrupt
    s32i a3, a0, 84
    s32i a2, a0, 88
    mov a2, a0
    movi a1, xt_emergency_stack_top
    movi a0, xt_fault
    jx a0 /* does not return */

/* Level 1: the timer, always by the same number of instructions, which xt_clock.c takes off again; or the UART. */
on_level1:
    movi a0, xt_interrupt_frame
    s32i a2, a0, 8
    s32i a3, a0, 12
    rsr a2, interrupt
    rsr a3, intenable
    and a2, a2, a3
    bbci a2, TIMER_BIT, not_the_timer
    /* CCOUNT has passed a multiple of 2^31, or a wait is over. xt_halves counts the multiples: its lowest bit is the
     * highest of CCOUNT when it is up to date. Writing CCOMPARE0 ends the interrupt. */
    movi a0, xt_clock
    l32i a2, a0, 0
    rsr a3, ccount
    extui a3, a3, 31, 1
    xor a3, a3, a2
    extui a3, a3, 0, 1
    add a2, a2, a3
    s32i a2, a0, 0
    addi a2, a2, 1
    slli a2, a2, 31
    wsr a2, ccompare0
    l32i a2, a0, 4
    addi a2, a2, 1
    s32i a2, a0, 4
    movi a0, xt_interrupt_frame
    l32i a2, a0, 8
    l32i a3, a0, 12
    rsr a0, excsave1
    rfe

not_the_timer:
    bbci a2, UART_BIT, not_the_uart
    s32i a1, a0, 4
    s32i a4, a0, 16
    s32i a5, a0, 20
    s32i a6, a0, 24
    s32i a7, a0, 28
    s32i a8, a0, 32
    s32i a9, a0, 36
    s32i a10, a0, 40
    s32i a11, a0, 44
    rsr a2, sar
    s32i a2, a0, 48
    movi a1, xt_interrupt_stack_top
    movi a2, xt_uart_interrupt
    callx0 a2
    movi a0, xt_interrupt_frame
    l32i a2, a0, 48
    wsr a2, sar
    l32i a1, a0, 4
    l32i a2, a0, 8
    l32i a3, a0, 12
    l32i a4, a0, 16
    l32i a5, a0, 20
    l32i a6, a0, 24
    l32i a7, a0, 28
    l32i a8, a0, 32
    l32i a9, a0, 36
    l32i a10, a0, 40
    l32i a11, a0, 44
    rsr a0, excsave1
    rfe

not_the_uart: /* nothing else was enabled: to the report, with every register as it was */
    l32i a2, a0, 8
    l32i a3, a0, 12
    j to_exception

    .section .bss.xt_stacks, "aw", @nobits
    .align 16
xt_emergency_stack:
    .space 2048
xt_emergency_stack_top:
    .space 1024
xt_interrupt_stack_top:
