# Included by the port.cmake of STM32F4 ports, which have a part.h, a port.c and a link.ld.
get_filename_component(_common ${CMAKE_CURRENT_LIST_DIR}/../common ABSOLUTE)

set(TML_PORT_SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/clocks.c
    ${CMAKE_CURRENT_LIST_DIR}/faults.c
    ${CMAKE_CURRENT_LIST_DIR}/serial.c
    ${CMAKE_CURRENT_LIST_DIR}/start.c
    ${CMAKE_CURRENT_LIST_DIR}/usart.c
    ${_common}/freestanding.c)
# Our string.h in place of a C library's.
set(TML_PORT_INCLUDE_DIRS ${CMAKE_CURRENT_LIST_DIR} ${_common}/include)
set(TML_PORT_COMPILE_OPTIONS -fno-common -fno-unwind-tables -fno-asynchronous-unwind-tables)
# One script of two, because zig does not tell its linker where to look for what a script includes.
set(_script ${CMAKE_CURRENT_BINARY_DIR}/link.ld)
file(READ ${CMAKE_CURRENT_LIST_DIR}/../${TML_PORT}/link.ld _memories)
file(READ ${CMAKE_CURRENT_LIST_DIR}/sections.ld _sections)
string(REPLACE "INCLUDE sections.ld" "${_sections}" _whole "${_memories}")
file(WRITE ${_script} "${_whole}")
# The entry stands in the script too; zig overrules that.
set(TML_PORT_LINK_OPTIONS -T${_script} -Wl,--entry=machine_reset)
set(TML_PORT_LIBRARIES)
if(TML_FPU)
  list(APPEND TML_PORT_COMPILE_OPTIONS -DTML_FPU=1) # start.c switches it on
endif()
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND TML_PORT_LINK_OPTIONS -Wl,--print-memory-usage -Wl,--fatal-warnings)
  set(TML_PORT_LIBRARIES gcc) # 64-bit division and the like
else()
  list(APPEND TML_PORT_LINK_OPTIONS -rtlib=compiler-rt) # the same, and __aeabi_memcpy: zig leaves it out with -nostdlib
endif()
# Every received byte is copied twice.
set_source_files_properties(${_common}/freestanding.c PROPERTIES COMPILE_OPTIONS -O2)
