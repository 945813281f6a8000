# Functions that declare our targets alike: warnings as errors, includes from the repository root, equipoise:: aliases.

function(equipoise_configure_target target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wconversion -Werror)
  target_compile_options(${target} PRIVATE $<$<BOOL:${CCACHE}>:-fpch-preprocess>)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${EQUIPOISE_UNITY} UNITY_BUILD_BATCH_SIZE 12)
  if(EQUIPOISE_SANITIZER)
    target_compile_options(${target} PUBLIC -fsanitize=${EQUIPOISE_SANITIZER} -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${EQUIPOISE_SANITIZER})
    # With this macro protobuf's headers give maps a member that the ones in Debian's library do not have.
    target_compile_options(${target} PUBLIC -U__SANITIZE_THREAD__)
    # GCC 12 warns of libstdc++'s own code in such builds.
    target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized)
  endif()
endfunction()

# equipoise_library(NAME SOURCES a.cc ... [PUBLIC targets ...] [PRIVATE targets ...])
# makes the static library equipoise_NAME with alias equipoise::NAME.
function(equipoise_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(equipoise_${name} STATIC ${arg_SOURCES})
  add_library(equipoise::${name} ALIAS equipoise_${name})
  set_target_properties(equipoise_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  equipoise_configure_target(equipoise_${name})
  target_link_libraries(equipoise_${name} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
endfunction()

# equipoise_embed(TARGET HEADER a/b.h NAMESPACE a::b FUNCTION f FILES ...)
# puts files into the library TARGET: f, which the header declares, gives the content of one by its name without the
# folder.
function(equipoise_embed target)
  cmake_parse_arguments(arg "" "HEADER;NAMESPACE;FUNCTION" "FILES" ${ARGN})
  set(paths)
  foreach(file IN LISTS arg_FILES)
    get_filename_component(path ${file} ABSOLUTE)
    string(FIND ${path} ${PROJECT_BINARY_DIR}/ made)  # by the build, before this is
    if(NOT EXISTS ${path} AND NOT made EQUAL 0)
      message(FATAL_ERROR "${path} is not there: run deploy/bootstrap first")
    endif()
    list(APPEND paths ${path})
  endforeach()
  list(JOIN paths "," joined)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${arg_FUNCTION}.cc)
  set(script ${PROJECT_SOURCE_DIR}/deploy/cmake/embed_files.cmake)
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} -DHEADER=${arg_HEADER} -DNAMESPACE=${arg_NAMESPACE}
            -DFUNCTION=${arg_FUNCTION} -DFILES=${joined} -P ${script}
    DEPENDS ${paths} ${script} COMMENT "Embedding the files of ${arg_FUNCTION}()" VERBATIM)
  target_sources(${target} PRIVATE ${output})
  set_source_files_properties(${output} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

# equipoise_bundle(SCRIPT a.ts STYLE a.css FORMAT esm|iife DEPENDS ...)
# makes a.js and a.css of this folder's build with all that they import, uPlot too. esbuild needs no Node.
function(equipoise_bundle)
  cmake_parse_arguments(arg "" "SCRIPT;STYLE;FORMAT" "DEPENDS" ${ARGN})
  if(CMAKE_HOST_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    set(esbuild ${EQUIPOISE_DEPS_DIR}/npm/@esbuild/linux-arm64/bin/esbuild)
  else()
    set(esbuild ${EQUIPOISE_DEPS_DIR}/npm/@esbuild/linux-x64/bin/esbuild)
  endif()
  set(uplot ${EQUIPOISE_DEPS_DIR}/npm/uplot/dist)
  foreach(needed ${esbuild} ${uplot}/uPlot.esm.js)
    if(NOT EXISTS ${needed})
      message(FATAL_ERROR "${needed} is not there: run deploy/bootstrap first")
    endif()
  endforeach()
  get_filename_component(script ${arg_SCRIPT} NAME_WE)
  get_filename_component(style ${arg_STYLE} NAME_WE)
  add_custom_command(OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${script}.js ${CMAKE_CURRENT_BINARY_DIR}/${style}.css
    COMMAND ${CMAKE_COMMAND} -E env NODE_PATH=${EQUIPOISE_DEPS_DIR}/npm ${esbuild} ${arg_SCRIPT} ${arg_STYLE} --bundle
            --minify --format=${arg_FORMAT} --target=es2022 --log-level=warning --outdir=${CMAKE_CURRENT_BINARY_DIR}
    WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}
    DEPENDS ${arg_SCRIPT} ${arg_STYLE} ${arg_DEPENDS} ${esbuild} ${uplot}/uPlot.esm.js ${uplot}/uPlot.min.css
    COMMENT "Bundling ${arg_SCRIPT}" VERBATIM)
endfunction()

# equipoise_program(NAME SOURCES ... PRIVATE ...) makes build/<preset>/bin/NAME.
function(equipoise_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;PRIVATE" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  equipoise_configure_target(${name})
  target_link_libraries(${name} PRIVATE ${arg_PRIVATE})
endfunction()

# equipoise_test(NAME SOURCES ... PRIVATE ...): one GoogleTest program and one ctest test. Its cases run in one process,
# which saves LibTorch's start for each; gtest_program.py names and counts them. Tests run in the repository's tests/
# folder, so golden files are "golden/...".
function(equipoise_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;PRIVATE" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  equipoise_configure_target(${name})
  target_link_libraries(${name} PRIVATE ${arg_PRIVATE} GTest::gmock GTest::gtest_main)
  # A unit of GoogleMock takes a third less time to compile than with -O3, and what it tests is in libraries. A precompiled
  # header is only used by units with its own level.
  target_compile_options(${name} PRIVATE $<$<NOT:$<BOOL:$<TARGET_PROPERTY:PRECOMPILE_HEADERS_REUSE_FROM>>>:-O1>)
  add_test(NAME ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}/tests
           COMMAND ${PROJECT_SOURCE_DIR}/tests/support/gtest_program.py
             ${PROJECT_BINARY_DIR}/Testing/cases/${name}.json $<TARGET_FILE:${name}>)
  # gtest_program.py limits the time of each case. Threads of LibTorch that wait leave the core to other tests.
  set_tests_properties(${name} PROPERTIES TIMEOUT 3600 ENVIRONMENT OMP_WAIT_POLICY=passive)
endfunction()

# equipoise_revision(TARGET HEADER a/b.h NAMESPACE a::b) puts revision() into TARGET, which the header declares: the
# commit that is checked out, or -DEQUIPOISE_REVISION=... where a package is built from an archive.
set(EQUIPOISE_REVISION "" CACHE STRING "Commit that the programs say they are of; empty: that of the git checkout")
function(equipoise_revision target)
  cmake_parse_arguments(arg "" "HEADER;NAMESPACE" "" ${ARGN})
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${target}-revision.cc)
  set(script ${PROJECT_SOURCE_DIR}/deploy/cmake/revision.cmake)
  add_custom_target(${target}-revision
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} -DHEADER=${arg_HEADER} -DNAMESPACE=${arg_NAMESPACE}
            -DSOURCE=${PROJECT_SOURCE_DIR} -DREVISION=${EQUIPOISE_REVISION} -P ${script}
    BYPRODUCTS ${output} VERBATIM)
  target_sources(${target} PRIVATE ${output})
  set_source_files_properties(${output} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  add_dependencies(${target} ${target}-revision)
endfunction()
