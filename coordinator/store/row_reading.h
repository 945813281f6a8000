// Reading rows that may be damaged.
#pragma once

#include <string>

#include "coordinator/store/database.h"

namespace equipoise::coordinator {

[[noreturn]] inline void fail_damaged(const Database& database, const std::string& what) {
  throw StoreError(StoreError::Cause::kDamaged, database.path().string() + ": " + what + " is damaged");
}

template <typename Message>
Message message_of(const Database& database, const std::string& bytes, const char* what) {
  Message message;
  if (!message.ParseFromString(bytes)) fail_damaged(database, what);
  return message;
}

// Ends the reading of a row that turns out to be damaged, too.
class ResetAtEnd {
 public:
  explicit ResetAtEnd(Statement& statement) : statement_(statement) {}
  ~ResetAtEnd() { statement_.reset(); }
  ResetAtEnd(const ResetAtEnd&) = delete;
  ResetAtEnd& operator=(const ResetAtEnd&) = delete;

 private:
  Statement& statement_;
};

}  // namespace equipoise::coordinator
