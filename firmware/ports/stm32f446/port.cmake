# Included by apps/nucleo_f446re/CMakeLists.txt.
include(${CMAKE_CURRENT_LIST_DIR}/../stm32f4/stm32f4.cmake)
list(APPEND TML_PORT_SOURCES ${CMAKE_CURRENT_LIST_DIR}/port.c ${CMAKE_CURRENT_LIST_DIR}/tree.c)
list(APPEND TML_PORT_INCLUDE_DIRS ${CMAKE_CURRENT_LIST_DIR})
