# How CPack makes the .deb of what deploy/deb has put together in $EQUIPOISE_FOLDER/root:
#
#   EQUIPOISE_FOLDER=FOLDER EQUIPOISE_VERSION=0.1.0 EQUIPOISE_MAINTAINER="NAME <MAIL>" cpack --config CPackConfig.cmake
#
# The variables are of the environment, as those of cpack -D are not known yet where this file is read.
foreach(name FOLDER VERSION MAINTAINER)
  if("$ENV{EQUIPOISE_${name}}" STREQUAL "")
    message(FATAL_ERROR "EQUIPOISE_${name} is not set: this file is for deploy/deb")
  endif()
  set(EQUIPOISE_${name} "$ENV{EQUIPOISE_${name}}")
endforeach()
set(CPACK_GENERATOR DEB)
set(CPACK_INSTALLED_DIRECTORIES "${EQUIPOISE_FOLDER}/root;/")
set(CPACK_PACKAGE_DIRECTORY ${EQUIPOISE_FOLDER})
set(CPACK_PACKAGING_INSTALL_PREFIX /)
set(CPACK_SET_DESTDIR OFF)
set(CPACK_PACKAGE_NAME equipoise)
set(CPACK_PACKAGE_VERSION ${EQUIPOISE_VERSION})
set(CPACK_PACKAGE_FILE_NAME equipoise)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
# CUDA's libraries have NVIDIA's licence.
set(CPACK_DEBIAN_PACKAGE_SECTION non-free/science)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${EQUIPOISE_MAINTAINER}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "group-robust training of language models on people's preferences")
set(CPACK_PACKAGE_DESCRIPTION
"Equipoise trains language models on pairs of answers of which people prefer
one, so that no group of people is left behind: group-robust preference
optimisation (GR-DPO and GR-IPO), DPO, IPO and supervised fine-tuning, on one
machine or on many through mpirun.

It has the command line (equipoise), the service that keeps jobs and serves a
page and metrics (equipoise-coordinator) and the program of a rank
(equipoise-worker), with PyTorch's libraries for the CPU. For GPUs there is a
Python wheel.")
# What programs are linked with is found by dpkg-shlibdeps, those of /usr/lib/equipoise within the package.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${EQUIPOISE_FOLDER}/root/usr/lib/equipoise)
set(CPACK_DEBIAN_PACKAGE_DEPENDS openmpi-bin)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS openssh-client)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${CMAKE_CURRENT_LIST_DIR}/postinst ${CMAKE_CURRENT_LIST_DIR}/prerm ${CMAKE_CURRENT_LIST_DIR}/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd)
