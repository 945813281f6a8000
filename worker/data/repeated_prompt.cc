#include "worker/data/repeated_prompt.h"

#include <nlohmann/json.hpp>
#include <string_view>

namespace equipoise {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kShortestText = 16;  // shorter ones are words that an answer may well begin with

// That both lists begin with one message costs less to find out in their texts.
bool may_share_messages(std::string_view prompt, std::string_view answer) {
  constexpr std::size_t kSome = 40;
  const std::string_view start = answer.substr(1, kSome);
  return !start.empty() && prompt.find(start.substr(0, start.find('}'))) != prompt.npos;
}

// Whether the answer's messages begin with the prompt's last ones, from some message on.
bool begins_with_end_of(const Json& prompt, const Json& answer) {
  for (std::size_t first = 0; first < prompt.size(); ++first) {
    const std::size_t count = prompt.size() - first;
    if (count > answer.size()) continue;
    bool same = true;
    for (std::size_t i = 0; i < count && same; ++i) same = prompt[first + i] == answer[i];
    if (same) return true;
  }
  return false;
}

bool repeats_messages(const std::string& prompt, const std::string& answer) {
  if (!may_share_messages(prompt, answer)) return false;
  const Json messages = Json::parse(prompt, nullptr, false), more = Json::parse(answer, nullptr, false);
  if (!messages.is_array() || !more.is_array()) return false;
  return begins_with_end_of(messages, more);
}

}  // namespace

bool repeats_prompt(const PreferencePair& pair, Answers answers) {
  const auto repeats = [&](const std::string& answer) {
    if (pair.form == AnswerForm::kMessages) return repeats_messages(pair.prompt, answer);
    return pair.prompt.size() >= kShortestText && answer.starts_with(pair.prompt);
  };
  return repeats(pair.chosen) && (answers == Answers::kChosen || repeats(pair.rejected));
}

}  // namespace equipoise
