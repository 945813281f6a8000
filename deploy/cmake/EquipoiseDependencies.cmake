# Everything that is not ours. Debian packages by find_package; LibTorch, NCCL and the CUDA runtime as imported
# targets from EQUIPOISE_DEPS_DIR, because the CUDA wheel's own package file wants a whole CUDA toolkit.

# equipoise_require(DEBIAN_PACKAGE HINT NAME ...): find_package(NAME ...), or an error that names the package to install.
macro(equipoise_require debian hint name)
  find_package(${name} QUIET ${ARGN})
  if(NOT ${name}_FOUND)
    message(FATAL_ERROR "${name} is not there (Debian package ${debian}): run ${hint}")
  endif()
endmacro()

find_package(Threads REQUIRED)
equipoise_require(libprotobuf-dev "deploy/bootstrap" Protobuf)
equipoise_require(libgrpc++-dev "deploy/bootstrap" gRPC CONFIG)
equipoise_require(prometheus-cpp-dev "deploy/bootstrap" prometheus-cpp CONFIG)
equipoise_require(libsqlite3-dev "deploy/bootstrap" SQLite3)
equipoise_require(libspdlog-dev "deploy/bootstrap" spdlog)
equipoise_require(libyaml-cpp-dev "deploy/bootstrap" yaml-cpp)
equipoise_require(nlohmann-json3-dev "deploy/bootstrap" nlohmann_json)
equipoise_require(libsimdjson-dev "deploy/bootstrap" simdjson)
equipoise_require(libeigen3-dev "deploy/bootstrap" Eigen3)
equipoise_require(libssl-dev "deploy/bootstrap" OpenSSL)
equipoise_require(libopenmpi-dev "deploy/bootstrap" MPI COMPONENTS C)
equipoise_require(libcli11-dev "deploy/bootstrap" CLI11)
# Debian's package file has no CMake target.
find_path(HTTPLIB_INCLUDE httplib.h)
find_library(HTTPLIB_LIBRARY cpp-httplib)
if(NOT HTTPLIB_INCLUDE OR NOT HTTPLIB_LIBRARY)
  message(FATAL_ERROR "cpp-httplib is not there (Debian package libcpp-httplib-dev): run deploy/bootstrap")
endif()
add_library(cpp-httplib SHARED IMPORTED GLOBAL)
set_target_properties(cpp-httplib PROPERTIES
  IMPORTED_LOCATION ${HTTPLIB_LIBRARY}
  INTERFACE_INCLUDE_DIRECTORIES ${HTTPLIB_INCLUDE}
  # As the library was built: else its classes have other members.
  INTERFACE_COMPILE_DEFINITIONS "CPPHTTPLIB_OPENSSL_SUPPORT;CPPHTTPLIB_ZLIB_SUPPORT;CPPHTTPLIB_BROTLI_SUPPORT"
  INTERFACE_LINK_LIBRARIES "OpenSSL::SSL;OpenSSL::Crypto")
find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin)
if(NOT GRPC_CPP_PLUGIN)
  message(FATAL_ERROR "grpc_cpp_plugin is not there (Debian package protobuf-compiler-grpc): run deploy/bootstrap")
endif()
if(EQUIPOISE_TESTS)
  equipoise_require(libgtest-dev "deploy/bootstrap --tests, or build with deploy/build --programs" GTest)
  equipoise_require(libbenchmark-dev "deploy/bootstrap --tests, or build with deploy/build --programs" benchmark)
endif()

set(wheels ${EQUIPOISE_DEPS_DIR}/python)
set(torch_lib ${wheels}/torch/lib)
set(cuda_root ${wheels}/nvidia/cu13)
set(nccl_root ${wheels}/nvidia/nccl)
foreach(needed ${torch_lib}/libtorch_cpu.so ${cuda_root}/lib/libcudart.so.13)
  if(NOT EXISTS ${needed})
    message(FATAL_ERROR "${needed} is not there: run deploy/bootstrap first")
  endif()
endforeach()
if(EQUIPOISE_GPU AND NOT EXISTS ${nccl_root}/include/nccl.h)
  message(FATAL_ERROR "${nccl_root}/include/nccl.h is not there: run deploy/bootstrap --gpu, or set EQUIPOISE_GPU=OFF")
endif()

function(equipoise_imported name file)
  add_library(${name} SHARED IMPORTED GLOBAL)
  set_target_properties(${name} PROPERTIES IMPORTED_LOCATION ${file})
endfunction()

equipoise_imported(libtorch::c10 ${torch_lib}/libc10.so)
equipoise_imported(libtorch::torch_cpu ${torch_lib}/libtorch_cpu.so)

# What every file that includes torch needs. CPU only: starts fast and needs no GPU library.
add_library(libtorch_headers INTERFACE)
target_include_directories(libtorch_headers SYSTEM INTERFACE
  ${wheels}/torch/include ${wheels}/torch/include/torch/csrc/api/include)
target_compile_definitions(libtorch_headers INTERFACE _GLIBCXX_USE_CXX11_ABI=1)
add_library(libtorch::headers ALIAS libtorch_headers)

add_library(libtorch_torch INTERFACE)
target_link_libraries(libtorch_torch INTERFACE libtorch::headers libtorch::torch_cpu libtorch::c10 Threads::Threads)
target_link_options(libtorch_torch INTERFACE
  -Wl,--disable-new-dtags -Wl,-rpath,${torch_lib} -Wl,-rpath-link,${torch_lib} -Wl,-rpath-link,${cuda_root}/lib)
add_library(libtorch::torch ALIAS libtorch_torch)

if(NOT EQUIPOISE_GPU)
  return()
endif()

# CUDA and NCCL, for the one shared library that a machine with a GPU loads.
equipoise_imported(libtorch::c10_cuda ${torch_lib}/libc10_cuda.so)
equipoise_imported(libtorch::torch_cuda ${torch_lib}/libtorch_cuda.so)
equipoise_imported(libtorch::cudart ${cuda_root}/lib/libcudart.so.13)
equipoise_imported(libtorch::nccl ${nccl_root}/lib/libnccl.so.2)
add_library(libtorch_cuda_nccl INTERFACE)
target_include_directories(libtorch_cuda_nccl SYSTEM INTERFACE ${cuda_root}/include ${nccl_root}/include)
target_link_libraries(libtorch_cuda_nccl INTERFACE
  libtorch::torch libtorch::torch_cuda libtorch::c10_cuda libtorch::nccl libtorch::cudart)
add_library(libtorch::cuda_nccl ALIAS libtorch_cuda_nccl)
