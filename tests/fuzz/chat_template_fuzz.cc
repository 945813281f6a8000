#include <array>
#include <string>
#include <string_view>

#include "common/huggingface/chat_template.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/hostile_input.h"

namespace equipoise {
namespace {

constexpr std::string_view kMessages =
    R"([{"role": "system", "content": "Short."}, {"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Yes"}])";
constexpr std::size_t kParts = 4;

std::array<std::string_view, kParts> parts_of(std::string_view input) {
  std::array<std::string_view, kParts> parts;
  for (std::string_view& part : parts) {
    const std::size_t end = input.find('\0');
    part = input.substr(0, end);
    if (end == std::string_view::npos) break;
    input.remove_prefix(end + 1);
  }
  return parts;
}

}  // namespace

bool fuzz_chat_template(std::span<const std::uint8_t> input) {
  const auto [source, messages, tools, variables] =
      parts_of({reinterpret_cast<const char*>(input.data()), input.size()});
  const std::chrono::sys_seconds day{std::chrono::sys_days{std::chrono::year{2026} / 7 / 1}};
  const Chat chat{.messages = messages.empty() ? kMessages : messages, .tools = tools, .variables = variables};
  return accepts([&] {
    const ChatTemplate chat_template(
        {.name = "input", .text = std::string(source), .variables = R"({"bos_token": "<s>"})"}, day);
    chat_template.render(chat);
  });
}

}  // namespace equipoise
