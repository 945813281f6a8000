// How many ranks one machine may be asked for.
#pragma once

namespace equipoise {

// 64, or four for each core where that is more. Many more than cores only get into each other's way, and a mistyped
// number must not fork thousands of them.
int most_ranks_of_this_machine();

}  // namespace equipoise
