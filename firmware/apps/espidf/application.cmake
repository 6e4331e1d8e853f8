# What all ESP-IDF applications begin with; to be included before project.cmake, with TML_APPLICATION set to the folder's name.
get_filename_component(TML_FIRMWARE "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)

set(TML_MODEL_DIR "" CACHE PATH "What tinyml convert wrote")
set(TML_SAMPLES "" CACHE FILEPATH "C with the images of the self-test; empty for none")
set(TML_BOARD "${TML_APPLICATION}" CACHE STRING "Name in IDENTITY")
set(TML_CLOCK "wall" CACHE STRING "What inferences are timed with: wall (esp_timer) or cycles")
set(TML_FIRMWARE_VERSION "dev" CACHE STRING "Version in IDENTITY")
set(TML_FIRMWARE_SHA256 "" CACHE STRING "Identity of the firmware, 64 hex digits; empty: computed from what goes in")
set(TML_ARENA_BYTES "0" CACHE STRING "Arena for models to be uploaded, if that is more than the linked one needs")

if(NOT EXISTS "${TML_MODEL_DIR}/tinyml-model.json")
  message(FATAL_ERROR "TML_MODEL_DIR=${TML_MODEL_DIR} has no tinyml-model.json: run tinyml convert MODEL --out DIR (README.md says "
                      "with which option), and give -D TML_MODEL_DIR=DIR (an absolute path)")
endif()
if(NOT TML_CLOCK MATCHES "^(wall|cycles)$")
  message(FATAL_ERROR "TML_CLOCK=${TML_CLOCK} is neither wall nor cycles")
endif()
if(NOT DEFINED SDKCONFIG_DEFAULTS)
  set(SDKCONFIG_DEFAULTS "${CMAKE_CURRENT_LIST_DIR}/sdkconfig.common;${CMAKE_CURRENT_SOURCE_DIR}/sdkconfig.defaults")
endif()

set(COMPONENTS main) # and what it needs; nothing else of ESP-IDF is configured or compiled
