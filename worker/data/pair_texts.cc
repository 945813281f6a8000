#include "worker/data/pair_texts.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "common/config/job_config.h"
#include "worker/data/chat_templates.h"

namespace equipoise {
namespace {

std::string with_eos(const std::string& answer, const std::string& eos_token) {
  return answer.ends_with(eos_token) ? answer : answer + eos_token;
}

std::vector<std::string> joined_texts(std::span<const PreferencePair> pairs, const std::string& eos, Answers answers) {
  std::vector<std::string> texts;
  for (const PreferencePair& pair : pairs) {
    texts.push_back(pair.prompt);
    texts.push_back(pair.prompt + with_eos(pair.chosen, eos));
    if (answers == Answers::kBoth) texts.push_back(pair.prompt + with_eos(pair.rejected, eos));
  }
  return texts;
}

std::vector<std::string> separate_texts(std::span<const PreferencePair> pairs, Answers answers) {
  std::vector<std::string> texts;
  for (const PreferencePair& pair : pairs) {
    texts.push_back(pair.prompt);
    texts.push_back(pair.chosen);
    if (answers == Answers::kBoth) texts.push_back(pair.rejected);
  }
  return texts;
}

std::vector<Chat> chats_of(std::span<const PreferencePair> pairs, Answers answers) {
  std::vector<Chat> chats;
  for (const PreferencePair& pair : pairs) {
    Chat chat{.messages = pair.prompt, .tools = pair.tools, .variables = pair.template_variables};
    chat.add_generation_prompt = true;
    chats.push_back(chat);
    chat.add_generation_prompt = false;
    chat.more_messages = pair.chosen;
    chats.push_back(chat);
    chat.more_messages = pair.rejected;
    if (answers == Answers::kBoth) chats.push_back(chat);
  }
  return chats;
}

class ChatRenderer {
 public:
  ChatRenderer(std::span<const PreferencePair> pairs, Answers answers)
      : pairs_(pairs), chats_(chats_of(pairs, answers)), texts_(chats_.size()) {}

  std::vector<std::string> render(const ChatTemplates& templates, int threads) && {
    for (const bool has_tools : {false, true}) render_part(templates.for_chat(has_tools), has_tools, threads);
    return std::move(texts_);
  }

 private:
  void render_part(const ChatTemplate* chat_template, bool has_tools, int threads) {
    std::vector<Chat> part;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < chats_.size(); ++i) {
      if (chats_[i].tools.empty() == has_tools) continue;
      part.push_back(chats_[i]);
      places.push_back(i);
    }
    if (places.empty()) return;
    if (chat_template == nullptr) {
      throw PairRefused(pairs_[places.front() * pairs_.size() / chats_.size()],
                        "holds messages without tools, but the model has a chat template named \"tool_use\" alone and "
                        "none named \"default\"; model.chat_template may name a file with one");
    }
    try {
      std::vector<std::string> rendered = chat_template->render(part, threads);
      for (std::size_t i = 0; i < places.size(); ++i) texts_[places[i]] = std::move(rendered[i]);
    } catch (const ChatRefused& refused) {
      const std::size_t pair = places[refused.chat()] * pairs_.size() / chats_.size();
      throw PairRefused(pairs_[pair], std::string("the chat template refuses the messages: ") + refused.what());
    }
  }

  std::span<const PreferencePair> pairs_;
  std::vector<Chat> chats_;
  std::vector<std::string> texts_;
};

std::vector<std::string> rendered_texts(std::span<const PreferencePair> pairs, const EncodeSettings& settings,
                                        int threads) {
  if (settings.tokenization == Tokenization::kAuthors) {
    throw PairRefused(pairs.front(), "holds messages, expected texts with data.tokenization authors");
  }
  if (settings.chat_templates == nullptr) {
    throw PairRefused(
        pairs.front(),
        "holds messages, but the model has no chat template; model.chat_template may name a file with one");
  }
  return ChatRenderer(pairs, settings.answers).render(*settings.chat_templates, threads);
}

}  // namespace

PairTexts pair_texts(std::span<const PreferencePair> pairs, const ModelTokenizer& tokenizer,
                     const EncodeSettings& settings, int threads) {
  const std::size_t per_pair = settings.answers == Answers::kBoth ? 3 : 2;
  if (pairs.front().form == AnswerForm::kMessages) {
    return {.texts = rendered_texts(pairs, settings, threads), .special = SpecialTokens::kOmit, .per_pair = per_pair};
  }
  if (settings.tokenization == Tokenization::kAuthors) {
    return {.texts = separate_texts(pairs, settings.answers), .special = SpecialTokens::kOmit, .per_pair = per_pair};
  }
  return {.texts = joined_texts(pairs, tokenizer.eos_token, settings.answers),
          .special = SpecialTokens::kAdd,
          .per_pair = per_pair};
}

namespace {

using ChatJson = nlohmann::json;

constexpr std::size_t kShortestText = 16;  // shorter ones are words that an answer may well begin with

// That both lists begin with one message costs less to find out in their texts.
bool may_share_messages(std::string_view prompt, std::string_view answer) {
  constexpr std::size_t kSome = 40;
  const std::string_view start = answer.substr(1, kSome);
  return !start.empty() && prompt.find(start.substr(0, start.find('}'))) != prompt.npos;
}

// How many of the first `length` messages begin the list again at its end, for each length: the longest, but not all.
std::vector<std::size_t> borders_of(const ChatJson& messages) {
  std::vector<std::size_t> border(messages.size() + 1, 0);
  for (std::size_t i = 1, same = 0; i < messages.size(); ++i) {
    while (same > 0 && messages[same] != messages[i]) same = border[same];
    if (messages[same] == messages[i]) ++same;
    border[i + 1] = same;
  }
  return border;
}

// Whether the answer's messages begin with the prompt's last ones, from some message on. Knuth, Morris and Pratt: each
// message is compared twice or less, where thousands of equal ones would be compared with each other.
bool begins_with_end_of(const ChatJson& prompt, const ChatJson& answer) {
  if (answer.empty()) return false;
  const std::vector<std::size_t> border = borders_of(answer);
  std::size_t same = 0;
  for (const ChatJson& message : prompt) {
    if (same == answer.size()) same = border[same];
    while (same > 0 && answer[same] != message) same = border[same];
    if (answer[same] == message) ++same;
  }
  return same > 0;
}

bool repeats_messages(const std::string& prompt, const std::string& answer) {
  if (!may_share_messages(prompt, answer)) return false;
  const ChatJson messages = ChatJson::parse(prompt, nullptr, false), more = ChatJson::parse(answer, nullptr, false);
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
