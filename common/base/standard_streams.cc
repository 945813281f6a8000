#include "common/base/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

namespace equipoise {

void open_standard_streams() {
  int descriptor = 0;
  do {  // takes the lowest number that is free
    descriptor = ::open("/dev/null", O_RDWR);
  } while (descriptor >= 0 && descriptor <= STDERR_FILENO);
  if (descriptor > STDERR_FILENO) ::close(descriptor);
}

}  // namespace equipoise
