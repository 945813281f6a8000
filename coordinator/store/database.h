// SQLite with one class per handle.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace equipoise::coordinator {

// The disk or the file refused. Nothing of the transaction is stored.
class StoreError : public std::runtime_error {
 public:
  enum class Cause {
    kFull,
    kBusy,
    kDamaged,  // what is stored cannot be read: trying again does not help
    kOther
  };
  StoreError(Cause cause, const std::string& what) : std::runtime_error(what), cause_(cause) {}
  Cause cause() const { return cause_; }

 private:
  Cause cause_;
};

enum class Access { kReadWrite, kReadOnly };

// Write-ahead log, every commit fsynced. Not thread-safe.
class Database {
 public:
  // Opens the file; kReadWrite makes it where it is not there. Throws StoreError naming it.
  explicit Database(std::filesystem::path path, Access access = Access::kReadWrite);

  // Statements without parameters. Throws StoreError.
  void execute(const std::string& sql);
  const std::filesystem::path& path() const { return path_; }
  sqlite3* handle() const { return handle_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  std::filesystem::path path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

struct Blob {
  std::string_view bytes;
};

// A prepared statement, run as often as one likes. `database` outlives it.
//   insert.run(id, 7, Blob{digest});
//   for (select.begin(id); select.next();) use(select.integer(0), select.bytes(1));
class Statement {
 public:
  Statement(Database& database, std::string_view sql);

  // Binds the parameters in order, std::string as text, and runs to the end.
  template <typename... Values>
  void run(const Values&... values) {
    begin(values...);
    while (next()) {
    }
  }
  // Binds, to be followed by next() for each row.
  template <typename... Values>
  void begin(const Values&... values) {
    reset();
    int index = 0;
    (bind(++index, values), ...);
  }
  // Whether there is another row. After false the statement holds no lock. Throws StoreError.
  bool next();
  // Done before the last row.
  void reset();

  std::int64_t integer(int column) const;
  std::optional<std::int64_t> optional_integer(int column) const;  // none of NULL
  std::string bytes(int column) const;                             // of text, too
  std::optional<std::string> optional_bytes(int column) const;     // none of NULL

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* handle) const;
  };
  void bind(int index, std::int64_t value);
  void bind(int index, const std::optional<std::int64_t>& value);
  void bind(int index, const std::string& text);
  void bind(int index, const Blob& blob);

  Database& database_;
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

// Everything between it and commit() is stored whole or, without commit(), not at all.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool is_open_ = true;
};

}  // namespace equipoise::coordinator
