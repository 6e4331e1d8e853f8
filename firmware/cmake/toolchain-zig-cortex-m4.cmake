# zig's C compiler (clang, lld) for Cortex-M4, from the PyPI wheel `ziglang`: needs no root and no package of the system.
#
#   cmake --toolchain .../toolchain-zig-cortex-m4.cmake -DTML_PYTHON=/path/to/python ...
#
# where TML_PYTHON is a Python that has the wheel.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR cortex-m4)
set(TML_PYTHON python3 CACHE STRING "A Python that has the wheel ziglang")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES TML_PYTHON)

set(CMAKE_C_COMPILER ${TML_PYTHON} -m ziglang cc)
set(CMAKE_ASM_COMPILER ${TML_PYTHON} -m ziglang cc)
set(CMAKE_ASM_COMPILER_ID Clang) # CMake does not find that out behind another program
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
# CMake takes one word for the archiver, and finds the host's, which may not know this processor's objects.
set(CMAKE_C_ARCHIVE_CREATE "${TML_PYTHON} -m ziglang ar qc <TARGET> <LINK_FLAGS> <OBJECTS>")
set(CMAKE_C_ARCHIVE_APPEND "${TML_PYTHON} -m ziglang ar q <TARGET> <LINK_FLAGS> <OBJECTS>")
set(CMAKE_C_ARCHIVE_FINISH "")

# soft_float: see toolchain-arm-none-eabi.cmake. zig traps undefined behaviour unless told not to, which would make the
# figures of the two compilers incomparable.
set(_flags "-target thumb-freestanding-eabi -mcpu=cortex_m4+soft_float -fno-sanitize=undefined")
set(CMAKE_C_FLAGS_INIT "${_flags}")
set(CMAKE_ASM_FLAGS_INIT "${_flags}")
