# The firmware of one processor without an operating system: what an application's CMakeLists.txt, which has a main.c beside
# it, includes behind its project().
#
# The port's linker script declares the memories, and link_flash_bytes, link_ram_bytes and link_stack_bytes.
# This makes firmware.elf and firmware.map; without more words with the engine that does nothing. Every input counts by
# content, none by its place or time: the same sources give the same bytes in any folder.
get_filename_component(FIRMWARE ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)
file(GLOB NULL_ENGINE ${FIRMWARE}/engines/null/*.c)

set(TML_PORT "" CACHE STRING "A folder of firmware/ports that has a port.cmake")
set(TML_GENERATED_SOURCES ${NULL_ENGINE} CACHE STRING "What defines tml_the_engine and tml_the_model")
set(TML_VENDOR_SOURCES "" CACHE STRING "C of others: the network and its kernels; compiled without warnings")
set(TML_INCLUDE_DIRS "" CACHE STRING "Folders of the headers of both")
set(TML_OPTIMISATION "-O3" CACHE STRING "Of the network and its kernels; the rest is built for size")
option(TML_FAULTS "Can be told to fail" OFF)
option(TML_FPU "The network computes with floating point: switch the FPU on, where the port knows one" OFF)
set(TML_DEFINITIONS "" CACHE STRING "For the application and the port, NAME=VALUE")
set(TML_LIBRARIES "" CACHE STRING "Archives of others that the network calls; they may call the compiler's C library")
set(TML_FIRMWARE_SHA256 "0000000000000000000000000000000000000000000000000000000000000000" CACHE STRING "In IDENTITY")
set(TML_FIRMWARE_VERSION "dev" CACHE STRING "In IDENTITY")

# Sets TML_PORT_SOURCES, TML_PORT_INCLUDE_DIRS, TML_PORT_COMPILE_OPTIONS, TML_PORT_LINK_OPTIONS, TML_PORT_LIBRARIES.
include(${FIRMWARE}/ports/${TML_PORT}/port.cmake)

file(GLOB CORE CONFIGURE_DEPENDS ${FIRMWARE}/core/src/*.c)
set(OWN ${CORE} ${CMAKE_CURRENT_SOURCE_DIR}/main.c ${FIRMWARE}/ports/common/fault_report.c ${TML_PORT_SOURCES})
if(TML_FAULTS)
  list(APPEND OWN ${FIRMWARE}/apps/common/faults.c)
endif()

# Float sums are TensorFlow Lite Micro's only where no multiplication and addition become one instruction.
set(COMMON -std=c11 -ffp-contract=off -ffreestanding -ffunction-sections -fdata-sections -g1 -fstack-usage
    "-ffile-prefix-map=${FIRMWARE}=firmware" "-ffile-prefix-map=${CMAKE_CURRENT_BINARY_DIR}=build")
foreach(folder IN LISTS TML_INCLUDE_DIRS)
  list(APPEND COMMON "-ffile-prefix-map=${folder}=generated")
endforeach()

add_library(own OBJECT ${OWN} ${TML_GENERATED_SOURCES})
target_compile_options(own PRIVATE ${COMMON} -Os -Wall -Wextra -Wconversion -Wshadow -Wundef -Wstrict-prototypes
                                   ${TML_PORT_COMPILE_OPTIONS})
target_compile_definitions(
  own PRIVATE ${TML_DEFINITIONS} TML_FIRMWARE_SHA256="${TML_FIRMWARE_SHA256}" TML_FIRMWARE_VERSION="${TML_FIRMWARE_VERSION}"
              $<$<BOOL:${TML_FAULTS}>:TML_FAULTS=1>)
target_include_directories(
  own PRIVATE ${TML_INCLUDE_DIRS} ${FIRMWARE}/core/include ${FIRMWARE}/apps/common ${FIRMWARE}/ports/common
              ${TML_PORT_INCLUDE_DIRS})

set(objects $<TARGET_OBJECTS:own>)
if(TML_VENDOR_SOURCES)
  add_library(vendor OBJECT ${TML_VENDOR_SOURCES})
  target_compile_options(vendor PRIVATE ${COMMON} ${TML_OPTIMISATION} -w ${TML_PORT_COMPILE_OPTIONS})
  target_include_directories(vendor PRIVATE ${TML_INCLUDE_DIRS} ${TML_PORT_INCLUDE_DIRS})
  list(APPEND objects $<TARGET_OBJECTS:vendor>)
endif()

add_executable(firmware.elf ${objects})
target_link_options(firmware.elf PRIVATE -nostdlib -Wl,--gc-sections -Wl,--build-id=none
                    # zig's front end refuses to hand -Map on to its linker.
                    "$<$<C_COMPILER_ID:GNU>:-Wl,-Map=${CMAKE_CURRENT_BINARY_DIR}/firmware.map>"
                    ${TML_PORT_LINK_OPTIONS})
if(TML_LIBRARIES)
  list(APPEND TML_LIBRARIES m c)
endif()
target_link_libraries(firmware.elf PRIVATE ${TML_LIBRARIES} ${TML_PORT_LIBRARIES})
