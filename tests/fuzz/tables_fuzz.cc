#include "common/dataset/preference_reader.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/hostile_input.h"

namespace equipoise {
namespace {

void read_all(const std::filesystem::path& file, PreferenceReadSettings settings) {
  PreferenceReader reader(file, std::move(settings));
  PreferencePair pair;
  std::int64_t last = 0;
  while (reader.next(pair)) {
    promise(pair.line > last, "rows are counted");
    last = pair.line;
    promise(!pair.memberships.empty(), "a pair is in a group");
    promise(pair.memberships.back().group < reader.group_names().size(), "a group id is one of the names'");
  }
  promise(last > 0, "a file that is accepted has pairs");
}

}  // namespace

bool fuzz_tables(std::span<const std::uint8_t> input) {
  const MemoryFile file(input);
  accepts([&] {
    read_all(file.path(), {.rejected = Rejected::kOptional, .group_separator = "/", .group_columns = {"a", "b"}});
  });
  return accepts([&] { read_all(file.path(), {}); });
}

}  // namespace equipoise
