# Included by apps/emulated/CMakeLists.txt.
set(_common ${CMAKE_CURRENT_LIST_DIR}/../common)
get_filename_component(_common ${_common} ABSOLUTE)

set(TML_PORT_SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/start.c
    ${CMAKE_CURRENT_LIST_DIR}/faults.c
    ${CMAKE_CURRENT_LIST_DIR}/port.c
    ${CMAKE_CURRENT_LIST_DIR}/semihosting.c
    ${CMAKE_CURRENT_LIST_DIR}/usart.c
    ${_common}/freestanding.c)
# Our string.h in place of a C library's.
set(TML_PORT_INCLUDE_DIRS ${CMAKE_CURRENT_LIST_DIR} ${_common}/include)
set(TML_PORT_COMPILE_OPTIONS -fno-common -fno-unwind-tables -fno-asynchronous-unwind-tables)
# The entry stands in the script too; zig overrules that.
set(TML_PORT_LINK_OPTIONS -T${CMAKE_CURRENT_LIST_DIR}/link.ld -Wl,--entry=machine_reset)
set(TML_PORT_LIBRARIES)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND TML_PORT_LINK_OPTIONS -Wl,--print-memory-usage -Wl,--fatal-warnings)
  set(TML_PORT_LIBRARIES gcc) # 64-bit division and the like
else()
  list(APPEND TML_PORT_LINK_OPTIONS -rtlib=compiler-rt) # the same, and __aeabi_memcpy: zig leaves it out with -nostdlib
endif()
# Every received byte is copied twice.
set_source_files_properties(${_common}/freestanding.c PROPERTIES COMPILE_OPTIONS -O2)
