# Included by apps/emulated/CMakeLists.txt.
include(${CMAKE_CURRENT_LIST_DIR}/../stm32f4/stm32f4.cmake)
list(APPEND TML_PORT_SOURCES ${CMAKE_CURRENT_LIST_DIR}/port.c ${CMAKE_CURRENT_LIST_DIR}/semihosting.c)
list(APPEND TML_PORT_INCLUDE_DIRS ${CMAKE_CURRENT_LIST_DIR})
