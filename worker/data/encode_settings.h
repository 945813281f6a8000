// How texts become the token ids of a pair.
#pragma once

#include <optional>

namespace equipoise {

class ChatTemplates;
enum class Truncation;    // common/config/job_config.h
enum class Tokenization;  // the same

// kChosen (SFT): rejected answers are left out, and the prompt's end does not depend on them.
enum class Answers { kBoth, kChosen };

// The default is TRL's.
struct EncodeSettings {
  int max_length = 1024;
  std::optional<int> max_prompt_length = {};
  Truncation truncation = {};      // kKeepStart
  Tokenization tokenization = {};  // kTrl
  Answers answers = Answers::kBoth;
  const ChatTemplates* chat_templates = nullptr;  // for pairs that are messages
};

}  // namespace equipoise
