# GCC for Cortex-M4: Debian's gcc-arm-none-eabi, Arm's own, or any other arm-none-eabi-gcc. No C library is used.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR cortex-m4)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_ASM_COMPILER arm-none-eabi-gcc)
# A whole program needs the port's linker script.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
# Without TML_FPU the FPU stays off: networks and protocol are integer arithmetic, so floating point that slips in is rather
# a fault (UsageFault, no coprocessor) or a call of a library function than something that nobody notices. The choice is made
# here because GCC finds no libgcc for two different -mfloat-abi, and takes one for a processor that this is not.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES TML_FPU)
if(TML_FPU)
  set(_float "-mfloat-abi=hard -mfpu=fpv4-sp-d16")
else()
  set(_float "-mfloat-abi=soft")
endif()
set(CMAKE_C_FLAGS_INIT "-mcpu=cortex-m4 -mthumb ${_float}")
set(CMAKE_ASM_FLAGS_INIT "-mcpu=cortex-m4 -mthumb ${_float}")
