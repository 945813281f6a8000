#include "worker/data/chat_templates.h"

#include <ctime>
#include <stdexcept>
#include <utility>

#include "common/base/bounded_file.h"
#include "common/base/download_fault.h"
#include "common/base/message_text.h"
#include "worker/data/json_file.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr const char* kSpecialTokens[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                          "pad_token", "cls_token", "mask_token"};
constexpr std::uintmax_t kLargestTemplateBytes = 1 << 20;

std::string read_template(const fs::path& path) {
  check_download(path);
  return read_bounded_file(path, kLargestTemplateBytes, "a chat template");
}

ordered_json settings_of(const fs::path& file) {
  return fs::exists(file) ? read_json_object(file) : ordered_json::object();
}

// Adds what is not there yet. A token is a text, or an object with its text under "content".
void add_special_tokens(const ordered_json& settings, ordered_json& variables) {
  for (const char* name : kSpecialTokens) {
    const auto token = settings.find(name);
    if (variables.contains(name) || token == settings.end()) continue;
    const ordered_json text = token->is_object() ? token->value("content", ordered_json()) : *token;
    if (text.is_string()) variables[name] = text;
  }
}

ChatTemplate::Source source_of(const fs::path& file) {
  return {.name = file.string(), .text = read_template(file), .variables = {}};
}

TemplateSources sources_of_list(const fs::path& file, const ordered_json& list) {
  TemplateSources sources;
  for (const ordered_json& entry : list) {
    const bool named = entry.is_object() && entry.contains("name") && entry["name"].is_string() &&
                       entry.contains("template") && entry["template"].is_string();
    if (!named) {
      throw std::invalid_argument(file.string() + ": chat_template is a list with " + quoted_text(entry.dump()) +
                                  R"(, expected {"name": ..., "template": ...})");
    }
    const auto name = entry["name"].get<std::string>();
    auto* const source = name == "default" ? &sources.standard : name == "tool_use" ? &sources.tool_use : nullptr;
    if (source == nullptr) continue;
    *source = ChatTemplate::Source{.name = file.string() + ": chat_template " + quoted_text(name),
                                   .text = entry["template"].get<std::string>(),
                                   .variables = {}};
  }
  if (sources.standard || sources.tool_use) return sources;
  throw std::invalid_argument(file.string() + R"(: chat_template has no template named "default" or "tool_use")");
}

TemplateSources sources_of_config(const fs::path& file, const ordered_json& settings) {
  const auto field = settings.find("chat_template");
  if (field == settings.end() || field->is_null()) return {};
  if (field->is_array()) return sources_of_list(file, *field);
  if (!field->is_string()) {
    throw std::invalid_argument(file.string() + ": chat_template is " + quoted_text(field->dump()) +
                                ", expected a template's text or a list of named ones");
  }
  return {.standard =
              ChatTemplate::Source{
                  .name = file.string() + ": chat_template", .text = field->get<std::string>(), .variables = {}},
          .tool_use = {}};
}

TemplateSources sources_of_folder(const fs::path& folder) {
  // A link whose file is missing is there and cannot be read.
  const auto is_there = [](const fs::path& file) { return fs::exists(fs::symlink_status(file)); };
  const fs::path own_file = folder / "chat_template.jinja", others = folder / "additional_chat_templates";
  TemplateSources sources;
  if (is_there(own_file)) sources.standard = source_of(own_file);
  if (is_there(others / "default.jinja") && !sources.standard) sources.standard = source_of(others / "default.jinja");
  if (is_there(others / "tool_use.jinja")) sources.tool_use = source_of(others / "tool_use.jinja");
  if (sources.standard || sources.tool_use) return sources;
  return sources_of_config(folder / "tokenizer_config.json", settings_of(folder / "tokenizer_config.json"));
}

ChatTemplateTexts texts_of(const TemplateSources& sources) {
  ChatTemplateTexts texts;
  if (sources.standard) texts.standard = sources.standard->text;
  if (sources.tool_use) texts.tool_use = sources.tool_use->text;
  return texts;
}

}  // namespace

ChatTemplateTexts chat_template_texts(const fs::path& folder) { return texts_of(sources_of_folder(folder)); }

TemplateChoice::TemplateChoice(TemplateFolders folders) : folders_(std::move(folders)) {
  if (!folders_.adapter) return;
  TemplateSources own = sources_of_folder(*folders_.adapter);
  const ChatTemplateTexts texts = texts_of(own);
  if (texts.empty()) return;
  of_adapter_ = std::move(own);
  if (texts == chat_template_texts(folders_.model)) return;
  note_ = "the chat template is the one of the adapter in " + folders_.adapter->string() +
          ", not the one of the model in " + folders_.model.string() + ", which differs";
}

TemplateSources TemplateChoice::sources() const { return of_adapter_ ? *of_adapter_ : sources_of_folder(folder()); }

std::optional<ChatTemplates> ChatTemplates::load(const TemplateChoice& choice, const std::optional<fs::path>& file,
                                                 std::chrono::system_clock::time_point now) {
  TemplateSources sources = file ? TemplateSources{.standard = source_of(*file), .tool_use = {}} : choice.sources();
  if (!sources.standard && !sources.tool_use) return std::nullopt;
  const fs::path& model = choice.folders().model;
  ordered_json variables = ordered_json::object();
  add_special_tokens(settings_of(model / "tokenizer_config.json"), variables);
  add_special_tokens(settings_of(model / "special_tokens_map.json"), variables);
  const auto compiled = [&](std::optional<ChatTemplate::Source>& source) -> std::optional<ChatTemplate> {
    if (!source) return std::nullopt;
    source->variables = variables.dump();
    return ChatTemplate(*source, start_of_day(now));
  };
  ChatTemplates templates;
  templates.standard_ = compiled(sources.standard);
  templates.tool_use_ = compiled(sources.tool_use);
  return templates;
}

std::chrono::sys_seconds start_of_day(std::chrono::system_clock::time_point now) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm local{};
  if (::localtime_r(&seconds, &local) == nullptr) return std::chrono::floor<std::chrono::days>(now);
  local.tm_hour = local.tm_min = local.tm_sec = 0;
  local.tm_isdst = -1;
  return std::chrono::sys_seconds(std::chrono::seconds(std::mktime(&local)));
}

}  // namespace equipoise
