# Says in the build folder what the application is (tinyml-build.json), and in the application itself.
idf_build_get_property(sdkconfig SDKCONFIG)
idf_build_get_property(sdkconfig_cmake SDKCONFIG_CMAKE)
idf_component_get_property(main_lib main COMPONENT_LIB)
get_target_property(sources ${main_lib} SOURCES)
include(${sdkconfig_cmake})
if(EXISTS "${TML_MODEL_DIR}/network.cmake") # which a component of its own compiles
  include(${TML_MODEL_DIR}/network.cmake)
  list(APPEND sources ${TML_NETWORK_OWN_SOURCES} ${TML_NETWORK_VENDOR_SOURCES})
  foreach(folder IN LISTS TML_NETWORK_INCLUDE_DIRS)
    file(GLOB_RECURSE found "${folder}/*.h")
    list(APPEND sources ${found})
  endforeach()
  list(REMOVE_DUPLICATES sources)
endif()

file(READ "${TML_MODEL_DIR}/tinyml-model.json" model_json)
string(JSON model_sha256 GET "${model_json}" model_sha256)
string(JSON model_name GET "${model_json}" model)
string(JSON engine GET "${model_json}" engine)

if(TML_FIRMWARE_SHA256)
  set(firmware_sha256 ${TML_FIRMWARE_SHA256})
else()
  # By content, never by place or time: sources, settings, versions of ESP-IDF, its components and the compiler.
  set(files ${sources} ${sdkconfig})
  set(headers "")
  foreach(folder IN ITEMS core/include console net engines/tflm ports/espidf apps/common apps/espidf apps/pulling apps/wired)
    file(GLOB found "${TML_FIRMWARE}/${folder}/*.h")
    list(APPEND headers ${found})
  endforeach()
  file(GLOB found "${TML_MODEL_DIR}/*.h")
  list(APPEND files ${headers} ${found} ${TML_FIRMWARE}/apps/espidf/partitions.csv)
  if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/dependencies.lock")
    list(APPEND files "${CMAKE_CURRENT_SOURCE_DIR}/dependencies.lock")
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
if(CONFIG_SPIRAM AND TML_UPLOADS)
  set(uploads true) # a board whose PSRAM is broken says otherwise in IDENTITY
endif()
set(baud 115200)
if(CONFIG_ESP_CONSOLE_UART_BAUDRATE)
  set(baud ${CONFIG_ESP_CONSOLE_UART_BAUDRATE})
endif()
file(WRITE "${CMAKE_BINARY_DIR}/tinyml-build.json"
     "{\n \"firmware_sha256\": \"${firmware_sha256}\",\n \"model_sha256\": \"${model_sha256}\",\n"
     " \"version\": \"${TML_FIRMWARE_VERSION}\",\n \"model\": \"${model_name}\",\n \"board\": \"${TML_BOARD}\",\n"
     " \"engine\": \"${engine}\",\n \"clock\": \"${TML_CLOCK}\",\n \"target\": \"${IDF_TARGET}\",\n"
     " \"loads_models\": ${uploads},\n \"emulated\": ${emulated},\n"
     " \"baud\": ${baud}\n}\n")
