#include "coordinator/store/free_pages.h"

#include <string>

namespace equipoise::coordinator {
namespace {

constexpr std::int64_t kLeastBytes = std::int64_t{16} << 20;
constexpr std::int64_t kMostToWrite = std::int64_t{256} << 20;

std::int64_t file_pragma(Database& database, const char* name) {
  Statement statement(database, std::string("PRAGMA ") + name);
  statement.begin();
  const std::int64_t value = statement.next() ? statement.integer(0) : 0;
  statement.reset();
  return value;
}

}  // namespace

Database without_free_pages(Database database) {
  const std::int64_t page = file_pragma(database, "page_size");
  const std::int64_t free = page * file_pragma(database, "freelist_count");
  const std::int64_t rest = page * file_pragma(database, "page_count") - free;
  if (free < kLeastBytes || free < rest || rest > kMostToWrite) return database;
  try {
    database.execute("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
  } catch (const StoreError&) {  // nothing has changed, and nothing but disk space is lost
  }
  return database;
}

}  // namespace equipoise::coordinator
