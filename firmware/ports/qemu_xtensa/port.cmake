# For apps/emulated: an emulated LX106 (README.md). GCC's -mtext-section-literals puts what l32r loads, at most 256 KB back,
# beside the function that loads it; -mlongcalls is not needed, because instructions alone stay far below the 512 KB that
# call0 reaches (if they do not, the linker says so).
set(TML_XTENSA ${CMAKE_CURRENT_LIST_DIR})
set(TML_PORT_SOURCES
    ${TML_XTENSA}/start.S
    ${TML_XTENSA}/port_qemu_xtensa.c
    ${TML_XTENSA}/simcall.c
    ${TML_XTENSA}/clock.c
    ${TML_XTENSA}/uart.c
    ${TML_XTENSA}/faults.c
    ${TML_XTENSA}/arithmetic.c
    ${TML_XTENSA}/../common/freestanding.c)
set(TML_PORT_INCLUDE_DIRS ${TML_XTENSA} ${TML_XTENSA}/../common/include)
set(TML_PORT_COMPILE_OPTIONS -mtext-section-literals)
set(TML_PORT_LINK_OPTIONS "-Wl,-T,${TML_XTENSA}/link.ld" -Wl,--print-memory-usage -Wl,--fatal-warnings)
set(TML_PORT_LIBRARIES gcc) # shifts of 64 bits and the like; what it lacks is in arithmetic.c
# The kernels call these at every turn.
set_source_files_properties(
  ${TML_XTENSA}/arithmetic.c ${TML_XTENSA}/../common/freestanding.c PROPERTIES COMPILE_OPTIONS -O2)
