# Writes a C++ source whose function gives the content of a file by its name.
#
#   cmake -DOUTPUT=x.cc -DHEADER=a/b.h -DNAMESPACE=a::b -DFUNCTION=f -DFILES=x.html,y.js -P embed_files.cmake
string(REPLACE "," ";" files "${FILES}")
file(WRITE ${OUTPUT}.new "#include \"${HEADER}\"\n\n#include \"common/base/error.h\"\n\n")
file(APPEND ${OUTPUT}.new "namespace ${NAMESPACE} {\n\nstd::string_view ${FUNCTION}(std::string_view name) {\n")
foreach(path IN LISTS files)
  get_filename_component(name ${path} NAME)
  file(READ ${path} content)
  file(APPEND ${OUTPUT}.new "  if (name == \"${name}\") {\n    static constexpr char kContent[] = R\"embedded(")
  file(APPEND ${OUTPUT}.new "${content}")
  file(APPEND ${OUTPUT}.new ")embedded\";\n    return {kContent, sizeof kContent - 1};\n  }\n")
endforeach()
file(APPEND ${OUTPUT}.new "  check_failed(\"an embedded file\", __FILE__, __LINE__);\n}\n\n}  // namespace ${NAMESPACE}\n")
file(RENAME ${OUTPUT}.new ${OUTPUT})
