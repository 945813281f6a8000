// The lines of the coordinator's log: one each, whatever ranks, jobs and programs have said.
#pragma once

#include <spdlog/formatter.h>
#include <spdlog/pattern_formatter.h>

#include <memory>
#include <string>

namespace equipoise::coordinator {

// As spdlog's own for `pattern`, with control characters of the text as spaces: they could forge lines, and command the
// terminal that shows the log. Of a text the first 3500 bytes.
class OneLineFormatter final : public spdlog::formatter {
 public:
  explicit OneLineFormatter(std::string pattern);
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& destination) override;
  std::unique_ptr<spdlog::formatter> clone() const override;

 private:
  std::string pattern_;
  spdlog::pattern_formatter formatter_;
};

}  // namespace equipoise::coordinator
