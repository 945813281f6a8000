// Of which commit this program was built; made by deploy/cmake/revision.cmake.
#pragma once

namespace equipoise::coordinator {

// "251de3643a1c"; "unknown" outside of a git checkout.
const char* revision();

}  // namespace equipoise::coordinator
