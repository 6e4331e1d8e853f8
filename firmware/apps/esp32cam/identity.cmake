# Says in the build folder what the application is (tinyml-build.json), and in the application itself.
idf_build_get_property(sdkconfig SDKCONFIG)
idf_build_get_property(sdkconfig_cmake SDKCONFIG_CMAKE)
idf_component_get_property(main_lib main COMPONENT_LIB)
get_target_property(main_sources ${main_lib} SOURCES)
include(${sdkconfig_cmake})

file(READ "${TML_MODEL_DIR}/tinyml-model.json" model_json)
string(JSON model_sha256 GET "${model_json}" model_sha256)
string(JSON model_name GET "${model_json}" model)

if(TML_FIRMWARE_SHA256)
  set(firmware_sha256 ${TML_FIRMWARE_SHA256})
else()
  # By content, never by place or time: sources, settings, versions of ESP-IDF, its components and the compiler.
  set(files ${main_sources} ${sdkconfig})
  file(GLOB headers "${TML_MODEL_DIR}/*.h" "${CMAKE_CURRENT_LIST_DIR}/../../*/include/*.h"
       "${CMAKE_CURRENT_LIST_DIR}/../../engines/tflm/*.h" "${CMAKE_CURRENT_LIST_DIR}/../../net/*.h"
       "${CMAKE_CURRENT_LIST_DIR}/../../console/*.h" "${CMAKE_CURRENT_LIST_DIR}/../../ports/espidf/*.h"
       "${CMAKE_CURRENT_LIST_DIR}/../pulling/*.h")
  list(APPEND files ${headers} ${CMAKE_CURRENT_LIST_DIR}/partitions.csv)
  if(EXISTS "${CMAKE_CURRENT_LIST_DIR}/dependencies.lock")
    list(APPEND files "${CMAKE_CURRENT_LIST_DIR}/dependencies.lock")
  endif()
  set(digests "$ENV{IDF_VERSION} ${CMAKE_C_COMPILER_VERSION} ${TML_FIRMWARE_VERSION} ${TML_BOARD} ${TML_CLOCK} ${TML_ARENA_BYTES}")
  set(each "")
  foreach(file IN LISTS files)
    file(SHA256 "${file}" digest)
    list(APPEND each ${digest})
  endforeach()
  list(SORT each) # their order depends on where they are
  string(SHA256 firmware_sha256 "${digests} ${each}")
endif()
if(NOT firmware_sha256 MATCHES "^[0-9a-f]+$" OR NOT model_sha256 MATCHES "^[0-9a-f]+$")
  message(FATAL_ERROR "TML_FIRMWARE_SHA256=${firmware_sha256} and the model's ${model_sha256} must be lower-case hex digits")
endif()

set(cycles 0)
if(TML_CLOCK STREQUAL "cycles")
  set(cycles 1)
endif()
target_compile_definitions(
  ${main_lib} PRIVATE TML_FIRMWARE_SHA256="${firmware_sha256}" TML_FIRMWARE_VERSION="${TML_FIRMWARE_VERSION}"
                      TML_BOARD="${TML_BOARD}" TML_CLOCK_CYCLES_WANTED=${cycles} TML_ARENA_BYTES=${TML_ARENA_BYTES})

set(emulated false)
if(CONFIG_TINYML_NETWORK_OPENETH)
  set(emulated true)
endif()
set(uploads false)
if(CONFIG_SPIRAM)
  set(uploads true) # a board whose PSRAM is broken says otherwise in IDENTITY
endif()
file(WRITE "${CMAKE_BINARY_DIR}/tinyml-build.json"
     "{\n \"firmware_sha256\": \"${firmware_sha256}\",\n \"model_sha256\": \"${model_sha256}\",\n"
     " \"version\": \"${TML_FIRMWARE_VERSION}\",\n \"model\": \"${model_name}\",\n \"board\": \"${TML_BOARD}\",\n"
     " \"engine\": \"tflm\",\n \"clock\": \"${TML_CLOCK}\",\n \"target\": \"${IDF_TARGET}\",\n"
     " \"loads_models\": ${uploads},\n \"emulated\": ${emulated}\n}\n")
