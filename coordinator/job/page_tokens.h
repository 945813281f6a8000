// Pages of lists: where the next one begins, and how many rows it has.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace equipoise::coordinator {

// Where the next page of a list begins, in a form that only this service can make.
class PageTokens {
 public:
  explicit PageTokens(std::string key) : key_(std::move(key)) {}

  // `list` says which list and which filter: a token of another one is refused. `position` is the list's own.
  std::string make(const std::string& list, std::int64_t position) const;
  // nullopt for the empty token, which means the beginning. Throws std::invalid_argument for one that make() did not
  // make for this list.
  std::optional<std::int64_t> position(const std::string& list, const std::string& token) const;

 private:
  std::string key_;
};

struct PageSizes {
  int absent;
  int largest;
};

// Throws std::invalid_argument for a page_size that is neither 0, which means `absent`, nor from 1 to `largest`.
int checked_page_size(int page_size, PageSizes sizes);

}  // namespace equipoise::coordinator
