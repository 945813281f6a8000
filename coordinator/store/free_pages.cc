#include "coordinator/store/free_pages.h"

#include <string>

namespace equipoise::coordinator {
namespace {

constexpr std::int64_t kIncremental = 2;  // of PRAGMA auto_vacuum
constexpr std::int64_t kLargestToWriteAnew = std::int64_t{64} << 20;
constexpr std::int64_t kKeptBytes = std::int64_t{16} << 20;  // running jobs take them soon

std::int64_t pragma(Database& database, const char* name) {
  Statement statement(database, std::string("PRAGMA ") + name);
  statement.begin();
  const std::int64_t value = statement.next() ? statement.integer(0) : 0;
  statement.reset();
  return value;
}

}  // namespace

void make_shrinkable(Database& database) {
  if (pragma(database, "auto_vacuum") == kIncremental) return;
  if (pragma(database, "page_count") * pragma(database, "page_size") > kLargestToWriteAnew) return;
  try {
    database.execute("PRAGMA auto_vacuum = INCREMENTAL; VACUUM");
  } catch (const StoreError&) {  // nothing has changed, and nothing is lost but disk space
  }
}

bool release_free_pages(Database& database, std::int64_t most) {
  if (pragma(database, "auto_vacuum") != kIncremental) return false;
  const std::int64_t kept = kKeptBytes / pragma(database, "page_size");
  const std::int64_t excess = pragma(database, "freelist_count") - kept;
  if (excess <= 0) return false;
  database.execute("PRAGMA incremental_vacuum(" + std::to_string(excess < most ? excess : most) + ")");
  return excess > most;
}

}  // namespace equipoise::coordinator
