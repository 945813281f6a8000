# Writes OUTPUT, which defines NAMESPACE::revision() of HEADER: the commit of SOURCE, or REVISION where that is not
# empty. Leaves a file that says so already as it is, so that nothing is built again.
if(NOT REVISION)
  execute_process(COMMAND git -C ${SOURCE} rev-parse --short=12 HEAD
    OUTPUT_VARIABLE REVISION OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    set(REVISION unknown)
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT [[
#include "@HEADER@"

namespace @NAMESPACE@ {
const char* revision() { return "@REVISION@"; }
}  // namespace @NAMESPACE@
]])
