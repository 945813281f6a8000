#include "coordinator/store/database.h"

#include <sqlite3.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace equipoise::coordinator {
namespace {

// `code` is an extended one.
StoreError::Cause cause_of(int code) {
  switch (code) {
    // The disk has lost what it was to keep; that nothing can be read for now is not told apart from it.
    case SQLITE_IOERR_READ:
    case SQLITE_IOERR_SHORT_READ:
    case SQLITE_IOERR_CORRUPTFS:
      return StoreError::Cause::kDamaged;
    default:
      break;
  }
  switch (code & 0xff) {
    case SQLITE_FULL:
      return StoreError::Cause::kFull;
    case SQLITE_BUSY:
      return StoreError::Cause::kBusy;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    // What is stored contradicts what is written, or has not its form: of one job, and no fault of the disk.
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
      return StoreError::Cause::kDamaged;
    default:
      return StoreError::Cause::kOther;
  }
}

StoreError error_of(const std::filesystem::path& path, sqlite3* handle) {
  return {cause_of(sqlite3_extended_errcode(handle)), path.string() + ": " + sqlite3_errmsg(handle)};
}

}  // namespace

void Database::Close::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }

Database::Database(std::filesystem::path path, Access access) : path_(std::move(path)) {
  sqlite3* handle = nullptr;
  const int flags = access == Access::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const int code = sqlite3_open_v2(path_.c_str(), &handle, flags, nullptr);
  handle_.reset(handle);
  if (code != SQLITE_OK) throw error_of(path_, handle);
  constexpr int kBusyMs = 5000;  // somebody may be looking at the file with the sqlite3 tool
  sqlite3_busy_timeout(handle, kBusyMs);
  if (access == Access::kReadWrite) execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
}

void Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) throw error_of(path_, handle_.get());
}

void Statement::Finalize::operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }

Statement::Statement(Database& database, std::string_view sql) : database_(database) {
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v3(database.handle(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
  handle_.reset(handle);
  if (code != SQLITE_OK) throw error_of(database.path(), database.handle());
}

bool Statement::next() {
  const int code = sqlite3_step(handle_.get());
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) {
    const StoreError error = error_of(database_.path(), database_.handle());
    reset();
    throw error;
  }
  reset();
  return false;
}

void Statement::reset() { sqlite3_reset(handle_.get()); }

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(handle_.get(), column); }

std::optional<std::int64_t> Statement::optional_integer(int column) const {
  if (sqlite3_column_type(handle_.get(), column) == SQLITE_NULL) return std::nullopt;
  return integer(column);
}

std::optional<std::string> Statement::optional_bytes(int column) const {
  if (sqlite3_column_type(handle_.get(), column) == SQLITE_NULL) return std::nullopt;
  return bytes(column);
}

std::string Statement::bytes(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(handle_.get(), column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column));
  return data == nullptr ? std::string() : std::string(data, size);
}

void Statement::bind(int index, std::int64_t value) { sqlite3_bind_int64(handle_.get(), index, value); }

void Statement::bind(int index, const std::optional<std::int64_t>& value) {
  if (value) return bind(index, *value);
  sqlite3_bind_null(handle_.get(), index);
}

void Statement::bind(int index, const std::string& text) {
  sqlite3_bind_text64(handle_.get(), index, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

void Statement::bind(int index, const Blob& blob) {
  const char* bytes = blob.bytes.empty() ? "" : blob.bytes.data();  // a null pointer would be NULL, not an empty blob
  sqlite3_bind_blob64(handle_.get(), index, bytes, blob.bytes.size(), SQLITE_TRANSIENT);
}

Transaction::Transaction(Database& database) : database_(database) { database_.execute("BEGIN IMMEDIATE"); }

Transaction::~Transaction() {
  // After a full disk SQLite has rolled back by itself; a second ROLLBACK is refused and means nothing.
  if (is_open_) sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
  database_.execute("COMMIT");
  is_open_ = false;
}

}  // namespace equipoise::coordinator
