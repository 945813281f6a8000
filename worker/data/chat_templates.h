// The chat templates of a model folder.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "common/huggingface/chat_template.h"

namespace equipoise {

// Where templates may come from.
struct TemplateFolders {
  std::filesystem::path model;
  std::optional<std::filesystem::path> adapter = {};
};

// The templates of a folder, not compiled.
struct ChatTemplateTexts {
  std::optional<std::string> standard, tool_use;

  bool empty() const { return !standard && !tool_use; }
  bool operator==(const ChatTemplateTexts&) const = default;
};

// Throws std::invalid_argument naming the file that cannot be read or is not as transformers writes it.
ChatTemplateTexts chat_template_texts(const std::filesystem::path& folder);

// What templates come from, before they are compiled.
struct TemplateSources {
  std::optional<ChatTemplate::Source> standard, tool_use;
};

// Whose templates are used: those of the adapter, with which it was trained, where it has any, else the model's. The
// adapter's are read once, here; without an adapter no file is touched. Throws as chat_template_texts().
class TemplateChoice {
 public:
  explicit TemplateChoice(TemplateFolders folders);

  const TemplateFolders& folders() const { return folders_; }
  bool is_of_adapter() const { return of_adapter_.has_value(); }
  const std::filesystem::path& folder() const { return is_of_adapter() ? *folders_.adapter : folders_.model; }
  // What a user should know where those of model and adapter differ; else empty.
  const std::string& note() const { return note_; }
  // Of folder(); the model's are read now.
  TemplateSources sources() const;

 private:
  TemplateFolders folders_;
  std::optional<TemplateSources> of_adapter_;
  std::string note_;
};

// Of several templates a chat with tools takes the one called "tool_use", every other one the "default".
class ChatTemplates {
 public:
  // From `file` if it is given, else of choice.folder(): its chat_template.jinja and
  // additional_chat_templates/tool_use.jinja, or either of them, else "chat_template" of its tokenizer_config.json: a
  // text, or a list of {"name", "template"} with a "default", a "tool_use" or both, as transformers reads them.
  // Templates see bos_token, eos_token and the other special tokens that the model's tokenizer_config.json or
  // special_tokens_map.json name, and the day of `now`, local time, at 0:00. Nothing where there is no template.
  // Throws std::invalid_argument naming the file, and the line of a template's fault.
  static std::optional<ChatTemplates> load(const TemplateChoice& choice,
                                           const std::optional<std::filesystem::path>& file,
                                           std::chrono::system_clock::time_point now);

  // nullptr where the folder has none for it: templates, but no default.
  const ChatTemplate* for_chat(bool has_tools) const {
    const auto& chosen = has_tools && tool_use_ ? tool_use_ : standard_;
    return chosen ? &*chosen : nullptr;
  }

 private:
  ChatTemplates() = default;

  std::optional<ChatTemplate> standard_, tool_use_;
};

// The start of the day of `now`, local time. Templates see no finer time: all ranks of a job see the same.
std::chrono::sys_seconds start_of_day(std::chrono::system_clock::time_point now);

}  // namespace equipoise
