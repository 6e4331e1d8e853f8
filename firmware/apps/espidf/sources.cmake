# The sources that ESP-IDF applications share, all by name: a glob would not notice a new one. tests/firmware/test_espidf.py
# holds the lists against the folders.
get_filename_component(root "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)

# Every application.
set(tml_common
    ${root}/console/tml_answers.c
    ${root}/console/tml_console.c
    ${root}/core/src/tml_codec.c
    ${root}/core/src/tml_crc.c
    ${root}/core/src/tml_frame.c
    ${root}/core/src/tml_inflate.c
    ${root}/core/src/tml_package.c
    ${root}/core/src/tml_preprocess.c
    ${root}/core/src/tml_session.c
    ${root}/core/src/tml_session_infer.c
    ${root}/core/src/tml_session_load.c
    ${root}/core/src/tml_session_reply.c
    ${root}/core/src/tml_session_requests.c
    ${root}/core/src/tml_sha256.c
    ${root}/ports/espidf/memory_espidf.c
    ${root}/ports/espidf/port_espidf.c
    ${root}/ports/espidf/task_espidf.c)
set(tml_common_dirs ${root}/console ${root}/core/include ${root}/ports/espidf)
# The UART's driver was a part of `driver`, through which ESP-IDF 6 finds it no longer.
set(tml_uart driver)
if(EXISTS "$ENV{IDF_PATH}/components/esp_driver_uart")
  set(tml_uart esp_driver_uart)
endif()
set(tml_common_requires app_update bootloader_support ${tml_uart} esp_psram esp_timer)

# Those whose link is the console's UART.
set(tml_wired ${root}/apps/common/selftest.c ${root}/apps/espidf/wired_main.c ${root}/apps/wired/wired.c
              ${root}/ports/espidf/line_espidf.c)
set(tml_wired_dirs ${root}/apps/common ${root}/apps/espidf ${root}/apps/wired)

# Those with TensorFlow Lite Micro.
set(tml_tflm ${root}/engines/tflm/tml_engine_tflm.cc ${root}/apps/espidf/tflm_arena.c ${TML_MODEL_DIR}/model.cc
             ${TML_MODEL_DIR}/tml_model.c ${TML_MODEL_DIR}/tml_ops.cc)
set(tml_tflm_dirs ${root}/apps/espidf ${root}/engines/tflm ${TML_MODEL_DIR})

# To be called behind idf_component_register.
macro(tml_compile)
  # The core's speed counts for small networks; the kernels' own components ask for -O3 themselves.
  target_compile_options(${COMPONENT_LIB} PRIVATE -O2 $<$<COMPILE_LANGUAGE:CXX>:-std=gnu++17>)
  target_compile_definitions(${COMPONENT_LIB} PRIVATE TML_CRC_SLICES=4)
  if(TML_SAMPLES)
    target_sources(${COMPONENT_LIB} PRIVATE ${TML_SAMPLES})
    target_compile_definitions(${COMPONENT_LIB} PRIVATE TML_HAS_SAMPLES=1)
  endif()
endmacro()
